"""Tracking as a job: what is asked of a video, done in one go or gone on with, and of many videos on many machines.

prompts   what is said of a video, in plain values
job       the options of a job, and going on with one that was stopped
track     one job, from the video to its files
sources   which videos there are: folders, patterns, URLs, manifests
places    files by path or by URL
record    what came of each video, and who works in a folder
many      many videos, each whole by one worker
"""
