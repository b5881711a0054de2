"""Files by path, or by URL through fsspec (s3://, gs://, hf://, https://), with a sentence for what goes wrong."""

import glob
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from masklet.atomic import atomic_write, make_folder, remove_stale, write_whole
from masklet.checkpoints.hub import models_folder
from masklet.errors import FormatError, MaskletError, MediaError

PACKAGES = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "http": "aiohttp",
    "https": "aiohttp",
}
"""The package by which fsspec reads a kind of URL."""

COPIED_BYTES = 1 << 20
"""Bytes that are copied at a time."""


class TooLarge(MediaError):
    """More bytes than are taken."""


def is_url(place: str) -> bool:
    """Whether a place is a URL, not a path."""
    return "://" in place


def join_path(place: str, name: str) -> str:
    """A name below a folder."""
    return f"{place.rstrip('/')}/{name}" if is_url(place) else str(Path(place) / name)


def exists(place: str) -> bool:
    """Whether there is a file or folder."""
    if not is_url(place):
        return os.path.exists(place)
    with storage_errors(place, "read"):
        return bool(_files(place).exists(place))


def size_of(place: str) -> int:
    """Bytes of a file; of a folder, what the system says of it. Raises MediaError if there is none."""
    try:
        if not is_url(place):
            return os.stat(place).st_size
        with storage_errors(place, "read"):
            return int(_files(place).size(place) or 0)
    except OSError as error:
        raise MediaError(f"{place} cannot be read: {error.strerror}; give a video that exists") from error


def read(place: str) -> bytes:
    """A file's content. Raises MediaError if it cannot be read."""
    with storage_errors(place, "read"):
        return Path(place).read_bytes() if not is_url(place) else bytes(_files(place).cat_file(place))


def write_file(place: str, content: bytes) -> None:
    """Write a file that appears when it is whole. Raises FormatError if it cannot be written."""
    if is_url(place):
        with storage_errors(place, "written"):
            _files(place).pipe_file(place, content)
        return
    make_folder(Path(place).parent)
    write_whole(Path(place), content)


def remove(place: str) -> None:
    """Remove a file."""
    if not is_url(place):
        Path(place).unlink()
    else:
        with storage_errors(place, "removed"):
            _files(place).rm_file(place)


def find(pattern: str) -> list[str]:
    """The files of a pattern such as clips/**/*.mp4, sorted; none if nothing is like it."""
    if not is_url(pattern):
        return sorted(glob.glob(pattern, recursive=True))
    base = fixed_part(pattern)
    with storage_errors(pattern, "listed"):
        files = _files(pattern)
        inside = len(files._strip_protocol(base).rstrip("/"))
        return sorted(base + name[inside:].lstrip("/") for name in files.glob(pattern))


def fixed_part(pattern: str) -> str:
    """The folders of a pattern before its first wildcard, with the slash at the end."""
    return re.split(r"[^/\\]*[*?\[]", pattern, maxsplit=1)[0]


@contextmanager
def local_copy(place: str, *, redirects: bool = True, most: int | None = None) -> Iterator[Path]:
    """A path of what lies at a place: the place itself, or for a URL a copy that goes with the block. `redirects` is
    whether a server may send to another address, `most` the bytes of a copy.

    Raises MediaError if it cannot be read, and TooLarge for more bytes where that shows, whatever the server said.
    """
    if not is_url(place):
        yield Path(place)
        return
    with tempfile.TemporaryDirectory(prefix="masklet-") as folder:
        path = Path(folder) / (place.split("?")[0].rstrip("/").rsplit("/", 1)[-1] or "video")
        with storage_errors(place, "read"):
            options = {} if redirects or not place.startswith("http") else {"allow_redirects": False}
            files = _files(place, **options)
            if most is None:
                files.get_file(place, str(path))
            else:
                streamed = {"block_size": 0} if place.startswith("http") else {}
                with files.open(place, "rb", **streamed) as source, path.open("wb") as copy:
                    while part := source.read(COPIED_BYTES):
                        if copy.tell() + len(part) > most:
                            raise TooLarge(f"{place} has more than {most} bytes, the most that is taken")
                        copy.write(part)
        yield path


@contextmanager
def local_folder(place: str, last: str) -> Iterator[Path]:
    """A folder to write to: the place itself, or for a URL one whose files go there when the block has ended well, the
    one of the name `last` after all others."""
    if not is_url(place):
        yield Path(place)
        return
    with tempfile.TemporaryDirectory(prefix="masklet-") as temporary:
        folder = Path(temporary)
        yield folder
        files = _files(place)
        for path in sorted(folder.rglob("*"), key=lambda path: path.name == last):
            if path.is_file():
                with storage_errors(place, "written"):
                    files.put_file(str(path), join_path(place, path.relative_to(folder).as_posix()))


def once_here(place: str) -> Path:
    """A path of what lies at a place; a URL is read once on each machine, into the folder of models."""
    if not is_url(place):
        return Path(place)
    from filelock import FileLock

    with storage_errors(place, "read"):
        files = _files(place)
        mark = hashlib.sha256(f"{place} {files.ukey(place)}".encode()).hexdigest()[:24]
        cache = models_folder() / "by-url" / mark
        path = cache / place.split("?")[0].rsplit("/", 1)[-1]
        make_folder(cache)
        with FileLock(cache / "lock"):
            if not path.exists():
                remove_stale(cache)
                with atomic_write(path) as temporary:
                    files.get_file(place, str(temporary))
    return path


@contextmanager
def storage_errors(place: str, what: str) -> Iterator[None]:
    """Turn whatever a storage raises into one sentence. Storages raise errors of many libraries of their own."""
    try:
        yield
    except MaskletError:
        raise
    except Exception as error:
        kind = FormatError if what == "written" else MediaError
        scheme = place.partition("://")[0]
        if isinstance(error, ImportError) and is_url(place):
            package = PACKAGES.get(scheme, "its package")
            raise kind(f"{place} cannot be {what}: {scheme}:// needs {package}; pip install {package}") from error
        root: BaseException = error
        while str(root) == place and root.__cause__ is not None:  # of an address alone, what is behind it says more
            root = root.__cause__
        first = (str(root).strip() or type(root).__name__).splitlines()[0]
        reason = "nothing is there" if first == place else (getattr(root, "strerror", None) or first)[:200]
        of_url, of_path = "check the address and the rights of this user", "give one that exists and may be used"
        raise kind(f"{place} cannot be {what}: {reason}; {of_url if is_url(place) else of_path}") from error


def _files(place: str, **options: Any) -> Any:
    """The file system of a URL."""
    from fsspec.core import url_to_fs

    return url_to_fs(place, **options)[0]
