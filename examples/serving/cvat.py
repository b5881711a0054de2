"""A serverless function of CVAT (Nuclio): an interactor that asks `masklet serve`.

    nuctl deploy --project-name cvat --path examples/serving --file examples/serving/function.yaml

CVAT sends the frame and the clicks; it gets the mask and its box. MASKLET_SERVER and MASKLET_TOKEN say where to ask.
"""

import base64
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from masklet_client import masks
from PIL import Image

Points = Sequence[Sequence[float]]


def handler(context: Any, event: Any) -> Any:
    """Nuclio calls this for every request."""
    try:
        content, status = answer(event.body), 200
    except (RuntimeError, OSError, KeyError) as error:
        content, status = {"error": str(error)}, 400
    return context.Response(body=json.dumps(content), headers={}, content_type="application/json", status_code=status)


def answer(said: dict[str, Any]) -> dict[str, Any]:
    """The mask of what was clicked, as rows of 0 and 1, and the corners of its box."""
    points = said.get("pos_points") or [], said.get("neg_points") or []
    mask, found = asked_for(base64.b64decode(said["image"]), *points, said.get("obj_bbox"))
    x0, y0, x1, y1 = found["box"]
    return {"mask": mask.tolist(), "points": [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]}


def asked_for(picture: bytes, positive: Points, negative: Points, box: Points | None) -> tuple[Any, dict[str, Any]]:
    """The mask of what was clicked, uint8 (H, W) of 0 and 1, and what else is told of it; a box is two corners."""
    prompt: dict[str, Any] = {
        "points": [*positive, *negative],
        "labels": [1] * len(positive) + [0] * len(negative),
    }
    if box:
        prompt["box"] = [*box[0], *box[1]]
    found = masks(picture, [prompt], "png")["masks"][0]
    return (np.asarray(Image.open(io.BytesIO(base64.b64decode(found["png"])))) > 0).astype(np.uint8), found
