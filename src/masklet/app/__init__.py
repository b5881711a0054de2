"""The annotator: click on a thing in a video, watch it followed, correct, export, in the browser.

No algorithm is here: masks, history and files are those of `VideoTracker` and of the writers.
"""

from masklet.errors import MaskletError, needing


def check_installed(what: str, extra: str) -> None:
    """Raise MaskletError with what to install if a library of the servers is missing."""
    with needing(extra, what, MaskletError):
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
