"""The page on loopback, in a thread."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from masklet.errors import MaskletError
from masklet.live.session import LiveSession

HOST = "127.0.0.1"
"""Only this machine reaches it."""


def check_page() -> None:
    """Raise `MaskletError` with what to install if the page's libraries are missing."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MaskletError(f"the page needs {error.name}; install it with: pip install 'masklet[live]'") from None


def listen(port: int, host: str = HOST) -> socket.socket:
    """A socket, on loopback if no other host is given; port 0 takes any free one. Raises `MaskletError` if the port is
    taken."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        raise MaskletError(f"port {port} of {host} cannot be used ({error}); give another --port") from None
    return listening


def address(listening: socket.socket) -> str:
    """The address for a browser."""
    return f"http://{HOST}:{listening.getsockname()[1]}/"


@contextmanager
def serving(session: LiveSession, listening: socket.socket) -> Iterator[None]:
    """Serve the page of a session inside the `with` block. Closes the socket."""
    import uvicorn

    from masklet.live.page import page

    config = uvicorn.Config(
        page(session), log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=2, server_header=False
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, args=([listening],), name="masklet-page", daemon=True)
    thread.start()
    try:
        yield
    finally:
        session.end()  # pictures that are being sent end
        server.should_exit = True
        thread.join()
        listening.close()
