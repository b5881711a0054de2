"""What a page may change of a video."""

from collections.abc import Callable, Mapping
from typing import Any

from masklet.app import wire
from masklet.prompts import Prompt, make_prompt
from masklet.video import VideoTracker


def prompt_of(said: Mapping[str, Any], size: tuple[int, int]) -> Prompt:
    """The prompt that a message has, for a picture of a size (height, width)."""
    mask = None if said.get("mask") is None else wire.mask_of(said["mask"], size)
    return make_prompt(size, points=said.get("points"), labels=said.get("labels"), box=said.get("box"), mask=mask)


def description_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a message says of an object, as `describe` of a tracker takes it."""
    return {part: said.get(part) for part in ("title", "category", "colour", "attributes")}


def _prompt(tracker: VideoTracker, said: Mapping[str, Any]) -> None:
    prompt, replace = prompt_of(said, tracker.size), bool(said.get("replace", False))
    tracker.add_prompt(frame=said["frame"], object=said["object"], prompt=prompt, replace=replace)


ACTS: dict[str, Callable[[VideoTracker, Mapping[str, Any]], Any]] = {
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
