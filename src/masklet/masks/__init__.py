"""Masks as plain data and their algebra: numpy and OpenCV, no network.

shape     boxes around masks, the best of those that overlap, and connected parts
rle       run lengths, as COCO writes them
patch     masks that know only their own box
polygons  borders of masks, exact or for programs that fill them; polygons of others, checked
trace     masks straight from low-resolution logits
refine    soft edges, cut-outs and backgrounds
guided    edges that follow the picture
finish    what films show of objects, and how their edges are made
draw      a picture with tinted masks, contours and name tags, in the 256 colours of DAVIS and VOC
clicks    where an annotator would click next
"""
