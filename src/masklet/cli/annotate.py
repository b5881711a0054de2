"""`masklet annotate`: the annotator in the browser."""

import secrets
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from masklet.app import check_installed
from masklet.cli.choices import DeviceChoice, HostChoice, PortChoice, SpeedChoice, option


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
    from masklet.app.library import Library, read_classes
    from masklet.app.server import server
    from masklet.app.web import HOSTS, address_of, listen, run
    from masklet.checkpoints import load_model
    from masklet.jobs.record import leased

    sample = Path(__file__).parent.parent / "samples" / "clip.mp4"
    for path in paths or ():
        next(items_in(path), None)  # what is not there is said before the project has a folder
    with leased(str(project)), listen(port, host) as listening:
        offered = [] if classes is None else read_classes(classes)
        engine = load_model(model or model_of(project), device=device, speed=speed)
        library = Library(paths or [sample], project, engine, classes=offered, largest_upload=largest_upload)
        token = None if host in HOSTS else secrets.token_urlsafe(24)
        only = f"v/{next(iter(library.items))}" if len(library.items) == 1 else ""
        address = f"{address_of(listening, host)}/{only if token is None else f'enter?token={token}'}"

        def ready() -> None:
            typer.echo(f"Annotate at {address}\nThe work is kept in {project}. Ctrl-C ends it.")
            if browse:
                webbrowser.open(address)

        run(server(library, token, ready), listening, library.close)


def model_of(project: Path) -> str:
    """The model in use by the loop of a project; nano if it has none."""
    if not (project / "loop").is_dir():
        return "nano"
    from masklet.loop.project import Loop

    return Loop(project).weights()
