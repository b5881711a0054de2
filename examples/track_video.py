"""Follow one thing through a video and print where it is.

python examples/track_video.py clip.mp4 40 60 220 240
"""

from __future__ import annotations

import sys

import masklet


def main(video: str, *box: str) -> None:
    with masklet.VideoTracker(video) as tracker:
        tracker.add_box(frame=0, object="it", box=[float(value) for value in box])
        for result in tracker.propagate():
            it = result.objects["it"]
            share = it.mask.mean()
            print(f"{result.time:6.2f} s  {it.state:9}  {share:6.1%} of the picture, sure to {it.iou:.0%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
