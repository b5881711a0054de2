"""What masklet raises when something that a user can change is wrong.

Every message says what came, what was expected, and what to do. What only masklet
itself can cause is an `assert` instead.
"""

import difflib
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any


class MaskletError(Exception):
    """Base of all errors that a user of masklet can cause and mend.

    The message is one line: what cannot be printed becomes a space, as it may quote a damaged file or a name.
    """

    def __str__(self) -> str:
        return "".join(letter if letter.isprintable() else " " for letter in super().__str__())


class ConfigError(MaskletError, ValueError):
    """A model configuration that cannot be built."""


class CheckpointError(MaskletError):
    """Weights that cannot be found, read or fitted to a model."""


class PromptError(MaskletError, ValueError):
    """Points, labels, boxes or masks that make no sense for the picture."""


class MediaError(MaskletError):
    """A picture, a video or a stream that cannot be read."""


class FormatError(MaskletError):
    """Masks that cannot be written or read in a file format."""


class EngineError(MaskletError):
    """A way of running the network that is not available here."""


class SessionError(MaskletError):
    """A call that does not fit the present state of a tracker."""


class EvaluationError(MaskletError, ValueError):
    """Masks, truth or a data set that cannot be scored against each other."""


class TrainingError(MaskletError):
    """A training that cannot begin or go on."""


DAMAGED = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError),
    *(RuntimeError, MemoryError, struct.error),
)
"""What libraries raise that read damaged files."""


@contextmanager
def needing(extra: str, what: str, kind: type[MaskletError]) -> Iterator[None]:
    """What is imported inside belongs to an extra of this package. Raises `kind`, which says what needs it and how to
    install it, if it is missing."""
    try:
        yield
    except ImportError as error:
        raise kind(f"{what} needs the package {error.name}: pip install 'masklet[{extra}]'") from error


def is_within(value: Any, least: float, most: float) -> bool:
    """Whether a value is a number from the least to the most; a text, None and NaN are not."""
    if getattr(value, "ndim", None) == 0:
        value = value.item()  # of NumPy or PyTorch; a float32 cannot be compared with the largest float
    is_number = isinstance(value, Real)
    return is_number and bool(least <= value <= most)


def need(value: object, kind: type, name: str, error: type[MaskletError]) -> None:
    """Raise `error`, which names the argument, unless a value is of the kind."""
    if not isinstance(value, kind):
        raise error(f"{name} is a value of type {type(value).__name__}; give {kind.__name__}(...)")


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: `"; nearest: sam2.1-tiny"`, or an empty string if none is near."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; nearest: {close[0]}" if close else ""
