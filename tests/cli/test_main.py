"""`masklet` itself: it answers at once, and wrong usage has its sentence."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

import masklet
from masklet.cli.choices import help_of
from tests.cli.conftest import Read, Run


def test_version(run: Run, capsys: Read) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"masklet {masklet.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], *([name, "--help"] for name in ("track", "live", "segment")), ["models", "--json"]],
)
def test_quick_answers_do_not_load_the_heavy_libraries(arguments: list[str]) -> None:
    program = (
        "import sys; sys.argv[1:] = " + repr(arguments) + "\n"
        "from masklet.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = ('torch', 'cv2', 'av', 'numpy', 'huggingface_hub', 'starlette')\n"
        "if '--help' in sys.argv: heavy += ('pydantic',)\n"
        "print([m for m in heavy if m in sys.modules], file=sys.stderr)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stderr.strip() == "[]"
    assert answer.stdout


def test_a_shell_completes_commands() -> None:
    program = "import sys; sys.argv = ['masklet']; from masklet.cli.main import main; main()"
    typed = {"_MASKLET_COMPLETE": "complete_bash", "COMP_WORDS": "masklet tra", "COMP_CWORD": "1"}
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ | typed
    )
    assert answer.stdout.split() == ["track", "train"]


def test_short_help_of_a_command(run: Run, capsys: Read) -> None:
    assert run("dataset", "build", "-h") == 0
    assert "Make one data set" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "example"),
    [
        ("track", "masklet track dog.mp4 --box 0:1:40,60,220,240 --out dog"),
        ("segment", "masklet segment cat.jpg --point 320,240 --out mask.png"),
    ],
)
def test_help_has_examples(run: Run, capsys: Read, command: str, example: str) -> None:
    assert run(command, "--help") == 0
    assert example in capsys.readouterr().out


def test_help_fills_the_terminal_whatever_the_lines_of_the_source_and_leaves_examples() -> None:
    def command() -> None:
        """What it does.

        A paragraph of
        two lines.

        \b
        Examples:
          masklet one
          masklet two
        """

    assert help_of(command).split("\n\n") == [
        "What it does.",
        "A paragraph of two lines.",
        "\b\nExamples:\n  masklet one\n  masklet two",
    ]


def test_models_as_json(run: Run, capsys: Read) -> None:
    assert run("models", "--json") == 0
    models = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in models][:2] == ["nano", "sam2-tiny"]
    assert [model["name"] for model in models] == [known.name for known in masklet.list_models()]
    assert {model["image_size"] for model in models[1:]} == {1024}
    assert models[0]["downloaded"] is True
    assert {type(model["downloaded"]) for model in models} == {bool}


def test_models_as_a_table(run: Run, capsys: Read) -> None:
    assert run("models") == 0
    shown = capsys.readouterr().out
    assert re.search(r"sam2\.1-large\s+│\s+224\.4 M\s+│\s+1024", shown)


def test_an_unknown_command_is_wrong_usage(run: Run, capsys: Read) -> None:
    assert run("trak") == 2
    assert "trak" in capsys.readouterr().err


def test_the_package_itself_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "masklet", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, f"masklet {masklet.__version__}")
