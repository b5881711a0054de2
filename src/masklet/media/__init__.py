"""Frames in: pictures, videos and folders of pictures, all as uint8 RGB, upright.

source       the protocol `FrameSource`, and `open_video`, which finds the reader for a path
video_file   a video file, read as it is decoded
folder       a folder of pictures, read as a video
image_file   one picture
"""
