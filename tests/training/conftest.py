"""Generated shapes, once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.shapes import write_shapes


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("shapes"))
