"""`masklet annotate`, the annotator in the browser, and `masklet serve`, masks for other programs over HTTP."""

import os
import secrets
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from masklet.app import check_installed
from masklet.cli.choices import DeviceChoice, PortChoice, SpeedChoice, option

HostChoice = Annotated[
    str, option("Address to listen on. Any but this machine's own asks browsers and programs for a token.")
]


def annotate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[VIDEO|PICTURE|FOLDER]...", help="What to annotate; the shipped clip if not given."),
    ] = None,
    project: Annotated[Path, option("Folder where the work is kept; the same again goes on with it.")] = Path(
        "masklet-project"
    ),
    port: PortChoice = 8766,
    host: HostChoice = "127.0.0.1",
    classes: Annotated[
        Path | None, option("Text file with the classes that pages offer for objects, one a line.")
    ] = None,
    largest_upload: Annotated[float, option("GiB that a file dropped on the page may have.", 0.001, 1_000_000)] = 16,
    browse: Annotated[bool, option("Open a browser.", name="--browse/--no-browse")] = True,
    model: Annotated[
        str | None, option("Name or file of a model; the one that masklet loop made of the project, else nano.")
    ] = None,
    speed: SpeedChoice = None,
    device: DeviceChoice = None,
) -> None:
    """Click on things in videos and pictures, have them followed, correct, export: a page in the browser.

    Whatever is done is on the disk at once: nothing is lost by a crash, and the same command goes on. Ctrl-C ends it.

    \b
    Examples:
      masklet annotate
      masklet annotate clip.mp4
      masklet annotate footage photos --project work --model sam2.1-tiny --classes classes.txt
    """
    check_installed("the annotator", "app")
    from masklet.app.items import items_in
    from masklet.app.library import Library
    from masklet.app.server import application
    from masklet.app.web import LOCAL_HOSTS, Server, address_of, listen, run
    from masklet.checkpoints import load_model
    from masklet.formats.json_file import listed_in
    from masklet.jobs.record import leased

    sample = Path(__file__).parent.parent / "samples" / "clip.mp4"
    for path in paths or ():
        next(items_in(path), None)  # what is not there is said before the project has a folder
    with leased(str(project)), listen(port, host) as listening:
        offered = [] if classes is None else listed_in(classes, "classes")
        engine = load_model(model or model_of(project), device=device, speed=speed)
        library = Library(paths or [sample], project, engine, classes=offered, largest_upload=largest_upload)
        token = None if host in LOCAL_HOSTS else secrets.token_urlsafe(24)
        only = f"v/{next(iter(library.items))}" if len(library.items) == 1 else ""
        address = f"{address_of(listening, host)}/{only if token is None else f'enter?token={token}'}"

        def ready() -> None:
            typer.echo(f"Annotate at {address}\nThe work is kept in {project}. Ctrl-C ends it.")
            if browse:
                webbrowser.open(address)

        run(Server(application(library, token), ready), listening, library.close)


def model_of(project: Path) -> str:
    """The model in use by the loop of a project; nano if it has none."""
    if not (project / "loop").is_dir():
        return "nano"
    from masklet.loop.project import Loop

    return Loop(project).weights()


def serve(
    model: Annotated[
        str, typer.Argument(metavar="[MODEL]", help="Name or file of a model; see masklet models.")
    ] = "nano",
    folder: Annotated[Path, option("Where video jobs are kept; the same again goes on with them.")] = Path(
        "masklet-jobs"
    ),
    port: PortChoice = 8767,
    host: HostChoice = "127.0.0.1",
    allow: Annotated[
        list[str] | None,
        option("Beginning of URLs that may be fetched, such as https://host/clips/; as often as needed."),
    ] = None,
    largest: Annotated[int, option("MiB of the largest video that is taken.", 1, 1 << 20)] = 4096,
    waiting: Annotated[int, option("Pictures, and videos, that may wait.", 1, 100_000)] = 100,
    speed: SpeedChoice = None,
    device: DeviceChoice = None,
) -> None:
    """Answer other programs: masks of pictures, videos as jobs, streams. GET /openapi.json describes all requests.

    Programs show a token as Authorization: Bearer TOKEN. MASKLET_TOKENS holds those that are taken, with commas
    between; on another address than this machine's own one is made and printed if there is none. Ctrl-C or SIGTERM ends
    the server; the next one goes on with its jobs.

    \b
    Examples:
      masklet serve
      masklet serve sam2.1-small --allow https://example.org/clips/ --folder jobs
      MASKLET_TOKENS=one,two masklet serve --host 0.0.0.0
    """
    check_installed("the server", "app")
    from masklet.app.web import LOCAL_HOSTS, Server, address_of, listen, run
    from masklet.checkpoints import load_model
    from masklet.serve.server import Service, application

    for place in allow or ():
        if "://" not in place or not place.endswith("/"):
            raise typer.BadParameter(f"--allow {place} is no beginning of URLs; give one like https://host/clips/")
    tokens = tuple(filter(None, map(str.strip, os.environ.get("MASKLET_TOKENS", "").split(","))))
    made = not tokens and host not in LOCAL_HOSTS
    tokens = (secrets.token_urlsafe(24),) if made else tokens
    with listen(port, host) as listening:
        engine, place = load_model(model, device=device, speed=speed), address_of(listening, host)
        service = Service(engine, folder, tokens, tuple(allow or ()), largest_video=largest << 20, most_waiting=waiting)

        def ready() -> None:
            typer.echo(f"Serving {engine.config.name} at {place}, described by {place}/openapi.json. Ctrl-C ends it.")
            if made:
                typer.echo(f"Token: {tokens[0]}")

        run(Server(application(service), ready, patience=5), listening, service.close)
