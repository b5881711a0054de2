"""A stream over a WebSocket: pictures in, masks of each out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from anyio import to_thread
from starlette.websockets import WebSocket, WebSocketDisconnect

from masklet.engines.base import Engine
from masklet.errors import MaskletError, PromptError
from masklet.formats.json_file import parse_json
from masklet.masks.rle import encode_rle
from masklet.serve.pictures import picture_of
from masklet.video import FrameResult, StreamTracker


async def follow(socket: WebSocket, engine: Engine) -> None:
    """Answer each picture, a binary message, with a text message of its masks; text messages prompt on the newest
    picture, and are answered with its masks too. What cannot be done is told, and the stream goes on."""
    tracker = StreamTracker(engine)
    try:
        while True:
            event = await socket.receive()
            if event["type"] == "websocket.disconnect":
                return
            try:
                found = await to_thread.run_sync(_step, tracker, event)
            except MaskletError as error:
                await socket.send_text(json.dumps({"error": str(error)}))
            else:
                await socket.send_text(json.dumps(masks_of(found)))
    except WebSocketDisconnect:
        return


def _step(tracker: StreamTracker, event: Mapping[str, Any]) -> FrameResult:
    if event.get("bytes") is not None:
        return tracker.step(picture_of(event["bytes"]))
    said = parse_json(str(event.get("text") or "").encode(), "the message")
    name = said.get("object", 1)
    try:
        if "box" in said:
            return tracker.add_box(object=name, box=said["box"])
        return tracker.add_points(object=name, points=said["points"], labels=said.get("labels"))
    except (KeyError, TypeError) as error:
        raise PromptError(f"the message cannot be read ({error!r:.80}); give object, and box or points") from None


def masks_of(found: FrameResult) -> dict[str, Any]:
    """A frame in plain values."""
    masks = []
    for name, item in found.objects.items():
        rle = encode_rle(item.mask).to_json()
        masks.append({"object": name, "state": item.state, "iou": round(float(item.iou), 4), "rle": rle})
    return {"frame": found.frame, "masks": masks}
