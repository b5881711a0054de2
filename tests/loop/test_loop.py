"""`masklet loop`: what is learned from, what is kept, what comes next, and what a kill leaves."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masklet.app.library import Library
from masklet.app.session import AnnotationSession
from masklet.checkpoints import Model, load_model, save_model
from masklet.engines.base import Engine
from masklet.engines.fake import FAKE, FakeEngine
from masklet.errors import FormatError, SessionError
from masklet.loop import learn as learning
from masklet.loop.ahead import Estimate, annotate, make_queue, ordered, read_queue, unlabelled
from masklet.loop.collect import PRELABELED, annotated_clips, collect
from masklet.loop.learn import judge, learn
from masklet.loop.project import Loop, Version
from masklet.training.loop import StageRun
from masklet.video import VideoTracker
from tests.evaluation.conftest import index_map, make_sav
from tests.training.shapes import tiny_network, write_shapes

QUIET = ("stages.*.feed.frames=2", "stages.*.image_size=64")


def ignore(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(Model("tiny-test", tiny_network().eval()), path)
    return path


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("shapes"), pictures=6, videos=0)


@pytest.fixture
def loop(tmp_path: Path, weights: Path, shapes: Path) -> Loop:
    made = Loop(tmp_path / "work")
    made.ask(model=str(weights), data=(f"index:{shapes}",), steps=2, settings=QUIET, held_out=0.3)
    return made


def video_of(folder: Path, frames: int = 6, name: str = "clip") -> Path:
    """A folder of frames with a bright square that moves."""
    place = folder / name
    place.mkdir(parents=True)
    for frame in range(frames):
        image = np.full((72, 96, 3), 30, np.uint8)
        image[20:44, 10 + 4 * frame : 34 + 4 * frame] = (220, 200, 40)
        Image.fromarray(image).save(place / f"{frame:03d}.png")
    return place


def session_at(loop: Loop, video: Path, engine: Engine) -> tuple[Path, VideoTracker]:
    """Where the annotator keeps its session of a video, and a tracker on that."""
    library = Library([video], loop.project, engine)
    (item,) = library.items.values()
    place = library.place(item)
    place.mkdir(parents=True, exist_ok=True)
    return place / "session.masklet", VideoTracker(video, engine)


def test_a_round_is_kept_only_if_it_is_better(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    found = collect(loop, ignore)
    assert (found.version, found.learned, found.held_out) == (1, 3, 3)  # few: half are held out
    assert learn(loop) == 1
    scores = {0: 0.5, 1: 0.4, 2: 0.6}
    order: list[float] = []

    def figures(_: object) -> object:
        return lambda model: {"box": order.pop(0)}

    monkeypatch.setattr(learning, "held_out", figures)
    order += [scores[0], scores[1]]
    version = judge(loop)
    assert (version.kept, loop.versions.current, loop.weights()) == (False, 0, loop.asked.model)
    assert not (loop.place(1) / "run/checkpoint.pt").exists()
    assert collect(loop, ignore).version is None  # nothing new

    shutil.copytree(Path(loop.asked.data[0].partition(":")[2]), loop.project / "more")
    loop.ask(data=(*loop.asked.data, f"index:{loop.project / 'more'}"))
    assert collect(loop, ignore).version == 2
    learn(loop)
    order += [scores[0], scores[2]]
    version = judge(loop)
    assert (version.number, version.parent, version.kept, loop.versions.current) == (2, 0, True, 2)
    assert load_model(loop.weights()).digest == version.weights != load_model(loop.asked.model).digest
    assert loop.roll_back(None) == 0
    assert loop.weights() == loop.asked.model
    with pytest.raises(SessionError, match="nothing to go back to"):
        loop.roll_back(None)
    assert loop.roll_back(2) == 2
    with pytest.raises(SessionError, match="there is no version 7; there are 0, 1, 2"):
        loop.roll_back(7)
    with pytest.raises(SessionError, match="began with"):
        loop.ask(model="nano")


def test_a_machine_that_learns_needs_no_server() -> None:
    absent = "import sys; sys.modules.update(dict.fromkeys(('starlette', 'uvicorn', 'websockets'), None))"
    subprocess.run([sys.executable, "-c", f"{absent}; import masklet.loop.ahead"], check=True)


def test_what_was_held_out_stays_so(loop: Loop, shapes: Path, tmp_path: Path) -> None:
    collect(loop, ignore)

    def held() -> set[str]:
        rows = (loop.place(1) / "data/index.csv").read_text().splitlines()
        return {row.split(",")[1] for row in rows if row.endswith(",val")}

    first = held()
    more = write_shapes(tmp_path / "more", pictures=14, videos=1)
    loop.ask(data=(f"index:{shapes}", f"index:{more}"))
    assert collect(loop, ignore).version == 1  # nothing was trained on: the same version, with more
    assert first < held()
    assert len(held()) == 8  # enough, and more than the share of 21
    loop.ask(held_out=0.0)
    collect(loop, ignore)
    assert first <= held()


def test_a_training_that_was_killed_goes_on(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are those of a training that was not."""
    collect(loop, ignore)
    monkeypatch.setattr(learning, "CHECKPOINT_STEPS", 1)
    real, saved = StageRun.save, []

    def killed(self: StageRun) -> None:
        real(self)
        saved.append(self.step)
        if len(saved) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(StageRun, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        learn(loop)
    assert saved == [1]
    assert collect(loop, ignore).version == 1  # begun: its data stay
    with pytest.raises(SessionError, match="version 1 is not trained to its end"):
        judge(loop)
    learn(loop)
    assert saved[1:] == [2]
    interrupted = load_model(loop.place(1) / "run/model.safetensors").digest
    shutil.rmtree(loop.place(1) / "run")
    learn(loop)
    assert load_model(loop.place(1) / "run/model.safetensors").digest == interrupted


def test_only_frames_that_a_person_answers_for_are_learned(loop: Loop, weights: Path, tmp_path: Path) -> None:
    video = video_of(tmp_path)
    place, tracker = session_at(loop, video, load_model(weights))
    with tracker:
        tracker.add_box(frame=0, object="a", box=(10, 20, 34, 44))
        for _ in tracker.propagate():
            pass
        tracker.accept("a", 2, 3)
        tracker.save(place)
        tracker.lock(5)
        tracker.save_changes()  # as the annotator does: in the journal alone
    collect(loop, ignore)
    (clip,) = (clip for clip in annotated_clips(loop) if clip.kind == "video")
    assert clip.annotated == (0, 2, 3, 5)


def test_what_the_loop_found_itself_is_not_learned_until_a_person_touched_it(
    loop: Loop, weights: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "one.png"
    Image.fromarray(np.full((72, 96, 3), 30, np.uint8)).save(picture)
    place, tracker = session_at(loop, picture, load_model(weights))
    mask = np.zeros((72, 96), np.bool_)
    mask[20:44, 10:34] = True

    def names() -> list[str]:
        collect(loop, ignore)
        return [clip.name for clip in annotated_clips(loop) if clip.name.endswith("one")]

    with tracker:
        tracker.add_mask(frame=0, object=1, mask=mask)
        tracker.describe(1, attributes={PRELABELED: "0123"})
        tracker.save(place)
        assert not names()
        tracker.lock(0)
        tracker.save(place)
        assert names()


def test_objects_that_count_from_0_are_learned(weights: Path, tmp_path: Path) -> None:
    """As those of SA-V; 0 is the background of index maps."""
    make_sav(tmp_path / "sav")
    loop = Loop(tmp_path / "work")
    loop.ask(model=str(weights), data=(f"sav:{tmp_path / 'sav/sav_val'}",))
    collect(loop, ignore)
    for clip in annotated_clips(loop):
        there = {frame: [mask.tolist() for mask in clip.masks(frame).values()] for frame in clip.annotated}
        assert there == {
            frame: [(index_map(frame) == number).tolist() for number in numbers]
            for frame, numbers in ((0, (1,)), (4, (2, 1)))
        }


def test_too_little_is_a_sentence(tmp_path: Path, weights: Path) -> None:
    loop = Loop(tmp_path)
    loop.ask(model=str(weights))
    with pytest.raises(FormatError, match="0 videos and pictures are annotated"):
        collect(loop, ignore)
    with pytest.raises(SessionError, match="nothing is collected"):
        learn(loop)
    with pytest.raises(SessionError, match="no queue yet"):
        read_queue(loop)
    for text in ('{"judged": [{}]}', "[1]", '"a"', '{"judged": 1}', "{"):
        (loop.folder / "versions.json").write_text(text)
        with pytest.raises(FormatError, match=r"versions\.json is damaged"):
            _ = loop.versions
    for text in ('{"sources": 1}', '{"nonesuch": 1}', "7"):
        (loop.folder / "asked.json").write_text(text)
        with pytest.raises(FormatError, match=r"asked\.json is damaged"):
            _ = loop.asked


def test_ahead_is_a_session_that_the_annotator_opens(loop: Loop, weights: Path, tmp_path: Path) -> None:
    video_of(tmp_path / "footage", frames=2)
    loop.ask(sources=(str(tmp_path / "footage"), str(tmp_path / "footage")))
    engine = load_model(weights)
    said: list[str] = []
    (tmp_path / "footage/broken.mp4").write_bytes(b"no film")
    estimates = annotate(loop, engine, said.append)
    assert [one.path for one in estimates] == [str(tmp_path / "footage/clip")]
    assert [sentence.partition(" is ")[0] for sentence in said] == ["broken.mp4"]
    before = (loop.folder / "ahead" / f"{estimates[0].id}.masklet").stat().st_mtime_ns
    assert annotate(loop, engine, ignore) == estimates  # by the same weights: not again
    assert (loop.folder / "ahead" / f"{estimates[0].id}.masklet").stat().st_mtime_ns == before

    queue = make_queue(loop, engine, estimates)
    assert read_queue(loop) == queue
    assert [Path(one.path).name for one in queue] == ["clip", "broken.mp4"]
    library = Library([tmp_path / "footage"], loop.project, engine)
    assert [item.id for item in library.items.values()] == [one.id for one in queue]
    session: AnnotationSession = library.session(estimates[0].id)
    tracks = session.ask(lambda: session._tracker.tracks).result()
    library.close()
    assert len(tracks) == estimates[0].things
    assert all(PRELABELED in track.description.attributes for track in tracks.values())
    assert [item.name for item in unlabelled(loop)] == ["broken.mp4"]  # somebody began on the other


def picture_at(path: Path, *colours: tuple[int, int, int]) -> list[np.ndarray]:
    """A picture with a square of each colour, one beside the other; their masks."""
    image, masks = np.full((72, 96, 3), 30, np.uint8), []
    for place, colour in enumerate(colours):
        mask = np.zeros((72, 96), np.bool_)
        mask[24:48, 6 + 30 * place : 28 + 30 * place] = True
        image[mask] = colour
        masks.append(mask)
    Image.fromarray(image).save(path)
    return masks


def test_what_is_found_gets_the_names_that_people_gave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two colours that people named is called so; what is like neither is left out."""
    red, blue, green = (230, 20, 20), (20, 20, 230), (20, 230, 20)
    loop, engine, other = Loop(tmp_path / "work"), FakeEngine(), FakeEngine(replace(FAKE, memory_width=16))
    for number, made_by in enumerate((engine, other)):  # what another network made cannot be opened, and stops nothing
        colours, path = (red, blue), tmp_path / f"{number}.png"
        masks = picture_at(path, *colours)
        place, tracker = session_at(loop, path, made_by)
        with tracker:
            for name, (mask, colour) in enumerate(zip(masks, colours, strict=True)):
                tracker.add_mask(frame=0, object=name, mask=mask)
                tracker.describe(name, category="strawberry" if colour == red else "plum")
            tracker.save(place)
    masks = picture_at(tmp_path / "new.png", blue, green, red)
    loop.ask(sources=(str(tmp_path / "new.png"),))

    def three(tracker: VideoTracker, options: object) -> Iterator[None]:
        for name, mask in enumerate(masks):
            yield tracker.add_mask(frame=0, object=name, mask=mask)

    monkeypatch.setattr("masklet.loop.ahead.track_everything", three)
    (found,) = annotate(loop, engine, ignore)
    assert found.things == 2
    with VideoTracker.open(loop.folder / "ahead" / f"{found.id}.masklet", None, engine) as tracker:
        called = {name: track.description.category for name, track in tracker.tracks.items()}
    assert called == {0: "plum", 2: "strawberry"}


def estimate(name: str, doubt: float, sight: Sequence[float], things: int = 1) -> Estimate:
    unit = np.array(sight) / np.linalg.norm(sight)
    return Estimate(name, name, "", 1, things, doubt, 0, tuple(unit.tolist()))


def test_the_queue_takes_doubt_variety_and_length() -> None:

    def order(*estimates: Estimate, seen: Sequence[Sequence[float]] = ()) -> list[str]:
        return [one.id for one in ordered(estimates, [np.array(one, np.float32) for one in seen])]

    sure, unsure = estimate("sure", 0.1, (1, 0)), estimate("unsure", 0.5, (1, 0))
    assert order(sure, unsure) == ["unsure", "sure"]
    twin, other = replace(unsure, id="twin"), estimate("other", 0.3, (0, 1))
    assert order(unsure, twin, other) == ["unsure", "other", "twin"]
    assert order(unsure, other, seen=[(1, 0)]) == ["other", "unsure"]
    assert order(replace(unsure, id="long", things=100), unsure) == ["unsure", "long"]
    assert order() == []


def test_what_was_asked_holds_in_any_folder(loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.safetensors").touch()
    (tmp_path / "films").mkdir()
    data = ("index:shapes@2", "masks", "index:index@2", "2@2", "index:./@home")
    asked = Loop(Path("other")).ask(model="tiny.safetensors", sources=("films",), data=data)
    assert asked.model == str(tmp_path / "tiny.safetensors")
    assert asked.sources == (str(tmp_path / "films"),)
    places = ("index:", "shapes@2"), ("", "masks"), ("index:", "index@2"), ("", "2@2"), ("index:", "@home")
    assert asked.data == tuple(f"{kind}{tmp_path}/{place}" for kind, place in places)
    assert loop.ask(model=None) == loop.asked


def test_two_loops_do_not_mix(loop: Loop) -> None:
    with loop.held(), pytest.raises(SessionError, match="another run works there"), Loop(loop.project).held():
        pass


def test_a_version_reads_as_it_was_written(loop: Loop) -> None:
    version = Version(1, 0, "ab", "cd", 3, 1, {"box": 0.5}, {"box": 0.75}, True)
    loop.record(version)
    assert Loop(loop.project).versions.judged == (version,)
    assert json.loads((loop.folder / "versions.json").read_text())["current"] == 1
