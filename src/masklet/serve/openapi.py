"""The description of the requests in OpenAPI 3.1, from which clients can be made."""

from __future__ import annotations

import re
from typing import Any

import masklet
from masklet.serve.pictures import MOST_PROMPTS, SHAPES
from masklet.serve.videos import DIRECTIONS

NUMBERS = {"type": "array", "items": {"type": "number"}}
TEXT = {"type": "string"}

SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {**TEXT, "description": "One sentence."}},
    },
    "Prompt": {
        "type": "object",
        "description": "What is said of one object, in pixels of the picture as it is shown.",
        "properties": {
            "object": {"description": "Its name.", "type": ["integer", "string"]},
            "frame": {"type": "integer", "minimum": 0, "description": "Of a video; 0 if not given."},
            "points": {"type": "array", "items": {**NUMBERS, "minItems": 2, "maxItems": 2}, "description": "(x, y)"},
            "labels": {"type": "array", "items": {"enum": [0, 1]}, "description": "1 include, 0 exclude."},
            "box": {**NUMBERS, "minItems": 4, "maxItems": 4, "description": "x0, y0, x1, y1"},
        },
    },
    "PictureQuestion": {
        "type": "object",
        "description": "A picture as image or url, and prompts or everything.",
        "properties": {
            "image": {**TEXT, "contentEncoding": "base64"},
            "url": {**TEXT, "format": "uri", "description": "One that the server allows."},
            "prompts": {"type": "array", "maxItems": MOST_PROMPTS, "items": {"$ref": "#/components/schemas/Prompt"}},
            "everything": {"type": "boolean"},
            "multimask": {"type": ["boolean", "null"], "description": "Three candidates of each object, or one."},
            "shape": {"enum": list(SHAPES), "default": "rle"},
        },
    },
    "Rle": {
        "type": "object",
        "description": "COCO's compressed run lengths.",
        "properties": {"size": {"type": "array", "items": {"type": "integer"}}, "counts": TEXT},
    },
    "Mask": {
        "type": "object",
        "required": ["object", "iou", "box", "area"],
        "properties": {
            "object": {"type": ["integer", "string"]},
            "iou": {"type": "number", "description": "Predicted, 0..1."},
            "box": NUMBERS,
            "area": {"type": "integer"},
            "rle": {"$ref": "#/components/schemas/Rle"},
            "png": {**TEXT, "contentEncoding": "base64"},
            "polygons": {
                "type": "array",
                "items": {"type": "object"},
                "description": "outer, holes: lists of (x, y)",
            },
        },
    },
    "PictureAnswer": {
        "type": "object",
        "properties": {
            "width": {"type": "integer"},
            "height": {"type": "integer"},
            "masks": {"type": "array", "items": {"$ref": "#/components/schemas/Mask"}},
        },
    },
    "VideoQuestion": {
        "type": "object",
        "description": "A video as upload or url, and prompts or everything.",
        "additionalProperties": False,
        "properties": {
            "upload": TEXT,
            "url": {**TEXT, "format": "uri"},
            "prompts": {"type": "array", "items": {"$ref": "#/components/schemas/Prompt"}},
            "everything": {"type": "boolean"},
            "direction": {"enum": list(DIRECTIONS), "default": "forward"},
            "formats": {"type": "array", "items": TEXT, "default": ["coco"], "description": "docs/formats.md"},
            "overlay": {"type": "boolean", "default": False},
        },
    },
    "VideoJob": {
        "type": "object",
        "required": ["id", "state", "frames", "results"],
        "properties": {
            "id": TEXT,
            "state": {"enum": ["waiting", "running", "done", "failed", "cancelled"]},
            "frames": {"type": "integer"},
            "of": {"type": ["integer", "null"]},
            "sentence": TEXT,
            "results": {"type": "array", "items": TEXT},
            "created": {"type": "number"},
            "asked": {"type": "object"},
        },
    },
}


WATCHED = "The job whenever it got on, as server-sent events, until it has ended."

PATHS: tuple[tuple[str, str, str, str, str, str | None], ...] = (
    ("get", "/health", "health", "Whether the server works, and how much waits.", "200 It does.", None),
    ("get", "/openapi.json", "describe", "This document.", "200 OpenAPI 3.1.", None),
    ("post", "/v1/pictures", "picture", "Masks of a picture.", "200 PictureAnswer", "PictureQuestion"),
    ("post", "/v1/uploads", "upload", "Send a video.", "201 Its id, as upload.", "application/octet-stream"),
    ("delete", "/v1/uploads/{id}", "removeUpload", "Remove an upload.", "204 Gone.", None),
    ("get", "/v1/videos", "listVideos", "All jobs, the oldest first.", "200 Jobs, as videos.", None),
    ("post", "/v1/videos", "createVideo", "Track a video.", "201 VideoJob", "VideoQuestion"),
    ("get", "/v1/videos/{id}", "video", "How a job stands.", "200 VideoJob", None),
    ("delete", "/v1/videos/{id}", "removeVideo", "Remove a job that has ended.", "204 Gone.", None),
    ("post", "/v1/videos/{id}/cancel", "cancelVideo", "End a job; what is done stays.", "200 VideoJob", None),
    ("get", "/v1/videos/{id}/events", "watchVideo", WATCHED, "200 Events.", None),
    ("get", "/v1/videos/{id}/results/{path}", "result", "A file of a job's results.", "200 The file.", None),
)
"""Method, path, name, what it is for, its status with a schema or in words, and the schema or kind of its body."""


def document() -> dict[str, Any]:
    """The whole description, in plain values."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, name, summary, answer, body in PATHS:
        status, _, said = answer.partition(" ")
        known = {"description": said, **({"content": _content(said)} if said in SCHEMAS else {})}
        if said == "Events.":
            known["content"] = {"text/event-stream": {}}
        failed = {"description": "What is wrong, in one sentence.", "content": _content("Error")}
        operation: dict[str, Any] = {
            "operationId": name,
            "summary": summary,
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
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}}}
