"""Masks out and in: one file for each format that other tools know.

atomic    a file appears under its name only when it is whole
davis     a folder of palette PNGs, one for each frame
overlay   a video with the masks drawn in
"""
