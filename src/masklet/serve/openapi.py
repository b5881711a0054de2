"""The description of the requests in OpenAPI 3.1, from which clients can be made."""

from __future__ import annotations

from collections.abc import Mapping
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


def document() -> dict[str, Any]:
    """The whole description, in plain values."""
    job = _answers("VideoJob")
    return {
        "openapi": "3.1.0",
        "info": {"title": "masklet", "version": masklet.__version__, "description": "Masks of what is pointed at."},
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
        "paths": {
            "/health": {
                "get": _operation("health", "Whether the server works, and how much waits.", {"200": _said("It does.")})
            },
            "/openapi.json": {"get": _operation("describe", "This document.", {"200": _said("OpenAPI 3.1.")})},
            "/v1/pictures": {
                "post": _operation("picture", "Masks of a picture.", _answers("PictureAnswer"), body="PictureQuestion")
            },
            "/v1/uploads": {
                "post": {
                    **_operation("upload", "Send a video.", {"201": _said("Its id, as upload."), **_errors()}),
                    "requestBody": {"content": {"application/octet-stream": {}}, "required": True},
                }
            },
            "/v1/uploads/{id}": {
                "parameters": [_parameter("id")],
                "delete": _operation("removeUpload", "Remove an upload.", {"204": _said("Gone."), **_errors()}),
            },
            "/v1/videos": {
                "get": _operation("listVideos", "All jobs, the oldest first.", {"200": _said("Jobs, as videos.")}),
                "post": _operation("createVideo", "Track a video.", _answers("VideoJob", "201"), body="VideoQuestion"),
            },
            "/v1/videos/{id}": {
                "parameters": [_parameter("id")],
                "get": _operation("video", "How a job stands.", job),
                "delete": _operation(
                    "removeVideo", "Remove a job that has ended.", {"204": _said("Gone."), **_errors()}
                ),
            },
            "/v1/videos/{id}/cancel": {
                "parameters": [_parameter("id")],
                "post": _operation("cancelVideo", "End a job; what is done stays.", job),
            },
            "/v1/videos/{id}/events": {
                "parameters": [_parameter("id")],
                "get": _operation(
                    "watchVideo",
                    "The job whenever it got on, as server-sent events, until it has ended.",
                    {"200": {"description": "Events.", "content": {"text/event-stream": {}}}, **_errors()},
                ),
            },
            "/v1/videos/{id}/results/{path}": {
                "parameters": [_parameter("id"), _parameter("path")],
                "get": _operation("result", "A file of a job's results.", {"200": _said("The file."), **_errors()}),
            },
        },
    }


def _operation(name: str, summary: str, responses: Mapping[str, Any], body: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": name, "summary": summary, "responses": dict(responses)}
    if body is not None:
        found["requestBody"] = {"content": _content(body), "required": True}
    return found


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _said(what: str) -> dict[str, Any]:
    return {"description": what}


def _answers(schema: str, status: str = "200") -> dict[str, Any]:
    return {status: {"description": schema, "content": _content(schema)}, **_errors()}


def _errors() -> dict[str, Any]:
    return {"default": {"description": "What is wrong, in one sentence.", "content": _content("Error")}}


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": TEXT}
