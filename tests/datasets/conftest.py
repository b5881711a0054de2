"""The two clips of every data set."""

from tests.evaluation.conftest import make

__all__ = ["make"]
