"""One live job: camera, tracker, output and page put together, run, and closed in good order."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from masklet.app import check_installed
from masklet.atomic import keep_inputs
from masklet.checkpoints import load_model
from masklet.cli.choices import PIPE
from masklet.errors import FormatError, MaskletError, MediaError
from masklet.formats.base import FrameLike, Sink
from masklet.formats.registry import writer
from masklet.jobs.prompts import TypedPrompt
from masklet.live.outputs import file_format, into_pipe, piped_format
from masklet.live.session import LiveSession, ObjectStatus, follow
from masklet.media.camera import Camera, Patience
from masklet.media.devices import Player
from masklet.video import FrameResult, StreamTracker, TrackingOptions
from masklet.video.policies import check_policy


def run(
    source: str,
    out: Path | None,
    format: str | None,
    port: int | None,
    prompts: Sequence[TypedPrompt],
    frames: int | None,
    seconds: float | None,
    wait: float,
    model: str,
    speed: str | None,
    device: str | None,
    policy: str,
) -> str:
    """Do what the options of `masklet live` ask. `port` is None for no page, `out` for nothing that is written; the
    prompts are for the first frame. Returns a sentence on what was done; raises MediaError if the camera went away,
    keeping what is written.

    Errors in the settings are reported before the model is loaded and the camera opened.
    """
    open_sink = sink_opener(source, out, format)
    check_policy(policy)
    faults: list[str] = []
    with ExitStack() as opened:
        page = None
        if port is not None:
            check_installed("the page", "live")
            from masklet.app.web import listen

            page = opened.enter_context(listen(port))
        engine = load_model(model, device=device, speed=speed)
        camera = opened.enter_context(open_camera(source, wait))
        session = LiveSession(camera, engine, TrackingOptions(policy=policy))
        opened.enter_context(ended_by_sigterm())
        console = Console(stderr=True)
        with open_sink(camera.size, engine.config.name) as write:
            if page is not None:
                from masklet.app.camera import serving
                from masklet.app.web import address_of

                opened.enter_context(serving(session, page))
                console.print(f"the page is at {address_of(page)}/")
            opened.enter_context(Live(get_renderable=lambda: line(session), console=console, transient=True))
            if page is not None:
                write = going_on(write, faults, console)
            count = follow(session, write, partial(prompt_all, prompts=prompts), frames=frames, seconds=seconds)
    followed = "1 frame" if count == 1 else f"{count} frames"
    where = "followed" if out is None else "in the pipe" if out == PIPE else f"in {out}"
    done = f"{followed} {where}; {camera.passed_over} passed over"
    if faults:
        raise FormatError(f"{faults[0]}; {done}")
    if camera.ended_early:
        raise MediaError(f"{camera.ended_early}; {done}")
    return done


def sink_opener(
    source: str, out: Path | None, format: str | None
) -> Callable[[tuple[int, int], str], AbstractContextManager[Sink]]:
    """What opens the place where results go, for (height, width) and the name of a model. Raises `FormatError` if the
    format makes no sense."""
    if out is None:
        return lambda size, model: nullcontext(lambda result: None)
    if out == PIPE:
        piped = piped_format(format)
        return lambda size, model: into_pipe(sys.stdout.buffer, piped, size)
    keep_inputs(out, Path(source))
    filed = file_format(out, format)

    @contextmanager
    def open_file(size: tuple[int, int], model: str) -> Iterator[Sink]:
        with writer(filed, out, size=size, video=source, model=model) as file:
            yield file.write

    return open_file


def open_camera(source: str, wait: float) -> Camera:
    """A camera by its number, a stream by its URL, or a file in a camera's place. Raises `MediaError`."""
    if source.isascii() and source.isdecimal():
        return Camera(int(source), patience=Patience(total=wait))
    if "://" in source:
        return Camera(source, patience=Patience(total=wait))
    return Camera(source, patience=Patience(total=0), opener=Player)


def going_on(write: Sink, faults: list[str], console: Console) -> Sink:
    """A sink that goes on without its file once that cannot be written, as the page is still looked at."""

    def attempt(result: FrameLike) -> None:
        if not faults:
            try:
                write(result)
            except MaskletError as error:
                faults.append(str(error))
                console.print(f"masklet: {error}; going on without it")

    return attempt


def prompt_all(session: LiveSession, prompts: Sequence[TypedPrompt]) -> None:
    """Give the typed prompts to a session, for the newest frame."""

    def ask(said: TypedPrompt, tracker: StreamTracker) -> FrameResult:
        if said.box is not None:
            return tracker.add_box(object=said.object, box=said.box)
        return tracker.add_points(object=said.object, points=said.points, labels=said.labels)

    for said in prompts:
        session.prompt(said.object, partial(ask, said))


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Treat SIGTERM, which service managers send to end a program, like Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def line(session: LiveSession) -> Text:
    """How it goes, on one line."""
    status = session.status()
    if status.lost:
        return Text(f"waiting for {session.camera.name}: {status.lost}", style="yellow")
    parts = [
        "waiting for the first frame" if status.frame is None else f"frame {status.frame}",
        f"{status.rate:.1f} frames/s",
        f"{1000 * status.latency:.0f} ms behind",
        f"{status.passed_over} passed over",
        *(told(item) for item in status.objects),
    ]
    return Text(" · ".join(parts), no_wrap=True, overflow="ellipsis")


def told(item: ObjectStatus) -> str:
    return f"{item.name} {item.state}" + (f", needs a prompt: {item.needs_prompt}" if item.needs_prompt else "")
