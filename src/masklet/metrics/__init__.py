"""Scores of masks against the truth: plain functions on arrays, each with its source and its rule for empty masks.

region       J, the IoU of masks
boundary     F, the accuracy of outlines; its variant for small objects
sequence     J and F of all objects in all frames of a sequence
protocols    which of these count: the rules of DAVIS, YouTube-VOS, SA-V, MOSE and LVOS, by name
summary      mean, recall and decay; J&F; G
calibration  whether predicted IoU and presence can be believed
recall       COCO's AR of masks that nobody asked for; the best overlap of each object
tracking     MOTA, IDF1 and HOTA
"""
