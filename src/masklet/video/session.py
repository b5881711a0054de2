"""A session: what a person said of the objects of a video, what came of it, its log and undo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy

from masklet.errors import SessionError
from masklet.formats.description import Description
from masklet.video.edits import EditContext, after, track_of
from masklet.video.events import (
    Cleared,
    Described,
    Event,
    History,
    Locked,
    Mark,
    Marked,
    Merged,
    Removed,
    Split,
    Swapped,
    checked_object,
)
from masklet.video.review import ReviewReason
from masklet.video.state import ObjectId, Tracks, doubts, known_frames


class Session:
    """The state of a tracker, and all that changes it without asking the network.

    Attributes:
        tracks: What is known of each object.
    """

    def __init__(self, edit_context: EditContext) -> None:
        self.tracks: Tracks = {}
        self._edit_context = edit_context
        self._history = History()
        self._closed = False

    @property
    def events(self) -> list[Event]:
        """The events of the session, in order, without undone ones."""
        return self._history.events

    @property
    def undone(self) -> list[Event]:
        """What `redo` would do, the next one first."""
        return [event for event, _ in reversed(self._history.undone)]

    @property
    def objects(self) -> dict[ObjectId, Description]:
        """The objects in the order in which they were added, and what is said of them."""
        return {name: track.description for name, track in self.tracks.items()}

    def needs_prompt(self) -> dict[int, dict[ObjectId, ReviewReason]]:
        """The frames at which a person should look, in their order, each with the objects in doubt and why. No mask is
        read: each frame has kept its reason since it was found."""
        found = doubts(self.tracks)
        return {f: {name: ReviewReason(why) for name, why in reasons.items()} for f, reasons in found.items()}

    def known_frames(self) -> list[int]:
        """Frames of which something is known, in their order."""
        return known_frames(self.tracks)

    def clear(self, frame: int, object: ObjectId) -> None:
        """Take back the prompts on an object in a frame. What was tracked there before comes back, if it is known; what
        was followed elsewhere stays until the next pass. With its last prompt goes all that was found of an object.

        Raises:
            SessionError: There is no such object, or no prompt of it on the frame.
        """
        self._do(Cleared(frame, object))

    def remove(self, object: ObjectId) -> None:
        """Remove an object with all that is known of it.

        Raises:
            SessionError: There is no such object.
        """
        self._do(Removed(object))

    def describe(
        self,
        object: ObjectId,
        *,
        title: str | None = None,
        category: str | None = None,
        colour: str | None = None,
        attributes: Mapping[str, str | float | bool] | None = None,
    ) -> None:
        """Say what an object is. An unknown one is added, to be prompted later; what is not given stays.

        Args:
            object: The user's name for it.
            title: What people read in place of that name.
            category: Its class, such as "car", in files for training.
            colour: "#rrggbb", in overlays and palettes.
            attributes: Texts, numbers and truths by name, in place of all earlier ones.

        Raises:
            SessionError: One of them is something else.
        """
        track = track_of(self.tracks, checked_object(object), self._edit_context.new)
        self._do(Described(object, track.description.updated(title, category, colour, attributes)))

    def lock(self, frame: int, object: ObjectId | None = None) -> None:
        """Approve a frame, of one object or of all: its masks never change again, and all other frames learn from them.
        `clear` takes it back.

        Raises:
            SessionError: Nothing is known of the frame, or there is no such object.
        """
        self._do(Locked(frame, object))

    def accept(self, object: ObjectId, first: int, last: int | None = None) -> None:
        """Leave an object's frames as they are, from `first` to `last`, that one included: they are in doubt no more,
        and following passes them over. Unlike a locked frame none of them counts as a prompt.

        Raises:
            SessionError: There is no such object, or nothing is known of it there.
        """
        self._mark(object, first, last, "accepted")

    def mark_absent(self, object: ObjectId, first: int, last: int | None = None) -> None:
        """Say that an object is not there from frame `first` to `last`, that one included. Its prompts and locks there
        go; following leaves these frames alone, and no other frame learns from them. A later prompt on one of them
        counts again.

        Raises:
            SessionError: There is no such object.
            MediaError: The video has no such frames.
        """
        self._mark(object, first, last, "absent")

    def unmark(self, object: ObjectId, first: int, last: int | None = None) -> None:
        """Take back what `accept` or `mark_absent` said of frames; what was tracked there is seen again.

        Raises:
            SessionError: Nothing was said of them.
        """
        self._mark(object, first, last, None)

    def swap(self, frame: int, object: ObjectId, other: ObjectId) -> None:
        """Exchange all that is known of two objects from a frame on: masks, prompts, locks and marks.

        Raises:
            SessionError: There is no such object, or nothing is known of both from there on.
        """
        self._do(Swapped(frame, object, other))

    def split(self, frame: int, object: ObjectId, new: ObjectId) -> None:
        """Make what is known of an object from a frame on a new object, of the same category and attributes.

        Raises:
            SessionError: There is no such object, the new one is there already, or the frame does not divide what is
                known.
        """
        self._do(Split(frame, object, new))

    def merge(self, object: ObjectId, into: ObjectId) -> None:
        """Make an object a part of another one. On a frame that both know, the one for which a person answers stays; of
        two of a kind the one that is seen; where both are, both masks together.

        Raises:
            SessionError: There is no such object.
        """
        self._do(Merged(object, into))

    def undo(self) -> Event:
        """Take back the last event, and return it. Nothing is computed again for the events of this session, and for
        the newest of those before it was saved; for older ones everything before them is, by the present model and
        options.

        Raises:
            SessionError: Nothing was done.
        """
        if not self._history.done:
            raise SessionError("there is nothing to undo")
        event, before = self._history.done[-1]
        if before is None:
            past = copy(self)
            past.tracks, past._history = {}, History()
            past.replay(self.events[:-1])
            self._history.done, before = [*past._history.done, (event, past.tracks)], past.tracks
        before = dict(before)  # of a file it is read now, which may fail
        event, self.tracks = self._history.undo(self.tracks), before
        return event

    def redo(self) -> Event:
        """Do again what was undone last, and return it. Nothing is computed again.

        Raises:
            SessionError: Nothing was undone since the last event.
        """
        event, tracks = self._history.redo(self.tracks)
        assert tracks is not None, "the state after an undone event is always known"
        self.tracks = tracks
        return event

    def replay(self, events: Sequence[Event]) -> None:
        """Do recorded events on top of what is there, computing everything."""
        for event in events:
            self._do(event)

    def _do(self, event: Event) -> None:
        self._check_open()
        self._record(event, after(self.tracks, event, self._edit_context))

    def _mark(self, name: ObjectId, first: int, last: int | None, mark: Mark | None) -> None:
        self._do(Marked(name, first, first if last is None else last, mark))

    def _record(self, event: Event, tracks: Tracks) -> None:
        self._history.record(event, before=self.tracks)
        self.tracks = tracks

    def _check_open(self) -> None:
        if self._closed:
            raise SessionError("this tracker is closed; open a new one, or the session that was saved")
