"""What a page may change of a session, and reading what it says."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from masklet.app import wire
from masklet.errors import MaskletError, SessionError
from masklet.prompts import make_prompt
from masklet.video import VideoTracker


def _prompt(tracker: VideoTracker, said: Mapping[str, Any]) -> None:
    mask = None if said.get("mask") is None else wire.mask_of(said["mask"], tracker.size)
    prompt = make_prompt(
        tracker.size, points=said.get("points"), labels=said.get("labels"), box=said.get("box"), mask=mask
    )
    tracker.add_prompt(
        frame=said["frame"], object=said["object"], prompt=prompt, replace=bool(said.get("replace", False))
    )


def _describe(tracker: VideoTracker, said: Mapping[str, Any]) -> None:
    given = {part: said.get(part) for part in ("title", "category", "colour", "attributes")}
    tracker.describe(said["object"], **given)


@contextlib.contextmanager
def readable(what: str) -> Iterator[None]:
    """Raise SessionError where a message lacks something, or has another kind of value."""
    try:
        yield
    except MaskletError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SessionError(
            f"{what} cannot be read ({error!r:.100}); give it as docs/annotator-protocol.md describes"
        ) from error


ACTS: dict[str, Callable[[VideoTracker, Mapping[str, Any]], Any]] = {
    "prompt": _prompt,
    "describe": _describe,
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
