"""A stream or a film in, a line of JSON for each frame out, within a deadline.

    python stream.py rtsp://robot/front --box cup:40,60,220,240 --deadline 0.15

The newest frame of the stream is taken; what comes meanwhile is passed over. `latency` is from the capture here.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from time import monotonic
from typing import Any

import masklet
from masklet.masks.rle import encode_rle
from masklet.media.camera import Camera, Patience


def follow(
    camera: Camera, tracker: masklet.DeadlineTracker, boxes: dict[str, tuple[float, ...]], frames: int | None = None
) -> Any:
    """What is told of each frame, in plain values."""
    with closing(camera):
        for frame in camera.frames(stop=frames):
            captured = monotonic() - camera.age(frame)
            result = tracker.offer(frame.image, captured)
            if frame.index == 0:
                for name, box in boxes.items():
                    result = tracker.stream.add_box(object=name, box=box)
            if result is None:
                continue
            objects = [
                {"object": name, "presence": round(float(item.presence), 4), "rle": encode_rle(item.mask).to_json()}
                for name, item in result.objects.items()
            ]
            latency = round(monotonic() - captured, 4)
            yield {"time": frame.time, "latency": latency, "passed_over": camera.passed_over, "objects": objects}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", help="address of a stream, or the path of a film")
    parser.add_argument("--box", action="append", default=[], help="OBJECT:x0,y0,x1,y1 in the first frame")
    parser.add_argument("--deadline", type=float, default=0.15)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--frames", type=int)
    args = parser.parse_args()
    try:
        boxes = {}
        for text in args.box:
            name, _, numbers = text.rpartition(":")
            boxes[name] = tuple(float(number) for number in numbers.split(","))
        tracker = masklet.DeadlineTracker(args.model, deadline=args.deadline)
        for told in follow(Camera(args.place, patience=Patience(total=10)), tracker, boxes, args.frames):
            print(json.dumps(told), flush=True)
        print(tracker.punctuality(), file=sys.stderr)
    except (ValueError, masklet.MaskletError) as error:
        sys.exit(f"stream.py: {error}")


if __name__ == "__main__":
    main()
