"""Masks as plain data and their algebra: numpy and OpenCV, no network.

shape     boxes around masks, the best of those that overlap, connected parts, and where an annotator would click next
rle       run lengths, as COCO writes them; patches: masks that know only their own box; both straight from logits
polygons  borders of masks, exact or for programs that fill them; polygons of others, checked
finish    what films show of objects; soft edges, cut-outs, backgrounds
draw      a picture with tinted masks, contours and name tags, in the 256 colours of DAVIS and VOC
"""
