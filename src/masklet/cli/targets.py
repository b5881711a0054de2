"""What a command may write over, and what not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from masklet.errors import FormatError

PIPE = Path("-")
"""What stands for standard output."""


def keep_inputs(target: Path, *inputs: Path | None) -> None:
    """Raise `FormatError` if a file that is to be written is one that is read."""
    for given in inputs:
        if given is not None and given.exists() and target.exists() and target.samefile(given):
            raise FormatError(f"{target} is what is read; give another place to write to")


def check_background(background: str | None, formats: Sequence[str]) -> None:
    """Raise `FormatError` if a background is given that no format shows."""
    if background is not None and "background" not in formats:
        raise FormatError(f"--background {background} shows in the format background alone; add --format background")


def check_film(path: Path) -> None:
    """Raise `FormatError` unless a film can be written there."""
    if path.is_dir() or path.suffix.lower() not in (".mp4", ".m4v", ".mov"):
        raise FormatError(f"{path} is no place for an overlay video; give a file that ends in .mp4")
