"""An open video: one thread owns its tracker, does what pages ask, and follows between their questions."""

from __future__ import annotations

import contextlib
import json
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

from masklet.app import summary, wire
from masklet.app.acts import ACTS, readable
from masklet.app.exports import export
from masklet.app.imports import take_masks
from masklet.app.pictures import Pictures
from masklet.atomic import atomic_write, make_folder
from masklet.engines.base import Engine
from masklet.errors import FormatError, MaskletError, SessionError
from masklet.formats.base import PlainFrame
from masklet.prompts import make_prompt
from masklet.video import FrameResult, TrackingOptions, VideoTracker
from masklet.video.events import Event, checked_object
from masklet.video.journal import journal_of
from masklet.video.project import event_from_json, event_to_json, fingerprint_of

REST = 0.08
"""Seconds without a question after which the frame that is looked at is encoded."""

KEEP_EVERY = 1.0
"""Seconds of following after which what was found is written."""

KEEP_SHARE = 30
"""Writing it takes at most one part in so many of the time."""

TIDY_AFTER = 2.0
"""Seconds without a change after which what the library shows is written, and a journal that is too long goes into the
session's file."""

LONGEST = 64 << 20
"""Bytes of a journal that is not too long, and one that is shorter than the session's file is not either."""

FEATURES = 512 << 20
"""Bytes of encoded frames that are kept: a click on one of them costs no encoding."""

ANSWERED = 64
"""Requests whose answers are remembered, so that one that is sent again is done once."""

Listener = Callable[["Mapping[str, Any] | bytes"], None]


@dataclass
class Job:
    """Long work that is done in steps, between questions: following, or an export.

    Attributes:
        kind: What it is, as pages know it.
        steps: Does one step at each `next`, and gives what pages are told of it.
        end: Called when it is over, with the error that ended it, or None.
    """

    kind: str
    steps: Iterator[Mapping[str, Any]]
    end: Callable[[MaskletError | None], None]


class Session:
    """A video that is annotated, its tracker in a thread of its own.

    Args:
        video: The video or picture.
        folder: Where its session file is kept, with its journal.
        engine: The model.
        picture: Whether it is a single picture.
        pictures: Gets the frames that are followed: who watches need not wait for them to be decoded again.
        classes: The classes of objects that pages offer.

    A change is on the disk when its answer comes. `do` and `ask` may be called from any thread.
    """

    def __init__(
        self,
        video: Path,
        folder: Path,
        engine: Engine,
        *,
        picture: bool = False,
        pictures: Pictures | None = None,
        classes: Sequence[str] = (),
    ) -> None:
        self.video = video
        self.picture = picture
        self._pictures = pictures
        self._classes = list(classes)
        self.folder = folder
        self.listeners: list[Listener] = []
        self._engine = engine
        self._questions: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._jobs: list[Job] = []
        self._answered: dict[str, int] = {}  # the numbers of the changes that were asked for last
        self._look: int | None = None
        self._epoch = 0
        self._summary = summary.Summary()
        self._file = folder / "session.masklet"
        self._seq = 0
        self._later: list[Event] = []  # undone before the session was opened: after the tracker's own
        self._interrupted: str | None = None  # what was under way when the server was killed
        self._journal_size = 0
        self._keep_next = 0.0
        self._changed: float | None = None  # when something was changed that the library does not show yet
        self._thread = Thread(target=self._run, name=f"masklet-{video.name}", daemon=True)
        self._opened: Future[None] = Future()
        self._thread.start()

    # --- called from any thread ---------------------------------------------------------------------

    def wait_open(self) -> None:
        """Wait until the video is open. Raises MaskletError if it cannot be opened."""
        self._opened.result()

    def ask(self, question: Callable[[], Any]) -> Future[Any]:
        """Have something done by the thread that owns the tracker."""
        answer: Future[Any] = Future()

        def run() -> None:
            try:
                answer.set_result(question())
            except Exception as error:
                answer.set_exception(error)

        self._questions.put(run)
        return answer

    def do(self, act: str, said: Mapping[str, Any]) -> Future[dict[str, Any]]:
        """Change something. The answer has the number of the last record of the journal, `seq`.

        Raises, in the future: MaskletError for what makes no sense.
        """
        return self.ask(lambda: self._do(act, said))

    def look(self, frame: int) -> None:
        """Have a frame ready: somebody looks at it, and may click."""
        self._look = frame
        self._questions.put(lambda: None)

    def close(self) -> None:
        """Save, and give back the video."""
        self._questions.put(None)
        self._thread.join()

    # --- the thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._open()
        except Exception as error:  # whoever waits must hear of it
            self._opened.set_exception(error)
            return
        self._opened.set_result(None)
        while True:
            try:
                question = self._questions.get(timeout=self._patience())
            except Empty:
                try:
                    self._go_on()
                except Exception as error:  # the thread goes on: pages wait for it
                    self._tell({"type": "warning", "sentence": f"the server failed: {error!r:.200}"})
                    traceback.print_exception(error)
                continue
            if question is None:
                break
            question()
        while self._jobs:
            self._end_job(self._jobs[0], None)
        with contextlib.suppress(MaskletError):
            self._tidy(always=True)
        self._tracker.close()

    def _patience(self) -> float | None:
        """Seconds to wait for a question; None where nothing else is to be done."""
        if self._jobs:
            return 0.0
        if self._look is not None:
            return REST
        if self._changed is not None:
            return max(0.0, self._changed + TIDY_AFTER - monotonic())
        return None

    def _go_on(self) -> None:
        """What is done while nobody asks."""
        if self._jobs:
            self._step_job()
        elif self._look is not None:
            frame, self._look = self._look, None
            with contextlib.suppress(MaskletError):
                self._tracker.prepare(frame)
        elif self._changed is not None and monotonic() >= self._changed + TIDY_AFTER:
            self._changed = None
            try:
                self._tidy()
            except MaskletError as error:
                self._tell({"type": "warning", "sentence": str(error)})

    def _open(self) -> None:
        make_folder(self.folder)
        self._tracker = self._open_tracker()
        try:
            self._frames = self._count()
            self._key = fingerprint_of(self._tracker.source, str(self.video)).digest[:16]
            self._remember_notes()
        except BaseException:
            self._tracker.close()
            raise

    def _open_tracker(self) -> VideoTracker:
        options = TrackingOptions(feature_budget=FEATURES)
        if self._file.exists():
            # Of another version of the model, such as the one before the last `masklet loop`: what was found stays.
            return VideoTracker.open(self._file, self.video, self._engine, options=options, other_weights=True)
        return VideoTracker(self.video, self._engine, options=options)

    def _count(self) -> int:
        source: Any = self._tracker.source
        with contextlib.suppress(TypeError, MaskletError):
            return len(source)
        return self._tracker.source.frame_count or 1

    # --- what is kept -------------------------------------------------------------------------------

    def _remember_notes(self) -> None:
        notes, events = self._tracker.notes, self._tracker.events
        self._seq = int(notes.get("seq", 0))
        self._answered = dict(notes.get("answered", ()))
        self._later = [event_from_json(record, self._tracker.size) for record in notes.get("undone", ())]
        if notes.get("following") and events:
            self._interrupted = summary.told(events[-1])
        self._journal_size = size_of(journal_of(self._file))
        self._changed = monotonic()

    def _notes(self) -> dict[str, Any]:
        """What the session's file holds for the session itself."""
        return {
            "seq": self._seq,
            "answered": [list(answer) for answer in self._answered.items()],
            "undone": plain([event_to_json(event) for event in (*self._tracker.undone, *self._later)]),
            "following": any(job.kind == "follow" for job in self._jobs),
        }

    def _keep(self, req: str | None = None) -> None:
        """Have what changed on the disk; with a change that was asked for, by its `req`. Raises FormatError if that
        fails."""
        begin, before = monotonic(), (self._seq, self._answered)
        if req is not None:
            self._seq += 1
        if req:
            self._answered = dict([*self._answered.items(), (req, self._seq)][-ANSWERED:])
        try:
            if self._file.exists():
                self._journal_size = self._tracker.save_changes(notes=self._notes())
            else:
                self._tracker.save(self._file, notes=self._notes())
        except MaskletError:
            self._seq, self._answered = before
            raise
        self._changed = monotonic()
        self._keep_next = self._changed + max(KEEP_EVERY, KEEP_SHARE * (self._changed - begin))

    def _tidy(self, *, always: bool = False) -> None:
        """Write what the library shows, and, where it is too long, the journal into the session's file."""
        if self._journal_size > (0 if always else max(LONGEST, size_of(self._file))):
            self._tracker.save(self._file, notes=self._notes())
            self._journal_size = 0
        done = {
            "objects": len(self._tracker.tracks),
            "frames": len(self._tracker.known_frames()),
            "doubts": len(self._summary.queue(self._tracker)),
        }
        with atomic_write(self.folder / "done.json") as temporary:
            temporary.write_text(json.dumps(done))

    def _redo(self) -> None:
        """What was undone before the session was opened is computed again."""
        if self._tracker.undone or not self._later:
            self._tracker.redo()
        else:
            self._tracker.replay([self._later.pop(0)])

    # --- what can be done ---------------------------------------------------------------------------

    def _do(self, act: str, said: Mapping[str, Any]) -> dict[str, Any]:
        req = str(said.get("req", ""))[:100]
        if req in self._answered:
            return {"seq": self._answered[req]}
        if act not in (*ACTS, "redo"):
            raise SessionError(f"there is nothing called {act!r:.40} to do")
        objects, later = list(self._tracker.tracks), list(self._later)
        if act in ("undo", "redo"):
            self.stop("import")
            self.stop("follow")  # so that it is taken back as a whole
        with readable(act):
            if act == "redo":
                self._redo()
            else:
                ACTS[act](self._tracker, said)
                self._later = later if act == "undo" else []
        known = act == "prompt" and objects == list(self._tracker.tracks)
        self._show(said, whole=not known)  # nobody waits for the disk to see a mask, only to be told that it is kept
        try:
            self._keep(req)
        except MaskletError:  # what cannot be kept is not done
            self._tracker.redo() if act == "undo" else self._tracker.undo()
            self._later = self._later if act == "redo" else later
            self._show(said, whole=True)
            raise
        return {"seq": self._seq}

    def _show(self, said: Mapping[str, Any], *, whole: bool) -> None:
        """Tell pages what a change made of the session: the whole state, or of a prompt what belongs to it."""
        if whole:
            self._epoch += 1
            self._tell(self.state())
        frame = said.get("frame")
        if type(frame) is int and 0 <= frame < self._frames:
            self._tell_frame(frame)
        if not whole:
            name, frame = said["object"], int(said["frame"])
            prompt = summary.prompt_to_json(self._tracker.tracks[name].prompts[frame])
            self._tell({**self.brief(), "prompted": {"object": name, "frame": frame, "prompt": prompt}})

    # --- following ----------------------------------------------------------------------------------

    def follow(self, said: Mapping[str, Any]) -> None:
        """Begin to follow, in steps; called by the thread."""
        if any(job.kind == "follow" for job in self._jobs):
            raise SessionError("objects are being followed already; stop that first")
        direction, first, self._interrupted = said.get("direction", "forward"), said.get("first"), None
        with readable("follow"):
            passes = self._tracker.propagate(
                first,
                said.get("stop"),
                direction=direction,
                only=said.get("only"),
                stop_when_unsure=bool(said.get("stop_when_unsure", False)),
                resume=bool(said.get("resume", False)),
            )
        self._jobs.append(Job("follow", self._following(passes, said), self._followed))
        self._tell({"type": "following", "first": first, "direction": direction})

    def stop(self, kind: str = "follow") -> None:
        """End a job; what it has done stays. Called by the thread."""
        for job in [job for job in self._jobs if job.kind == kind]:
            self._end_job(job, None)

    def _following(self, passes: Iterator[Any], said: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        begin = monotonic()
        for done, result in enumerate(passes, start=1):
            self._frames = max(self._frames, result.frame + 1)
            if monotonic() >= self._keep_next:
                self._try_to_keep()
            if self._pictures is not None and self.listeners:
                self._pictures.offer(result.frame, result.image)
            self._tell(self._message(result))
            yield {"frame": result.frame, "done": done, "rate": round(done / max(1e-6, monotonic() - begin), 2)}

    def _try_to_keep(self) -> None:
        """Following goes on though the disk is full: it may have room before the end."""
        try:
            self._keep()
        except FormatError as error:
            self._keep_next = monotonic() + 10
            self._tell({"type": "warning", "sentence": str(error)})

    def _followed(self, error: MaskletError | None) -> None:
        self._try_to_keep()
        self._tell({**self.state(), "sentence": "" if error is None else str(error)})

    def _step_job(self) -> None:
        job = self._jobs[0]
        try:
            step = next(job.steps)
        except StopIteration:
            self._end_job(job, None)
        except MaskletError as error:
            self._end_job(job, error)
        else:
            self._jobs.append(self._jobs.pop(0))
            self._tell({"type": "progress", "job": job.kind, **step})

    def _end_job(self, job: Job, error: MaskletError | None) -> None:
        self._jobs.remove(job)
        close: Callable[[], None] | None = getattr(job.steps, "close", None)
        if close is not None:
            close()
        try:
            job.end(error)
        except MaskletError as failure:
            self._tell({"type": "warning", "sentence": str(failure)})

    # --- previews and exports -----------------------------------------------------------------------

    def preview(self, said: Mapping[str, Any]) -> bytes:
        """What a prompt would be answered with, as a message with one mask; called by the thread."""
        with readable("preview"):
            name = said["object"]
            prompt = make_prompt(
                self._tracker.size, points=said.get("points"), labels=said.get("labels"), box=said.get("box")
            )
            found = self._tracker.preview(frame=said["frame"], object=name, prompt=prompt).objects[name]
        head = {"name": name, "state": found.state, "iou": round(found.iou, 4)}
        return wire.message(
            {"type": "preview", "req": said.get("req"), "frame": said["frame"], "objects": [head]}, [found.mask]
        )

    def candidates(self, said: Mapping[str, Any]) -> bytes:
        """What a first click may mean, as a message with up to three masks, the surest first; called by the thread."""
        with readable("candidates"):
            prompt = make_prompt(self._tracker.size, points=said["points"], labels=said.get("labels"))
            found = self._tracker.candidates(frame=said["frame"], prompt=prompt)
        heads = [{"name": place, "iou": round(iou, 4)} for place, (_, iou) in enumerate(found)]
        head = {"type": "candidates", "req": said.get("req"), "frame": said["frame"], "objects": heads}
        return wire.message(head, [mask for mask, _ in found])

    def export(self, said: Mapping[str, Any]) -> None:
        """Begin to write a file, in steps; called by the thread. Its name comes with the last one."""
        if any(job.kind == "export" for job in self._jobs):
            raise SessionError("an export is being made already; wait for it, or stop it")
        with readable("export"):
            objects = said.get("objects")
            steps = export(
                self._tracker,
                self.video,
                self.folder / "exports",
                str(said["format"]),
                first=said.get("first"),
                last=said.get("last"),
                objects=None if objects is None else [checked_object(name) for name in objects],
                picture=self.picture,
            )
        self._jobs.append(Job("export", steps, self._exported))

    def _exported(self, error: MaskletError | None) -> None:
        if error is not None:
            self._tell({"type": "warning", "job": "export", "sentence": str(error)})

    def take_masks(self, said: Mapping[str, Any]) -> None:
        """Begin to take the masks of a file that was sent, in steps; called by the thread."""
        if any(job.kind == "import" for job in self._jobs):
            raise SessionError("masks are being taken from a file already; wait for it, or stop it")
        with readable("import"):
            last = None if said.get("last") is None else int(said["last"])
            path = self.folder / "imports" / Path(str(said["file"])).name
            if not path.is_file():
                raise SessionError(f"there is no file {path.name!r:.100}; send it first")
            steps = take_masks(self._tracker, path, int(said.get("first") or 0), last)
        self._jobs.append(Job("import", self._taking(steps, path), self._taken))

    def _taking(self, steps: Iterator[Mapping[str, Any]], path: Path) -> Iterator[Mapping[str, Any]]:
        self._later = []
        try:
            for step in steps:
                if monotonic() >= self._keep_next:
                    self._try_to_keep()
                yield step
        finally:
            path.unlink(missing_ok=True)

    def _taken(self, error: MaskletError | None) -> None:
        self._try_to_keep()
        self._epoch += 1
        self._tell(self.state())
        self._tell({"type": "imported", "sentence": "" if error is None else str(error)})

    # --- what pages are told ------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that a page needs to begin; called by the thread."""
        tracker = self._tracker
        height, width = tracker.size
        return {
            **self.brief(),
            "type": "state",
            "video": {
                "picture": self.picture,
                "key": self._key,
                "name": self.video.name,
                "width": width,
                "height": height,
                "frames": self._frames,
                "rate": float(tracker.source.rate) if tracker.source.rate else None,
            },
            "model": tracker.engine.config.name,
            "classes": self._classes,
            "objects": self._summary.objects(tracker, self._frames),
        }

    def brief(self) -> dict[str, Any]:
        """What changes with every act; called by the thread."""
        events, undone = self._tracker.events, [*self._tracker.undone, *self._later]
        return {
            "type": "brief",
            "seq": self._seq,
            "epoch": self._epoch,
            "undo": summary.told(events[-1]) if events else None,
            "redo": summary.told(undone[0]) if undone else None,
            "queue": self._summary.queue(self._tracker),
            "interrupted": self._interrupted,
            "following": any(job.kind == "follow" for job in self._jobs),
        }

    def frame(self, frame: int) -> bytes:
        """The message with the masks of a frame; called by the thread."""
        return self._message(self._tracker.masks(frame))

    def _message(self, found: FrameResult | PlainFrame) -> bytes:
        head = summary.frame_head(self._tracker.tracks, found)
        masks = [item.mask for item in found.objects.values()]
        return wire.message({"type": "masks", "epoch": self._epoch, **head}, masks)

    def _tell_frame(self, frame: int) -> None:
        self._tell(self.frame(frame))

    def _tell(self, message: Mapping[str, Any] | bytes) -> None:
        for listener in list(self.listeners):
            listener(message)


def plain(value: Any) -> Any:
    """What JSON gives back of a value."""
    return json.loads(json.dumps(value))


def size_of(path: Path) -> int:
    """Bytes of a file; 0 if there is none."""
    return path.stat().st_size if path.exists() else 0
