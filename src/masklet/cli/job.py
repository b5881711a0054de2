"""A tracking job: the objects to follow, the settings, and the places of results."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from masklet.cli.prompts import TypedPrompt
from masklet.discovery import DiscoveryOptions
from masklet.errors import MediaError
from masklet.formats.registry import find_format
from masklet.media.frames import FrameSource
from masklet.media.volume import VolumeSlices, is_volume
from masklet.video import TrackingOptions

MASKS = "masks"
"""Folder of the palette PNGs, in the folder of the job."""


@dataclass(frozen=True)
class Job:
    """What is to be done: the options of `masklet track`.

    `overlay` is None for no film, `speed` for what the model's name says, `background` for a blur. `everything` takes
    the place of prompts. `volume` says how the slices of a volume are shown, by the names of `VolumeSlices`.
    """

    video: Path
    out: Path
    overlay: Path | None
    prompts: tuple[TypedPrompt, ...]
    direction: Literal["forward", "backward", "both"]
    formats: tuple[str, ...]
    model: str
    speed: str | None
    device: str | None
    policy: str = "published"
    everything: DiscoveryOptions | None = None
    background: str | None = None
    volume: Mapping[str, Any] = field(default_factory=dict)

    def open(self) -> Path | FrameSource:
        """The video, or the slices of a volume as they were asked for. Raises MediaError if it is no volume."""
        if not self.volume:
            return self.video
        if not is_volume(self.video):
            raise MediaError(f"{self.video.name} is no volume; leave out --{next(iter(self.volume))}")
        return VolumeSlices(self.video, **self.volume)

    @property
    def sound(self) -> Path | None:
        """The file whose sound films keep."""
        return self.video if self.video.is_file() else None

    @property
    def session(self) -> Path:
        """The project file, from which a stopped run goes on."""
        return self.out / "session.masklet"

    @property
    def tracking(self) -> TrackingOptions:
        """How to track. Everything in a picture overlaps at its edges: there each pixel is given to one object."""
        return TrackingOptions(policy=self.policy, non_overlapping=self.everything is not None)

    @property
    def settings(self) -> dict[str, Any]:
        """On what the masks depend beside model and prompts, in values that JSON knows, by the names of the options."""
        common = {"policy": self.policy, "everything": self.everything is not None, **self.volume}
        if self.everything is None:
            return common
        of_video = asdict(self.everything)
        of_masks = of_video.pop("masks")
        return {**common, **of_video, **of_masks}

    def targets(self) -> list[tuple[str, Path]]:
        """Formats and their paths, palette PNGs first, the overlay last. `FormatError` for an unknown format."""
        found = [("davis", self.out / MASKS)]
        for name in self.formats:
            found.append((name, self.out / "formats" / f"{name}{find_format(name).video}"))
        return [*found, ("overlay", self.overlay)] if self.overlay else found
