"""Errors of masklet that are also of the type that clients of the reference catch."""

from collections.abc import Iterator
from contextlib import contextmanager

from masklet.errors import CheckpointError, EngineError, MaskletError, MediaError, SessionError


class CallRefused(SessionError, RuntimeError):
    """A call that does not fit what was done before; the reference raises RuntimeError."""


class VideoRefused(MediaError, NotImplementedError):
    """A video that cannot be read; the reference raises RuntimeError, or NotImplementedError, which is one too."""


class WeightsRefused(CheckpointError, RuntimeError):
    """Weights that do not fit the configuration; the reference raises RuntimeError."""


class WeightsMissing(CheckpointError, FileNotFoundError):
    """There is no file of weights; the reference raises FileNotFoundError."""


class DeviceRefused(EngineError, RuntimeError):
    """A device that is not here; PyTorch raises RuntimeError."""


class SettingRefused(CheckpointError, ValueError):
    """A configuration or an override that masklet has no word for."""


_KINDS: dict[type[MaskletError], type[MaskletError]] = {
    SessionError: CallRefused,
    MediaError: VideoRefused,
    CheckpointError: WeightsRefused,
    EngineError: DeviceRefused,
}


@contextmanager
def as_reference() -> Iterator[None]:
    """Errors of masklet leave as those that clients catch, with the same sentence. Prompts that make no sense are
    ValueErrors in both."""
    try:
        yield
    except MaskletError as error:
        kind = _KINDS.get(type(error))
        if kind is None:
            raise
        raise kind(str(error)) from error
