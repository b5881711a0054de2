"""Masks out and in: one file for each format that other tools know.

registry        the formats by name: `writer`, `read_masks`, and the list for help texts
base            what a writer is given and a reader gives
writer          what every writer checks

davis           a folder of palette PNGs, one for each frame
object_pngs     a folder of black and white PNGs for each object
coco ytvis sav  JSON with run lengths
mots            a text with run lengths
project         all that was said and found of a video; project_file and project_reader keep it in a file
overlay         a video with the masks drawn in
matte           cut-outs with alpha, as films and as PNGs
background      a video with another background

atomic          a file appears under its name only when it is whole
spool           masks that wait on disk until all frames are known
film sound      the common part of all videos
json_file numbered  JSON and numbered PNGs of others, read with care
"""
