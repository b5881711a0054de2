"""`masklet live`: follow objects through a camera, a stream, or a file played at its own rate."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from masklet.cli.choices import PIPE, DeviceChoice, ModelChoice, PolicyChoice, PortChoice, SpeedChoice, option
from masklet.cli.prompts import parse_box, parse_point


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
    port: PortChoice = 8765,
    box: Annotated[list[str], option("OBJECT:x0,y0,x1,y1, a box in the first frame; may be given several times.")] = [],  # noqa: B006
    point: Annotated[
        list[str], option("OBJECT:x,y, a click in the first frame; x,y,0 excludes. May be given several times.")
    ] = [],  # noqa: B006
    frames: Annotated[int | None, option("End after so many frames.", 1, 10**9)] = None,
    seconds: Annotated[float | None, option("End after so many seconds.", 0.0, 1e7)] = None,
    wait: Annotated[float, option("Seconds to wait for a camera that goes away.", 0.0, 1e7)] = 60.0,
    model: ModelChoice = "nano",
    speed: SpeedChoice = None,
    device: DeviceChoice = None,
    policy: PolicyChoice = "published",
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

    from masklet.cli.live_job import run

    page = port if serve else None
    done = run(source, out, format, page, prompts, frames, seconds, wait, model, speed, device, policy)
    typer.echo(done, err=out == PIPE)
