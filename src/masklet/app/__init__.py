"""The annotator: click on a thing in a video, watch it followed, correct, export, in the browser.

server    the pages and their requests
channel   one page's WebSocket: what it says and what it is told
session   an open video: one thread owns its tracker, and does what pages ask between the frames of a pass
acts      what pages may change, and reading what they say
summary   what a page shows of a session: objects, strips of the timeline, doubts
wire      masks as bytes
pictures  frames as JPEG, by number
library   the videos and pictures that were opened, and where their work is kept
uploads   files that a browser sends
exports   files of every format, made between other work

No algorithm is here: masks, history and files are those of `VideoTracker` and of the writers.
"""
