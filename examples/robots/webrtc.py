"""Video in and out over WebRTC: what comes is followed within a deadline, and goes back with masks drawn in.

    pip install "masklet[webrtc,app]"
    python webrtc.py            # POST the offer of a browser or a robot to http://127.0.0.1:8768/offer

The other side opens a data channel and sends prompts as JSON: {"object": "cup", "points": [[x, y]]} or
{"object": "cup", "box": [x0, y0, x1, y1]}. On it come, for each frame that was followed, boxes and latency.
Frames that are dropped go back with the masks that were there before.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from av import VideoFrame

import masklet
from masklet.masks.draw import draw_regions


class MaskedTrack(MediaStreamTrack):
    """A track with masks drawn into another one."""

    kind = "video"

    def __init__(self, source: MediaStreamTrack, tracker: masklet.DeadlineTracker) -> None:
        super().__init__()
        self.source, self.tracker = source, tracker
        self.channel: Any = None
        self.lock = asyncio.Lock()  # one step or prompt at a time
        self.result: masklet.FrameResult | None = None
        self.began: tuple[float, float] | None = None

    async def recv(self) -> VideoFrame:
        """The next frame."""
        frame = await self.source.recv()
        image = frame.to_ndarray(format="rgb24")
        async with self.lock:
            result = await asyncio.to_thread(self.tracker.offer, image, self.captured(frame))
        if result is not None:
            self.result = result
            self.tell(result)
        shown = VideoFrame.from_ndarray(painted(image, self.result), format="rgb24")
        shown.pts, shown.time_base = frame.pts, frame.time_base
        return shown

    def captured(self, frame: VideoFrame) -> float:
        """When a frame left the other side, by this machine's clock: the quickest so far is taken for no delay."""
        here, there = time.monotonic(), float(frame.pts * frame.time_base)
        if self.began is None or here - there < self.began[0] - self.began[1]:
            self.began = here, there
        return self.began[0] + there - self.began[1]

    def tell(self, result: masklet.FrameResult) -> None:
        """Boxes of what is seen, and how the deadline is kept."""
        if self.channel is None or self.channel.readyState != "open":
            return
        boxes = {}
        for name, item in result.objects.items():
            ys, xs = np.nonzero(item.mask)
            if len(xs):
                boxes[str(name)] = [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1]
        told = self.tracker.punctuality()
        self.channel.send(json.dumps({"boxes": boxes, "median": told.median, "dropped": told.dropped}))

    async def prompt(self, text: str) -> None:
        """What was said on the data channel; what makes no sense is answered with a sentence."""
        try:
            said = json.loads(text)
            name, stream = said.get("object", 1), self.tracker.stream
            async with self.lock:
                if "box" in said:
                    await asyncio.to_thread(stream.add_box, object=name, box=said["box"])
                else:
                    await asyncio.to_thread(
                        stream.add_points, object=name, points=said["points"], labels=said.get("labels")
                    )
        except (ValueError, KeyError, TypeError, AttributeError, masklet.MaskletError) as error:
            self.channel.send(json.dumps({"error": str(error)}))


def painted(image: np.ndarray, result: masklet.FrameResult | None) -> np.ndarray:
    """The picture with the newest masks drawn in."""
    return image if result is None else draw_regions(image, result.index_map())


async def answer(offer: RTCSessionDescription, engine: Any, deadline: float) -> RTCPeerConnection:
    """A connection that answers an offer: its `localDescription` goes back."""
    peer, waiting = RTCPeerConnection(), set[asyncio.Task[None]]()
    tracks: list[MaskedTrack] = []
    channels: list[Any] = []

    def join() -> None:
        if tracks and channels:
            tracks[0].channel = channels[0]

    @peer.on("track")
    def on_track(track: MediaStreamTrack) -> None:
        if track.kind == "video" and not tracks:
            tracks.append(MaskedTrack(track, masklet.DeadlineTracker(engine, deadline=deadline)))
            peer.addTrack(tracks[0])
            join()

    @peer.on("datachannel")
    def on_channel(channel: Any) -> None:
        channels.append(channel)
        join()

        @channel.on("message")
        def on_message(text: str) -> None:
            if tracks:
                task = asyncio.ensure_future(tracks[0].prompt(text))
                waiting.add(task)
                task.add_done_callback(waiting.discard)

    await peer.setRemoteDescription(offer)
    await peer.setLocalDescription(await peer.createAnswer())
    return peer


def application(engine: Any, deadline: float) -> Any:
    """The exchange of offers and answers over HTTP."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    peers = set[RTCPeerConnection]()

    async def take(request: Request) -> Response:
        try:
            said = await request.json()
            offer = RTCSessionDescription(sdp=said["sdp"], type=said["type"])
            peer = await answer(offer, engine, deadline)
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": f"no offer: {error}"}, status_code=400)
        peers.add(peer)
        return JSONResponse({"sdp": peer.localDescription.sdp, "type": peer.localDescription.type})

    @contextlib.asynccontextmanager
    async def life(_: Starlette) -> Any:
        yield
        await asyncio.gather(*(peer.close() for peer in peers))

    return Starlette(routes=[Route("/offer", take, methods=["POST"])], lifespan=life)


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(application(masklet.load_model("nano"), deadline=0.15), host="127.0.0.1", port=8768)
