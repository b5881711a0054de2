"""A service as other programs meet it, on a port of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from masklet.app.web import Server
from masklet.engines.fake import FakeEngine
from masklet.serve.server import Service, application
from tests.app.conftest import clip, served, write_scene  # noqa: F401

RED = [10, 20, 34, 44]
"""The box of the red square in the first frame."""


def serving(service: Service) -> AbstractContextManager[str]:
    """Serve, and give the address; all is closed at the end."""
    return served(partial(Server, application(service)), service.close)


Begin = Callable[..., httpx2.Client]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Begins a service and gives a program that speaks to it."""
    with ExitStack() as stack:

        def call(folder: str = "jobs", **options: Any) -> httpx2.Client:
            address = stack.enter_context(serving(Service(FakeEngine(), tmp_path / folder, **options)))
            return stack.enter_context(httpx2.Client(base_url=address, timeout=60))

        yield call


def ended(client: httpx2.Client, job: str) -> dict[str, Any]:
    """A job when its events have ended."""
    import json

    with client.stream("GET", f"/v1/videos/{job}/events") as answer:
        told = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    assert len({entry["id"] for entry in told}) == 1
    found: dict[str, Any] = told[-1]
    return found
