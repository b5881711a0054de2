"""Follow an organ through a scan from one box, and write a label map: for the programmer of a clinic.

python examples/scan.py scan.nii.gz 40 60 80 190 200 liver.nii.gz

Not a medical device; nothing is validated.
"""

from __future__ import annotations

import sys
from typing import Any

import masklet
from masklet.media.volume import VolumeSlices
from masklet.video.ends import mark_ends


def main(path: str, slice_number: str, *rest: str, model: Any = "nano") -> None:
    *box, out = rest
    scan = VolumeSlices(path)  # of a CT: window="liver"
    with masklet.VideoTracker(scan, model) as tracker:
        tracker.add_box(frame=int(slice_number), object="organ", box=[float(value) for value in box])
        for _ in tracker.propagate(int(slice_number), direction="both"):
            pass
        mark_ends(tracker)
        tracker.export(out)
        found = {frame: tracker.masks(frame).objects.get("organ") for frame in tracker.known_frames()}
    areas = {frame: int(item.mask.sum()) for frame, item in found.items() if item is not None and item.mask.any()}
    print(f"slices {min(areas)} to {max(areas)}, {sum(areas.values()) * scan.geometry.voxel:.1f} ml")


if __name__ == "__main__":
    main(*sys.argv[1:])
