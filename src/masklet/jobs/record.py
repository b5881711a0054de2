"""What came of the videos of a run: a record of each, and the manifest that holds them all."""

import io
import json
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from time import monotonic, sleep, time
from typing import Any, Literal

from masklet.errors import FormatError, MaskletError, SessionError
from masklet.jobs.places import exists, is_url, join_path, read, remove, write_file
from masklet.jobs.sources import import_parquet

LEASE_FILE = "running.json"
"""File in the folder of a run that says who works on it."""

HEARTBEAT_SECONDS = 10.0
"""Seconds between two signs of life in it."""

LEASE_SECONDS = 60.0
"""Seconds after the last sign of life when another may take over."""

SETTLE, SETTLE_URL = 0.1, 1.0
"""Seconds in which a second run that begins at the same moment has written too: the last one goes on."""

_held: set[str] = set()
"""The tokens of the folders that this process holds."""

SHARE_OF_SAVING = 0.05
"""At most this part of the time goes into saving what is known on the way."""

SAVING_SECONDS = 10.0
"""Seconds between two savings, at least."""


class Saving:
    """Saves now and then, the first time after a while."""

    def __init__(self, save: Callable[[], None]) -> None:
        self._save, self._due = save, monotonic() + SAVING_SECONDS

    def now_and_then(self) -> None:
        """Save if it is due."""
        if (begun := monotonic()) > self._due:
            self._save()
            now = monotonic()
            self._due = now + max(SAVING_SECONDS, (now - begun) / SHARE_OF_SAVING)


@dataclass(frozen=True)
class VideoRecord:
    """What came of a video.

    Attributes:
        video: Its path or URL.
        out: The folder with its masks.
        status: "done" or "failed".
        sentence: Why it failed, or what a person should know.
        frames: Frames with masks.
        objects: Objects that were followed.
        seconds: What it took, with reading and writing.
        iou: Mean predicted IoU of the masks that are not empty, 0..1; None if there is none.
        doubts: Masks at which a person should look, each frame for itself.
        weights: Digest of the model's weights.
        options: The job in JSON: model, prompts, and all else on which masks depend.
        before: Whether it was done in an earlier run. Not in the manifest.
    """

    video: str
    out: str
    status: Literal["done", "failed"]
    sentence: str = ""
    frames: int = 0
    objects: int = 0
    seconds: float = 0.0
    iou: float | None = None
    doubts: int = 0
    weights: str = ""
    options: str = ""
    before: bool = False


MANIFEST_COLUMNS = tuple(field.name for field in fields(VideoRecord) if field.name != "before")
"""Columns of the manifest."""


class Manifest:
    """The records of a run, in `OUT/manifest.parquet`, or `manifest.jsonl` where pyarrow is missing. Those of other
    videos that are in it stay. It is written now and then, and when it is closed.
    """

    def __init__(self, out: str) -> None:
        try:
            self._parquet: Any = import_parquet()
        except FormatError:
            self._parquet = None
        self.place = join_path(out, "manifest.jsonl" if self._parquet is None else "manifest.parquet")
        self._records = {record.video: record for record in self._read()}
        self._saving, self._changed = Saving(self.close), False

    def add(self, record: VideoRecord) -> None:
        """Take a record in, in place of an earlier one of the same video."""
        texts = {name: getattr(record, name) for name in ("video", "out", "sentence")}
        # Names of files need not be UTF-8, and every file of texts is.
        texts = {name: text.encode("utf-8", "backslashreplace").decode() for name, text in texts.items()}
        self._records[texts["video"]] = replace(record, **texts)
        self._changed = True
        self._saving.now_and_then()

    def close(self) -> None:
        """Write what is new. Raises FormatError if it cannot be written."""
        if self._changed:
            write_file(self.place, self._content())
            self._changed = False

    def _content(self) -> bytes:
        rows = [{name: getattr(record, name) for name in MANIFEST_COLUMNS} for record in self._records.values()]
        if self._parquet is None:
            return "".join(f"{json.dumps(row)}\n" for row in rows).encode()
        import pyarrow

        kinds = {"frames": "int64", "objects": "int64", "seconds": "float64", "iou": "float64", "doubts": "int64"}
        schema = pyarrow.schema([(name, kinds.get(name, "string")) for name in MANIFEST_COLUMNS])
        buffer = io.BytesIO()
        self._parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), buffer)
        return buffer.getvalue()

    def _read(self) -> Iterator[VideoRecord]:
        if not exists(self.place):
            return
        content = read(self.place)
        try:
            if self._parquet is None:
                rows: Iterable[dict[str, Any]] = [json.loads(line) for line in content.splitlines()]
            else:
                rows = self._parquet.read_table(io.BytesIO(content)).to_pylist()
            yield from [VideoRecord(**row) for row in rows]
        except (OSError, TypeError, ValueError) as error:
            raise FormatError(
                f"{self.place} is no manifest of a run ({str(error)[:100]}); move it away, or give another --out"
            ) from error


@contextmanager
def leased(out: str) -> Iterator[None]:
    """Hold the folder of a run against other runs. Signs of life are written on a thread of their own.

    Raises SessionError if another run gave one within the last minute and its process, if that was on this machine, is
    there still; FormatError if the folder cannot be written.
    """
    place, token = join_path(out, LEASE_FILE), secrets.token_hex(8)
    own = {"host": socket.gethostname(), "pid": os.getpid(), "token": token}
    over = threading.Event()

    def is_ours() -> bool:
        """Not so once this process slept for long and another run took over."""
        return _holder(place).get("token", token) == token

    def go_on() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            with suppress(MaskletError):  # the run itself meets what is wrong there
                if is_ours():
                    beat(place, own)

    thread = threading.Thread(target=go_on, name="masklet-lease", daemon=True)
    _held.add(token)
    try:
        _check_free(place)
        beat(place, own)
        sleep(SETTLE_URL if is_url(out) else SETTLE)
        if _holder(place).get("token") != token:
            raise SessionError(f"another run began in {out} at this moment; let one of them go on")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            with suppress(MaskletError, OSError):
                if is_ours():
                    remove(place)
    finally:
        _held.remove(token)


def beat(place: str, own: dict[str, Any]) -> None:
    """Write that this run lives."""
    write_file(place, json.dumps({**own, "time": time()}).encode())


def _check_free(place: str) -> None:
    holder = _holder(place)
    silent = time() - float(holder.get("time", 0))
    if silent > LEASE_SECONDS or (holder["host"] == socket.gethostname() and not _lives(holder)):
        return
    who = f"process {holder['pid']} on {holder['host']}, which wrote {place} {max(0, silent):.0f} s ago"
    raise SessionError(
        f"another run works there, {who}; "
        "wait for its end, give another folder, or, if it was killed, try again in a minute"
    )


def _holder(place: str) -> dict[str, Any]:
    if not exists(place):
        return {}
    try:
        found = json.loads(read(place))
        kinds = {"host": str, "pid": int, "time": float, "token": str}
        return {name: kind(found[name]) for name, kind in kinds.items()}
    except (KeyError, TypeError, ValueError):
        return {}


def _lives(holder: dict[str, Any]) -> bool:
    """Whether the process that holds a folder is there; in a container the next one has its number."""
    if holder["pid"] == os.getpid():
        return holder["token"] in _held
    if os.name == "nt":
        return True  # asking there would send it Ctrl-C; the lease runs out by itself
    with suppress(PermissionError):  # it is another user's
        try:
            os.kill(holder["pid"], 0)
        except (ProcessLookupError, OverflowError):
            return False
    return True
