"""A program that speaks the protocol in the page's place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from masklet.app.wire import mask_of, read_message


class Refused(Exception):
    """The server's sentence."""


class Program:
    """One connection. What is told beside answers is kept in `state`, `masks` and `told`."""

    def __init__(self, address: str, name: str, **headers: str) -> None:
        place = f"ws{address.removeprefix('http')}/v/{name}/session"
        self._opened = ExitStack()
        self.socket: ClientConnection = self._opened.enter_context(
            connect(place, origin=Origin(address), additional_headers=headers, max_size=None, ping_interval=None)
        )
        self._numbers = count()
        self.state: dict[str, Any] = {}
        self.masks: dict[int, dict[Any, NDArray[np.bool_]]] = {}
        self.told: list[Mapping[str, Any]] = []
        self.mine = False
        with suppress(ConnectionClosed):  # what it says last is read below
            self.say("hello", version=1)
        while not self.state:
            assert (told := self.hear())["type"] != "fault", told

    def say(self, type: str, **values: Any) -> None:
        self.socket.send(json.dumps({"type": type, **values}))

    def ask(self, type: str, **values: Any) -> Mapping[str, Any]:
        """Have something done. Raises Refused."""
        req = values.pop("req", None) or f"{id(self)}-{next(self._numbers)}"
        self.say(type, req=req, **values)
        while True:
            told = self.hear()
            if told.get("req") == req:
                if told["type"] == "refused":
                    raise Refused(told["sentence"])
                return told

    def hear(self) -> Mapping[str, Any]:
        """The next message."""
        data = self.socket.recv(timeout=60)
        if isinstance(data, str):
            told: dict[str, Any] = json.loads(data)
            if told["type"] in ("state", "brief"):
                self.state |= {**told, "type": "state"}
            elif told["type"] == "lease":
                self.mine = told["mine"]
            self.told.append(told)
            return told
        head, runs = read_message(data)
        size = self.state["video"]["height"], self.state["video"]["width"]
        found = {item["name"]: mask_of(own, size) for item, own in zip(head["objects"], runs, strict=True)}
        if head["type"] == "masks":
            self.masks[head["frame"]] = found
        return {**head, "masks": found}

    def masks_of(self, frame: int) -> dict[Any, NDArray[np.bool_]]:
        """The masks of a frame, asked for anew."""
        self.say("want", frames=[frame])
        while True:
            told = self.hear()
            if told["type"] == "masks" and told["frame"] == frame:
                return self.masks[frame]

    def follow(self, **values: Any) -> None:
        """Follow to the end."""
        self.ask("follow", **values)
        while self.hear()["type"] != "state":
            pass

    def close(self) -> None:
        self._opened.close()
