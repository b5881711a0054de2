"""Frames in: pictures, videos, folders of pictures, arrays and cameras, all as uint8 RGB, upright, in square pixels."""
