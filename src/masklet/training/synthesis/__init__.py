"""Made-up video from stills: things cut out of pictures move over other pictures, with exact masks.

motion   smooth paths through time: affine, perspective, thin-plate
things   cut-outs, and where they are at each moment
regions  things to follow in pictures that nobody labelled
look     blur, light, JPEG noise
clip     all of it together
"""
