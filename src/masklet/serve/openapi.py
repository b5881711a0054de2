"""The description of the requests in OpenAPI 3.1, from which clients can be made."""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import masklet
from masklet.serve.pictures import MOST_PROMPTS, SHAPES
from masklet.serve.videos import DIRECTIONS

TEXT = {"type": "string"}


def record(description: str | None = None, required: Sequence[str] = (), **properties: Any) -> dict[str, Any]:
    """The schema of an object."""
    said = {"description": description} if description else {}
    return {"type": "object", **said, **({"required": list(required)} if required else {}), "properties": properties}


def several(items: Any, **more: Any) -> dict[str, Any]:
    """The schema of a list."""
    return {"type": "array", "items": items, **more}


def schema(name: str) -> dict[str, Any]:
    """One of SCHEMAS, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


NUMBERS = several({"type": "number"})
NAME = {"type": ["integer", "string"]}

SCHEMAS: dict[str, Any] = {
    "Error": record(None, ["error"], error={**TEXT, "description": "One sentence."}),
    "Prompt": record(
        "What is said of one object, in pixels of the picture as it is shown.",
        object={**NAME, "description": "Its name."},
        frame={"type": "integer", "minimum": 0, "description": "Of a video; 0 if not given."},
        points=several({**NUMBERS, "minItems": 2, "maxItems": 2}, description="(x, y)"),
        labels=several({"enum": [0, 1]}, description="1 include, 0 exclude."),
        box={**NUMBERS, "minItems": 4, "maxItems": 4, "description": "x0, y0, x1, y1"},
    ),
    "PictureQuestion": record(
        "A picture as image or url, and prompts or everything.",
        image={**TEXT, "contentEncoding": "base64"},
        url={**TEXT, "format": "uri", "description": "One that the server allows."},
        prompts=several(schema("Prompt"), maxItems=MOST_PROMPTS),
        everything={"type": "boolean"},
        multimask={"type": ["boolean", "null"], "description": "Three candidates of each object, or one."},
        shape={"enum": list(SHAPES), "default": "rle"},
    ),
    "Rle": record("COCO's compressed run lengths.", size=several({"type": "integer"}), counts=TEXT),
    "Mask": record(
        None,
        ["object", "iou", "box", "area"],
        object=NAME,
        iou={"type": "number", "description": "Predicted, 0..1."},
        box=NUMBERS,
        area={"type": "integer"},
        rle=schema("Rle"),
        png={**TEXT, "contentEncoding": "base64"},
        polygons=several({"type": "object"}, description="outer, holes: lists of (x, y)"),
    ),
    "PictureAnswer": record(width={"type": "integer"}, height={"type": "integer"}, masks=several(schema("Mask"))),
    "VideoQuestion": {
        **record(
            "A video as upload or url, and prompts or everything.",
            upload=TEXT,
            url={**TEXT, "format": "uri"},
            prompts=several(schema("Prompt")),
            everything={"type": "boolean"},
            direction={"enum": list(DIRECTIONS), "default": "forward"},
            formats=several(TEXT, default=["coco"], description="docs/formats.md"),
            overlay={"type": "boolean", "default": False},
        ),
        "additionalProperties": False,
    },
    "VideoJob": record(
        None,
        ["id", "state", "frames", "results"],
        id=TEXT,
        state={"enum": ["waiting", "running", "done", "failed", "cancelled"]},
        frames={"type": "integer"},
        of={"type": ["integer", "null"]},
        sentence=TEXT,
        results=several(TEXT),
        created={"type": "number"},
        asked={"type": "object"},
    ),
}

Described = tuple[str, str, str, Callable[..., Any], str, str | None]
"""Method, path, name, what answers, its status with a schema or in words, and the schema or kind of the body."""


def document(described: Iterable[Described]) -> dict[str, Any]:
    """The whole description, in plain values. What a request is for is told by the docstring of what answers it."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, name, answered_by, answer, body in described:
        status, _, said = answer.partition(" ")
        known = {"description": said, **({"content": _content(said)} if said in SCHEMAS else {})}
        if said == "Events.":
            known["content"] = {"text/event-stream": {}}
        failed = {"description": "What is wrong, in one sentence.", "content": _content("Error")}
        operation: dict[str, Any] = {
            "operationId": name,
            "summary": inspect.getdoc(answered_by),
            "responses": {status: known, "default": failed},
        }
        if body is not None:
            operation["requestBody"] = {"content": _content(body), "required": True}
        place = paths.setdefault(path, {})
        place[method] = operation
        if named := re.findall(r"{(\w+)}", path):
            place["parameters"] = [{"name": one, "in": "path", "required": True, "schema": TEXT} for one in named]
    return {
        "openapi": "3.1.0",
        "info": {"title": "masklet", "version": masklet.__version__, "description": "Masks of what is pointed at."},
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
        "paths": paths,
    }


def _content(body: str) -> dict[str, Any]:
    if body not in SCHEMAS:
        return {body: {}}
    return {"application/json": {"schema": schema(body)}}
