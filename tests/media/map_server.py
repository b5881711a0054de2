"""Tiles of a map on the web, made up, from a server on this machine."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Draw = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.uint8]]


class MapServer(ThreadingHTTPServer):
    """Answers /ZOOM/X/Y.png with what `draw` makes of the columns and rows of the world's pixels, (256, 256) each.

    `asked` holds the paths that were asked for, `status` and `body` what is answered in place of a tile.
    """

    def __init__(self, draw: Draw) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.draw, self.asked, self.status, self.body = draw, list[str](), 200, b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{{z}}/{{x}}/{{y}}.png?key=a&b=1"


class Handler(BaseHTTPRequestHandler):
    server: MapServer

    def do_GET(self) -> None:
        server = self.server
        server.asked.append(self.path)
        _, x, y = (int(part) for part in self.path.split(".")[0].strip("/").split("/"))
        rows, columns = np.mgrid[y * 256 : y * 256 + 256, x * 256 : x * 256 + 256]
        png = io.BytesIO()
        Image.fromarray(server.draw(columns, rows)).save(png, "PNG")
        self.send_response(server.status)
        self.end_headers()
        self.wfile.write(server.body or png.getvalue())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def map_server(draw: Draw) -> Iterator[MapServer]:
    with MapServer(draw) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
