"""A mapping by frame that never changes: one with a frame more shares almost everything with the one before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")

PAGE = 128
"""Frames that are kept together."""


class Paged(Mapping[int, T]):
    """Values by frame, in pages of neighbouring frames.

    A new mapping shares all pages but one with the old one, so that adding the ten-thousandth frame costs what the
    tenth did.
    """

    def __init__(self, pages: Mapping[int, Mapping[int, T]] | None = None) -> None:
        self._pages = pages or {}

    def __getitem__(self, frame: int) -> T:
        return self._page(frame)[frame]

    def __iter__(self) -> Iterator[int]:
        return (frame for page in self._pages.values() for frame in page)

    def __len__(self) -> int:
        return sum(len(page) for page in self._pages.values())

    def adding(self, frame: int, value: T) -> Paged[T]:
        """With one more value, which takes the place of an older one on its frame."""
        return self._with_page(frame, {**self._page(frame), frame: value})

    def without(self, frame: int) -> Paged[T]:
        """Without a frame, known or not."""
        return self._with_page(frame, {f: value for f, value in self._page(frame).items() if f != frame})

    def _page(self, frame: int) -> Mapping[int, T]:
        return self._pages.get(frame // PAGE, {})

    def _with_page(self, frame: int, page: Mapping[int, T]) -> Paged[T]:
        return Paged({**self._pages, frame // PAGE: page})
