"""Data sets by name, each read from its published folders; nothing is downloaded.

base      what a data set gives: clips, with frames and true masks
truth     true masks in files
folders   the common part of all that are folders of frames and masks
registry  the data sets by name; one file for each
"""
