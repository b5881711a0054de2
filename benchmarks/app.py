"""How long the annotator lets a person wait, in Chromium, at 720p.

    python benchmarks/app.py [--model nano] [--rounds 10] [--turns 5] [--commands 0] [--output app.json]

The sample clip is enlarged to 1280 x 720 and served by `masklet annotate` in a process of its own. Times run in the
page, from the event to the frame after the one in which the masks were painted. Following, with a browser that shows
it, is compared with the same pass by `masklet track`, and by `VideoTracker` alone in this process, by turns.

With `--commands 3000` only the server's memory is measured, while a program gives so many commands as a person does in
30 minutes and longer: clicks, previews, undo, following, exports, pictures. The engine is the fake one, which keeps
nothing: what a network keeps of frames has a budget (`masklet.app.keeping.FEATURE_BYTES`). 200 commands take a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import av
import cv2
import numpy as np
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.table import Table
from startup import describe_machine
from websockets.sync.client import connect

import masklet
from masklet.media.source import open_video

SAMPLE = Path(masklet.__file__).parent / "samples/clip.mp4"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
SIZE = (1280, 720)
TARGETS = {
    "first paint": (600, 1000),
    "click to mask, frame at rest": (120, 250),
    "preview": (150, None),
    "step to the next frame": (16, 33),
    "far jump, seen before": (150, None),
    "far jump": (600, None),
    "undo": (50, None),
}
"""Milliseconds that are aimed at on two quiet cores: p50 and p95."""

FIRST = """window.first = new Promise((done) => document.addEventListener("painted", () => {
  requestAnimationFrame(() => setTimeout(() => done(performance.now())));
}, { capture: true, once: true }));"""

WATCH = """([kind, frame, masks]) => {
  window.begun = null;
  const begin = ({ key }) => { if (key !== "Control") window.begun = performance.now(); };
  document.addEventListener(kind, begin, { capture: true });
  window.waited = new Promise((done) => {
    const stage = document.querySelector("#stage");
    const hear = ({ detail }) => {
      if (window.begun === null || (frame !== null && detail.frame !== frame)) return;
      if (masks !== null && (detail.masks > 0) !== masks) return;
      stage.removeEventListener("painted", hear);
      document.removeEventListener(kind, begin, { capture: true });
      requestAnimationFrame(() => setTimeout(() => done(performance.now() - window.begun)));
    };
    stage.addEventListener("painted", hear);
  });
}"""

JUMP = """(frame) => new Promise((done) => {
  const stage = document.querySelector("#stage"), at = document.querySelector("#transport .at");
  const begun = performance.now();
  const hear = ({ detail }) => {
    if (detail.frame !== frame) return;
    stage.removeEventListener("painted", hear);
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - begun)));
  };
  stage.addEventListener("painted", hear);
  at.value = frame;
  at.dispatchEvent(new Event("change"));
})"""


def write_large(path: Path, repeat: int = 2) -> Path:
    """The sample at 720p, forward and backward by turns, with one key frame: what a camera or a phone gives."""
    images = [cv2.resize(frame.image, SIZE, interpolation=cv2.INTER_CUBIC) for frame in open_video(SAMPLE).frames()]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"g": "250", "crf": "20"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for turn in range(repeat):
            for image in images if turn % 2 == 0 else images[::-1]:
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image, np.uint8), format="rgb24")
                container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@contextmanager
def served(clip: Path, model: str, project: Path) -> Iterator[str]:
    """The address of the annotator."""
    command = [sys.executable, "-m", "masklet", "annotate", str(clip), "--model", model, "--no-browse", "--port", "0"]
    server = subprocess.Popen([*command, "--project", str(project)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield next(word for word in server.stdout.readline().split() if word.startswith("http"))
    finally:
        server.terminate()
        server.wait()


def measure(page: Any, address: str, rounds: int) -> tuple[dict[str, list[float]], float]:
    """Milliseconds of each act, and the heap of the page in MiB."""
    found: dict[str, list[float]] = {name: [] for name in TARGETS}
    page.add_init_script(FIRST)
    for _ in range(max(3, rounds // 3)):
        page.goto(address)
        found["first paint"].append(page.evaluate("window.first"))
    page.wait_for_selector("#notice", state="hidden")
    last = int(page.inner_text("#transport .soft").split()[-1])

    def watched(act: Callable[[], None], kind: str, frame: int | None, masks: bool | None) -> float:
        page.evaluate(WATCH, [kind, frame, masks])
        act()
        return float(page.evaluate("window.waited"))

    area = page.locator("#picture").bounding_box()
    x, y = area["x"] + area["width"] * 465 / 640, area["y"] + area["height"] * 150 / 360
    for place in range(rounds):
        frame = 1 + 3 * place  # not the one that is shown already
        page.evaluate(JUMP, frame)
        time.sleep(1.5)
        page.mouse.move(x - 30, y)
        page.keyboard.down("Shift")
        time.sleep(1)
        found["preview"].append(watched(lambda: page.mouse.move(x, y), "pointermove", frame, True))
        page.keyboard.up("Shift")
        time.sleep(0.3)
        found["click to mask, frame at rest"].append(watched(lambda: page.mouse.click(x, y), "pointerup", frame, True))
        found["undo"].append(watched(lambda: page.keyboard.press("Control+z"), "keydown", frame, False))
    page.evaluate(JUMP, 0)
    time.sleep(1)
    for frame in range(1, 3 * rounds):
        found["step to the next frame"].append(
            watched(lambda: page.keyboard.press("ArrowRight"), "keydown", frame, None)
        )
        time.sleep(0.05)
    far = [last - 1 - 4 * place for place in range(min(rounds, last // 8))]
    for frame in far:
        page.evaluate(JUMP, 2)
        found["far jump"].append(page.evaluate(JUMP, frame))
    for frame in far[-3:]:
        page.evaluate(JUMP, 2)
        found["far jump, seen before"].append(page.evaluate(JUMP, frame))
    return found, page.evaluate("performance.memory.usedJSHeapSize") / 2**20


SERVER = """
import sys
from ctypes import CDLL, Structure, c_size_t
from pathlib import Path
from threading import Thread
from masklet.app.library import Library
from masklet.app.server import application
from masklet.app.web import Server, listen, run
from masklet.engines.fake import FakeEngine

class Heap(Structure):  # struct mallinfo2 of the GNU C library
    _fields_ = [(f"n{place}", c_size_t) for place in range(10)]

def tell():
    heap = CDLL(None).mallinfo2
    heap.restype = Heap
    for _ in sys.stdin:
        print(heap().n7, flush=True)

Thread(target=tell, daemon=True).start()
library, listening = Library([Path(sys.argv[1])], Path(sys.argv[2]), FakeEngine()), listen(0)
ready = lambda: print(listening.getsockname()[1], *library.items, flush=True)
run(Server(application(library), ready), listening, library.close)
"""


class Commands:
    """A program that speaks to the annotator as a page does."""

    def __init__(self, port: str, item: str) -> None:
        self.count = 0
        self._place = f"http://127.0.0.1:{port}/v/{item}"
        self._socket = ExitStack().enter_context(
            connect(f"ws{self._place.removeprefix('http')}/session", max_size=None)
        )
        self._socket.send(json.dumps({"type": "hello", "version": 1}))

    def ask(self, type: str, until: str = "done", **said: Any) -> None:
        """Have something done, and wait for it."""
        self.count += 1
        self._socket.send(json.dumps({"type": type, "req": str(self.count), **said}))
        while True:
            data = self._socket.recv(timeout=120)
            told = {} if isinstance(data, bytes) else json.loads(data)
            if told.get("type") == "refused":
                raise RuntimeError(told["sentence"])
            if (isinstance(data, bytes) and until == "masks") or told.get("type") == until:
                return

    def picture(self, frame: int) -> None:
        """Fetch one."""
        with urlopen(f"{self._place}/frame/{frame}.jpg") as answer:
            answer.read()

    def round(self, number: int, frames: int) -> None:
        """What a person does with an object of a video, more or less."""
        frame, name = number % (frames - 21), f"object {number % 5}"
        said = {"frame": frame, "object": name, "labels": [1]}
        self.ask("preview", "masks", points=[[930, 300]], **said)
        self.ask("prompt", points=[[930, 300]], **said)
        self.ask("prompt", points=[[900 + number % 60, 310]], **said)
        self.ask("undo")
        self.ask("redo")
        self.ask("follow", "state", first=frame, stop=frame + 20)
        for near in range(frame, frame + 20):
            self.picture(near)
            self.ask("want", "masks", frames=[near])
        self.ask("accept", object=name, first=frame, last=frame + 4)
        self.ask("describe", object=name, category=f"class {number}")
        if number % 10 == 9:
            self.ask("export", format="coco")
        if number % 10 > 4:  # its second turn: what is accepted twice would be refused
            self.ask("remove", object=name)


def memory(clip: Path, commands: int) -> None:
    """Print the server's memory after each tenth of so many commands: what the system counts, and what of it is in use,
    as the C library keeps some of what was given back."""
    frames = open_video(clip).frame_count or 0
    given = [sys.executable, "-c", SERVER, str(clip), str(clip.parent / "project")]
    server = subprocess.Popen(given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    tenths = 0
    try:
        assert server.stdin is not None
        assert server.stdout is not None
        program, number = Commands(*server.stdout.readline().split()), 0
        while program.count < commands:
            program.round(number, frames)
            number += 1
            if program.count * 10 // commands > tenths:
                (line,) = (s for s in Path(f"/proc/{server.pid}/status").read_text().splitlines() if "VmRSS" in s)
                tenths = program.count * 10 // commands
                print("", file=server.stdin, flush=True)
                used = int(server.stdout.readline()) / 2**20
                size = int(line.split()[1]) / 1024
                print(f"{program.count} commands: {size:.0f} MiB, {used:.0f} of them in use", flush=True)
    finally:
        server.terminate()
        server.wait()


def watched_rate(clip: Path, model: str) -> float:
    """Frames a second of a pass that a browser shows. Nothing steers the browser, as that takes as much time as it."""
    frames = open_video(clip).frame_count or 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        address = stack.enter_context(served(clip, model, folder / "project"))
        port, _, item = address.removeprefix("http://127.0.0.1:").rstrip("/").partition("/v/")
        program = Commands(port, item)
        program.ask("prompt", frame=0, object="object 1", points=[[930, 300]], labels=[1])
        options = ["--headless=new", "--no-sandbox", "--window-size=1440,900", f"--user-data-dir={folder / 'browser'}"]
        browser = stack.enter_context(subprocess.Popen([CHROMIUM, *options, address], stderr=subprocess.DEVNULL))
        stack.callback(browser.terminate)
        time.sleep(6)
        begin = time.perf_counter()
        program.ask("follow", "state", first=0)
        return frames / (time.perf_counter() - begin)


def command_rate(clip: Path, model: str) -> float:
    """Frames a second of the same pass by `masklet track`, with all that it writes; without its start."""

    def seconds(*options: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            asked = ["track", str(clip), "--point", "0:1:930,300", "--model", model, "--out", folder, *options]
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-m", "masklet", *asked], check=True, capture_output=True)
            return time.perf_counter() - begin

    return ((open_video(clip).frame_count or 0) - 1) / (seconds() - seconds("--stop", "1"))


def plain_rate(clip: Path, model: str) -> float:
    """Frames a second of the same pass by the tracker alone."""
    with masklet.VideoTracker(clip, model) as tracker:
        tracker.add_points(frame=0, object="object 1", points=[(930, 300)])
        begin = time.perf_counter()
        frames = sum(1 for _ in tracker.propagate(0))
        return frames / (time.perf_counter() - begin)


def show(results: dict[str, Any]) -> None:
    """Print the table."""
    table = Table("milliseconds", "p50", "p95", "aimed at", title=f"masklet annotate, {results['model']}, 1280 x 720")
    for name, figures in results["times"].items():
        p50, p95 = TARGETS[name]
        aim = str(p50) if p95 is None else f"{p50} / {p95}"
        table.add_row(name, f"{figures['p50']:.0f}", f"{figures['p95']:.0f}", aim)
    for name, value in results["figures"].items():
        table.add_row(name, f"{value:.2f}", "", "")
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description="How long the annotator lets a person wait.")
    parser.add_argument("--model", default="nano", help="which model answers")
    parser.add_argument("--rounds", type=int, default=10, help="clicks that are measured")
    parser.add_argument("--turns", type=int, default=5, help="passes in a page, by the command and alone, by turns")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "app.json")
    parser.add_argument("--commands", type=int, default=0, help="measure memory alone, over so many commands")
    options = parser.parse_args(arguments)
    if options.commands:
        with tempfile.TemporaryDirectory() as folder:
            memory(write_large(Path(folder) / "clip.mp4"), options.commands)
        return
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        clip = write_large(Path(folder) / "clip.mp4")
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--enable-precise-memory-info"],
        )
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        with served(clip, options.model, Path(folder) / "project") as address:
            times, heap = measure(page, address, options.rounds)
        browser.close()
        rates = {"in a page": watched_rate, "by masklet track": command_rate, "by the tracker alone": plain_rate}
        turns = np.array([[rate(clip, options.model) for rate in rates.values()] for _ in range(options.turns)])
        middle = np.median(turns, axis=0)
        shares = np.median(turns[:, :1] / turns[:, 1:], axis=0)
        figures = {"heap of the page, MiB": heap}
        figures |= {f"frames a second {place}": float(rate) for place, rate in zip(rates, middle, strict=True)}
        figures["in a page, as a share of masklet track"], figures["of the tracker alone"] = map(float, shares)
    results = {
        "machine": describe_machine(),
        "model": options.model,
        "times": {
            name: {"p50": float(np.percentile(each, 50)), "p95": float(np.percentile(each, 95)), "all": each}
            for name, each in times.items()
        },
        "figures": figures,
    }
    show(results)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
