"""What every protocol asks, and that an answer that is right is scored as right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masklet.datasets.base import Clip
from masklet.datasets.registry import open_dataset
from masklet.errors import EvaluationError, FormatError
from masklet.evaluation import images, videos
from masklet.evaluation.images import Everything, ImageClicks
from masklet.evaluation.methods import BASELINES
from masklet.evaluation.protocols import Prompting, Workspace
from masklet.evaluation.run import Procedure, Submission
from masklet.evaluation.scoring import score_folders
from masklet.evaluation.videos import ClicksSaved, MultiObject, Offline, Online, SemiSupervised, Volumes, worst_frame
from masklet.formats.base import PlainFrame, mask_only
from masklet.formats.davis import read_index_png
from masklet.media.source import FrameSource
from masklet.prompts import Prompt
from tests.evaluation.conftest import FRAMES, Make, Truthful, first_clip, index_map, save_mask, save_picture
from tests.media.clips import Clip as ShortFilm
from tests.media.clips import write_clip

PROCEDURES = {
    "mask": SemiSupervised(),
    "box": SemiSupervised(Prompting("box")),
    "clicks": SemiSupervised(Prompting("click", 2)),
    "tracking": MultiObject(),
    "offline": Offline(rounds=2, clicks=2),
    "online": Online(rounds=2, clicks=2),
    "saved": ClicksSaved(),
}
PERFECT = 0.97
"""JPEG moves some pixels of the small pictures across the edge."""


ASKED_ELSEWHERE = {ImageClicks, Everything, Volumes}
"""These ask about pictures and volumes, for which there are tests of their own."""


def test_every_protocol_for_videos_is_tried() -> None:
    defined = {
        found
        for module in (videos, images)
        for found in vars(module).values()
        if isinstance(found, type) and found.__module__ == module.__name__ and hasattr(found, "run")
    }
    defined -= {base for found in defined for base in found.__bases__}
    assert defined == {type(procedure) for procedure in PROCEDURES.values()} | ASKED_ELSEWHERE


@pytest.mark.parametrize("name", ["mask", "box", "clicks", "offline", "online"])
def test_the_truth_scores_full(clip: Clip, submission: Submission, name: str) -> None:
    """Also of the object that enters in the third frame, which is told there."""
    found = PROCEDURES[name].run(clip, Truthful(), submission)
    assert set(found.values) == {1, 2}
    assert all(row["J&F"] > PERFECT for row in found.values.values())
    assert found.seconds > 0


@pytest.mark.parametrize("name", PROCEDURES)
def test_every_protocol_runs_every_baseline(clip: Clip, submission: Submission, name: str) -> None:
    if name == "tracking":
        pytest.importorskip("trackeval", reason="HOTA and its like need TrackEval")
    for baseline in BASELINES.values():
        found = PROCEDURES[name].run(clip, baseline, submission)
        assert all(set(row) == set(PROCEDURES[name].measures) for row in found.values.values())
        assert all(np.isfinite(value) for row in found.values.values() for value in row.values())
        assert read_index_png(submission.path(clip, FRAMES - 1)).shape == index_map(0).shape


def test_flow_follows_what_moves_and_still_does_not(clip: Clip, submission: Submission) -> None:
    moving = {n: SemiSupervised().run(clip, BASELINES[n], submission).values[1]["J"] for n in ("still", "flow")}
    assert moving["flow"] > moving["still"] + 0.1


@pytest.mark.parametrize("name", ["davis2016", "davis2017", "ytvos", "sav", "mose", "lvos", "folder"])
def test_masks_are_handed_in_as_the_data_set_names_them(make: Make, tmp_path: Path, name: str) -> None:
    root = make(name)
    dataset = open_dataset(name, root, limit=1)
    clip = dataset.clips[0]
    rules = {"folder": "davis2017"}.get(name, name)
    SemiSupervised(rules=rules).run(clip, BASELINES["still"], Submission(tmp_path / "masks", dataset.layout))
    files = {str(path.relative_to(tmp_path / "masks")) for path in (tmp_path / "masks").rglob("*.png")}
    stems = {f"{frame:05d}" for frame in (range(1, 6) if name == "lvos" else range(5))}
    objects = ("000/", "001/") if name == "sav" else ("",)
    assert files == {f"{clip.name}/{part}{stem}.png" for part in objects for stem in stems}


@pytest.mark.parametrize("name", ["tracking", "offline", "online", "saved"])
def test_objects_that_count_from_0_score_alike(make: Make, submission: Submission, name: str) -> None:
    """SA-V's first object is number 0, which is the background of index maps."""
    if name == "tracking":
        pytest.importorskip("trackeval", reason="HOTA and its like need TrackEval")
    root = make("davis2017")
    for frame in (1, 2, 3):  # those that SA-V has no masks of
        (root / f"Annotations/480p/first/{frame:05d}.png").unlink()
    from_1, from_0 = first_clip("davis2017", root), first_clip("sav", make("sav"))
    method = BASELINES["grabcut"]
    ours, theirs = (PROCEDURES[name].run(clip, method, submission).values for clip in (from_0, from_1))
    assert list(ours.values()) == list(theirs.values())
    assert list(ours) == ([0] if name == "tracking" else [0, 1])


def test_masks_of_an_object_that_enters_late_can_be_scored(make: Make, tmp_path: Path) -> None:
    """SA-V's second object enters in frame 4, and its true masks begin with frame 0."""
    root = make("sav")
    clip = open_dataset("sav", root, limit=1).clips[0]
    SemiSupervised(rules="sav").run(clip, BASELINES["still"], Submission(tmp_path / "masks", "objects"))
    truth = root / "sav_val/Annotations_6fps"
    scores = score_folders(tmp_path / "masks", truth, "all", names=[clip.name], workers=1)
    assert len(scores.overall.objects) == 2


def test_before_an_object_enters_the_masks_are_empty(make: Make, submission: Submission) -> None:
    root = make("davis2017")
    for frame in (0, 1):
        (root / f"Annotations/480p/first/{frame:05d}.png").unlink()
    clip = first_clip("davis2017", root)
    SemiSupervised().run(clip, BASELINES["still"], submission)
    assert not read_index_png(submission.path(clip, 1)).any()
    assert read_index_png(submission.path(clip, 2)).any()


def test_masks_that_nobody_can_score_are_handed_in_all_the_same(make: Make, submission: Submission) -> None:
    """As of MOSE's and YouTube-VOS's public validation splits, of which only the first masks are known."""
    root = make("mose")
    for frame in range(1, FRAMES):
        (root / f"valid/Annotations/first/{frame:05d}.png").unlink()
    clip = first_clip("mose", root)
    found = SemiSupervised(rules="mose").run(clip, BASELINES["still"], submission)
    assert found.values == {}
    assert submission.path(clip, FRAMES - 1).exists()


@pytest.mark.parametrize("name", PROCEDURES)
@pytest.mark.parametrize("data", ["davis2017", "sav"])
def test_masks_of_another_size_are_told(make: Make, submission: Submission, data: str, name: str) -> None:
    root = make(data)
    for path in root.rglob("*.png"):
        save_mask(path, read_index_png(path)[::2, ::2])
    with pytest.raises(FormatError, match=r"first.* are 32 x 24 pixels, but the picture is 64 x 48; give masks"):
        PROCEDURES[name].run(first_clip(data, root), BASELINES["still"], submission)


@pytest.mark.parametrize("procedure", [ImageClicks(), ImageClicks("box"), Everything()])
def test_masks_of_another_size_than_a_picture_are_told(
    make: Make, submission: Submission, procedure: ImageClicks | Everything
) -> None:
    root = make("folder")
    for path in (root / "images").rglob("*.png"):
        save_mask(path, read_index_png(path)[::2, ::2])
    with pytest.raises(FormatError, match=r"first.* are 32 x 24 pixels, but the picture is 64 x 48; give masks"):
        procedure.run(first_clip("folder", root, "image"), BASELINES["still"], submission)


def test_a_clip_without_objects_is_told(make: Make, submission: Submission) -> None:
    root = make("davis2017")
    for frame in range(FRAMES):
        save_mask(root / f"Annotations/480p/first/{frame:05d}.png", np.zeros_like(index_map(0)))
    clip = first_clip("davis2017", root)
    with pytest.raises(EvaluationError, match="no object is marked in first"):
        SemiSupervised().run(clip, BASELINES["still"], submission)


@pytest.mark.parametrize("name", PROCEDURES)
def test_more_masks_than_frames_are_told(tmp_path: Path, submission: Submission, name: str) -> None:
    write_clip(tmp_path / "run.mp4", ShortFilm(".mp4", count=FRAMES))
    for frame in (0, 9):
        save_mask(tmp_path / f"run/{frame:05d}.png", index_map(0))
    clip = first_clip("folder", tmp_path)
    with pytest.raises(EvaluationError, match="has 5 frames, and masks up to frame 9"):
        PROCEDURES[name].run(clip, BASELINES["still"], submission)


def test_pictures_are_asked_click_after_click(make: Make, submission: Submission) -> None:
    """The truthful one gives half an object for one click, and all of it for two."""
    clip = first_clip("coco", make("coco"), "image")
    found = ImageClicks(clicks=3).run(clip, Truthful(), submission)
    assert set(found.values) == {1, 2}
    for row in found.values.values():
        assert 0.3 < row["IoU@1"] < 0.7
        assert row["IoU@3"] > PERFECT
    boxed = ImageClicks("box", clicks=1).run(clip, Truthful(), submission)
    assert all(row["IoU@1"] > PERFECT for row in boxed.values.values())


def test_clicks_are_counted_to_a_target(make: Make, submission: Submission) -> None:
    clip = first_clip("coco", make("coco"), "image")
    procedure = ImageClicks(clicks=10)
    assert procedure.measures == ("IoU@10", "IoU@5", "IoU@3", "IoU@1", "NoC@85", "NoC@90")
    found = procedure.run(clip, Truthful(), submission)
    assert {row["NoC@85"] for row in found.values.values()} == {2.0}


def test_offline_corrects_the_worst_frame(clip: Clip, submission: Submission) -> None:
    """The truthful one loses everything two frames after it was told, so a correction brings frames back."""
    found = Offline(rounds=3, clicks=2).run(clip, Truthful(lose_after=1), submission)
    row = found.values[1]
    assert row["J&F@1"] < row["J&F@2"] <= row["J&F@3"]
    assert row["J&F"] == pytest.approx(np.mean([row[f"J&F@{turn}"] for turn in (1, 2, 3)]))


def test_online_pauses_where_it_is_bad(clip: Clip, submission: Submission) -> None:
    found = Online(rounds=3, clicks=2).run(clip, Truthful(lose_after=1), submission)
    assert found.values[1]["J&F@1"] < found.values[1]["J&F@2"] < found.values[1]["J&F@3"]


def test_a_tracker_saves_clicks(clip: Clip, submission: Submission) -> None:
    """Two clicks on each object, instead of two in each of its five and three frames."""
    found = ClicksSaved(target=0.9).run(clip, Truthful(), submission)
    assert found.values[1]["saved"] == pytest.approx(1 - 2 / 10)
    assert found.values[2]["saved"] == pytest.approx(1 - 2 / 6)
    assert found.values[1]["IoU"] > PERFECT


class Recording(Truthful):
    """Notes where it is prompted, and loses every object two frames later."""

    def __init__(self, lose_after: int | None = 1) -> None:
        super().__init__(lose_after)
        self.prompted: list[tuple[int, int]] = []

    @contextmanager
    def track(self, source: FrameSource) -> Iterator[Any]:
        with super().track(source) as session:
            plain = session.prompt

            def prompt(frame: int, object: int, prompt: Prompt) -> np.ndarray:
                self.prompted.append((frame, object))
                return plain(frame, object, prompt)

            session.prompt = prompt  # type: ignore[method-assign]
            yield session


def test_offline_no_frame_is_corrected_twice(clip: Clip, submission: Submission) -> None:
    """Frames 0 and 2 are annotated first, as objects enter there; then 4, where both are lost, then one of 1 and 3."""
    method = Recording()
    Offline(rounds=3, clicks=1).run(clip, method, submission)
    first = [(0, 1), (2, 2)]
    assert method.prompted[:2] == first
    rounds = [frame for frame, group in groupby(method.prompted[2:], key=lambda place: place[0])]
    assert len(rounds) == len(set(rounds)) == 2
    assert not {0, 2} & set(rounds)


class Forgetting(Recording):
    """Answers every correction with nothing, so that the frame stays the worst."""

    passes = 0

    @contextmanager
    def track(self, source: FrameSource) -> Iterator[Any]:
        with super().track(source) as session:
            plain = session.follow

            def follow(start: int) -> Iterator[PlainFrame]:
                self.passes += 1
                assert self.passes < 50, "it goes round in circles"
                for result in plain(start):
                    yield replace(result, objects={n: mask_only(np.zeros(result.size, bool)) for n in result.objects})

            session.follow = follow  # type: ignore[method-assign]
            yield session


def test_offline_goes_on_to_another_frame_although_one_stays_the_worst(clip: Clip, submission: Submission) -> None:
    """Three frames of five can still be corrected: 1, 3 and 4, each once; the fourth correction has nothing left."""
    method = Forgetting()
    Offline(rounds=6, clicks=1).run(clip, method, submission)
    corrected = [frame for frame, _ in groupby(method.prompted[2:], key=lambda place: place[0])]
    assert sorted(corrected) == [1, 3, 4]


@pytest.mark.parametrize("procedure", [Offline(rounds=4, clicks=3), Online(rounds=4, clicks=3)])
def test_nobody_corrects_what_is_right(make: Make, submission: Submission, procedure: Procedure) -> None:
    """Pictures without loss, so that all masks are right after the first round: two clicks on each object are all."""
    root = make("davis2017")
    for frame in range(FRAMES):
        (root / f"JPEGImages/480p/first/{frame:05d}.jpg").unlink()
        save_picture(root / f"JPEGImages/480p/first/{frame:05d}.png", frame)
    clip = first_clip("davis2017", root)
    method = Recording(lose_after=None)
    found = procedure.run(clip, method, submission)
    assert method.prompted == [(0, 1)] * 2 + [(2, 2)] * 2
    assert all(row["J&F"] == 1 and row["clicks"] == 2 for row in found.values.values())
    assert found.frames == FRAMES * (4 if isinstance(procedure, Offline) else 1)  # one pass online, and no further


def test_a_correction_may_change_few_frames(clip: Clip) -> None:
    """What is followed after it may end long before the clip, which was followed to its end already."""
    with clip.open() as source, Truthful().track(source) as session:
        work = Workspace(clip, session, source.size)
        first = work.begin(Prompting("mask"))
        assert [*work.follow(first)] == list(range(first, FRAMES))
        follow = session.follow
        session.follow = lambda start: islice(follow(start), 1)  # type: ignore[method-assign]
        assert [*work.follow(1)] == [1]


def test_the_worst_frame(clip: Clip) -> None:
    """The lowest mean IoU of those that are not corrected; none if all others are right."""
    with clip.open() as source, Truthful().track(source) as session:
        work = Workspace(clip, session, source.size)
        for frame in clip.annotated:
            work.masks[frame] = dict(clip.masks(frame))
        assert worst_frame(work, set()) is None
        work.masks[3] = {1: work.masks[3][1]}
        work.masks[1][1] = np.zeros_like(work.masks[1][1])
        assert worst_frame(work, set()) == 1  # 0 there, a half in frame 3
        assert worst_frame(work, {1}) == 3
        assert worst_frame(work, {1, 3}) is None


def test_online_corrects_where_it_is_bad_and_nowhere_else(clip: Clip, submission: Submission) -> None:
    """Object 1 is lost two frames after it was prompted: in frame 2, then in 4, where object 2 is lost too."""
    method = Recording()
    Online(rounds=3, clicks=2).run(clip, method, submission)
    assert list(dict.fromkeys(method.prompted)) == [(0, 1), (2, 2), (2, 1), (4, 1), (4, 2)]


@pytest.mark.parametrize("rounds", [1, 2])
def test_online_corrects_in_no_more_rounds_than_asked(clip: Clip, submission: Submission, rounds: int) -> None:
    method = Recording()
    found = Online(rounds=rounds, clicks=2).run(clip, method, submission)
    assert list(dict.fromkeys(method.prompted)) == [(0, 1), (2, 2), (2, 1)][: rounds + 1]
    assert found.values[1]["clicks"] == len(method.prompted) / 2


def test_clicks_saved_brings_each_frame_to_the_target_once(clip: Clip, submission: Submission) -> None:
    """Whatever the pass makes of a correction: five frames of object 1, three of object 2, two clicks on each."""
    method = Forgetting()
    found = ClicksSaved(target=0.9).run(clip, method, submission)
    assert sorted(method.prompted) == sorted([(n, 1) for n in range(5)] * 2 + [(n, 2) for n in (2, 3, 4)] * 2)
    assert found.values[1]["clicks"] == found.values[2]["clicks"] == 2
