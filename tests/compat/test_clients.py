"""Scripts as others write them for `sam2` and `segment_anything`, run untouched."""

from __future__ import annotations

import runpy
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import masklet.compat
from masklet.compat import ALIASES
from masklet.errors import SessionError
from tests.conftest import GOLDEN

CLIENTS = Path(__file__).parent / "clients"
FRAMES = sorted((GOLDEN / "video/frames").iterdir())[:5]
PICTURE = str(GOLDEN / "image/shapes_small.png")


@pytest.fixture
def installed() -> Iterator[None]:
    """`sam2` answered by masklet for one test."""
    finders = list(sys.meta_path)
    masklet.compat.install()
    yield
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.split(".")[0] in ALIASES]:
        del sys.modules[name]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A folder of five pictures under the names that the reference wants."""
    folder = tmp_path / "videos" / "clip"
    folder.mkdir(parents=True)
    for number, frame in enumerate(FRAMES):
        Image.open(frame).convert("RGB").save(folder / f"{number:05d}.jpg", quality=95)
    return folder


def run(monkeypatch: pytest.MonkeyPatch, client: str, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [client, *map(str, arguments)])
    runpy.run_path(str(CLIENTS / f"{client}.py"), run_name="__main__")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("client", ["image_notebook", "detector_pipeline", "first_segment_anything"])
def test_clients_of_pictures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], client: str) -> None:
    run(monkeypatch, client, PICTURE)
    assert "done" in capsys.readouterr().out


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("client", ["video_notebook", "annotation_back_end"])
def test_clients_of_videos(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], client: str, video: Path
) -> None:
    run(monkeypatch, client, video)
    assert "done" in capsys.readouterr().out


def test_a_script_over_a_data_set_writes_palette_pngs(tmp_path: Path, video: Path) -> None:
    """In a process of its own, by `python -m masklet.compat`."""
    given = np.zeros((120, 160), np.uint8)
    given[20:60, 30:80], given[70:100, 90:140] = 1, 2
    first = Image.fromarray(given)
    first.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    (tmp_path / "masks/clip").mkdir(parents=True)
    first.save(tmp_path / "masks/clip/00000.png")
    folders = {
        "base_video_dir": video.parent,
        "input_mask_dir": tmp_path / "masks",
        "output_mask_dir": tmp_path / "out",
    }
    arguments = [text for name, folder in folders.items() for text in (f"--{name}", str(folder))]
    command = [sys.executable, "-m", "masklet.compat", str(CLIENTS / "dataset_script.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "sam2 is answered by masklet" in done.stderr
    written = sorted((tmp_path / "out/clip").iterdir())
    assert [file.name for file in written] == [f"{n:05d}.png" for n in range(5)]
    picture = Image.open(written[0])
    assert picture.mode == "P"
    assert picture.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
    assert np.mean(np.array(picture) == given) > 0.98


CHILDREN = """
import subprocess, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

def answers(_):
    import sam2.modeling
    return sam2.modeling.__name__

if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        print(list(pool.map(answers, [0]))[0])
    child = "import sam2.utils; print(sam2.utils.__name__, sam2)"
    print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True).stdout)
    import pathlib
    tool = pathlib.Path(__file__).with_name("tool")  # a console script
    tool.write_text(f"#!{sys.executable}\\nimport segment_anything.utils as a; print('tool', a.__name__)")
    tool.chmod(0o755)
    print(subprocess.run([str(tool)], capture_output=True, text=True, check=True).stdout, flush=True)
    import os  # a reloader
    after = "import sam2, sys; print('after', sam2.__name__, sam2.__version__, sys.argv[1:])"
    os.execv(sys.executable, [sys.executable, "-c", after, *sys.argv[1:]])
"""


def test_processes_that_a_script_starts(tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(CHILDREN)
    command = [sys.executable, "-m", "masklet.compat", str(tmp_path / "client.py"), "one"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "masklet.compat.sam2.modeling" in done.stdout
    assert "masklet.compat.sam2.utils <module 'masklet.compat.sam2'" in done.stdout
    assert "tool masklet.compat.sam1" in done.stdout
    assert "after masklet.compat.sam2 1.1.0 ['one']" in done.stdout


@pytest.mark.usefixtures("installed")
def test_hydra_builds_the_configurations() -> None:
    import sam2  # noqa: F401  # tells Hydra of its files
    from hydra import compose
    from hydra.utils import instantiate

    chosen = compose("configs/edgetam.yaml", overrides=["++model.image_size=256", "++model.fill_hole_area=3"])
    model = instantiate(chosen.model, _recursive_=True)
    assert (model.image_size, model.settings.fill_hole_area) == (256, 3)
    chosen = compose("configs/sam2.1/sam2.1_hiera_t.yaml", overrides=["++model.image_size=256"])
    assert instantiate(chosen.model).engine.config.name.startswith("sam2.1-tiny")


@pytest.mark.usefixtures("installed")
def test_a_builder_has_the_name_of_its_module() -> None:
    import segment_anything.utils.transforms as transforms
    from segment_anything.build_sam import sam_model_registry
    from segment_anything.utils.amg import MaskData  # noqa: F401

    from segment_anything import SamPredictor, build_sam  # isort: skip

    assert build_sam is sam_model_registry["default"]
    assert transforms.ResizeLongestSide(8).target_length == 8
    assert SamPredictor is sys.modules["segment_anything.predictor"].SamPredictor


def test_all_files_of_the_reference_can_be_imported() -> None:
    """Those of both packages in one process, by `import ... as` too, which asks the package for them."""
    helpers = ["utils.amg", "utils.misc", "utils.transforms", "modeling.sam2_base", "modeling.sam2_utils"]
    files = [f"{package}.{part}" for package in ("sam2", "masklet.compat.sam2") for part in helpers]
    files += [f"segment_anything.{part}" for part in ("utils.amg", "utils.transforms", "predictor", "build_sam")]
    imports = [f"import {name}; import {name} as module{n}" for n, name in enumerate(files)]
    program = "\n".join(["import masklet.compat; masklet.compat.install()", *imports])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("installed")
def test_a_module_that_is_not_there_says_so() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"no sam2\.benchmark in masklet's drop-in .* has the scripts in"):
        import sam2.benchmark
    with pytest.raises(ModuleNotFoundError, match=r"no sam2\.colours in masklet's drop-in for sam2; docs"):
        import sam2.colours  # noqa: F401


def test_an_unknown_script_is_wrong_usage(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "masklet.compat", str(tmp_path / "nothing.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no script" in done.stderr
    assert "Traceback" not in done.stderr


def test_installing_too_late_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sam2", types.ModuleType("sam2"))
    with pytest.raises(SessionError, match="sam2 was imported before"):
        masklet.compat.install()


def test_an_installed_package_is_passed_over_aloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sam2").mkdir()
    (tmp_path / "sam2/__init__.py").write_text("raise ImportError('the real one')")
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    try:
        told = masklet.compat.install()
        assert "the installed one at" in told[0]
        import sam2

        assert sam2.__name__ == "masklet.compat.sam2"
    finally:
        sys.meta_path[:] = finders
        sys.modules.pop("sam2", None)
