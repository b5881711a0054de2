"""Videos and pictures that a browser sends: streamed to the disk, gone on with where a connection broke, and read once
before they are taken."""

import hashlib
import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from masklet.app.pictures import thumbnail
from masklet.atomic import flush, make_folder, write_error
from masklet.errors import FormatError, MaskletError, MediaError
from masklet.media.image_file import IMAGE_SUFFIXES, VIDEO_SUFFIXES

LARGEST = 16.0
"""GiB of a file, if no other limit is given."""

LEFT = 1 << 30
"""Bytes of the disk that stay free: the work on what was sent needs room too."""

LONGEST = 100
"""Bytes of a name."""

FORGOTTEN = 7 * 86400
"""Seconds after which a file of which no more came is removed."""


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

    def __init__(self, folder: Path, largest: float = LARGEST) -> None:
        self.folder = folder
        self._largest = int(largest * (1 << 30))
        self._busy: set[Path] = set()
        for left in folder.glob(".*"):
            if left.stat().st_mtime < time.time() - FORGOTTEN:
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
        if shutil.disk_usage(self.folder).free < size - upload.at + LEFT:
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
        except OSError as error:
            raise write_error(self.folder / upload.name, error) from error
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
    stem, suffix = Path(plain).stem.strip(" .").encode()[:LONGEST].decode(errors="ignore"), Path(plain).suffix
    if suffix.lower() not in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES):
        raise MediaError(f"{plain[:LONGEST] or 'a file without a name'} is no video and no picture that masklet reads")
    return f"{stem}{suffix}"
