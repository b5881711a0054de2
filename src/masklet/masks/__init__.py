"""Masks as plain data and their algebra: numpy and OpenCV, no network.

palette     the 256 colours of DAVIS and VOC
components  connected parts
rle         run lengths, as COCO writes them
refine      soft edges and backgrounds
clicks      where an annotator would click next
draw        a picture with tinted masks, contours and name tags
"""
