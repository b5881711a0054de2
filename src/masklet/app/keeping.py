"""What is on the disk of a video that is annotated: the session's file, its journal, and what the library shows."""

import json
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from masklet.app import summary
from masklet.atomic import make_folder, write_whole
from masklet.engines.base import Engine
from masklet.errors import MaskletError
from masklet.video import TrackingOptions, VideoTracker
from masklet.video.events import Event, event_from_json, event_to_json
from masklet.video.journal import journal_of
from masklet.video.project import fingerprint_of

KEEP_EVERY = 1.0
"""Seconds of following after which what was found is written."""

KEEP_SHARE = 100
"""Writing it takes at most one part in so many of the time: a slow disk is written to less often."""

TIDY_AFTER = 2.0
"""Seconds without a change after which what the library shows is written, and a journal that is too long goes into the
session's file."""

MAX_JOURNAL_BYTES = 64 << 20
"""Bytes of a journal that is not too long, and one that is shorter than the session's file is not either."""

FEATURE_BYTES = 512 << 20
"""Bytes of encoded frames that are kept: a click on one of them costs no encoding."""

ANSWERS_KEPT = 64
"""Requests whose answers are remembered, so that one that is sent again is done once."""


class Kept:
    """The tracker of a video, and what of it is on the disk.

    Attributes:
        tracker: Opened from the session's file where there is one.
        key: Tells this video from others that may come under its name.
        frames: How many frames the video has, as far as that is known.
        seq: How many changes were asked for.
        answered: The numbers of the changes that were asked for last, by their requests.
        later: What was undone before the session was opened: after the tracker's own.
        interrupted: What was under way when the server was killed, in words.
        keep_next: When what is followed is written next, by `monotonic`.
    """

    def __init__(self, video: Path, folder: Path, engine: Engine) -> None:
        self._folder, self._file = folder, folder / "session.masklet"
        make_folder(folder)
        options = TrackingOptions(feature_budget=FEATURE_BYTES)
        if self._file.exists():
            # Of another version of the model, such as the one before the last `masklet loop`: what was found stays.
            self.tracker = VideoTracker.open(self._file, video, engine, options=options, other_weights=True)
        else:
            self.tracker = VideoTracker(video, engine, options=options)
        try:
            self.key = fingerprint_of(self.tracker.source, str(video)).digest[:16]
            self.frames = self._count()
            notes, events = self.tracker.notes, self.tracker.events
            self.seq = int(notes.get("seq", 0))
            self.answered: dict[str, int] = dict(notes.get("answered", ()))
            undone = notes.get("undone", ())
            self.later: list[Event] = [event_from_json(record, self.tracker.size) for record in undone]
            self.interrupted = summary.event_label(events[-1]) if notes.get("following") and events else None
        except BaseException:
            self.tracker.close()
            raise
        self.following = False
        self.keep_next = 0.0
        self._journal_size = file_size(journal_of(self._file))
        self._changed: float | None = monotonic()  # when something was changed that the library does not show yet

    def _count(self) -> int:
        source: Any = self.tracker.source
        with suppress(TypeError, MaskletError):
            return len(source)
        return self.tracker.source.frame_count or 1

    def _notes(self) -> dict[str, Any]:
        """What the session's file holds for the annotator itself."""
        undone = [event_to_json(event) for event in (*self.tracker.undone, *self.later)]
        return {
            "seq": self.seq,
            "answered": [list(answer) for answer in self.answered.items()],
            "undone": json.loads(json.dumps(undone)),
            "following": self.following,
        }

    def keep(self, req: str | None = None) -> None:
        """Have what changed on the disk; with a change that was asked for, by its `req`. Raises FormatError if that
        fails."""
        begin, before = monotonic(), (self.seq, self.answered)
        if req is not None:
            self.seq += 1
        if req:
            self.answered = dict([*self.answered.items(), (req, self.seq)][-ANSWERS_KEPT:])
        try:
            if self._file.exists():
                self._journal_size = self.tracker.save_changes(notes=self._notes())
            else:
                self.tracker.save(self._file, notes=self._notes())
        except MaskletError:
            self.seq, self.answered = before
            raise
        self._changed = monotonic()
        self.keep_next = self._changed + max(KEEP_EVERY, KEEP_SHARE * (self._changed - begin))

    def redo(self) -> None:
        """What was undone before the session was opened is computed again."""
        if self.tracker.undone or not self.later:
            self.tracker.redo()
        else:
            self.tracker.replay([self.later.pop(0)])

    def untidy(self) -> float | None:
        """Seconds until `tidy` has something to do; None where nothing was changed."""
        return None if self._changed is None else max(0.0, self._changed + TIDY_AFTER - monotonic())

    def tidy(self, doubts: int, *, always: bool = False) -> None:
        """Write what the library shows, with the number of doubts, and, where it is too long, or always, the journal
        into the session's file. Raises FormatError if that fails."""
        self._changed = None
        if self._journal_size > (0 if always else max(MAX_JOURNAL_BYTES, file_size(self._file))):
            self.tracker.save(self._file, notes=self._notes())
            self._journal_size = 0
        known = len(self.tracker.known_frames())
        done = {"objects": len(self.tracker.tracks), "frames": known, "doubts": doubts}
        write_whole(self._folder / "done.json", json.dumps(done))


def file_size(path: Path) -> int:
    """Bytes of a file; 0 if there is none."""
    return path.stat().st_size if path.exists() else 0
