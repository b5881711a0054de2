"""The pages of the annotator and their requests, as an ASGI application."""

from functools import partial

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from masklet.app import files
from masklet.app.library import Library
from masklet.app.pictures import THUMBNAIL_SIDE
from masklet.app.shared import converse
from masklet.app.web import FOR_EVER, FRESH, SECURITY_HEADERS, as_json, page, pages, picture
from masklet.errors import MaskletError


def application(library: Library, token: str | None = None) -> Starlette:
    """The annotator of a library; `token` as of `pages`."""

    def listing(request: Request) -> Response:
        model, folder = library.engine.config.name, str(library.folder)
        return as_json({"items": library.listing(), "model": model, "folder": folder})

    async def upload(request: Request) -> Response:
        """How much of a file is there already, or more of it."""
        said = request.query_params
        try:
            about = said["name"], int(said["size"]), said.get("changed", "")
            sent = await to_thread.run_sync(library.uploads.begin, *about)
            if request.method == "PUT":
                path = await library.uploads.receive(sent, int(said["at"]), request.stream())
                if path is not None:
                    return as_json({"item": library.add(path).id}, 201)
            return as_json({"at": sent.at})
        except files.Behind as error:
            return as_json({"error": str(error), "at": error.at}, 409)
        except MaskletError as error:
            return as_json({"error": str(error)}, 422)
        except (KeyError, ValueError, ClientDisconnect):
            return as_json({"error": "give name, size, changed and at, as docs/annotator-protocol.md describes"}, 400)

    def cover(request: Request) -> Response:
        return picture(library.cover(request.path_params["id"])[0])

    def frame(request: Request) -> Response:
        width = int(request.query_params.get("w", "0")[:6] or 0)
        frames = library.pictures(request.path_params["id"], small=0 < width <= THUMBNAIL_SIDE)
        return picture(frames.jpeg(request.path_params["frame"], width), FOR_EVER)

    async def formats(request: Request) -> Response:
        item = library.item(request.path_params["id"])
        return as_json({"formats": files.choices(picture=item.kind == "picture")})

    async def exported(request: Request) -> Response:
        item, name = library.item(request.path_params["id"]), request.path_params["name"]
        path = library.place(item) / "exports" / name
        if name.startswith(".") or not path.is_file():
            return as_json({"error": f"there is no export {name[:80]!r}; make it again"}, 404)
        return FileResponse(path, filename=name, headers={**SECURITY_HEADERS, "Cache-Control": FRESH})

    async def send_masks(request: Request) -> Response:
        item = library.item(request.path_params["id"])
        folder = library.place(item) / "imports"
        return as_json({"file": await files.receive(folder, request.path_params["name"], request.stream())})

    async def session(socket: WebSocket) -> None:
        name = socket.path_params["id"]
        with library.visited(name):
            await converse(socket, partial(library.session, name))

    routes = [
        Route("/", page),
        Route("/api/library", listing),
        Route("/api/upload", upload, methods=["GET", "PUT"]),
        Route("/v/{id}", page),
        Route("/v/{id}/cover.jpg", cover),
        Route("/v/{id}/frame/{frame:int}.jpg", frame),
        Route("/v/{id}/formats", formats),
        Route("/v/{id}/exports/{name}", exported),
        Route("/v/{id}/imports/{name}", send_masks, methods=["PUT"]),
        WebSocketRoute("/v/{id}/session", session),
    ]
    return pages(routes, token)
