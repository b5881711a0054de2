"""Follow a field through GeoTIFFs of several dates, and print its size at each: for those with maps.

python examples/fields.py dates 691100,5334640,691420,5334400 field.gpkg

The box, WEST,NORTH,EAST,SOUTH, is in coordinates of the first picture's CRS.
"""

from __future__ import annotations

import sys
from typing import Any

import masklet
from masklet.media.series import MapSeries


def main(folder: str, box: str, out: str, model: Any = "nano") -> None:
    west, north, east, south = (float(value) for value in box.split(","))
    series = MapSeries(folder)  # of a satellite with 16 bits: levels=(0, 3000)
    a, b, _, d, e, _ = series.ground.transform
    with masklet.VideoTracker(series, model) as tracker:
        corners = series.ground.corners([(west, north), (east, south)])
        tracker.add_box(frame=0, object="field", box=corners.ravel())
        for result in tracker.propagate():
            hectares = result.objects["field"].mask.sum() * abs(a * e - b * d) / 10_000
            when = series.dates[result.frame].date() if series.dates else series.files[result.frame].name
            print(f"{when}: {hectares:.2f} ha")
        tracker.export(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
