"""Files that pages send and fetch: videos and pictures, taken in parts and read before they are in the library; and
masks in every format, made and taken over frame by frame between other work."""

import hashlib
import os
import re
import shutil
import time
import zipfile
import zlib
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anyio import to_thread

from masklet.app.pictures import thumbnail
from masklet.app.web import store
from masklet.atomic import atomic_write, flush, make_folder, writing
from masklet.errors import FormatError, MaskletError, MediaError
from masklet.formats.base import Format
from masklet.formats.registry import find_format, formats, read_masks, recognise_format, under_names
from masklet.formats.writer import Writer
from masklet.media.image_file import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from masklet.media.source import open_video
from masklet.video import VideoTracker
from masklet.video.result import frame_result
from masklet.video.state import ObjectId

Steps = Generator[Mapping[str, Any] | None, None, None]
"""Long work: a step at each `next`, which gives what pages are told of it, or None."""

MAX_UPLOAD_GIB = 16.0
"""GiB of a video or picture, if no other limit is given."""

MAX_MASKS = 1 << 30
"""Bytes of a file with masks."""

MAX_FILE_NAME = 100
"""Bytes of a name."""

FREE_DISK_BYTES = 1 << 30
"""Bytes of the disk that stay free: the work on what was sent needs room too."""

UPLOAD_EXPIRY_SECONDS = 7 * 86400
"""Seconds after which a file of which no more came is removed."""

UNPACKED, MEMBERS = 4 << 30, 100_000
"""Bytes to which a ZIP may unpack, and files in it."""


# --- videos and pictures ----------------------------------------------------------------------------------------------


class Behind(MaskletError):
    """What was sent does not go on from the bytes that are there, which `at` counts."""

    def __init__(self, at: int) -> None:
        super().__init__(f"the server has {at} bytes of this file; go on from there")
        self.at = at


@dataclass(frozen=True)
class Upload:
    """A file that is being sent, with its `safe_name`, its bytes, and where they are gathered."""

    name: str
    size: int
    partial: Path

    @property
    def at(self) -> int:
        """How many of its bytes are there."""
        return self.partial.stat().st_size if self.partial.exists() else 0


class Uploads:
    """The folder of what was sent, made with the first file; a file may have `largest` GiB."""

    def __init__(self, folder: Path, largest: float = MAX_UPLOAD_GIB) -> None:
        self.folder = folder
        self._largest = int(largest * (1 << 30))
        self._busy: set[Path] = set()
        for left in folder.glob(".*"):
            if left.stat().st_mtime < time.time() - UPLOAD_EXPIRY_SECONDS:
                left.unlink(missing_ok=True)

    def begin(self, name: str, size: int, changed: str) -> Upload:
        """A file that is to be sent, or sent on. `changed` is when it was changed last, as the browser says: that tells
        files of one name and size apart. Raises MaskletError for one that is not taken."""
        plain = safe_name(name)
        told = f"{plain}\n{size}\n{changed[:40]}".encode("utf-8", "replace")
        upload = Upload(plain, size, self.folder / f".{hashlib.sha256(told).hexdigest()[:24]}.upload")
        if not 0 < size <= self._largest:
            raise MediaError(
                f"{plain} has {size} bytes, and 1 to {self._largest} are taken; "
                "masklet annotate --largest-upload sets the limit, in GiB"
            )
        make_folder(self.folder)
        if shutil.disk_usage(self.folder).free < size - upload.at + FREE_DISK_BYTES:
            raise FormatError(f"there is no room for {plain} on the disk of {self.folder}; make some")
        return upload

    async def receive(self, upload: Upload, at: int, content: AsyncIterator[bytes]) -> Path | None:
        """Take bytes of a file, from byte `at` on. What came before a connection breaks is kept.

        Returns: Where the file is, once it is whole; None if more is to come.

        Raises:
            Behind: There are more bytes than `at`, or fewer.
            MediaError: More came than the file has, or it is whole and cannot be read; then it is not kept.
            FormatError: It cannot be written.
        """
        if upload.partial in self._busy:
            raise MediaError(f"{upload.name} is being sent already; wait for that")
        self._busy.add(upload.partial)
        try:
            with writing(self.folder / upload.name):
                with upload.partial.open("ab") as file:
                    there = file.tell()
                    if there != at:
                        raise Behind(there)
                    async for part in content:
                        there += len(part)
                        if there > upload.size:
                            raise MediaError(f"more came than the {upload.size} bytes of {upload.name}; send it again")
                        await to_thread.run_sync(file.write, part)
                return await to_thread.run_sync(self._finish, upload) if there == upload.size else None
        except MediaError:
            upload.partial.unlink(missing_ok=True)
            raise
        finally:
            self._busy.discard(upload.partial)

    def _finish(self, upload: Upload) -> Path:
        """Give a whole file its name, if it can be read."""
        probed = upload.partial.with_suffix(Path(upload.name).suffix.lower())
        os.replace(upload.partial, probed)
        try:
            thumbnail(probed)
        except MediaError as error:
            raise MediaError(str(error).replace(str(probed), upload.name).replace(probed.name, upload.name)) from None
        else:
            flush(probed)
            return self._named(probed, upload.name)
        finally:
            probed.unlink(missing_ok=True)

    def _named(self, file: Path, name: str) -> Path:
        """The file under its name, or, where that is taken, under one with a number."""
        stem, suffix = Path(name).stem, Path(name).suffix
        for number in range(1, 10_000):
            target = self.folder / (name if number == 1 else f"{stem}-{number}{suffix}")
            with suppress(FileExistsError):
                target.open("xb").close()
                os.replace(file, target)
                return target
        raise FormatError(f"there are too many files called {name}; give it another name")


def safe_name(name: str) -> str:
    """A file's name that means nothing but a file: without folders, control characters and what a system forbids, and
    not too long. Raises MediaError for a kind of file that masklet does not read."""
    plain = re.sub(r'[\x00-\x1f\x7f<>:"|?*]+', "-", re.split(r"[/\\]", name)[-1]).strip(" .-")
    plain = plain.encode("utf-8", "replace").decode()
    stem, suffix = Path(plain).stem.strip(" .").encode()[:MAX_FILE_NAME].decode(errors="ignore"), Path(plain).suffix
    if suffix.lower() not in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES):
        raise MediaError(
            f"{plain[:MAX_FILE_NAME] or 'a file without a name'} is no video and no picture that masklet reads"
        )
    return f"{stem}{suffix}"


# --- masks ------------------------------------------------------------------------------------------------------------


def choices(*, picture: bool) -> list[dict[str, Any]]:
    """The formats that can be written: name, help and ending."""
    found = [(entry, ending_of(entry, picture=picture)) for entry in formats().values()]
    return [{"name": e.name, "help": e.help, "ending": ending} for e, ending in found if ending is not None]


def ending_of(entry: Format, *, picture: bool) -> str | None:
    """The ending of a format's file; empty for a folder, None where it cannot hold this."""
    return entry.picture if picture and entry.picture is not None else entry.video


def export(
    tracker: VideoTracker,
    video: Path,
    folder: Path,
    name: str,
    *,
    first: int | None = None,
    last: int | None = None,
    objects: Sequence[ObjectId] | None = None,
    picture: bool = False,
) -> Steps:
    """Write what is known of a video, or of a single picture, into a folder, in a format of that name, a step a frame.
    A folder becomes a ZIP beside it. The session may change on the way: what was known at the beginning is written.

    Yields `frame` and `of` for each frame from the first to the last one, as far as they are given, and at the end
    `file`, the name of what was written. Raises FormatError: unknown format or objects, nothing to write, a place that
    cannot be written.
    """
    if ":" in name:
        raise FormatError(f"{name[:80]!r} is no name of a format; a page has no modules of others imported")
    entry, tracks = find_format(name), tracker.tracks
    ending = ending_of(entry, picture=picture)
    if ending is None:
        raise FormatError(f"the format {name} cannot hold this; take another one")
    unknown = [str(one) for one in objects or () if one not in tracks]
    if unknown:
        raise FormatError(f"there is no object {', '.join(unknown)}; choose among {', '.join(map(str, tracks))}")
    frames = [f for f in tracker.known_frames() if (first is None or f >= first) and (last is None or f <= last)]
    if not frames:
        raise FormatError("nothing is known in these frames; follow an object first, or choose others")
    make_folder(folder)
    stem = re.sub(r"[\ud800-\udfff]", "-", video.stem)  # a page asks for no name that is no UTF-8
    target = folder / f"{stem}-{name}{ending}"
    if target.is_dir():
        shutil.rmtree(target)
    if name == "project":
        tracker.save_copy(target)
        yield {"frame": len(frames), "of": len(frames), "file": target.name}
        return
    wanted, facts = set(frames), tracker.facts(frames)
    with (
        closing(open_video(video)) as source,
        Writer(entry.open, target, replace(facts, audio_from=None) if picture else facts) as sink,
    ):
        shown = (frame for frame in source.frames(frames[0], frames[-1] + 1) if frame.index in wanted)
        for written, frame in enumerate(shown, start=1):
            result = frame_result(frame, tracks, tracker.options.non_overlapping)
            if objects is not None:
                result = replace(result, objects={k: v for k, v in result.objects.items() if k in objects})
            sink.write(result)
            yield {"frame": written, "of": len(frames)}
    if target.is_dir():
        packed = target.with_name(f"{target.name}.zip")
        with atomic_write(packed) as temporary:
            made = shutil.make_archive(str(temporary), "zip", target)
            Path(made).replace(temporary)
        target = packed
    yield {"frame": len(frames), "of": len(frames), "file": target.name}


async def receive(folder: Path, name: str, content: AsyncIterator[bytes]) -> str:
    """Keep a file that a page sends in a folder, and give the name under which it is there. Raises FormatError if it is
    too large or cannot be written."""
    plain = re.sub(r"[^\w.()-]+", "-", name).strip(".-")[-MAX_FILE_NAME:] or "masks"
    too_large = FormatError(f"{plain} has more than {MAX_MASKS >> 30} GiB, too many for a file with masks")
    make_folder(folder)
    await store(content, folder / plain, MAX_MASKS, too_large)
    return plain


def import_masks(tracker: VideoTracker, path: Path, first: int, last: int | None) -> Steps:
    """Give a session the masks of a file, a step a frame: each becomes a mask prompt of its object, which has the name
    that the file gives it. An empty mask says nothing. A ZIP may hold the folder of a format, or one annotation file,
    with pictures or without; masks that have the names of pictures go to these (`under_names`). Frames before the first
    and after the last one are passed over.

    Yields `frame`, and `done`, how many masks were taken so far. Raises MaskletError: the file is of no format that is
    read, its masks are of another size, or belong to frames that the video does not have. What was taken before stays.
    """
    done, described = 0, set()
    with places(path) as (format, place):
        for frame in under_names(read_masks(format, place), place, find_format(format), tracker.facts([])):
            if frame.frame < first or (last is not None and frame.frame > last):
                continue
            for name, item in frame.objects.items():
                if not (mask := item.mask).any():
                    continue
                tracker.add_mask(frame=frame.frame, object=name, mask=mask)
                said = frame.descriptions.get(name)
                if said and name not in described:
                    tracker.describe(name, **said.to_json())
                    described.add(name)
                done += 1
            yield {"frame": frame.frame, "done": done}


@contextmanager
def places(path: Path) -> Iterator[tuple[str, Path]]:
    """The format of a file, and where it is; a ZIP is unpacked beside it for as long as this lasts. Raises FormatError
    for what is not read."""
    if path.suffix.lower() != ".zip":
        yield recognise_format(path).name, path
        return
    folder = path.with_name(f"{path.name}.files")
    try:
        unpack_zip(path, folder)
        found = found_in(folder)
        if found is None:
            raise FormatError(
                f"{path.name} holds no masks that are read; put the folder of a format into it, such as numbered "
                "PNGs, or an annotation file"
            )
        yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unpack_zip(path: Path, folder: Path) -> None:
    """Unpack a ZIP. Raises FormatError if it is damaged or too large."""
    try:
        with zipfile.ZipFile(path) as members:
            infos = members.infolist()
            size = sum(info.file_size for info in infos)
            if size > UNPACKED or len(infos) > MEMBERS:
                raise FormatError(
                    f"{path.name} unpacks to {size} bytes in {len(infos)} files; give at most {UNPACKED} and {MEMBERS}"
                )
            members.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise FormatError(f"{path.name} cannot be unpacked ({str(error)[:200]}); give another copy") from error


def found_in(folder: Path) -> tuple[str, Path] | None:
    """The format of what was unpacked, and where it is: the folder, the only folder in it, or the first annotation file
    that is read; None if there is none."""
    inner = [entry for entry in folder.iterdir() if entry.name != "__MACOSX" and not entry.name.startswith(".")]
    if len(inner) == 1 and inner[0].is_dir():
        return found_in(inner[0])
    suffixes = {entry.video for entry in formats().values() if entry.read and entry.video}
    for place in (folder, *sorted(file for file in folder.rglob("*") if file.suffix.lower() in suffixes)):
        with suppress(FormatError):
            return recognise_format(place).name, place
    return None
