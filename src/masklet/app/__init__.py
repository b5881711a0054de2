"""The annotator: click on a thing in a video, watch it followed, correct, export, in the browser.

web       what every server is made of: who may ask, answers, listening
server    the pages of a library and their requests
camera    the page of a camera
channel   one page's WebSocket: what it says and what it is told
shared    what several pages look at and one changes: a thread that answers them, and long work between
session   an open video: what pages ask, and following between the questions
acts      what pages may change
keeping   what is on the disk of a video: the session's file, its journal
summary   what a page shows of a session: objects, strips of the timeline, doubts
wire      masks as bytes
pictures  frames as JPEG, by number
library   the videos and pictures that were opened, and where their work is kept
uploads   files that a browser sends
files     files of masks in every format, made and taken over between other work

No algorithm is here: masks, history and files are those of `VideoTracker` and of the writers.
"""

from masklet.errors import MaskletError, needing


def check_installed(what: str, extra: str) -> None:
    """Raise MaskletError with what to install if a library of the servers is missing."""
    with needing(extra, what, MaskletError):
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
