"""`masklet live`: follow objects through a camera, a stream, or a file played at its own rate."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from signal import SIGTERM, default_int_handler, signal
from typing import TYPE_CHECKING, Annotated

import typer

from masklet.app import check_installed
from masklet.cli import choices
from masklet.cli.choices import option, parse_box, parse_point
from masklet.errors import FormatError, MaskletError, MediaError

if TYPE_CHECKING:
    from rich.text import Text

    from masklet.formats.base import FrameLike, Sink
    from masklet.live import LiveSession

PIPE = Path("-")
"""The path that means standard output."""


def live(
    source: Annotated[
        str,
        typer.Argument(
            metavar="CAMERA|URL|FILE", help="Number of a camera, URL of a stream, or a file played at its own rate."
        ),
    ] = "0",
    out: Annotated[
        Path | None, option("A file or a folder to write; - for a pipe, as FFmpeg's NUT. May be left out with --serve.")
    ] = None,
    format: Annotated[
        str | None, option("Of OUT, such as davis; by its ending if not given. In a pipe: overlay, davis or rgba.")
    ] = None,
    serve: Annotated[bool, option("Show a page in the browser, to see and to point.", name="--serve")] = False,
    port: choices.PortChoice = 8765,
    box: Annotated[list[str], option("OBJECT:x0,y0,x1,y1, a box in the first frame; may be given several times.")] = [],  # noqa: B006
    point: Annotated[
        list[str], option("OBJECT:x,y, a click in the first frame; x,y,0 excludes. May be given several times.")
    ] = [],  # noqa: B006
    frames: Annotated[int | None, option("End after so many frames.", 1, 10**9)] = None,
    seconds: Annotated[float | None, option("End after so many seconds.", 0.0, 1e7)] = None,
    wait: Annotated[float, option("Seconds to wait for a camera that goes away.", 0.0, 1e7)] = 60.0,
    model: choices.ModelChoice = "nano",
    speed: choices.SpeedChoice = None,
    device: choices.DeviceChoice = None,
    policy: choices.PolicyChoice = "published",
) -> None:
    """Follow objects through a camera or a stream as it comes.

    Only the newest frame is taken: those that come meanwhile are passed over, and counted. A camera that goes away is
    opened again. Ctrl-C ends it in good order and keeps what was written.

    \b
    Examples:
      masklet live --serve
      masklet live 0 --box cup:40,60,220,240 --out cup.mp4 --seconds 30
      masklet live rtsp://door/stream --serve --out door --format davis --speed fast
      masklet live clip.mp4 --point 1:311,96 --out - | ffplay -
    """
    prompts = [*(parse_box(f"0:{text}") for text in box), *(parse_point(f"0:{text}") for text in point)]
    if out is None and not serve:
        raise typer.BadParameter("nobody would see anything; give --serve for a page, --out FILE, or --out -")
    if not prompts and not serve:
        raise typer.BadParameter("nothing to follow; give --box OBJECT:x0,y0,x1,y1 or --point OBJECT:x,y, or --serve")
    if out == PIPE and sys.stdout.isatty():
        raise typer.BadParameter("--out - would fill the terminal; pipe it into a program, such as | ffplay -")

    from rich.console import Console
    from rich.live import Live

    from masklet.atomic import keep_inputs
    from masklet.checkpoints import load_model
    from masklet.formats.registry import find_format, format_of, writer
    from masklet.live import LiveSession, follow, into_pipe, open_camera, piped_format
    from masklet.video import StreamTracker, TrackingOptions
    from masklet.video.policies import check_policy

    # What is wrong with the settings is told before the model is loaded and the camera opened.
    kind = ""
    if out == PIPE:
        kind = piped_format(format)
    elif out is not None:
        keep_inputs(out, Path(source))
        kind = (find_format(format) if format else format_of(out)).name
        holds = (out.is_file() and out.stat().st_size > 0) or (out.is_dir() and any(out.iterdir()))
        if holds and not Path(source).exists():
            raise FormatError(f"{out} holds something already, and what came once comes no more; give another --out")
    check_policy(policy)
    faults: list[MaskletError] = []
    console = Console(stderr=True)

    def write(result: FrameLike) -> None:
        """Write a frame. With a page, which is still looked at, it goes on without a file that cannot be written."""
        try:
            if not faults:
                sink(result)
        except MaskletError as error:
            if not serve:
                raise
            faults.append(error)
            console.print(f"masklet: {error}; going on without it")

    def begin(session: LiveSession) -> None:
        for said in prompts:
            if said.box is not None:
                ask = partial(StreamTracker.add_box, object=said.object, box=said.box)
            else:
                ask = partial(StreamTracker.add_points, object=said.object, points=said.points, labels=said.labels)
            session.prompt(said.object, ask)

    with ExitStack() as opened:
        if serve:
            check_installed("the page", "live")
            from masklet.app.web import address_of, listen

            page = opened.enter_context(listen(port))
        engine = load_model(model, device=device, speed=speed)
        camera = opened.enter_context(open_camera(source, wait))
        session = LiveSession(camera, engine, TrackingOptions(policy=policy))
        # Service managers send SIGTERM to end a program: it is like Ctrl-C.
        opened.callback(signal, SIGTERM, signal(SIGTERM, default_int_handler))
        sink: Sink = lambda result: None  # noqa: E731
        if out == PIPE:
            sink = opened.enter_context(into_pipe(sys.stdout.buffer, kind, camera.size))
        elif out is not None:
            file = writer(kind, out, size=camera.size, video=source, model=engine.config.name)
            sink = opened.enter_context(file).write
        if serve:
            from masklet.app.camera import serving

            opened.enter_context(serving(session, page))
            console.print(f"the page is at {address_of(page)}/")
        opened.enter_context(Live(get_renderable=lambda: line(session), console=console, transient=True))
        count = follow(session, write, begin, frames=frames, seconds=seconds)
    followed = "1 frame" if count == 1 else f"{count} frames"
    where = "followed" if out is None else "in the pipe" if out == PIPE else f"in {out}"
    done = f"{followed} {where}; {camera.passed_over} passed over"
    if faults:
        raise FormatError(f"{faults[0]}; {done}")
    if camera.ended_early:
        raise MediaError(f"{camera.ended_early}; {done}")
    typer.echo(done, err=out == PIPE)


def line(session: LiveSession) -> Text:
    """How it goes, on one line."""
    from rich.text import Text

    status = session.status()
    if status.lost:
        return Text(f"waiting for {session.camera.name}: {status.lost}", style="yellow")
    parts = [
        "waiting for the first frame" if status.frame is None else f"frame {status.frame}",
        f"{status.rate:.1f} frames/s",
        f"{1000 * status.latency:.0f} ms behind",
        f"{status.passed_over} passed over",
    ]
    for item in status.objects:
        doubt = f", needs a prompt: {item.needs_prompt}" if item.needs_prompt else ""
        parts.append(f"{item.name} {item.state}{doubt}")
    return Text(" · ".join(parts), no_wrap=True, overflow="ellipsis")
