"""Frames in: pictures, videos, folders of pictures, arrays and cameras, all as uint8 RGB, upright, in square pixels.

source       `open_video`, which opens anything of this list, and the table of readers that it asks
frames       the protocol `FrameSource`, and its `Frame`; decoding ahead in a thread
video_file   a video file: any container, any codec, frames by their number
image_file   pictures in files: one, those of a folder, or of a list
pages        GIF, multi-page TIFF, animated WebP, PNG and AVIF
arrays       pictures in memory, or from a program
camera       a camera or a live stream, of which only the newest frame is kept; devices: what it reads from,
             among them a file in a camera's place

What a video file's reader is made of, from the file up:
container    packets, and the frames decoded from them
index        where frame n is, without decoding
deinterlace  whole pictures from fields
display      square pixels, the turn, colours; tone_map: high dynamic range to 8 bits
decoder      all of these together: pictures by number, with as little decoding as can be
"""
