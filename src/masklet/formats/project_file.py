"""A project: all that was said and found of one video, from which every other format can be written later. It is kept
in masklet's own file, a zip of JSON; docs/formats.md describes it.

masklet.json        version, video, objects, events
masks/00000.jsonl   the first block of frames, a line each; masks/00001.jsonl the next, and so on
attachments/NAME    whatever a session keeps beside, stored as it is

It is read without trust: nothing is unpacked to disk, sizes are bounded, and all values are checked.
"""

import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from itertools import groupby, pairwise
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar
from weakref import finalize

from masklet.atomic import atomic_write
from masklet.errors import FormatError, PromptError
from masklet.formats.base import (
    Facts,
    Fingerprint,
    Format,
    FrameLike,
    ObjectId,
    PlainFrame,
    RleMask,
    comes_evenly,
    rle_of,
)
from masklet.formats.description import Description, read_description
from masklet.formats.json_file import check_plain, entries, entry, parse_json, record_size
from masklet.formats.writer import Spool, when_all_is_known
from masklet.masks.rle import checked_rle, encode_rle
from masklet.prompts import check_name

Key = TypeVar("Key")
Value = TypeVar("Value")

Spans = tuple[tuple[int, int], ...]
"""Frames, as disjoint ranges (first, last), both included."""

FRAMES_PER_BLOCK = 64
"""Frames that a project file keeps together; block n begins with frame n * FRAMES_PER_BLOCK."""

KEPT_BLOCKS = 4
"""Blocks that stay in memory when they were read."""

PROJECT_VERSION = 1
"""Grows when a reader of the old version would misread the file."""

FRAME_NUMBERS = range(1 << 24)
"""Numbers of frames: a week at 25 frames a second."""

MAX_RATE = 1e9
"""Frames a second."""

MAX_SCORE = 1000
"""The largest IoU or presence; they lie between 0 and 1 or little outside."""

MAX_MEMBERS = 1 << 20

MAX_LINE = 1 << 25
"""Bytes of a frame's line: 32 MiB."""

MAX_JSON = 1 << 27
"""Bytes of a JSON member, unpacked: 128 MiB."""

MAX_BYTES = 1 << 34
"""Bytes of all members, unpacked: 16 GiB."""


@dataclass(frozen=True)
class ProjectFrame:
    """All objects in one frame, `time` in seconds since the first."""

    time: float
    objects: Mapping[ObjectId, RleMask]


class Lazy(Mapping[Key, Value]):
    """Values of which each is made, or read, when it is asked for, and not kept; `make` may raise `FormatError`."""

    def __init__(self, keys: Iterable[Key], make: Callable[[Key], Value]) -> None:
        self._keys, self._make = dict.fromkeys(keys), make

    def __getitem__(self, key: Key) -> Value:
        if key not in self._keys:
            raise KeyError(key)
        return self._make(key)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def frames_in_blocks(
    frames: Iterable[int], read: Callable[[int], Mapping[int, ProjectFrame]]
) -> Mapping[int, ProjectFrame]:
    """Frames of a file, of which blocks are read, by their numbers; those that were read last stay in memory."""
    block = lru_cache(KEPT_BLOCKS)(read)

    def frame(number: int) -> ProjectFrame:
        if (found := block(number // FRAMES_PER_BLOCK).get(number)) is None:
            raise FormatError(f"the project lacks frame {number}, which it promises; give another copy of the file")
        return found

    return Lazy(frames, frame)


@dataclass(frozen=True)
class Project:
    """The content of a `.masklet` file."""

    size: tuple[int, int]  # (height, width) of the video
    # the number of each object, by the user's names, in the order in which they were added
    indices: Mapping[ObjectId, int] = field(default_factory=dict)
    # what is said of objects, of those of which anything is
    descriptions: Mapping[ObjectId, Description] = field(default_factory=dict)
    # what was found, by frame; those of a file are read when they are asked for, which may raise FormatError
    frames: Mapping[int, ProjectFrame] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()  # the log of prompts, plain JSON; it alone rebuilds the session
    video: str = ""  # the video's name or path, as it was given
    rate: float | None = None  # frames a second, or None
    frame_count: int | None = None  # number of frames of the video, or None
    model: str = ""  # the name of the model
    weights: str = ""  # the digest of its weights, or empty
    fingerprint: Fingerprint | None = None  # identifies the video, or None
    options: Mapping[str, Any] = field(default_factory=dict)  # how it was tracked, plain JSON; empty if unknown
    # what the program that wrote the file keeps for itself, plain JSON
    notes: Mapping[str, Any] = field(default_factory=dict)
    # further files by name, such as what a tracker remembers; read like the frames, by no other program
    attachments: Mapping[str, bytes] = field(default_factory=dict)
    digest: bytes = field(default=b"", compare=False)  # of a file that was read: `manifest_digest` it

    def results(self) -> Iterator[PlainFrame]:
        """The frames in their order, for any writer; without pictures: `dataclasses.replace(result, image=...)`."""
        for frame in sorted(self.frames):
            found = self.frames[frame]
            yield PlainFrame(frame, found.time, self.size, found.objects, self.indices, descriptions=self.descriptions)

    def facts(self) -> Facts:
        """The facts of the video, for a writer."""
        times = [self.frames[frame].time for frame in sorted(self.frames)]
        return Facts(
            self.size,
            self.rate,
            self.frame_count,
            self.video,
            model=self.model,
            fingerprint=self.fingerprint,
            events=self.events,
            steady=comes_evenly(self.rate, sorted(self.frames), times),
        )


def project_frame(result: FrameLike) -> ProjectFrame:
    """A tracker's result as a project keeps it."""
    numbers = result.index_map() if len(result.objects) > 1 else None
    masks: dict[ObjectId, RleMask] = {}
    for name, item in result.objects.items():
        lost = item.mask & (numbers != result.indices[name]) if numbers is not None else None
        taken = encode_rle(lost) if lost is not None and lost.any() else None
        masks[name] = RleMask(rle_of(item), float(item.iou), float(item.presence), taken)
    return ProjectFrame(float(result.time), masks)


def spans_of(frames: Iterable[int]) -> Spans:
    """Frames in their order as ranges."""
    spans: list[tuple[int, int]] = []
    for frame in frames:
        joins = bool(spans) and spans[-1][1] == frame - 1
        spans[-1:] = [(spans[-1][0], frame)] if joins else [*spans[-1:], (frame, frame)]
    return tuple(spans)


def check_video(project: Project, fingerprint: Fingerprint) -> None:
    """Raises FormatError, saying in what they differ, if the project was made from another video."""
    known = project.fingerprint
    if known is None:
        return
    differences = []
    if known.size != fingerprint.size:
        differences.append(f"(height, width) is {known.size} there and {fingerprint.size} here")
    counts = known.frame_count, fingerprint.frame_count
    if None not in counts and counts[0] != counts[1]:
        differences.append(f"the number of frames is {counts[0]} there and {counts[1]} here")
    if not differences and known.digest == fingerprint.digest:
        return
    told = ", ".join(differences) or "its pictures differ"
    name = f" ({project.video})" if project.video else ""
    raise FormatError(f"the project was made from another video{name}: {told}; give that video")


def video_of(project: Project, path: str | PathLike[str]) -> Path:
    """Where the video of a project file lies. Raises `FormatError` if the file does not name it, or it is not here."""
    name = Path(path).name
    if not project.video:
        raise FormatError(f"{name} does not say where its video is; give the video too")
    video = Path(path).absolute().parent / project.video
    if "://" in project.video or not os.path.exists(video):
        raise FormatError(f"{name} names a video at {project.video}, where there is none; give the video too")
    return video


def path_from(video: str, project: str | PathLike[str]) -> str:
    """The path of the video, relative to the folder of the project file. An empty text stays one."""
    if not video or "://" in video:
        return ""
    return Path(os.path.relpath(Path(video).absolute(), Path(project).absolute().parent)).as_posix()


def write_project(path: str | PathLike[str], project: Project) -> None:
    """Write a project file. Raises FormatError if it cannot be written, or has notes that could not be read again; what
    was there before stays then."""
    path = Path(path)
    check_plain(project.notes, "notes")
    for name in project.attachments:
        if not is_plain(name):
            raise FormatError(f"{name!r} is no name for an attachment; use letters, digits, and . _ - inside")
    with (
        atomic_write(path, durable=True) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as members,
    ):
        members.writestr("masklet.json", _to_json(_manifest(project)))
        for block, frames in groupby(sorted(project.frames), key=lambda frame: frame // FRAMES_PER_BLOCK):
            with members.open(f"masks/{block:05d}.jsonl", "w") as file:
                for frame in frames:
                    file.write(_to_json(_frame_record(frame, project)) + b"\n")
        for name, content in project.attachments.items():
            members.writestr(f"attachments/{name}", content, zipfile.ZIP_STORED)


@when_all_is_known
def write_project_frames(path: Path, facts: Facts, spool: Spool) -> None:
    """A project of the frames that come, with the prompts of the facts."""
    lies = os.path.isabs(facts.video) or os.path.exists(facts.video)
    project = Project(
        size=facts.size,
        indices=spool.indices,
        descriptions=spool.descriptions,
        frames={frame: ProjectFrame(spool.times[frame], spool.masks(frame)) for frame in spool.frames()},
        events=facts.events,
        video=path_from(facts.video, path) if lies else facts.video,
        rate=None if facts.rate is None else float(facts.rate),
        frame_count=facts.frame_count,
        model=facts.model,
        fingerprint=facts.fingerprint,
    )
    write_project(path, project)


def _manifest(project: Project) -> dict[str, Any]:
    height, width = project.size
    return {
        "format": "masklet project",
        "version": PROJECT_VERSION,
        "video": {
            "name": project.video,
            "height": height,
            "width": width,
            "rate": project.rate,
            "frame_count": project.frame_count,
            "fingerprint": asdict(project.fingerprint) if project.fingerprint else None,
        },
        "model": project.model,
        "weights": project.weights,
        "objects": [
            {"name": name, "number": number, **(project.descriptions.get(name) or Description()).to_json()}
            for name, number in project.indices.items()
        ],
        "events": [dict(event) for event in project.events],
        "frames": spans_of(sorted(project.frames)),
        **({"options": dict(project.options)} if project.options else {}),
        **({"notes": dict(project.notes)} if project.notes else {}),
    }


def _frame_record(frame: int, project: Project) -> dict[str, Any]:
    """A line of masks: each object as [its place in "objects", iou, presence, counts], and, if others have some of its
    pixels in index maps, [place, counts] of those."""
    found = project.frames[frame]
    places = {name: place for place, name in enumerate(project.indices)}
    objects = []
    for name, item in found.objects.items():
        assert item.rle.size == project.size, f"the mask of {name!r} in frame {frame} is {item.rle.size}"
        objects.append([places[name], item.iou, item.presence, item.rle.counts])
    lost = [[places[name], item.lost.counts] for name, item in found.objects.items() if item.lost is not None]
    return {"frame": frame, "time": found.time, "objects": objects, **({"lost": lost} if lost else {})}


def _to_json(record: dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode("ascii")


def read_project(path: str | PathLike[str]) -> Project:
    """Read a project file.

    Raises FormatError if it is missing, damaged, of a newer version, or made to do harm: with paths that leave
    its folder, or sizes beyond reason. Nothing is unpacked to disk.
    """
    path = Path(path)
    with readable(path):
        # A file that is open cannot be replaced on Windows, as a save does.
        members = zipfile.ZipFile(path if os.name == "posix" else BytesIO(path.read_bytes()))
        assert members.fp is not None, "it was just opened"
        finalize(members, members.fp.close)  # in a circle of garbage the file would go first, with a warning
        return _read(members, path)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a project file into a `FormatError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise FormatError(f"there is no file at {path}; give the path of a .masklet file") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise FormatError(f"{path.name} is no whole project file: {str(error)[:100]}; give another copy") from error
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}") from error


def _read(members: zipfile.ZipFile, path: Path) -> Project:
    name = path.name
    _check_members(members, name)
    if "masklet.json" not in members.namelist():
        raise FormatError(f"{name} holds no masklet.json; it is no project file")
    content = _content(members, "masklet.json")
    manifest = {"weights": "", "options": {}, "notes": {}, **parse_json(content, name)}
    version = entry(manifest, "version", int, name)
    if version > PROJECT_VERSION:
        raise FormatError(
            f"{name} is of version {version}, and this masklet reads up to {PROJECT_VERSION}; update masklet"
        )
    if version < 1 or manifest.get("format") != "masklet project":
        raise FormatError(f"{name} is no masklet project; give the path of a .masklet file")
    video = entry(manifest, "video", dict, name)
    size = record_size(video, name)
    objects = entries(manifest, "objects", dict, name)
    indices = {_object_name(record, name): _in(range(1, 1 << 31), record, "number", name) for record in objects}
    described = [read_description(record, name) for record in objects]
    if not len(objects) == len(indices) == len(set(indices.values())):
        raise FormatError(f"{name} names an object twice, or gives a number to two; give another copy")

    def attachment(attached: str) -> bytes:
        with readable(path):
            return _content(members, f"attachments/{attached}")

    attached = (member[len("attachments/") :] for member in members.namelist() if member.startswith("attachments/"))
    return Project(
        size=size,
        indices=indices,
        descriptions={known: said for known, said in zip(indices, described, strict=True) if said},
        frames=_frames(manifest, members, path, size, list(indices)),
        events=tuple(entries(manifest, "events", dict, name)),
        video=entry(video, "name", str, name),
        rate=_rate(video, name),
        frame_count=_frame_count(video, name),
        model=entry(manifest, "model", str, name),
        weights=entry(manifest, "weights", str, name),
        fingerprint=_fingerprint(video, name),
        options=entry(manifest, "options", dict, name),
        notes=entry(manifest, "notes", dict, name),
        attachments=Lazy(filter(is_plain, attached), attachment),
        digest=sha256(content).digest(),
    )


def manifest_digest(path: Path) -> bytes:
    """32 bytes by which a project file is known: its log and its settings decide what is in it."""
    with zipfile.ZipFile(path) as members:
        return sha256(members.read("masklet.json")).digest()


def _check_members(members: zipfile.ZipFile, name: str) -> None:
    """Raises FormatError for names that leave the file's folder, and for sizes beyond reason."""
    infos = members.infolist()
    for info in infos:
        parts = info.filename.split("/")
        if info.filename.startswith("/") or ".." in parts or re.search(r"[\\:\x00-\x1f]", info.orig_filename):
            raise FormatError(
                f"{name} holds {info.filename!r:.100}, a path that leaves its folder; don't trust this file"
            )
        if info.filename.endswith((".json", ".jsonl")) and info.file_size > MAX_JSON:
            raise FormatError(f"{name} unpacks {info.filename} to {info.file_size} bytes; the limit is {MAX_JSON}")
        if info.filename.startswith("attachments/") and info.file_size > info.compress_size:
            raise FormatError(f"{name} holds {info.filename} compressed; attachments are stored as they are")
    total = sum(info.file_size for info in infos)
    if total > MAX_BYTES or len(infos) > MAX_MEMBERS:
        raise FormatError(
            f"{name} unpacks to {total} bytes in {len(infos)} members; the limits are {MAX_BYTES} and {MAX_MEMBERS}"
        )
    if len({info.filename for info in infos}) != len(infos):
        raise FormatError(f"{name} holds a member twice; give another copy")


def _content(members: zipfile.ZipFile, member: str) -> bytes:
    """A member's bytes, never more than its header promises: `_check_members` has seen that."""
    with members.open(member) as file:
        return file.read(members.getinfo(member).file_size)


def _frames(
    manifest: dict[str, Any], members: zipfile.ZipFile, path: Path, size: tuple[int, int], names: list[ObjectId]
) -> Mapping[int, ProjectFrame]:
    """The frames: those of files of the first versions, which do not say which they have, are read at once."""
    found = (re.fullmatch(r"masks/(\d{1,9})\.jsonl", member) for member in members.namelist())
    blocks = {int(match[1]): match[0] for match in found if match}

    def read(block: int) -> dict[int, ProjectFrame]:
        with readable(path):
            lines = list(_block(members, blocks[block], path.name, size, names))
        if len(frames := dict(lines)) < len(lines):
            raise FormatError(f"{path.name} has the masks of a frame twice, in {blocks[block]}; give another copy")
        return frames

    if "frames" not in manifest:
        return {frame: found for block in sorted(blocks) for frame, found in read(block).items()}
    spans = entries(manifest, "frames", list, path.name)
    match = [span for span in spans if len(span) == 2 and all(type(f) is int and f in FRAME_NUMBERS for f in span)]
    pairs = [(first, last) for first, last in match if first <= last]
    if len(pairs) < len(spans) or any(later[0] <= earlier[1] for earlier, later in pairwise(pairs)):
        raise FormatError(f"'frames' in {path.name} is no list of ranges [first, last]; give another copy")
    missing = {
        block for first, last in pairs for block in range(first // FRAMES_PER_BLOCK, last // FRAMES_PER_BLOCK + 1)
    } - blocks.keys()
    if missing:
        raise FormatError(
            f"{path.name} lacks the masks of frame {min(missing) * FRAMES_PER_BLOCK} and on; give another copy"
        )
    return frames_in_blocks((frame for first, last in pairs for frame in range(first, last + 1)), read)


def _block(
    members: zipfile.ZipFile, member: str, name: str, size: tuple[int, int], names: list[ObjectId]
) -> Iterator[tuple[int, ProjectFrame]]:
    """The frames of a member, by their numbers."""
    place = f"{member} in {name}"
    with members.open(member) as file:
        while line := file.readline(MAX_LINE):
            if len(line) == MAX_LINE:
                raise FormatError(f"{name} has a line of over {MAX_LINE} bytes in {member}; don't trust this file")
            record = parse_json(line, place)
            objects: dict[ObjectId, RleMask] = {}
            for item in entries(record, "objects", list, name):
                number, mask = _mask(item, size, place)
                if not 0 <= number < len(names):
                    raise FormatError(f"{place} has a mask of object {number}; there are {len(names)}")
                objects[names[number]] = mask
            for item in entries(record, "lost", list, place, []):  # the pixels that objects lost to others
                match item:
                    case [int(number), str(counts)] if number >= 0:
                        lost = checked_rle(size, counts)
                    case _:
                        raise FormatError(f'{place} has a "lost" that is not [object, counts]; give another copy')
                if number >= len(names) or names[number] not in objects:
                    raise FormatError(f"{place} says what object {number} lost, which has no mask there")
                objects[names[number]] = replace(objects[names[number]], lost=lost)
            yield _in(FRAME_NUMBERS, record, "frame", place), ProjectFrame(entry(record, "time", float, name), objects)


def _mask(item: list[Any], size: tuple[int, int], place: str) -> tuple[int, RleMask]:
    match item:
        case [int(number), float() | int() as iou, float() | int() as presence, str(counts)] if (
            abs(iou) <= MAX_SCORE and abs(presence) <= MAX_SCORE  # NaN is no less than anything
        ):
            return number, RleMask(checked_rle(size, counts), float(iou), float(presence))
    raise FormatError(f"{place} has a mask that is not [object, iou, presence, counts]; give another copy")


def _object_name(record: dict[str, Any], name: str) -> ObjectId:
    try:
        known = record.get("name")
        return check_name(known if type(known) is int else entry(record, "name", str, name))
    except PromptError as error:
        raise FormatError(f"{name} cannot be read: {error}") from None


def _in(bounds: range, record: dict[str, Any], key: str, name: str) -> int:
    value = entry(record, key, int, name)
    if value not in bounds:
        raise FormatError(f"{key!r} in {name} is {value}; expected {bounds.start} to {bounds.stop - 1}")
    return value


def _frame_count(record: dict[str, Any], name: str) -> int | None:
    return None if record.get("frame_count") is None else _in(FRAME_NUMBERS, record, "frame_count", name)


def _rate(video: dict[str, Any], name: str) -> float | None:
    rate = None if video.get("rate") is None else entry(video, "rate", float, name)
    if rate is not None and not 0 < rate < MAX_RATE:
        raise FormatError(f"'rate' in {name} is {rate}; expected frames a second")
    return rate


def _fingerprint(video: dict[str, Any], name: str) -> Fingerprint | None:
    if video.get("fingerprint") is None:
        return None
    record = entry(video, "fingerprint", dict, name)
    size = entries(record, "size", int, name)
    if len(size) != 2:
        raise FormatError(f"the fingerprint in {name} has the size {size}; expected [height, width]")
    return Fingerprint((size[0], size[1]), _frame_count(record, name), entry(record, "digest", str, name))


def is_plain(name: str) -> bool:
    """Whether an attachment may have this name: letters, digits, and . _ - inside."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) is not None


PROJECT = Format(
    "project",
    "masklet's own file: prompts, masks, scores; all others come from it",
    write_project_frames,
    lambda path: read_project(path).results(),
    video=".masklet",
)
