"""Masks out and in, in the formats that other tools know. A picture is one frame.

base            what a writer is given and a reader gives, and `Format`, an entry of the registry
description     what is said of an object: title, category, colour, attributes
registry        the formats by name: `writer`, `read_masks`, and by a path's ending
writer          what writers have in common: their checks, a file for each frame, masks that wait on disk
json_file       JSON and texts of others, read with care

davis           palette PNGs, one for each frame; and a folder of black and white ones for each object
coco            run lengths in one file: COCO, YouTube-VIS, SA-V, MOTS
cvat            XML with run lengths
labels          a file for each picture: LabelMe, YOLO; Pascal VOC and Supervisely, which are only read
project_file    all that was said and found of a video
cutouts         the pictures with the masks drawn in, cut-outs with alpha, and the objects before another background
film            the common part of all videos
space           label maps, surfaces and structures of volumes; polygons and numbers on the ground
"""
