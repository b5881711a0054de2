"""Masks as plain data and their algebra: numpy and OpenCV, no network.

boxes       boxes around masks, and the best of those that overlap
rle         run lengths, as COCO writes them
patch       masks that know only their own box
polygons    borders of masks, exact or for programs that fill them
trace       masks straight from low-resolution logits
components  connected parts
refine      soft edges, cut-outs and backgrounds
guided      edges that follow the picture
draw        a picture with tinted masks, contours and name tags
palette     the 256 colours of DAVIS and VOC
clicks      where an annotator would click next
"""
