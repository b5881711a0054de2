"""The folder of a loop, `loop/` in the folder of `masklet annotate`.

asked.json       what was asked
versions.json    the versions of the model, and which is in use
N/data           what version N learned from and was judged on: index.csv, and masks as index PNGs
N/run            its training
ahead/ID.masklet what was annotated ahead of people, with ID.json beside it
queue.json       the order of what is left

All files appear when they are whole, and each step looks at them for what is left to do.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from masklet.atomic import atomic_write, make_folder
from masklet.errors import FormatError, MediaError, SessionError
from masklet.jobs.record import leased
from masklet.training.data import parse_wanted
from masklet.training.loop import MODEL_FILE

Made = TypeVar("Made")


@dataclass(frozen=True)
class Asked:
    """What a loop is asked to do."""

    model: str = "nano"  # name or file of the model to begin with
    sources: tuple[str, ...] = ()  # videos, pictures and folders of them that are to be annotated
    data: tuple[str, ...] = ()  # further annotations to learn from, as `masklet train --data` takes them
    steps: int = 200  # of each training
    settings: tuple[str, ...] = ()  # changes of its recipe, `PATH=VALUE`
    held_out: float = 0.2  # share of videos and pictures that is judged on and not learned from
    ahead: int = 100  # at most so many videos and pictures are annotated ahead of people


@dataclass(frozen=True)
class Version:
    """A model that was trained and judged; it is kept if it scores better than its parent."""

    number: int  # from 1 on
    parent: int  # the version that it began with; 0 is the model that the loop began with
    weights: str  # digest of its weights
    data: str  # digest of what was annotated
    learned: int  # videos and pictures that it learned from
    held_out: int  # those that are held out
    before: Mapping[str, float]  # what its parent scores on them, measure -> value
    after: Mapping[str, float]  # what it scores
    kept: bool


@dataclass(frozen=True)
class Versions:
    """All versions, and the number of the one in use; 0 for the model that the loop began with."""

    current: int = 0
    judged: tuple[Version, ...] = ()


class Loop:
    """A loop on disk, in the folder of `masklet annotate`. Its own folder is made when something is written. Raises
    FormatError if that cannot be made, or its files are damaged."""

    def __init__(self, project: Path) -> None:
        self.project, self.folder = project, project / "loop"

    def held(self) -> AbstractContextManager[None]:
        """Hold the folder. Raises SessionError if another loop works there."""
        make_folder(self.folder)
        return leased(str(self.folder))

    @property
    def asked(self) -> Asked:
        """What was asked last."""
        several = ("sources", "data", "settings")
        return self.read(
            "asked.json", lambda told: Asked(**told | {name: tuple(told[name]) for name in several if name in told})
        )

    def ask(self, **changes: Any) -> Asked:
        """Ask for something else; what is None stays as it was. Raises MediaError for a source that is not there, and
        SessionError for another first model where there are versions already."""
        given = {name: _from_anywhere(name, value) for name, value in changes.items() if value is not None}
        before = self.asked
        asked = replace(before, **given)
        if asked.model != before.model and self.versions.judged:
            raise SessionError(
                f"the loop in {self.project} began with {before.model}; give another project for {asked.model}"
            )
        self.write("asked.json", asdict(asked))
        return asked

    @property
    def versions(self) -> Versions:
        return self.read(
            "versions.json",
            lambda told: Versions(told.get("current", 0), tuple(Version(**one) for one in told.get("judged", ()))),
        )

    def record(self, version: Version) -> None:
        """Add a version, which is used from now on if it is kept."""
        there = self.versions
        current = version.number if version.kept else there.current
        self.write("versions.json", asdict(Versions(current, (*there.judged, version))))

    def roll_back(self, number: int | None) -> int:
        """Use an earlier version, or, if none is named, the one that the present one began with; its number. A training
        that goes on from another one is given up. Raises SessionError if there is no such version."""
        there = self.versions
        parents = {version.number: version.parent for version in there.judged}
        if number is None and there.current == 0:
            raise SessionError(f"{self.project} uses the model that it began with; there is nothing to go back to")
        wanted = parents[there.current] if number is None else number
        if wanted != 0 and wanted not in parents:
            known = ", ".join(map(str, (0, *parents)))
            raise SessionError(f"there is no version {wanted}; there are {known}, of which 0 is {self.asked.model}")
        self.write("versions.json", asdict(replace(there, current=wanted)))
        if (begun := self.open_version()) is not None:
            shutil.rmtree(self.place(begun) / "run", ignore_errors=True)
        return wanted

    def place(self, number: int) -> Path:
        """The folder of a version."""
        return self.folder / str(number)

    def open_version(self) -> int | None:
        """The version that was collected and is not judged yet."""
        number = len(self.versions.judged) + 1
        return number if (self.place(number) / "data").is_dir() else None

    def weights(self, number: int | None = None) -> str:
        """Name or file of a version's model; of the one in use if none is named."""
        number = self.versions.current if number is None else number
        return str(self.place(number) / "run" / MODEL_FILE) if number else self.asked.model

    def write(self, name: str, content: Any) -> None:
        """Write JSON, which a power cut does not undo."""
        make_folder((self.folder / name).parent)
        with atomic_write(self.folder / name, durable=True) as temporary:
            temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")

    def read(self, name: str, make: Callable[[Any], Made]) -> Made:
        """What is made of a JSON file; of an empty object if there is no file. Raises FormatError."""
        path = self.folder / name
        try:
            return make(json.loads(path.read_text(encoding="utf-8")) if path.exists() else {})
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise FormatError(f"{path} is damaged ({str(error)[:100]}); move it away") from error


def _from_anywhere(name: str, value: Any) -> Any:
    """What was asked, with paths that hold in any folder."""
    if name == "model" and Path(value).exists():
        return str(Path(value).absolute())
    if name == "sources":
        if missing := [source for source in value if not Path(source).exists()]:
            raise MediaError(f"there is nothing at {missing[0]}; give the path of a video, a picture, or a folder")
        return tuple(str(Path(source).absolute()) for source in value)
    if name == "data":
        return tuple(map(_data_from_anywhere, value))
    return value


def _data_from_anywhere(text: str) -> str:
    wanted = parse_wanted(text)
    kind = f"{wanted.kind}:" if wanted.kind else ""
    weight = "" if wanted.weight is None else text[text.rindex("@") :]
    return f"{kind}{wanted.path.absolute()}{weight}"
