"""Frames as disjoint ranges (first, last), both included."""

from __future__ import annotations

import sys

from masklet.formats.project_file import Spans

END = sys.maxsize
"""Stands for the end of a video, of which the last frame is not known."""


def within(frame: int, spans: Spans) -> bool:
    """Whether a frame is among some."""
    return any(first <= frame <= last for first, last in spans)


def without_span(spans: Spans, first: int, last: int) -> Spans:
    """Some frames without those from `first` to `last`."""
    left: list[tuple[int, int]] = []
    for low, high in spans:
        apart = high < first or low > last or first > last
        left += [(low, high)] if apart else [(low, first - 1), (last + 1, high)]
    return tuple((low, high) for low, high in left if low <= high)


def with_span(spans: Spans, first: int, last: int) -> Spans:
    """Some frames and those from `first` to `last`."""
    return (*without_span(spans, first, last), (first, last)) if first <= last else spans


def with_spans(spans: Spans, others: Spans) -> Spans:
    """Frames that are in either."""
    for first, last in others:
        spans = with_span(spans, first, last)
    return spans


def spliced(spans: Spans, others: Spans, frame: int) -> Spans:
    """Those of `spans` before a frame, and those of `others` from it on."""
    before = tuple((low, min(high, frame - 1)) for low, high in spans if low < frame)
    return before + tuple((max(low, frame), high) for low, high in others if high >= frame)
