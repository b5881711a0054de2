"""One tracking job: what is to be done, begun or gone on with, followed, written, saved."""

import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from masklet.atomic import keep_inputs, make_folder, remove_stale
from masklet.checkpoints import load_model
from masklet.discovery import DiscoveryOptions, examples_of, track_everything
from masklet.engines.base import Engine
from masklet.errors import FormatError, MediaError, PromptError, nearest
from masklet.formats.base import comes_evenly, rle_of
from masklet.formats.cutouts import find_background
from masklet.formats.davis import masks_in_png
from masklet.formats.description import title_of
from masklet.formats.project_file import read_project
from masklet.formats.registry import cut_outs, find_format, wishes_of
from masklet.formats.writer import Writer, Writers
from masklet.jobs.prompts import TypedPrompt
from masklet.jobs.record import Saving
from masklet.masks.finish import DEFAULT_FINISH, Finish
from masklet.masks.rle import rle_area
from masklet.media.frames import FrameSource
from masklet.media.series import MapSeries, is_series
from masklet.media.volume import VolumeSlices, is_volume
from masklet.video import FrameResult, TrackingOptions, VideoTracker
from masklet.video.ends import mark_ends
from masklet.video.events import Prompted
from masklet.video.passes import Range, passes
from masklet.video.state import ObjectId

DEFAULT_RATE = 24.0
"""Frames a second of the overlay, for a video without a rate."""

MASKS_FOLDER = "masks"
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
    finish: Finish = DEFAULT_FINISH
    reading: Mapping[str, Any] = field(default_factory=dict)
    find_ends: bool = False
    start: int = 0
    stop: int | None = None

    def open(self) -> Path | FrameSource:
        """The video, or slices or maps as they were asked for. Raises MediaError if it is none of these."""
        if not os.path.exists(self.video):
            return self.video  # who opens it says so
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
        found = [("davis", self.out / MASKS_FOLDER)]
        for name in self.formats:
            entry = find_format(name)
            clip = f"{self.video.stem}-" if entry.finishes else ""  # they go on to other programs, side by side
            found.append((name, self.out / "formats" / f"{clip}{entry.name}{entry.video or ''}"))
        return [*found, ("overlay", self.overlay)] if self.overlay else found


@dataclass
class Done:
    """How far it came, what was found, and a sentence for each output that could not be made, with its cause.

    `seen` counts masks in single frames, `iou` is the sum of what the model predicts of them, and `doubts` counts those
    at which a person should look, absent ones too. `notes` are what a person should know, and `millilitres` has the
    sizes of objects in a volume.
    """

    frames: int = 0
    stopped: bool = False
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    cause: BaseException | None = None
    seen: int = 0
    iou: float = 0.0
    doubts: int = 0
    millilitres: dict[str, float] = field(default_factory=dict)

    def count(self, result: FrameResult) -> None:
        """Add a frame."""
        self.frames += 1
        visible = [found for found in result.objects.values() if found.state != "absent"]
        self.seen += len(visible)
        self.iou += sum(found.iou for found in visible)
        self.doubts += len(result.needs_prompt)


Watch = Callable[[Iterator[FrameResult], str, int | None], Iterator[FrameResult]]
"""Passes results on as they come, and may show them: what is done, and of how many frames if that is known."""


@contextmanager
def begin(job: Job, engine: Engine | None, overwrite: bool, tell: Callable[[str], None]) -> Iterator[VideoTracker]:
    """A tracker with its prompts: the one of an earlier run in the same folder, or else a new one.

    Formats and folders are checked first, so that nothing is followed in vain. Without an engine, the job's model is
    loaded. `tell` is given a sentence if a run takes new prompts.
    """
    if job.overlay is not None:
        check_film(job.overlay)
    check_finish(job.finish, job.formats)
    for _, target in job.targets():
        keep_inputs(target, job.video)
    loaded = load_model(job.model, device=job.device, speed=job.speed) if engine is None else engine
    if job.everything is not None and job.everything.like:
        examples_of(job.everything.like, loaded)  # says what is wrong with them
    with VideoTracker(job.open(), loaded, options=job.tracking) as fresh:
        if "background" in job.formats:
            find_background(job.finish.background, fresh.size)  # says what is wrong with it
        prompt_all(fresh, job.prompts)
        check_prompts(job, fresh)
        for folder in {job.out, *(path.parent for _, path in job.targets())}:
            make_folder(folder)
            remove_stale(folder)
        if overwrite:
            for name, place in job.targets():
                endings = {".png", find_format(name).picture}
                for stale in (path for path in place.rglob("*") if path.suffix in endings and path.is_file()):
                    stale.unlink()
        if overwrite or not job.session.exists():
            yield fresh
            return
        kept = gone_on_with(job, fresh, tell)
    with kept:
        check_prompts(job, kept)
        yield kept


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
        before, now = (", ".join(as_typed(name, values[name]) for name in other) for values in (there, here))
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


def as_typed(name: str, value: object) -> str:
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


def prompt_all(tracker: VideoTracker, prompts: Sequence[TypedPrompt]) -> None:
    """Give the typed prompts to a tracker, those of earlier frames first. Raises `PromptError` if an object has two
    boxes, or a box and a mask, in a frame: the second one would silently take the place of the first."""
    shapes = {(said.object, said.frame, shape) for said in prompts for shape in (said.box, said.mask) if shape}
    for (name, frame), count in Counter((name, frame) for name, frame, _ in shapes).items():
        if count > 1:
            raise PromptError(
                f"{name!r} has {count} boxes or masks in frame {frame}, and an object has one there; give each object "
                "a name of its own, or clicks beside one box"
            )
    for said in sorted(prompts, key=lambda said: said.frame):
        if said.millimetres is not None:
            if tracker.source.geometry is None:
                raise MediaError("a click in millimetres is for volumes, and this is none; give FRAME:OBJECT:x,y")
            frame, x, y = tracker.source.geometry.pixel_at(said.millimetres)
            tracker.add_points(frame=frame, object=said.object, points=[(x, y)], labels=said.labels or None)
        if said.box is not None:
            tracker.add_box(frame=said.frame, object=said.object, box=said.box)
        if said.points:
            tracker.add_points(frame=said.frame, object=said.object, points=said.points, labels=said.labels or None)
        if said.mask is not None:
            tracker.add_mask(frame=said.frame, object=said.object, mask=read_mask(said.mask, said.object))


def read_mask(path: Path, name: ObjectId) -> NDArray[np.bool_]:
    """The mask of an object in a file, bool (H, W): the one that is named, or the only one there is.

    Raises `FormatError` if the file is missing or damaged, or holds several objects and none of that number.
    """
    masks = masks_in_png(path)
    if name not in masks and len(masks) > 1:
        held = ", ".join(map(str, [*masks][:8])) + (", ..." if len(masks) > 8 else "")
        raise FormatError(f"{path.name} holds the objects {held} and none of the name {name!r}; give one of them")
    number = name if isinstance(name, int) and name in masks else next(iter(masks))
    return masks[number]


def run(tracker: VideoTracker, job: Job, watch: Watch) -> Done:
    """Follow and write. Ctrl-C keeps what is finished.

    Forward, frames are written as they are followed; in other directions when all are, or Ctrl-C has stopped that.
    """
    known_names = [str(name) for name in tracker.tracks]
    for name in job.finish.only if job.everything is None else ():
        if name not in known_names:
            raise FormatError(f"there is no object {name!r}{nearest(name, known_names)}; give another --only")
    done = Done()
    try:
        followed = saved_on_the_way(tracker, job, follow(tracker, job))
        results = watch(followed, "tracking", length(tracker, job))
        if job.direction != "forward" or job.find_ends:
            try:
                deque(results, maxlen=0)
            except KeyboardInterrupt:
                done.stopped = True
            if job.find_ends:
                mark_ends(tracker)
            frames = known_within(tracker, job)
            results = watch(map(tracker.result, frames), "writing", len(frames))
        write_all(tracker, job, results, done)
        done.millilitres = millilitres(tracker)
    except KeyboardInterrupt:
        done.stopped = True
    finally:
        if tracker.known_frames():  # also after a fault: what was found is not lost
            tracker.save(job.session, notes=job.settings)
    if tracker.source.ended_early:
        done.notes.append(tracker.source.ended_early)
    if job.everything is not None and not tracker.tracks:
        done.notes.append(nothing_found(job.everything))
    return done


def nothing_found(wanted: DiscoveryOptions) -> str:
    """The sentence for a video in which nothing was found."""
    if wanted.like:
        least = wanted.least_likeness
        return f"nothing in it is like {Path(wanted.like).name}; a --least-likeness below {least:g} finds more"
    if wanted.text:
        return f"nothing is found for {wanted.text!r}; give other words, or a lower --least-score"
    return "nothing is found in it; give --box or --point"


def millilitres(tracker: VideoTracker) -> dict[str, float]:
    """The volume of each object by what people read as its name; none for a film."""
    if tracker.source.geometry is None:
        return {}
    voxels: dict[str, int] = {}
    for frame in tracker.known_frames():
        shown = tracker.masks(frame)
        for name, item in shown.objects.items():
            title = title_of(name, shown.descriptions.get(name))
            voxels[title] = voxels.get(title, 0) + rle_area(rle_of(item))
    return {title: count * tracker.source.geometry.voxel for title, count in voxels.items()}


def follow(tracker: VideoTracker, job: Job) -> Iterator[FrameResult]:
    """The frames of a job as they are followed, those that a stopped run left; forward, the known ones come first."""
    known = known_within(tracker, job)
    if job.everything is not None:
        frames = set(known)  # without a gap from the first one; enough where no prompt lies ahead
        reached = next((frame for frame in known if frame + 1 not in frames), None)
        return track_everything(tracker, job.start, job.stop, reached=reached, options=job.everything)
    following = tracker.propagate(direction=job.direction, within=job.within, resume=True)
    if job.direction != "forward":
        return following
    left = left_of(tracker, job)
    end = left[0].first if left else max(known) + 1
    return chain((tracker.result(frame) for frame in range(min(known), end)), following)


def left_of(tracker: VideoTracker, job: Job) -> list[Range]:
    """The passes that are still to be made."""
    return tracker.remaining(passes(tracker.tracks, None, None, job.direction, None, job.within))


def length(tracker: VideoTracker, job: Job) -> int | None:
    """How many results `follow` gives; None if the video's length is not known."""
    count = tracker.source.frame_count
    count = min(count, job.within.stop) if count is not None else job.stop
    if job.everything is None and job.direction != "forward":
        left = left_of(tracker, job)
        if count is None and any(not span.backward for span in left):
            return None
        return sum(span.first + 1 if span.backward else max(0, (count or 0) - span.first) for span in left)
    first = min(known_within(tracker, job)) if job.everything is None else job.start
    return None if count is None else max(0, count - first)


def known_within(tracker: VideoTracker, job: Job) -> list[int]:
    """The known frames between in and out point, in their order."""
    return [frame for frame in tracker.known_frames() if frame in job.within]


def saved_on_the_way(tracker: VideoTracker, job: Job, results: Iterator[FrameResult]) -> Iterator[FrameResult]:
    """The results; now and then the session is saved, so that a killed run can go on."""
    save = Saving(lambda: tracker.save(job.session, notes=job.settings))
    for result in results:
        yield result
        save.now_and_then()


def write_all(tracker: VideoTracker, job: Job, results: Iterator[FrameResult], done: Done) -> None:
    """Write every result as it comes. What is interrupted by Ctrl-C is closed in good order; what cannot be written
    stops nothing else."""
    outputs = Writers(writers(tracker, job))
    try:
        with outputs:
            try:
                for result in results:
                    outputs.write(result)
                    done.count(result)
            except KeyboardInterrupt:
                if not done.frames:
                    raise
                done.stopped = True
    finally:
        done.faults, done.cause = outputs.faults, outputs.cause


def writers(tracker: VideoTracker, job: Job) -> list[Writer]:
    """The palette PNGs, which are always written, the overlay, and the further formats."""
    rate, times = tracker.source.rate, tracker.source.timestamps
    steady = times is None or comes_evenly(rate, range(len(times)), times)
    facts = replace(tracker.facts([]), video=str(job.video), finish=job.finish, steady=steady)
    of_overlay = replace(facts, rate=rate or DEFAULT_RATE)
    return [
        Writer(find_format(name).open, path, of_overlay if path == job.overlay else facts)
        for name, path in job.targets()
    ]
