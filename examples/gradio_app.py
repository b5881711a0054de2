"""A small page for notebooks and Spaces: click on a thing in a picture or in a video, get its mask in every frame.

pip install gradio masklet
python examples/gradio_app.py

A second kind of click takes away what is too much. `masklet annotate` is the page to work in; this one shows how little
a page of one's own needs.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

import masklet

MODEL = sys.argv[1] if len(sys.argv) > 1 else "nano"
Click = tuple[tuple[float, float], int]
KINDS = {"include": 1, "exclude": 0}


def points_of(clicks: list[Click]) -> dict[str, Any]:
    """Clicks, as every call of masklet takes them."""
    return {"points": [place for place, _ in clicks], "labels": [label for _, label in clicks]}


def cut_out(picture: np.ndarray | None, clicks: list[Click]) -> tuple[Any, Any]:
    """The picture with the mask drawn in, and the mask."""
    if picture is None or not clicks:
        return picture, None
    masks = masklet.segment(picture, **points_of(clicks), model=MODEL)
    return masks.overlay(), 255 * masks.best[0].astype(np.uint8)


def first_frame(video: str | None) -> np.ndarray | None:
    """The frame that is clicked on."""
    if video is None:
        return None
    with masklet.VideoTracker(video, MODEL) as tracker:
        return tracker.result(0).image


def follow(video: str | None, clicks: list[Click]) -> Iterator[tuple[Any, list[str]]]:
    """Each frame as it is followed; at the end the files: the masks (COCO), a video with them, and the session."""
    if video is None or not clicks:
        raise gr.Error("Give a video, and click on a thing in its first frame.")
    folder = Path(tempfile.mkdtemp(prefix="masklet-"))
    try:
        with masklet.VideoTracker(video, MODEL) as tracker:
            tracker.add_points(frame=0, object=1, **points_of(clicks))
            for result in tracker.propagate():
                yield result.overlay(), []
            tracker.save(folder / "session.masklet")
            tracker.export(folder / "overlay.mp4", format="overlay")
            tracker.export(folder / "masks.json", format="coco")
            yield result.overlay(), [str(file) for file in sorted(folder.iterdir())]
    except masklet.MaskletError as error:  # each says in a sentence what to do
        raise gr.Error(str(error)) from None


def add(clicks: list[Click], kind: str, event: gr.SelectData) -> list[Click]:
    """One click more."""
    return [*clicks, (tuple(event.index), KINDS[kind])]


with gr.Blocks(title="masklet") as page:
    for name in ("Picture", "Video"):
        with gr.Tab(name):
            clicks, kind = gr.State([]), gr.Radio([*KINDS], value="include", label="A click")
            if name == "Picture":
                with gr.Row():
                    given, shown = gr.Image(label="Click on a thing"), gr.Image(label="Its mask, drawn in")
                mask = gr.Image(label="Its mask")
                given.select(add, [clicks, kind], clicks).then(cut_out, [given, clicks], [shown, mask])
                given.upload(list, None, clicks)
            else:
                video = gr.Video(label="A video", height=240)
                with gr.Row():
                    given, shown = gr.Image(label="Click on a thing in its first frame"), gr.Image(label="Followed")
                run, files = gr.Button("Follow", variant="primary"), gr.Files(label="Files")
                video.change(first_frame, video, given).then(list, None, clicks)
                given.select(add, [clicks, kind], clicks)
                run.click(follow, [video, clicks], [shown, files])
            gr.Button("Forget the clicks").click(list, None, clicks)

if __name__ == "__main__":
    page.launch()
