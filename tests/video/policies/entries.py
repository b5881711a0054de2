"""Entries as a tracker would make them, of masks that a test draws."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import torch
from torch import Tensor

from masklet.video.policies import MemoryPolicy
from masklet.video.state import KnownFrame, ObjectTrack
from masklet.video.step import areas_and_boxes
from masklet.video.store import RecentFrames

SIDE = 32


def drawn(x0: int, y0: int, x1: int, y1: int) -> Tensor:
    """(32, 32) logits of a filled box."""
    logits = torch.full((SIDE, SIDE), -9.0)
    logits[y0:y1, x0:x1] = 9.0
    return logits


def entry(
    frame: int,
    box: tuple[int, int, int, int] = (4, 4, 12, 12),
    *,
    iou: float = 0.9,
    presence: float = 4.0,
    pointer: Tensor | None = None,
    backward: bool = False,
    colours: bytes = b"",
) -> KnownFrame:
    """One entry whose mask is a box."""
    logits = drawn(*box)
    ((area, around),) = areas_and_boxes(logits[None])
    return KnownFrame(
        frame,
        torch.zeros(1),
        torch.ones(4) if pointer is None else pointer,
        logits,
        iou=iou,
        presence=presence,
        attended=True,
        backward=backward,
        area=area,
        box=around,
        colours=colours,
    )


def follow(
    policy: MemoryPolicy, entries: Iterable[KnownFrame], rivals: Tensor | None = None, begin: KnownFrame | None = None
) -> ObjectTrack:
    """A track through these entries, as the policy keeps them, from a prompt on frame 0."""
    begin = begin or entry(0)
    none = torch.zeros(0, SIDE, SIDE)
    track = ObjectTrack(RecentFrames(policy.window), prompted={begin.frame: begin})
    for new in entries:
        new = dataclasses.replace(new, anchors=policy.keep(track, new, none if rivals is None else rivals))
        track = dataclasses.replace(track, tracked=track.tracked.adding(new))
    return track
