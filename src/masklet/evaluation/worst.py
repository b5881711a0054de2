"""The clips with the lowest values, drawn, to see what went wrong."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.atomic import atomic_write, make_folder
from masklet.datasets.base import Clip, Dataset
from masklet.evaluation.results import ClipResult, RunResult, Submission, rises, shown
from masklet.masks.draw import draw_overlay

COUNT = 10
"""Clips that are drawn."""

FRAMES = 4
"""Frames of each: three along the clip, and the worst of all."""

TILE = (256, 448)
"""Largest height and width of one frame on a sheet, in pixels."""


def draw_worst(run: RunResult, dataset: Dataset) -> list[Path]:
    """worst/01-NAME.jpg ... in the run's folder: the answer tinted, the truth's outline in white, the value below.

    Earlier pictures there are removed. Raises MediaError and FormatError for frames and masks that cannot be read.
    """
    folder = run.folder / "worst"
    make_folder(folder)
    for earlier in folder.glob("*.jpg"):
        earlier.unlink()
    submission = Submission(run.folder / "masks", dataset.layout)
    clips = {clip.name: clip for clip in dataset.clips}
    found = []
    for place, result in enumerate(worst_clips(run, clips), start=1):
        path = folder / f"{place:02d}-{result.name.replace('/', '-')}.jpg"
        sheet = draw_clip(clips[result.name], result, run.measures[0], submission)
        with atomic_write(path) as temporary:
            Image.fromarray(sheet).save(temporary, format="JPEG", quality=88)
        found.append(path)
    return found


def worst_clips(run: RunResult, clips: Mapping[str, Clip]) -> list[ClipResult]:
    """The ten worst by the main measure, the worst first."""
    measure = run.measures[0]
    known = [clip for clip in run.scored if clip.name in clips and clip.per_frame]
    return sorted(known, key=lambda clip: clip.mean(measure), reverse=not rises(measure))[:COUNT]


def draw_clip(clip: Clip, result: ClipResult, measure: str, submission: Submission) -> NDArray[np.uint8]:
    """A row of frames, uint8 (H, W, 3)."""
    with clip.open() as source:
        tiles = []
        for frame in frames_to_show(result.per_frame):
            drawn = _draw_frame(clip, source.read(frame).image, frame, submission)
            words = f"{clip.stem(frame)}: {shown(measure, result.per_frame[frame])}"
            tiles.append(_with_words(_fitted(drawn), words))
    return np.hstack(tiles)


def frames_to_show(per_frame: Mapping[int, float]) -> list[int]:
    """Three along the clip, and the worst, in order."""
    frames = sorted(per_frame)
    along = {frames[round(place)] for place in np.linspace(0, len(frames) - 1, FRAMES - 1)}
    return sorted(along | {min(frames, key=lambda frame: per_frame[frame])})


def _draw_frame(clip: Clip, image: NDArray[np.uint8], frame: int, submission: Submission) -> NDArray[np.uint8]:
    truth = clip.masks(frame)
    ours = submission.read(clip, frame, tuple(truth))
    canvas = draw_overlay(image, ours)
    for mask in truth.values():
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, contours, -1, (255, 255, 255), max(1, round(min(mask.shape) / 300)), cv2.LINE_AA)
    return canvas


def _fitted(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = min(1.0, TILE[0] / height, TILE[1] / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _with_words(image: NDArray[np.uint8], words: str) -> NDArray[np.uint8]:
    strip = np.full((20, image.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, words, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([image, strip])
