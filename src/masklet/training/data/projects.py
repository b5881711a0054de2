"""masklet's own project files: what a person annotated is training data at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from masklet.errors import FormatError
from masklet.formats.project import ProjectFrame
from masklet.formats.project_reader import read_project
from masklet.training.data.items import Collection, FilmFrames, Item, Masks, RunLengths
from masklet.video.session_file import video_of


def find_projects(root: Path) -> list[Path]:
    """The project files at a path: the file itself, or those under a folder."""
    if root.is_file():
        return [root] if root.suffix == ".masklet" else []
    return sorted(root.rglob("*.masklet"))


def read_projects(root: Path) -> list[Collection]:
    """One video for each project. Raises FormatError if a project is damaged, or its video is not there."""
    items = [_item(path) for path in find_projects(root)]
    return [Collection(root.resolve().name, [item for item in items if item.frames], float(len(items)))]


def _item(path: Path) -> Item:
    project = read_project(path)
    video = video_of(project, path)
    frames = sorted(project.frames)
    if not frames:
        raise FormatError(f"{path.name} holds no masks; propagate first, or leave it out")
    masks = tuple(ProjectMasks(project.frames[frame], project.size) for frame in frames)
    return Item(path.name, FilmFrames(video, tuple(frames)), masks)


@dataclass(frozen=True)
class ProjectMasks:
    """The masks of one frame."""

    found: ProjectFrame
    size: tuple[int, int]

    def __call__(self) -> Masks:
        return RunLengths({name: mask.rle for name, mask in self.found.objects.items()}, self.size)
