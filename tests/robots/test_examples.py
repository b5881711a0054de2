"""The examples for robots: a ROS node against stand-ins for ROS, two WebRTC peers, a stream over UDP."""

from __future__ import annotations

import asyncio
import importlib
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from threading import Event, Thread
from types import ModuleType, SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

import masklet
from masklet.engines.fake import FakeEngine
from masklet.masks.rle import Rle, decode_rle
from masklet.media.camera import Camera, Patience

EXAMPLES = Path(__file__).parents[2] / "examples/robots"

HEIGHT, WIDTH = 48, 64
BOX = (10, 12, 30, 32)


def picture(step: int = 0) -> np.ndarray:
    image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    image[12:32, 10 + step : 30 + step] = (230, 200, 40)
    return image


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


# --- ROS ----------------------------------------------------------------------------------------------


class Message:
    """A message of ROS: fields by keyword, others made when they are asked for, as deep as they go."""

    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        made: Any = [] if name in ("results", "detections", "status") else Message()
        setattr(self, name, made)
        return made


@dataclass
class Node:
    """A node of rclpy, as far as the example uses one."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    published: dict[str, list[Any]] = field(default_factory=dict)
    heard: dict[str, Callable[[Any], None]] = field(default_factory=dict)
    warned: list[str] = field(default_factory=list)
    now: float = 100.0

    def declare_parameter(self, name: str, value: Any) -> None:
        self.parameters[name] = value

    def get_parameter(self, name: str) -> Any:
        return SimpleNamespace(value=self.parameters[name])

    def create_publisher(self, kind: type, topic: str, _: Any) -> Any:
        return SimpleNamespace(publish=self.published.setdefault(topic, []).append)

    def create_subscription(self, kind: type, topic: str, hear: Callable[[Any], None], _: Any) -> None:
        self.heard[topic] = hear

    def create_timer(self, seconds: float, call: Callable[[], None]) -> None:
        self.timer = call

    def get_clock(self) -> Any:
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=int(self.now * 1e9), to_msg=Message))

    def get_logger(self) -> Any:
        return SimpleNamespace(warning=lambda text, **_: self.warned.append(text))


@pytest.fixture
def node(example: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    contents: dict[str, dict[str, Any]] = {
        "rclpy": {},
        "rclpy.node": {"Node": Node},
        "rclpy.qos": {"qos_profile_sensor_data": None},
    }
    for package, names in (
        ("diagnostic_msgs", "DiagnosticArray DiagnosticStatus KeyValue"),
        ("geometry_msgs", "PointStamped"),
        ("sensor_msgs", "Image RegionOfInterest"),
        ("vision_msgs", "Detection2D Detection2DArray ObjectHypothesisWithPose"),
    ):
        levels = {"OK": b"\0", "WARN": b"\1"}
        kinds = {name: type(name, (Message,), levels if name == "DiagnosticStatus" else {}) for name in names.split()}
        contents |= {package: {}, f"{package}.msg": kinds}
    for name, content in contents.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "ros_node", raising=False)
    return example("ros_node").MaskletNode(FakeEngine())


def ros_image(node: Any, step: int, encoding: str = "bgr8", **changes: Any) -> Message:
    pixels = picture(step)[:, :, ::-1] if encoding.startswith("bgr") else picture(step)
    padded = np.pad(pixels.reshape(HEIGHT, -1), ((0, 0), (0, 8)))  # rows may be longer than their pixels
    stamp = Message(sec=int(node.now), nanosec=int(node.now % 1 * 1e9))
    return Message(
        **{
            "header": Message(stamp=stamp, frame_id="camera"),
            "height": HEIGHT,
            "width": WIDTH,
            "encoding": encoding,
            "step": padded.shape[1],
            "data": padded.tobytes(),
            **changes,
        }
    )


def test_a_ros_node_follows_what_is_clicked(node: Any) -> None:
    node.heard["image"](ros_image(node, 0))
    node.heard["click"](Message(header=Message(frame_id="cup"), point=Message(x=20.0, y=22.0, z=0.0)))
    node.heard["box"](Message(x_offset=10, y_offset=12, width=20, height=20))
    for step, encoding in ((1, "bgr8"), (2, "rgb8")):
        node.now += 0.1
        sent = ros_image(node, step, encoding)
        node.heard["image"](sent)
    masks = node.published["masks"][-1]
    assert (masks.encoding, masks.height, masks.width, masks.header) == ("mono8", HEIGHT, WIDTH, sent.header)
    numbers = np.frombuffer(masks.data, np.uint8).reshape(HEIGHT, WIDTH)
    inside = picture(2)[..., 0] > 100
    assert (numbers[inside] > 0).mean() > 0.9
    assert (numbers[~inside] == 0).mean() > 0.9
    found = node.published["objects"][-1].detections
    assert [(one.id, one.results[0].hypothesis.class_id) for one in found] == [("cup", "cup"), ("1", "1")]
    assert found[0].bbox.center.position.x == pytest.approx(22, abs=2)
    node.timer()
    (status,) = node.published["/diagnostics"][-1].status
    assert status.message == "3 followed, 0 dropped, 0 late"


def test_a_ros_node_drops_old_pictures_and_goes_on_after_bad_ones(node: Any) -> None:
    for step in range(3):
        node.now += 0.03
        node.heard["image"](ros_image(node, step))
    shown = len(node.published["masks"])
    old = ros_image(node, 3)
    node.now += 5.0  # it waited in a queue
    node.heard["image"](old)
    assert len(node.published["masks"]) == shown
    assert node.tracker.punctuality().dropped == 1
    node.heard["image"](ros_image(node, 4, encoding="bayer_rggb8"))
    node.heard["image"](ros_image(node, 4, data=b"short"))
    node.heard["click"](Message(header=Message(frame_id="cup"), point=Message(x=float("nan"), y=0.0, z=0.0)))
    assert len(node.warned) == 3
    node.heard["image"](ros_image(node, 4))
    assert len(node.published["masks"]) == shown + 1


# --- WebRTC -------------------------------------------------------------------------------------------


def test_two_webrtc_peers(example: Callable[[str], Any]) -> None:
    """One sends pictures and a box, the other sends them back with masks drawn in, and boxes."""
    webrtc = example("webrtc")
    from aiortc import RTCPeerConnection, VideoStreamTrack

    class Film(VideoStreamTrack):
        async def recv(self) -> Any:
            pts, base = await self.next_timestamp()
            frame = av.VideoFrame.from_ndarray(np.kron(picture(), np.ones((5, 5, 1), np.uint8)), format="rgb24")
            frame.pts, frame.time_base = pts, base
            return frame

    async def talk() -> tuple[dict[str, Any], list[str], np.ndarray]:
        ours, tracks = RTCPeerConnection(), asyncio.Queue[Any]()
        ours.on("track", tracks.put_nowait)
        ours.addTrack(Film())
        channel, said = ours.createDataChannel("masklet"), asyncio.Queue[dict[str, Any]]()
        channel.on("message", lambda text: said.put_nowait(json.loads(text)))
        opened = asyncio.Event()
        channel.on("open", opened.set)
        await ours.setLocalDescription(await ours.createOffer())
        theirs = await webrtc.answer(ours.localDescription, FakeEngine(), 5.0)
        await ours.setRemoteDescription(theirs.localDescription)
        try:
            back = await tracks.get()
            await back.recv()
            await opened.wait()
            channel.send('{"object": "cup"}')
            channel.send(json.dumps({"object": "cup", "box": [5 * value for value in BOX]}))
            errors = []
            while not (told := await said.get()).get("boxes"):
                errors += [told["error"]] if "error" in told else []
            for _ in range(100):  # frames from before the prompt are still under way
                shown = (await back.recv()).to_ndarray(format="rgb24")
                if abs(shown[110, 100].astype(int) - (230, 200, 40)).max() > 40:
                    break
            return told, errors, shown
        finally:
            await ours.close()
            await theirs.close()

    told, errors, shown = asyncio.run(asyncio.wait_for(talk(), 120))
    assert np.abs(np.array(told["boxes"]["cup"]) - 5 * np.array(BOX)).max() <= 10
    assert errors == ["'points'"]
    assert abs(shown[110, 100].astype(int) - (230, 200, 40)).max() > 40  # tinted
    assert abs(shown[20, 20].astype(int) - 20).max() < 20  # the ground is as it was


# --- streams ------------------------------------------------------------------------------------------


def test_a_stream_over_udp(example: Callable[[str], Any]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    over = Event()

    def send() -> None:
        """MPEG-TS, a key frame every few frames, as a camera does for who comes late."""
        with av.open(f"udp://127.0.0.1:{port}?pkt_size=1316", "w", format="mpegts") as out:
            stream = out.add_stream("mpeg2video", rate=25, options={"g": "5", "b": "2M"})
            stream.width, stream.height, stream.pix_fmt = 5 * WIDTH, 5 * HEIGHT, "yuv420p"
            number = 0
            while not over.wait(0.02):
                large = np.kron(picture(), np.ones((5, 5, 1), np.uint8))
                frame = av.VideoFrame.from_ndarray(large, format="rgb24")
                frame.pts, frame.time_base, number = number, Fraction(1, 25), number + 1
                out.mux(stream.encode(frame))

    sender = Thread(target=send, daemon=True)
    sender.start()
    try:
        told = told_of(example, f"udp://127.0.0.1:{port}?timeout=20000000", tuple(5 * value for value in BOX))
    finally:
        over.set()
        sender.join()
    assert all(one["latency"] > 0 for one in told)


def told_of(example: Callable[[str], Any], address: str, box: tuple[int, ...]) -> list[dict[str, Any]]:
    """What is told of four frames of a stream in which a thing of one colour fills this box."""
    camera = Camera(address, patience=Patience(total=20))
    tracker = masklet.DeadlineTracker(FakeEngine(), deadline=5.0)
    told = list(example("stream").follow(camera, tracker, {"cup": box}, frames=4))
    assert len(told) == 4
    (item,) = told[-1]["objects"]
    mask = decode_rle(Rle(tuple(item["rle"]["size"]), item["rle"]["counts"]))
    x0, y0, x1, y1 = box
    assert item["object"] == "cup"
    assert mask[y0 + 10 : y1 - 10, x0 + 10 : x1 - 10].mean() > 0.9
    assert mask.sum() < 1.3 * (x1 - x0) * (y1 - y0)
    return told


RTSP_SERVER = """
import sys, gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server, factory = GstRtspServer.RTSPServer(), GstRtspServer.RTSPMediaFactory()
server.set_service(sys.argv[1])
factory.set_launch(f"( {sys.argv[2]} ! rtph264pay name=pay0 )")
factory.set_shared(True)
server.get_mount_points().add_factory("/bars", factory)
server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
"""
BARS = (
    "videotestsrc is-live=true ! video/x-raw,width=280,height=240,framerate=10/1 ! videoconvert ! "
    "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10"
)
"""Seven bars, 40 pixels each; the fourth is green."""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["rtsp", "udp"])
def test_gstreamer(example: Callable[[str], Any], scheme: str) -> None:
    """GStreamer's RTSP server, and its MPEG-TS over UDP: Debian's packages gstreamer1.0-tools, -plugins-ugly (x264),
    -plugins-bad (mpegtsmux), gir1.2-gst-rtsp-server-1.0 and python3-gi."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if scheme == "rtsp" else socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    if scheme == "rtsp":
        asked = ["/usr/bin/python3", "-c", RTSP_SERVER, port, BARS]
    else:
        sent = f"{BARS} ! mpegtsmux ! udpsink host=127.0.0.1 port={port}"
        asked = ["gst-launch-1.0", "-q", *sent.split()]
    ready = ["/usr/bin/python3", "-c", "import gi; gi.require_version('GstRtspServer', '1.0')"]
    if subprocess.run(ready, capture_output=True).returncode or shutil.which("gst-launch-1.0") is None:
        pytest.skip("GStreamer is not installed")
    with subprocess.Popen(asked, stdout=subprocess.PIPE) as sender:
        try:
            assert scheme == "udp" or (sender.stdout is not None and sender.stdout.readline() == b"ready\n")
            told_of(example, f"{scheme}://127.0.0.1:{port}" + ("/bars" if scheme == "rtsp" else ""), (122, 2, 158, 158))
        finally:
            sender.kill()
