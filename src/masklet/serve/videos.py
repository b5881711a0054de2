"""Video jobs of other programs: kept on disk, done one after another, gone on with after a restart."""

import json
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Any, Literal

from masklet.atomic import make_folder, write_whole
from masklet.discovery import DiscoveryOptions
from masklet.engines.base import Engine
from masklet.errors import FormatError, MaskletError, MediaError, PromptError, SessionError
from masklet.formats.registry import find_format
from masklet.jobs.places import local_copy
from masklet.jobs.prompts import prompts_from
from masklet.jobs.record import leased
from masklet.jobs.track import Job, begin, run
from masklet.serve.pictures import TooMany, truth_of
from masklet.video import FrameResult

JobState = Literal["waiting", "running", "done", "failed", "cancelled"]

FINAL_STATES = ("done", "failed", "cancelled")

JOB_FILE = "job.json"
"""File in a job's folder that says what is asked and how it stands."""

ID = re.compile(r"[0-9a-f]{16}")

UNSAFE_PATH = re.compile(r"(^|/|\\)\.\.?(/|\\|$)|^[^?]*%(2[ef5]|5c)|[\x00-\x20]|@|::", re.IGNORECASE)
"""What would lead a URL out of the folder that is allowed, to another host, or through another file system. In a path
encoded dots, slashes and per cent signs are refused too."""

DIRECTIONS = ("forward", "backward", "both")


class Missing(MediaError):
    """A job, a result or an upload that is not there."""


@dataclass
class VideoJob:
    """One job: what was asked, in plain values, and how it stands, with the frames done and, if that is known, in all.

    The sentence says why it failed, or what a person should know. Results are files, by their paths below the job's
    results; `created` counts seconds since 1970.
    """

    id: str
    asked: dict[str, Any]
    state: JobState = "waiting"
    frames: int = 0
    of: int | None = None
    sentence: str = ""
    results: list[str] = field(default_factory=list)
    created: float = 0.0

    @property
    def told(self) -> dict[str, Any]:
        """What a request is told."""
        return {**asdict(self), "asked": {k: v for k, v in self.asked.items() if k != "upload"}}


class VideoDesk:
    """Video jobs in a folder, which it holds alone, with their uploads and results.

    Videos are fetched from URLs that begin with those that are allowed, up to `largest` bytes; more than `most_waiting`
    jobs are refused. Raises SessionError if another server holds the folder.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        allowed: tuple[str, ...] = (),
        most_waiting: int = 100,
        largest: int | None = None,
    ) -> None:
        self._engine, self._folder, self._allowed, self._most = engine, folder, allowed, most_waiting
        self._largest = largest
        make_folder(folder / "jobs")
        make_folder(folder / "uploads")
        self._held = ExitStack()
        self._held.enter_context(leased(str(folder)))
        for left in (folder / "uploads").glob("*.partial"):
            left.unlink(missing_ok=True)
        self._lock = Lock()
        self._jobs = {job.id: job for job in self._read()}
        self._thread = ThreadPoolExecutor(1, "masklet-videos")
        self._stopped: set[str] = set()
        self._closing = Event()
        for job in self.jobs():
            if job.state not in FINAL_STATES:
                job.state = "waiting"
                self._thread.submit(self._do, job)

    def upload_place(self) -> Path:
        """A new path for an upload."""
        return self._folder / "uploads" / secrets.token_hex(8)

    def remove_upload(self, name: str) -> None:
        """Remove an upload. Raises Missing if there is none, SessionError while a job that has not ended is of it."""
        place = self._upload(name)
        if any(job.asked.get("upload") == name and job.state not in FINAL_STATES for job in self.jobs()):
            raise SessionError("a job that has not ended is of this upload; cancel it first")
        place.unlink(missing_ok=True)

    def create(self, said: Mapping[str, Any]) -> VideoJob:
        """A new job. Raises MaskletError for what makes no sense, and TooMany if too many wait."""
        asked = self._checked(said)
        if sum(job.state == "waiting" for job in self.jobs()) >= self._most:
            raise TooMany(f"{self._most} videos wait already; ask again later")
        job = VideoJob(secrets.token_hex(8), asked, created=time.time())
        make_folder(self._place(job))
        self._write(job)
        with self._lock:
            self._jobs[job.id] = job
        self._thread.submit(self._do, job)
        return job

    def job(self, name: str) -> VideoJob:
        """The job of an id. Raises Missing for an unknown one."""
        if name not in self._jobs:
            raise Missing(f"there is no video job {name[:40]!r}")
        return self._jobs[name]

    def jobs(self) -> list[VideoJob]:
        """All jobs, the oldest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: job.created)

    def cancel(self, name: str) -> VideoJob:
        """End a job, or one that waits; results of frames that were done stay."""
        job = self.job(name)
        self._stopped.add(job.id)
        if self._taken(job, "cancelled"):
            self._end(job, "cancelled")
        return job

    def remove(self, name: str) -> None:
        """Remove a job that has ended, with its results. Raises SessionError if it has not."""
        job = self.job(name)
        if job.state not in FINAL_STATES:
            raise SessionError(f"the job is {job.state}; cancel it first")
        with self._lock:
            del self._jobs[job.id]
        shutil.rmtree(self._place(job), ignore_errors=True)

    def result(self, name: str, path: str) -> Path:
        """A file of a job's results. Raises Missing if there is none of that path."""
        job = self.job(name)
        if path not in job.results:
            raise Missing(f"the job has no result {path[:80]!r}; it has {', '.join(job.results[:8]) or 'none'}")
        return self._place(job) / "results" / path

    def close(self) -> None:
        """Stop after the frame under way; what is not done goes on when the folder is opened again."""
        self._closing.set()
        self._thread.shutdown(cancel_futures=True)
        self._held.close()

    # --- one job --------------------------------------------------------------------------------------

    def _taken(self, job: VideoJob, state: JobState) -> bool:
        """Whether a job waited, and has this state now: of its start and a cancel only one comes first."""
        with self._lock:
            waited = job.state == "waiting"
            job.state = state if waited else job.state
        return waited

    def _do(self, job: VideoJob) -> None:
        if self._closing.is_set() or not self._taken(job, "running"):
            return
        job.frames = 0
        try:
            source = self._folder / "uploads" / job.asked["upload"] if "upload" in job.asked else job.asked["url"]
            with local_copy(str(source), redirects=False, most=self._largest) as path:
                task = self._task(job, path)
                with begin(task, self._engine, False, lambda sentence: None) as tracker:
                    done = run(tracker, task, lambda *shown: self._watched(job, *shown))
            if done.faults:
                raise FormatError("; ".join(done.faults))
            job.sentence = "; ".join(done.notes)
            if done.stopped and self._closing.is_set() and job.id not in self._stopped:
                job.state = "waiting"  # as it is on the disk
            else:
                self._end(job, "cancelled" if done.stopped else "done")
        except MaskletError as error:
            self._end(job, "failed", str(error))
        except Exception as error:  # the thread goes on: others wait for it
            self._end(job, "failed", f"the server failed: {error!r:.200}")

    def _watched(
        self, job: VideoJob, results: Iterator[FrameResult], what: str, total: int | None
    ) -> Iterator[FrameResult]:
        job.of, job.frames = total, 0
        for result in results:
            yield result
            job.frames += 1
            # A job that is cancelled while it is tracked is written as far as it came.
            if self._closing.is_set() or (job.id in self._stopped and what == "tracking"):
                raise KeyboardInterrupt  # by which a job ends in good order

    def _end(self, job: VideoJob, state: JobState, sentence: str = "") -> None:
        place = self._place(job) / "results"
        hidden = ("session.masklet", "session.masklet.journal")
        found = sorted(path for path in place.rglob("*") if path.is_file() and path.name not in hidden)
        job.results = [path.relative_to(place).as_posix() for path in found]
        job.sentence = sentence or job.sentence
        job.state = state
        with suppress(FormatError):  # the disk is full: others wait, and the next start does the job again
            self._write(job)

    def _task(self, job: VideoJob, path: Path) -> Job:
        asked, out = job.asked, self._place(job) / "results"
        overlay = out / "overlay.mp4" if asked["overlay"] else None
        prompts, formats = tuple(prompts_from(asked["prompts"], "prompts", Path())), tuple(asked["formats"])
        everything = DiscoveryOptions() if asked["everything"] else None
        return Job(path, out, overlay, prompts, asked["direction"], formats, "", None, None, everything=everything)

    # --- what is asked --------------------------------------------------------------------------------

    def _checked(self, said: Mapping[str, Any]) -> dict[str, Any]:
        unknown = set(said) - {"upload", "url", "prompts", "everything", "direction", "formats", "overlay"}
        if unknown:
            raise PromptError(
                f"the request has {', '.join(sorted(unknown))[:80]}, which nothing knows; see /openapi.json"
            )
        if ("upload" in said) == ("url" in said):
            raise MediaError("give the video as upload, the id of one, or as url; one of them")
        prompts, formats = said.get("prompts", []), said.get("formats", ["coco"])
        direction = said.get("direction", "forward")
        everything = truth_of(said, "everything")
        if not isinstance(prompts, list) or everything == bool(prompts):
            raise PromptError("give prompts, a list, or everything; one of them")
        if any(prompt.mask is not None for prompt in prompts_from(prompts, "prompts", Path())):
            raise PromptError("a mask as prompt cannot be sent here; give points or a box")
        if direction not in DIRECTIONS or (everything and direction != "forward"):
            raise PromptError(f"direction is {direction!r:.40}; give {', '.join(DIRECTIONS)}, with everything forward")
        if not isinstance(formats, list) or not all(isinstance(name, str) and ":" not in name for name in formats):
            raise FormatError("formats is a list of names, such as coco")
        for name in formats:
            if find_format(name).video is None:
                raise FormatError(f"the format {name} is no file or folder of one video; give another")
        checked = {
            "prompts": prompts,
            "everything": everything,
            "direction": direction,
            "formats": formats,
            "overlay": truth_of(said, "overlay"),
        }
        if "upload" in said:
            return {"upload": self._upload(str(said["upload"])).name, **checked}
        check_allowed(str(said["url"]), self._allowed)
        return {"url": str(said["url"]), **checked}

    def _upload(self, name: str) -> Path:
        place = self._folder / "uploads" / name
        if not ID.fullmatch(name) or not place.is_file():
            raise Missing(f"there is no upload {name[:40]!r}; POST it to /v1/uploads first")
        return place

    # --- on disk --------------------------------------------------------------------------------------

    def _place(self, job: VideoJob) -> Path:
        return self._folder / "jobs" / job.id

    def _write(self, job: VideoJob) -> None:
        write_whole(self._place(job) / JOB_FILE, json.dumps(asdict(job)))

    def _read(self) -> Iterator[VideoJob]:
        for path in (self._folder / "jobs").glob(f"*/{JOB_FILE}"):
            try:
                yield VideoJob(**json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError) as error:
                raise FormatError(f"{path} is no job ({str(error)[:80]}); remove its folder") from error


def check_allowed(url: str, allowed: tuple[str, ...]) -> None:
    """Raise MediaError unless a URL begins with one that may be fetched, and leads nowhere above it."""
    if not any(url.startswith(place) for place in allowed) or UNSAFE_PATH.search(url):
        raise MediaError(
            f"{url[:100]} may not be fetched; the server allows {', '.join(allowed) or 'no URL'} (--allow)"
        )
