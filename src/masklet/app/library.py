"""The videos and pictures that were opened, and where the work on them is kept."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any

from masklet.app.files import MAX_UPLOAD_GIB, Uploads
from masklet.app.items import Item, item_of, items_in, place_of
from masklet.app.pictures import Pictures, thumbnail
from masklet.app.session import AnnotationSession
from masklet.atomic import atomic_write, make_folder, write_whole
from masklet.engines.base import Engine
from masklet.errors import MaskletError, MediaError
from masklet.media.image_file import IMAGE_SUFFIXES, VIDEO_SUFFIXES, files_in
from masklet.media.source import open_video

MAX_OPEN = 4
"""So many videos stay open though nobody looks at them: coming back to one is quick."""


class Library:
    """What can be annotated, and what is open of it. Its methods may be called from any thread.

    It is what lies at the paths: videos, pictures, and folders of these. Each item has a folder in that of the project;
    all share a model, and the classes that pages offer for objects. A browser may send files of `largest_upload` GiB.
    Raises MediaError if there is nothing at a path, or nothing that can be annotated.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        folder: Path,
        engine: Engine,
        *,
        classes: Sequence[str] = (),
        largest_upload: float = MAX_UPLOAD_GIB,
    ) -> None:
        self.folder, self.engine, self.classes = folder, engine, list(dict.fromkeys(classes))
        self.uploads = Uploads(folder / "uploads", largest_upload)
        self.items = {item.id: item for item in in_order(folder, (item for path in paths for item in items_in(path)))}
        if not self.items:
            raise MediaError(f"{', '.join(map(str, paths))}: no video and no picture is there; give a file or a folder")
        make_folder(folder / "videos")
        if self.uploads.folder.is_dir():
            sent = files_in(self.uploads.folder, (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES))
            self.items |= {item.id: item for item in map(item_of, sent)}
        self._lock = Lock()
        self._sessions: dict[str, AnnotationSession] = {}
        self._visits: Counter[str] = Counter()  # pages that look at an item, or are about to
        self._pictures: dict[tuple[str, bool], Pictures] = {}

    def item(self, name: str) -> Item:
        """The item of an id. Raises MediaError for an unknown one."""
        if name not in self.items:
            raise MediaError(f"there is no video {name!r:.40} in this library")
        return self.items[name]

    def add(self, path: Path) -> Item:
        """Take a file that was sent into the library."""
        item = item_of(path)
        with self._lock:
            self.items = {**self.items, item.id: item}
        return item

    def place(self, item: Item) -> Path:
        """The folder where work on an item is kept."""
        return place_of(self.folder, item)

    def session(self, name: str) -> AnnotationSession:
        """The open session of an item; the first call opens it. Raises MaskletError if it cannot be opened."""
        item, pictures = self.item(name), self.pictures(name)
        with self._lock:
            session = self._sessions.pop(name, None)
            if session is None:
                self._make_room()
                take_ahead(self.folder, item)
                session = AnnotationSession(
                    item.path, self.place(item), self.engine,
                    picture=item.kind == "picture", pictures=pictures, classes=self.classes,
                )  # fmt: skip
            self._sessions[name] = session  # the one that was wanted last comes last
        try:
            session.wait_open()
        except MaskletError:
            with self._lock:
                if self._sessions.get(name) is session:  # not one that was opened again meanwhile
                    del self._sessions[name]
            raise
        return session

    @contextmanager
    def visited(self, name: str) -> Iterator[None]:
        """While this lasts a page looks at an item, or waits for it to be opened: it is not closed for others."""
        self._visits[name] += 1
        try:
            yield
        finally:
            self._visits[name] -= 1

    def pictures(self, name: str, *, small: bool = False) -> Pictures:
        """The frames of an item as JPEG. `small` ones have a decoder of their own: a filmstrip jumps, and disturbs
        nobody who steps from frame to frame. Raises MaskletError if the item cannot be read."""
        item, key = self.item(name), (name, small)
        with self._lock:
            if key not in self._pictures:
                self._pictures[key] = Pictures(open_video(item.path))
            return self._pictures[key]

    def cover(self, name: str) -> tuple[bytes, dict[str, Any]]:
        """A thumbnail of an item, and its facts: width, height, frames, rate. Both are kept in the project. Raises
        MaskletError if the item cannot be read."""
        item = self.item(name)
        place = self.place(item)
        picture, facts = place / "cover.jpg", place / "facts.json"
        with suppress(OSError, ValueError):
            if facts.stat().st_mtime > item.path.stat().st_mtime:
                return picture.read_bytes(), json.loads(facts.read_bytes())
        data, known = thumbnail(item.path)
        make_folder(place)
        write_whole(picture, data)
        write_whole(facts, json.dumps(known))
        return data, known

    def listing(self) -> list[dict[str, Any]]:
        """All items, each with its facts, what was done of it, and who has it open."""
        return [self._listed(item) for item in self.items.values()]

    def close(self) -> None:
        """Save and close everything."""
        with self._lock:
            for session in self._sessions.values():
                session.close()
            for pictures in self._pictures.values():
                pictures.close()

    def _make_room(self) -> None:
        """Close videos that nobody looks at, those that were wanted last stay."""
        unseen = [name for name in self._sessions if not self._visits[name]]
        for name in unseen[: max(0, len(self._sessions) - MAX_OPEN + 1)]:
            self._sessions.pop(name).close()
            for small in (False, True):
                pictures = self._pictures.pop((name, small), None)
                if pictures is not None:
                    pictures.close()

    def _listed(self, item: Item) -> dict[str, Any]:
        found = {**asdict(item), "path": str(item.path), "pages": 0, "editor": None, "fault": None, "done": None}
        try:
            found |= self.cover(item.id)[1]
        except MaskletError as error:
            found["fault"] = str(error)
        with suppress(OSError, ValueError):
            found["done"] = json.loads((self.place(item) / "done.json").read_bytes())
        session = self._sessions.get(item.id)
        if session is not None:
            found["pages"] = len(session.pages)
            found["editor"] = session.editor.who if session.editor else None
        return found


def take_ahead(project: Path, item: Item) -> None:
    """What `masklet loop` annotated ahead of people becomes the session of an item on which nobody began."""
    ahead, place = project / "loop" / "ahead" / f"{item.id}.masklet", place_of(project, item) / "session.masklet"
    if ahead.exists() and not place.exists():
        make_folder(place.parent)
        with atomic_write(place) as temporary:
            shutil.copyfile(ahead, temporary)


def in_order(project: Path, items: Iterable[Item]) -> list[Item]:
    """Items as `masklet loop` orders them, those that it does not name behind; as they are where it was not run."""
    names: list[str] = []
    with suppress(OSError, ValueError):
        names = [one["id"] for one in json.loads((project / "loop" / "queue.json").read_bytes())]
    places = {name: place for place, name in enumerate(names)}
    return sorted(items, key=lambda item: places.get(item.id, len(places)))
