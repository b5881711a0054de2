"""A tracking job: the objects to follow, the settings, and the places of results; and going on with one that was
stopped or finished: with its settings, and with prompts that are new."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from masklet.discovery import DiscoveryOptions
from masklet.errors import FormatError, MediaError, PromptError
from masklet.formats.project_file import read_project
from masklet.formats.registry import cut_outs, find_format, wishes_of
from masklet.jobs.prompts import TypedPrompt
from masklet.masks.finish import USUAL, Finish
from masklet.media.frames import FrameSource
from masklet.media.series import MapSeries, is_series
from masklet.media.volume import VolumeSlices, is_volume
from masklet.video import TrackingOptions, VideoTracker
from masklet.video.events import Prompted

MASKS = "masks"
"""Folder of the palette PNGs, in the folder of the job."""


@dataclass(frozen=True)
class Job:
    """What is to be done: the options of `masklet track`.

    `overlay` is None for no film, `speed` for what the model's name says. `everything` takes the place of prompts,
    `finish` is how objects are cut out. `reading` says how the slices of a volume, or maps of many dates, are shown, by
    the names of `VolumeSlices` and `MapSeries`, and `find_ends` whether it is looked for where objects of a volume end.
    `start` and `stop` are the in and out points: the first frame, and the first that is left out.
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
    finish: Finish = USUAL
    reading: Mapping[str, Any] = field(default_factory=dict)
    find_ends: bool = False
    start: int = 0
    stop: int | None = None

    def open(self) -> Path | FrameSource:
        """The video, or slices or maps as they were asked for. Raises MediaError if it is none of these."""
        for_maps = [name for name in self.reading if name in ("resolution", "levels")]
        for_volumes = [*(name for name in self.reading if name not in for_maps), *["find-ends"] * self.find_ends]
        if for_volumes and not is_volume(self.video):
            raise MediaError(f"{self.video.name} is no volume; leave out --{for_volumes[0]}")
        if for_maps and not is_series(self.video):
            raise MediaError(f"{self.video.name} is no folder of GeoTIFFs; leave out --{for_maps[0]}")
        if not self.reading:
            return self.video
        return MapSeries(self.video, **self.reading) if for_maps else VolumeSlices(self.video, **self.reading)

    @property
    def within(self) -> range:
        """The frames between in and out point."""
        return range(self.start, sys.maxsize if self.stop is None else self.stop)

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
        common = {"policy": self.policy, "everything": self.everything is not None, **self.reading}
        if self.find_ends:
            common["find_ends"] = True
        if self.everything is None:
            return common
        of_video = asdict(self.everything)
        of_masks = of_video.pop("masks")
        if not self.everything.like:
            del of_video["like"], of_video["least_likeness"]  # runs of before know none
        if self.start:
            common["start"] = self.start  # key frames are counted from there
        return {**common, **of_video, **of_masks}

    def targets(self) -> list[tuple[str, Path]]:
        """Formats and their paths, palette PNGs first, the overlay last. `FormatError` for an unknown format."""
        found = [("davis", self.out / MASKS)]
        for name in self.formats:
            entry = find_format(name)
            clip = f"{self.video.stem}-" if entry.finishes else ""  # they go on to other programs, side by side
            found.append((name, self.out / "formats" / f"{clip}{name}{entry.video}"))
        return [*found, ("overlay", self.overlay)] if self.overlay else found


def gone_on_with(job: Job, fresh: VideoTracker, tell: Callable[[str], None]) -> VideoTracker:
    """The tracker of a run that was stopped or finished, with the job's prompts that it does not know yet; `fresh` is
    one with these prompts, of which nothing was followed.

    Raises `FormatError`, with what was there and what is asked for, if the run had other settings.
    """
    project = read_project(job.session)
    policy = {"policy": project.options["policy"] or "of its own"} if "policy" in project.options else {}
    usual = {"everything": False, "start": 0}
    there = {**model_and_speed(project.model), **usual, **project.notes, **policy}
    here = {**model_and_speed(fresh.engine.config.name), **usual, **job.settings}
    other = [name for name, value in here.items() if name in there and there[name] != value]
    if other:
        before, now = (", ".join(told(name, values[name]) for name in other) for values in (there, here))
        raise another_run(job, f"was made with {before}, and {now} is asked for")
    if project.weights and fresh.engine.digest and project.weights != fresh.engine.digest:
        raise another_run(job, f"was made with other weights of {project.model}")
    kept = VideoTracker.open(job.session, job.open(), fresh.engine, options=fresh.options)
    if job.everything is None and (count := take_over(kept, fresh)):
        what = "a new prompt" if count == 1 else f"{count} new prompts"
        tell(f"{what} for the run in {job.out}; what it does not speak for stays")
    return kept


def take_over(kept: VideoTracker, fresh: VideoTracker) -> int:
    """Give a session the prompts of another that were never given to it; how many these are.

    Clicks are added to what stands on their frame. A box or a mask, or clicks among which are those that stand there,
    take its place.
    """
    given = [event for event in kept.events if isinstance(event, Prompted)]
    asked = [
        Prompted(frame, name, said) for name, track in fresh.tracks.items() for frame, said in track.prompts.items()
    ]
    new = [event for event in asked if event not in given]
    for event in sorted(new, key=lambda event: event.frame):
        track = kept.tracks.get(event.object)
        there = track.prompts.get(event.frame) if track is not None else None
        more = event.prompt.box is None and event.prompt.mask is None
        adds = more and there is not None and there.mask is None and not {*there.points} & {*event.prompt.points}
        kept.add_prompt(frame=event.frame, object=event.object, prompt=event.prompt, replace=not adds)
    return len(new)


def another_run(job: Job, why: str) -> FormatError:
    return FormatError(f"{job.session} {why}; give another --out, or --overwrite to begin again")


def model_and_speed(name: str) -> dict[str, Any]:
    """A model's name, and the mark of a speed mode or an image size that stands behind it."""
    plain, _, mark = name.partition(":")
    return {"model": plain, "speed": mark or "exact"}


def told(name: str, value: object) -> str:
    """A setting as it is typed: --policy quality, --everything, no --everything."""
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool) or value is None:
        return option if value else f"no {option}"
    return f"{option} {value}"


def check_prompts(job: Job, tracker: VideoTracker) -> None:
    """Raise `PromptError` if a prompt does not lie between in and out point."""
    for name, track in tracker.tracks.items():
        for frame in track.prompts:
            if frame not in job.within:
                option, side = ("start", "before") if frame < job.start else ("stop", "not before")
                raise PromptError(
                    f"the prompt of {name!r} lies in frame {frame}, {side} --{option} {getattr(job, option)}; give one "
                    f"on another frame, or another --{option}"
                )


def check_finish(finish: Finish, formats: Sequence[str]) -> None:
    """Raise `FormatError` if a wish is given that no format shows."""
    wishes = wishes_of(finish)
    if "background" in wishes and "background" not in formats:
        raise FormatError(
            f"--background {finish.background} shows in the format background alone; add --format background"
        )
    if wishes and not any(find_format(name).finishes for name in formats):
        raise FormatError(f"--{wishes[0]} shows in cut-outs alone; add --format with one of {', '.join(cut_outs())}")


def check_film(path: Path) -> None:
    """Raise `FormatError` unless a film can be written there."""
    if path.is_dir() or path.suffix.lower() not in (".mp4", ".m4v", ".mov"):
        raise FormatError(f"{path} is no place for an overlay video; give a file that ends in .mp4")
