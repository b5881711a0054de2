"""An open video: what pages ask of it, and following between their questions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from masklet.app import summary, wire
from masklet.app.files import Steps, export, import_masks
from masklet.app.keeping import Kept
from masklet.app.pictures import Pictures
from masklet.app.shared import Said, SharedSession, description_of, prompt_of
from masklet.engines.base import Engine
from masklet.errors import FormatError, MaskletError, SessionError
from masklet.formats.base import PlainFrame
from masklet.video import FrameResult, VideoTracker
from masklet.video.events import checked_object

IDLE_SECONDS = 0.08
"""Seconds without a question after which the frame that is looked at is encoded."""

PROGRESS_SECONDS = 0.25
"""Seconds between what is told of how following goes; masks are told at once."""


def _prompt(tracker: VideoTracker, said: Mapping[str, Any]) -> None:
    prompt, replace = prompt_of(said, tracker.size), bool(said.get("replace", False))
    tracker.add_prompt(frame=said["frame"], object=said["object"], prompt=prompt, replace=replace)


EDIT_ACTIONS: dict[str, Callable[[VideoTracker, Mapping[str, Any]], Any]] = {
    "prompt": _prompt,
    "describe": lambda tracker, said: tracker.describe(said["object"], **description_of(said)),
    "clear": lambda tracker, said: tracker.clear(said["frame"], said["object"]),
    "remove": lambda tracker, said: tracker.remove(said["object"]),
    "lock": lambda tracker, said: tracker.lock(said["frame"], said.get("object")),
    "accept": lambda tracker, said: tracker.accept(said["object"], said["first"], said.get("last")),
    "absent": lambda tracker, said: tracker.mark_absent(said["object"], said["first"], said.get("last")),
    "unmark": lambda tracker, said: tracker.unmark(said["object"], said["first"], said.get("last")),
    "swap": lambda tracker, said: tracker.swap(said["frame"], said["object"], said["other"]),
    "split": lambda tracker, said: tracker.split(said["frame"], said["object"], said["new"]),
    "merge": lambda tracker, said: tracker.merge(said["object"], said["into"]),
    "undo": lambda tracker, said: tracker.undo(),
}
"""What changes a session, by name; "redo" beside them."""

UNDER_WAY = {
    "follow": "objects are being followed",
    "export": "an export is being made",
    "import": "masks are being taken from a file",
}
"""What each kind of long work is."""

LongWork = tuple[Steps, Callable[[str], None]]
"""Long work, and what is called when it is over, with a sentence on what hindered it, or an empty text."""


class AnnotationSession(SharedSession):
    """A video, or a single picture, that is annotated. A change is on the disk, in the folder, when its answer comes.

    `pictures` gets the frames that are followed: who watches need not wait for them to be decoded again. `classes` are
    those that pages offer for objects.
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
        super().__init__(video.name)
        self.video, self.picture, self.folder = video, picture, folder
        self.reads = {"preview": self._preview, "candidates": self._candidates}
        self.reads["export"] = partial(self._begin, "export", self._export)
        self.writes = {act: partial(self._do, act) for act in (*EDIT_ACTIONS, "redo")}
        self.writes["follow"] = partial(self._begin, "follow", self._follow)
        self.writes["import"] = partial(self._begin, "import", self._import)
        self.writes["stop"] = lambda said: self._end_job(str(said.get("job", "follow")))
        self._pictures, self._classes, self._engine = pictures, list(classes), engine
        self._jobs: dict[str, LongWork] = {}  # what is under way; all take turns
        self._look: int | None = None
        self._epoch = 0
        self._summary = summary.SessionSummary()
        self._thread.start()

    def look(self, frame: int) -> None:
        self._look = frame
        self.wake()

    # --- the thread ---------------------------------------------------------------------------------

    def _open(self) -> None:
        self._kept = Kept(self.video, self.folder, self._engine)
        self._tracker = self._kept.tracker

    def _patience(self) -> float | None:
        if self._jobs:
            return 0.0
        return IDLE_SECONDS if self._look is not None else self._kept.untidy()

    def _go_on(self) -> None:
        if self._jobs:
            self._step()
        elif self._look is not None:
            frame, self._look = self._look, None
            with suppress(MaskletError):
                self._tracker.prepare(frame)
        else:
            self._tidy()

    def _tidy(self, *, always: bool = False) -> None:
        try:
            self._kept.tidy(len(self._summary.queue(self._tracker)), always=always)
        except MaskletError as error:
            self._tell({"type": "warning", "sentence": str(error)})

    def _end(self) -> None:
        for kind in list(self._jobs):
            self._end_job(kind)
        self._tidy(always=True)
        self._tracker.close()

    # --- changes ------------------------------------------------------------------------------------

    def _do(self, act: str, said: Said) -> dict[str, Any]:
        """Change something. The answer has the number of the change, `seq`."""
        kept, req = self._kept, str(said.get("req", ""))[:100]
        if req in kept.answered:
            return {"seq": kept.answered[req]}
        objects, later = list(self._tracker.tracks), list(kept.later)
        if act in ("undo", "redo"):
            self._end_job("import")
            self._end_job("follow")  # so that it is taken back as a whole
        if act == "redo":
            kept.redo()
        else:
            EDIT_ACTIONS[act](self._tracker, said)
            kept.later = later if act == "undo" else []
        known = act == "prompt" and objects == list(self._tracker.tracks)
        self._show(said, whole=not known)  # nobody waits for the disk to see a mask, only to be told that it is kept
        try:
            kept.keep(req)
        except MaskletError:  # what cannot be kept is not done
            self._tracker.redo() if act == "undo" else self._tracker.undo()
            kept.later = kept.later if act == "redo" else later
            self._show(said, whole=True)
            raise
        return {"seq": kept.seq}

    def _show(self, said: Said, *, whole: bool) -> None:
        """Tell pages what a change made of the session: the whole state, or of a prompt what belongs to it; and the
        masks of the frame that it was about."""
        frame = said.get("frame")
        found = self._tracker.masks(frame) if type(frame) is int and 0 <= frame < self._kept.frames else None
        if whole:
            self._show_all(None if found is None or not found.objects else frame)
        if found is not None and (found.objects or not whole):
            self._tell(self._message(found))
        if not whole:
            name, frame = said["object"], int(said["frame"])
            prompt = summary.drawn_prompt(self._tracker.tracks[name].prompts[frame])
            self._tell({**self._brief(), "prompted": {"object": name, "frame": frame, "prompt": prompt}})

    def _show_all(self, frame: int | None = None) -> None:
        """Tell the whole state; the masks of a frame come next."""
        self._epoch += 1
        self._tell(self.state() if frame is None else {**self.state(), "masks": frame})

    # --- long work ----------------------------------------------------------------------------------

    def _begin(self, kind: str, begin: Callable[[Said], LongWork], said: Said) -> None:
        if kind in self._jobs:
            raise SessionError(f"{UNDER_WAY[kind]} already; wait for it, or stop it")
        self._jobs[kind] = begin(said)

    def _step(self) -> None:
        """One step of the work whose turn it is."""
        kind, (steps, end) = next(iter(self._jobs.items()))
        try:
            step = next(steps)
        except StopIteration:
            self._end_job(kind)
        except MaskletError as error:
            self._end_job(kind, str(error))
        else:
            self._jobs[kind] = self._jobs.pop(kind)
            if step is not None:
                self._tell({"type": "progress", "job": kind, **step})

    def _end_job(self, kind: str, sentence: str = "") -> None:
        """End work of a kind, if it is under way; what it has done stays. The sentence says what hindered it."""
        if kind in self._jobs:
            steps, end = self._jobs.pop(kind)
            steps.close()
            end(sentence)

    def _follow(self, said: Said) -> LongWork:
        direction, first, self._kept.interrupted = said.get("direction", "forward"), said.get("first"), None
        passes = self._tracker.propagate(
            first,
            said.get("stop"),
            direction=direction,
            only=said.get("only"),
            stop_when_unsure=bool(said.get("stop_when_unsure", False)),
            resume=bool(said.get("resume", False)),
        )
        self._kept.following = True
        self._tell({"type": "following", "first": first, "direction": direction})
        return self._following(passes), self._followed

    def _following(self, passes: Iterator[FrameResult]) -> Steps:
        begin, told = monotonic(), 0.0
        for done, result in enumerate(passes, start=1):
            self._kept.later = []
            self._kept.frames = max(self._kept.frames, result.frame + 1)
            self._keep_sometimes()
            if self._pictures is not None and self.pages:
                self._pictures.offer(result.frame, result.image)
            self._tell(self._message(result))
            if (now := monotonic()) < told + PROGRESS_SECONDS:
                yield None
                continue
            told = now
            yield {"frame": result.frame, "done": done, "rate": round(done / max(1e-6, now - begin), 2)}

    def _followed(self, sentence: str) -> None:
        self._kept.following = False
        self._try_to_keep()
        self._tell({**self.state(), "sentence": sentence})

    def _export(self, said: Said) -> LongWork:
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
        return steps, self._exported

    def _exported(self, sentence: str) -> None:
        if sentence:
            self._tell({"type": "warning", "job": "export", "sentence": sentence})

    def _import(self, said: Said) -> LongWork:
        last = None if said.get("last") is None else int(said["last"])
        path = self.folder / "imports" / Path(str(said["file"])).name
        if not path.is_file():
            raise SessionError(f"there is no file {path.name!r:.100}; send it first")
        steps = import_masks(self._tracker, path, int(said.get("first") or 0), last)
        return self._importing(steps, path), self._imported

    def _importing(self, steps: Steps, path: Path) -> Steps:
        self._kept.later = []
        try:
            for step in steps:
                self._keep_sometimes()
                yield step
        finally:
            path.unlink(missing_ok=True)

    def _imported(self, sentence: str) -> None:
        self._try_to_keep()
        self._show_all()
        self._tell({"type": "imported", "sentence": sentence})

    def _keep_sometimes(self) -> None:
        if monotonic() >= self._kept.keep_next:
            self._try_to_keep()

    def _try_to_keep(self) -> None:
        """Long work goes on though the disk is full: it may have room before the end."""
        try:
            self._kept.keep()
        except FormatError as error:
            self._kept.keep_next = monotonic() + 10
            self._tell({"type": "warning", "sentence": str(error)})

    # --- what pages are told ------------------------------------------------------------------------

    def _preview(self, said: Said) -> bytes:
        """What a prompt would be answered with, as a message with one mask."""
        name, prompt = said["object"], prompt_of(said, self._tracker.size)
        found = self._tracker.preview(frame=said["frame"], object=name, prompt=prompt).objects[name]
        head = {"name": name, "state": found.state, "iou": round(found.iou, 4)}
        return self._answer("preview", said, [head], [found.mask])

    def _candidates(self, said: Said) -> bytes:
        """What a first click may mean, as a message with up to three masks, the surest first."""
        prompt = prompt_of(said, self._tracker.size)
        found = self._tracker.candidates(frame=said["frame"], prompt=prompt)
        heads = [{"name": place, "iou": round(iou, 4)} for place, (_, iou) in enumerate(found)]
        return self._answer("candidates", said, heads, [mask for mask, _ in found])

    def _answer(self, kind: str, said: Said, heads: list[dict[str, Any]], masks: list[wire.Mask]) -> bytes:
        head = {"type": kind, "req": said.get("req"), "frame": said["frame"], "objects": heads}
        return wire.message(head, masks)

    def state(self) -> dict[str, Any]:
        tracker, kept = self._tracker, self._kept
        height, width = tracker.size
        return {
            **self._brief(),
            "type": "state",
            "video": {
                "kind": "picture" if self.picture else "video",
                "key": kept.key,
                "name": self.video.name,
                "width": width,
                "height": height,
                "frames": kept.frames,
                "rate": float(tracker.source.rate) if tracker.source.rate else None,
            },
            "model": tracker.engine.config.name,
            "classes": self._classes,
            "objects": self._summary.objects(tracker, kept.frames),
        }

    def _brief(self) -> dict[str, Any]:
        """What changes with every act."""
        events, undone = self._tracker.events, [*self._tracker.undone, *self._kept.later]
        return {
            "type": "brief",
            "seq": self._kept.seq,
            "epoch": self._epoch,
            "undo": summary.event_label(events[-1]) if events else None,
            "redo": summary.event_label(undone[0]) if undone else None,
            "queue": self._summary.queue(self._tracker),
            "interrupted": self._kept.interrupted,
            "following": self._kept.following,
        }

    def frame(self, frame: int) -> bytes:
        return self._message(self._tracker.masks(frame))

    def _message(self, found: FrameResult | PlainFrame) -> bytes:
        return summary.frame_message(self._tracker.tracks, found, self._epoch)
