"""Data sets, each read from its published folders, for training and evaluation alike; nothing is downloaded.

base               what a data set gives: clips, with their frames and masks
files              what readers share: folders of frames, folders of masks, lists of names
frame_folders      DAVIS, YouTube-VOS, MOSE, LVOS: one table of layouts
segment_anything   SA-V and SA-1B
coco               COCO and LVIS
own                your own: index.csv, masks beside pictures and videos, project files, pictures without masks
volumes            volumes with label maps
build              one data set of many annotated videos
pack               a folder with index.csv in one small file
registry           the readers by name; those of other packages; which of them reads a path
"""
