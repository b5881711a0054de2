"""Masks out and in: one file for each format that other tools know. A picture is one frame.

base            what a writer is given and a reader gives, and `Format`, an entry of the registry
description     what is said of an object: title, category, colour, attributes
registry        the formats by name: `writer`, `read_masks`, and by a path's ending
writer          what every writer checks

davis           palette PNGs, one for each frame; and a folder of black and white ones for each object
coco sav        JSON with run lengths; coco has YouTube-VIS too
cvat            XML with run lengths
mots            a text with run lengths
labelme yolo    polygons, a file for each frame; dataset_folders: Pascal VOC and Supervisely, which are only read
project         all that was said and found of a video; project_file keeps it in a file
overlay         the pictures with the masks drawn in
matte exr       cut-outs with alpha, as films, PNGs and EXRs; cutter: what they show
background      the objects before another background
volume dicom    label maps, surfaces and structures of volumes; maps: polygons and numbers on the ground

numbered        a file for each frame
spool           masks that wait on disk until all frames are known
film sound      the common part of all videos
json_file       JSON of others, read with care
"""
