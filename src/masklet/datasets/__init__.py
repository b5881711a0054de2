"""Data sets, each read from its published folders, for training and evaluation alike; nothing is downloaded.

base               what a data set gives: clips, with their frames and masks
frame_folders      DAVIS, YouTube-VOS, MOSE, LVOS; and what readers share: folders of frames and masks, lists of names
segment_anything   SA-V and SA-1B
coco               COCO and LVIS
own                your own: index.csv and packs of it, masks beside pictures and videos, project files, bare pictures
volumes            volumes with label maps
build              one data set of many annotated videos
registry           the readers by name; those of other packages; which of them reads a path
"""
