"""Scores of masks against the truth: plain functions on arrays, each with its source and its rule for empty masks.

region       J, the IoU of masks
boundary     F, the accuracy of outlines; its variant for small objects; boundary IoU
sequence     J and F of all objects in all frames of a sequence
counting     which of these count
protocols    the rules of DAVIS, YouTube-VOS, SA-V, MOSE and LVOS, by name
summary      mean, recall and decay; J&F; G
absence      J and F where objects are gone, and where they have come back
clicks       clicks to a target IoU, IoU after so many clicks
calibration  whether predicted IoU and presence can be believed
stability    whether masks flicker
detection    COCO's AP of masks
recall       COCO's AR of masks that nobody asked for; the best overlap of each object
tracking     MOTA, IDF1 and HOTA
registry     those that compare two masks, by name
"""
