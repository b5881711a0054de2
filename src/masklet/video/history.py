"""What was done and undone in a session, with the states between."""

from __future__ import annotations

from dataclasses import dataclass, field

from masklet.errors import SessionError
from masklet.video.events import Event, Followed
from masklet.video.session import Tracks
from masklet.video.state import ObjectId

Step = tuple[Event, Tracks | None]
"""An event, and the state on its other side: before it if it was done, after it if it was undone. None if that state is
not known, because the event was done before the session was saved."""


@dataclass
class Pass:
    """A pass that is under way."""

    before: Tracks
    first: int
    backward: bool
    apart: bool
    only: ObjectId | None
    last: int | None = None

    def event(self) -> Followed | None:
        """What the log tells of it; None if it did not come to its first frame."""
        if self.last is None:
            return None
        return Followed(self.first, self.last, self.backward, self.only, self.apart)


@dataclass
class History:
    """Events in order. State is immutable, so the old one is kept, and undoing is putting it back."""

    done: list[Step] = field(default_factory=list)
    undone: list[Step] = field(default_factory=list)
    under_way: Pass | None = None

    def record(self, event: Event, before: Tracks) -> None:
        """One more event. What was undone cannot be done again."""
        self.settle()
        self.done.append((event, before))
        self.undone.clear()

    def begin(self, new: Pass) -> Pass:
        """A pass begins, or goes on after another event."""
        self.settle()
        self.under_way = new
        return new

    def settle(self) -> None:
        """Record the pass that is under way, as far as it came."""
        going, self.under_way = self.under_way, None
        if going is not None and (event := going.event()) is not None:
            self.done.append((event, going.before))
            self.undone.clear()

    def before(self) -> Tracks | None:
        """The state before the last event, or None if it is not known. Raises `SessionError` if nothing was done."""
        self.settle()
        if not self.done:
            raise SessionError("there is nothing to undo")
        return self.done[-1][1]

    def undo(self, now: Tracks) -> Event:
        """The last event, which is not among the others from here on."""
        event, _ = self.done.pop()
        self.undone.append((event, now))
        return event

    def redo(self, now: Tracks) -> Step:
        """The event undone last and the state after it. Raises `SessionError` if nothing was undone."""
        self.settle()
        if not self.undone:
            raise SessionError("there is nothing to redo")
        event, after = self.undone.pop()
        self.done.append((event, now))
        return event, after

    def events(self) -> list[Event]:
        """What was done, in order."""
        self.settle()
        return [event for event, _ in self.done]

    def clear(self) -> None:
        """Forget everything."""
        self.done.clear()
        self.undone.clear()
        self.under_way = None
