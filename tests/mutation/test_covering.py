"""Which tests a mutant meets: those that run its line, or those that use what the line names if it is run on import."""

from __future__ import annotations

from pathlib import Path

from tests.mutation.covering import Covering, measure

SOURCE = """LIMIT = 3


class Box:
    side: int = 4

    def area(self):
        return self.side**2


def small(x, most=LIMIT):
    return x < LIMIT


SPARE = (
    1,
    2,
)
"""


def test_tests_of_a_line(tmp_path: Path) -> None:
    path = "src/masklet/masks/small.py"
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(SOURCE)
    area, small, other = "tests/masks/test_box.py::area", "tests/masks/test_small.py::small", "tests/nn/test_x.py::y"
    covering = Covering({path: {1: [], 8: [area], 12: [small]}}, {area: 0.1, small: 2.0, other: 0.0})
    assert covering.of(tmp_path, path, 8) == [area]
    assert covering.of(tmp_path, path, 1) == [small]  # the constant's user
    assert covering.of(tmp_path, path, 5) == [area]  # the field's user
    assert covering.of(tmp_path, path, 17) == [small, area]  # nobody's: those of the package, its own first


def test_a_few_tests_are_measured_alone(tmp_path: Path) -> None:
    """They reach no share of the lines that all tests must."""
    measure(Path(__file__).parents[2], tmp_path, ["tests/masks/test_rle.py"])
    covering = Covering.load(tmp_path)
    assert any(tests for tests in covering.lines["src/masklet/masks/rle.py"].values())
    assert all(test.startswith("tests/masks/test_rle.py::") for test in covering.seconds)
