"""A ROS 2 node that follows objects in the pictures of a topic, within a deadline.

    ros2 run ... or: python ros_node.py --ros-args -r image:=/camera/image_raw -p deadline:=0.1 -p model:=nano

Subscribes to `image` (sensor_msgs/Image: rgb8, bgr8, rgba8, bgra8 or mono8), `click` (geometry_msgs/PointStamped, whose
frame_id is the object's name and z 0 includes, below 0 excludes) and `box` (sensor_msgs/RegionOfInterest). Publishes
`masks` (sensor_msgs/Image, mono8: the number of each pixel's object), `objects` (vision_msgs/Detection2DArray) and
`/diagnostics`. Every message has the stamp of its picture. The newest picture alone is kept (depth 1, best effort).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PointStamped
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, RegionOfInterest
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

import masklet
from masklet.formats.base import index_map

CHANNELS = {"rgb8": (3, (0, 1, 2)), "bgr8": (3, (2, 1, 0)), "rgba8": (4, (0, 1, 2)), "bgra8": (4, (2, 1, 0))}
"""Encodings of pictures: bytes of a pixel, and where red, green and blue are among them."""


class MaskletNode(Node):
    """The node. `model` is for tests: any engine."""

    def __init__(self, model: Any = None) -> None:
        super().__init__("masklet")
        self.declare_parameter("model", "nano")
        self.declare_parameter("deadline", 0.1)
        name, deadline = (self.get_parameter(key).value for key in ("model", "deadline"))
        self.tracker = masklet.DeadlineTracker(model or name, deadline=float(deadline), clock=self.seconds)
        self.masks = self.create_publisher(Image, "masks", qos_profile_sensor_data)
        self.objects = self.create_publisher(Detection2DArray, "objects", 10)
        self.diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_subscription(Image, "image", self.on_image, qos_profile_sensor_data)
        self.create_subscription(PointStamped, "click", self.on_click, 10)
        self.create_subscription(RegionOfInterest, "box", self.on_box, 10)
        self.create_timer(1.0, self.diagnose)

    def seconds(self) -> float:
        """The time of the node, which may be that of a simulation."""
        return float(self.get_clock().now().nanoseconds) / 1e9

    def on_image(self, message: Any) -> None:
        """Follow into a picture, or drop it."""
        try:
            picture = to_array(message)
            result = self.tracker.offer(picture, message.header.stamp.sec + message.header.stamp.nanosec / 1e9)
        except (ValueError, masklet.MaskletError) as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            return
        if result is None:
            return  # too late: the next one is newer
        numbers = index_map(result).astype(np.uint8)
        self.masks.publish(to_message(numbers, message.header))
        self.objects.publish(to_detections(result, message.header))

    def on_click(self, message: Any) -> None:
        """Click on an object of the newest picture."""
        name = message.header.frame_id or 1
        label = 0 if message.point.z < 0 else 1
        points = [(message.point.x, message.point.y)]
        self.say(lambda: self.tracker.stream.add_points(object=name, points=points, labels=[label]))

    def on_box(self, message: Any) -> None:
        """Draw a box around a new object."""
        x, y = message.x_offset, message.y_offset
        name = max((name for name in self.tracker.stream.tracks if isinstance(name, int)), default=0) + 1
        box = (x, y, x + message.width, y + message.height)
        self.say(lambda: self.tracker.stream.add_box(object=name, box=box))

    def say(self, prompt: Any) -> None:
        """Prompt; what makes no sense is logged, and the node goes on."""
        try:
            prompt()
        except masklet.MaskletError as error:
            self.get_logger().warning(str(error))

    def diagnose(self) -> None:
        """Say how the deadline is kept."""
        told = self.tracker.punctuality()
        level = DiagnosticStatus.WARN if told.late > told.followed / 10 else DiagnosticStatus.OK
        text = f"{told.followed} followed, {told.dropped} dropped, {told.late} late"
        values = [KeyValue(key=key, value=f"{value:g}") for key, value in vars(told).items()]
        status = DiagnosticStatus(level=level, name="masklet", message=text, values=values)
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self.diagnostics.publish(message)


def to_array(message: Any) -> NDArray[np.uint8]:
    """uint8 (H, W, 3), RGB. Raises ValueError for another encoding, and for a picture that is cut short."""
    rows = np.frombuffer(message.data, np.uint8)
    if rows.size < message.height * message.step:
        raise ValueError(f"a picture of {message.height} rows of {message.step} bytes has {rows.size} bytes")
    rows = rows[: message.height * message.step].reshape(message.height, message.step)
    if message.encoding == "mono8":
        return np.repeat(rows[:, : message.width, None], 3, axis=2)
    if message.encoding not in CHANNELS:
        raise ValueError(f"the pictures are {message.encoding}; give {', '.join(CHANNELS)} or mono8")
    size, order = CHANNELS[message.encoding]
    pixels = rows[:, : message.width * size].reshape(message.height, message.width, size)
    return np.ascontiguousarray(pixels[:, :, list(order)])


def to_message(numbers: NDArray[np.uint8], header: Any) -> Any:
    """The numbers of objects as a picture."""
    height, width = numbers.shape
    return Image(header=header, height=height, width=width, encoding="mono8", step=width, data=numbers.tobytes())


def to_detections(result: masklet.FrameResult, header: Any) -> Any:
    """The box of each object that is seen, with its name, and its presence as the score."""
    found = Detection2DArray(header=header)
    for name, item in result.objects.items():
        ys, xs = np.nonzero(item.mask)
        if not len(xs):
            continue
        one = Detection2D(header=header, id=str(name))
        one.bbox.center.position.x, one.bbox.center.position.y = (float(v.min() + v.max() + 1) / 2 for v in (xs, ys))
        one.bbox.size_x, one.bbox.size_y = (float(v.max() + 1 - v.min()) for v in (xs, ys))
        guess = ObjectHypothesisWithPose()
        guess.hypothesis.class_id, guess.hypothesis.score = str(name), float(item.presence)
        one.results.append(guess)
        found.detections.append(one)
    return found


def main() -> None:
    rclpy.init()
    node = MaskletNode()
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
