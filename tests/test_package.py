"""What is built for the package index: the wheel says whose terms hold, and the source distribution can be tested."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

ROOT = Path(__file__).parent.parent


def test_metadata_names_the_terms_of_each_part_and_the_versions_of_python() -> None:
    core = ProjectMetadata(str(ROOT), PluginManager()).core
    assert set(core.license_expression.split(" AND ")) == {
        "Apache-2.0",
        "LicenseRef-masklet-nano-weights",
        "LicenseRef-masklet-sample-clip",
    }
    assert sorted(core.license_files) == ["LICENSE", "src/masklet/samples/README.md", "src/masklet/weights/README.md"]
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)} <= set(core.classifiers)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, and a source distribution that is unpacked."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
        archive.extractall(out / "source", filter="data")
    return out


@pytest.mark.slow
def test_the_wheel_holds_terms_types_weights_and_the_clips(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        about = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata: Message = message_from_string(wheel.read(about).decode())
    info = about.removesuffix("METADATA")
    assert {f"{info}licenses/{file}" for file in metadata.get_all("License-File", [])} <= set(names)
    held = ("py.typed", "weights/nano.safetensors", "samples/clip.mp4", "samples/horse.mp4")
    assert {f"masklet/{name}" for name in held} <= set(names)


@pytest.mark.slow
def test_tests_run_in_the_source_distribution(built: Path) -> None:
    source = next((built / "source").iterdir())
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    chosen = ["tests/test_docs.py", "tests/test_public_names.py", "tests/masks"]
    done = subprocess.run([*command, *chosen], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    command = [*command, "--collect-only", "-m", ""]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
