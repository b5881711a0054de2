"""Many videos: each whole by one worker, those that are done passed over, all that happens recorded."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, lru_cache
from os import PathLike, fspath
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from masklet.atomic import changed_at, write_whole
from masklet.checkpoints import load_model
from masklet.discovery import DiscoveryOptions
from masklet.engines.base import Engine
from masklet.errors import FormatError, PromptError
from masklet.executors import Executor, Failure, Serial, alive
from masklet.jobs.places import exists, is_url, join_path, local_copy, local_folder, once_here, read, size_of
from masklet.jobs.prompts import EVERY_VIDEO, PromptsByVideo, prompts_from, prompts_of
from masklet.jobs.record import Manifest, VideoRecord, leased
from masklet.jobs.sources import Source, find_videos
from masklet.jobs.track import Job, Watch, begin, run
from masklet.video import FrameResult

DONE_FILE = "done.json"
"""File in a video's folder that says what was done when it was done."""

OVERLAY_FILE = "overlay.mp4"
"""The overlay video there."""


def track_videos(
    sources: str | PathLike[str] | Sequence[str | PathLike[str]],
    out: str | PathLike[str],
    *,
    prompts: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Mapping[str, Any]]] = (),
    everything: bool | DiscoveryOptions = False,
    looking: DiscoveryOptions | None = None,
    direction: Literal["forward", "backward", "both"] = "forward",
    formats: Sequence[str] = (),
    overlay: bool = True,
    model: str | PathLike[str] = "nano",
    speed: str | None = None,
    device: str | None = None,
    policy: str = "published",
    overwrite: bool = False,
    start: int = 0,
    stop: int | None = None,
    executor: Executor | None = None,
) -> Iterator[VideoRecord]:
    """Track many videos, each into a folder of its own below `out`, as `masklet track` does.

        for record in masklet.track_videos("clips/*.mp4", "masks", everything=True):
            print(record.video, record.status, record.sentence)

    Args:
        sources: Videos, folders of videos, patterns, URLs, or manifests (docs/scale.md); one or several.
        out: Folder or URL of the results.
        prompts: What holds for all videos, such as `[{"frame": 0, "object": 1, "box": [x0, y0, x1, y1]}]`, or a mapping
            from names of videos to such lists; manifests say more.
        everything: Whether all is followed that is found, or what is like an example, and how it is looked for.
        looking: How it is looked for in videos whose row of a manifest asks for it; as in `everything` if not given.
        direction: Where to follow.
        formats: Further formats to write.
        overlay: Whether to write an overlay video of each.
        model: Name, path or URL of a model.
        speed: A mode that computes less; exact if not given.
        device: "cpu", "cuda" or "mps"; the best there is if not given.
        policy: What is remembered.
        overwrite: Whether to begin again where results are there.
        start: The first frame of each video.
        stop: The first frame that is left out; None for the end.
        executor: Where videos are done, such as `masklet.executors.Ray("auto", lease=600)`; one after another, here, if
            not given.

    Yields:
        A record of each video as it comes; `before` is true for one that was done in an earlier run. A video that fails
        stops no other. `OUT/manifest.parquet` holds them all.

    Raises:
        MediaError: No video is found.
        PromptError: Prompts cannot be read.
        SessionError: Another run works in `out`.
        FormatError: A manifest is damaged, or `out` cannot be written.
        EngineError: The cluster cannot be reached, or no worker is left; what is done stays.
    """
    given = [sources] if isinstance(sources, str | PathLike) else sources
    lists = prompts if isinstance(prompts, Mapping) else {EVERY_VIDEO: prompts}
    wished = DiscoveryOptions() if everything is True else everything or None
    film = Path(OVERLAY_FILE) if overlay else None
    settings = (direction, tuple(formats), fspath(model), speed, device, policy, wished)
    pattern = Job(Path(), Path(), film, (), *settings, start=start, stop=stop)
    said = {name: tuple(prompts_from(records, "prompts", Path())) for name, records in lists.items()}
    work = Work(pattern, fspath(out), said, overwrite, looking or wished or DiscoveryOptions())
    return run_all(find_videos([fspath(place) for place in given]), work, executor or Serial())


@dataclass(frozen=True)
class Work:
    """What a worker does with a video.

    `pattern` is the job without its video, prompts and places; its `overlay` says whether there is one. `out` is the
    folder or URL of the run; with `overwrite`, videos are begun again where results are there. `looking` is how things
    are looked for where a row asks for that.
    """

    pattern: Job
    out: str
    said: PromptsByVideo = field(default_factory=dict)
    overwrite: bool = False
    looking: DiscoveryOptions = field(default_factory=DiscoveryOptions)
    watch: Watch | None = None

    def __call__(self, source: Source) -> VideoRecord:
        """The record of a video that is tracked, or was.

        Raises MaskletError if it cannot be, KeyboardInterrupt if it was stopped.
        """
        begun, place = monotonic(), join_path(self.out, source.name)
        options = self.options(source)
        whole = self.pattern.overlay is None or exists(join_path(place, OVERLAY_FILE))
        if whole and not self.overwrite and (earlier := read_record(source, place, options)):
            return earlier
        with local_copy(source.video) as video, local_folder(place, DONE_FILE) as out:
            job = self.job(source, video, out)
            if not job.prompts and job.everything is None:
                raise PromptError("nothing is said of it; give a prompt under its name, or one for all videos")
            engine = engine_of(job.model, job.device, job.speed)
            notes: list[str] = []
            with begin(job, engine, self.overwrite, notes.append) as tracker:
                done = run(tracker, job, self._living)
                objects = len(tracker.tracks)
            if done.faults:
                raise FormatError("; ".join(done.faults)) from done.cause
            if done.stopped:
                raise KeyboardInterrupt
            seconds, iou = round(monotonic() - begun, 3), round(done.iou / done.seen, 4) if done.seen else None
            found = (done.frames, objects, seconds, iou, done.doubts, engine.digest, options)
            record = VideoRecord(source.video, place, "done", "; ".join([*notes, *done.notes]), *found)
            told = {name: value for name, value in asdict(record).items() if name not in ("video", "out", "before")}
            write_whole(out / DONE_FILE, json.dumps(told, indent=2))
        return record

    def job(self, source: Source, video: Path, out: Path) -> Job:
        """The job of a video that lies there; what its row says goes before what holds for all.

        Raises PromptError for prompts that are none, or beside another wish.
        """
        own = prompts_from(source.prompts or (), "its row", Path(source.video).parent)
        wishes = {"prompts": own, "everything": source.everything, "like": source.like}
        if len(said := [name for name, wish in wishes.items() if wish]) > 1:
            raise PromptError(f"its row has {' and '.join(said)}; give one or the other")
        looking = None if own or source.everything is False else self.pattern.everything
        if source.everything or source.like:
            looking = replace(self.looking, text="" if source.like else self.looking.text, like=source.like)
        return replace(
            self.pattern,
            video=video,
            out=out,
            overlay=out / OVERLAY_FILE if self.pattern.overlay else None,
            prompts=() if looking else prompts_of(Path(source.video), self.said, own),
            everything=looking,
        )

    def options(self, source: Source) -> str:
        """A job in JSON: two that are alike write the same. Raises MediaError if there is no such video."""
        job = self.job(source, Path(source.video), Path(self.out))
        plain = {
            "video": job.video.name,
            "bytes": size_of(source.video),
            "prompts": [asdict(prompt) for prompt in job.prompts],
            "direction": job.direction,
            "formats": job.formats,
            "finish": asdict(job.finish),
            "model": job.model,
            "speed": job.speed or "exact",
            **job.settings,
        }
        if (job.start, job.stop) != (0, None):
            plain |= {"start": job.start, "stop": job.stop}
        return json.dumps(plain, default=str)

    def _living(self, results: Iterator[FrameResult], what: str, total: int | None) -> Iterator[FrameResult]:
        for result in results if self.watch is None else self.watch(results, what, total):
            alive()
            yield result


def run_all(sources: Sequence[Source], work: Work, executor: Executor) -> Iterator[VideoRecord]:
    """Do videos, and record them in the manifest."""
    with leased(work.out):
        manifest = Manifest(work.out)
        try:
            for source, answer in executor.run(work, sources):
                if isinstance(answer, Failure):
                    place = join_path(work.out, source.name)
                    answer = VideoRecord(source.video, place, "failed", answer.reason)
                manifest.add(answer)
                yield answer
        finally:
            manifest.close()


def read_record(source: Source, place: str, options: str) -> VideoRecord | None:
    """The record of an earlier run of the same job, if it is done."""
    where = join_path(place, DONE_FILE)
    if not exists(where):
        return None
    try:
        told = json.loads(read(where))
        if told["options"] != options:
            return None
        return VideoRecord(source.video, place, **told, before=True)
    except (ValueError, TypeError, KeyError):  # of another version, or damaged
        return None


def engine_of(model: str, device: str | None, speed: str | None) -> Engine:
    """The engine that this process keeps, loaded again when the model's file has changed."""
    place = fetched_once(model) if is_url(model) else model
    return cached_engine(place, device, speed, changed_at(place))


@cache
def fetched_once(model: str) -> str:
    """The path of a model of a URL, which is asked for once."""
    return str(once_here(model))


@lru_cache(maxsize=1)
def cached_engine(model: str, device: str | None, speed: str | None, _: int) -> Engine:
    return load_model(model, device=device, speed=speed)
