"""`masklet serve`: masks for other programs, over HTTP."""

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from masklet.app import check_installed
from masklet.cli.choices import DeviceChoice, SpeedChoice


def serve(
    model: Annotated[
        str, typer.Argument(metavar="[MODEL]", help="Name or file of a model; see masklet models.")
    ] = "nano",
    folder: Annotated[Path, typer.Option(help="Where video jobs are kept; the same again goes on with them.")] = Path(
        "masklet-jobs"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the server; 0 takes any that is free.")] = 8767,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Any but this machine's own asks for a token.")
    ] = "127.0.0.1",
    allow: Annotated[
        list[str] | None,
        typer.Option(help="Beginning of URLs that may be fetched, such as https://host/clips/; as often as needed."),
    ] = None,
    largest: Annotated[int, typer.Option(min=1, max=1 << 20, help="MiB of the largest video that is taken.")] = 4096,
    waiting: Annotated[int, typer.Option(min=1, max=100_000, help="Pictures, and videos, that may wait.")] = 100,
    speed: SpeedChoice = None,
    device: DeviceChoice = None,
) -> None:
    """Answer other programs: masks of pictures, videos as jobs, streams. GET /openapi.json describes all requests.

    Programs show a token as Authorization: Bearer TOKEN. MASKLET_TOKENS holds those that are taken, with commas
    between; on another address than this machine's own one is made and printed if there is none. Ctrl-C or SIGTERM ends
    the server; jobs that are not done go on when it is started again.

    \b
    Examples:
      masklet serve
      masklet serve sam2.1-small --allow https://example.org/clips/ --folder jobs
      MASKLET_TOKENS=one,two masklet serve --host 0.0.0.0
    """
    check_installed("the server", "app")
    from masklet.app.web import HOSTS, address_of, listen, run
    from masklet.checkpoints import load_model
    from masklet.serve.server import Limits, Service, server

    for place in allow or ():
        if "://" not in place or not place.endswith("/"):
            raise typer.BadParameter(f"--allow {place} is no beginning of URLs; give one like https://host/clips/")
    tokens = tuple(filter(None, map(str.strip, os.environ.get("MASKLET_TOKENS", "").split(","))))
    made = not tokens and host not in HOSTS
    tokens = (secrets.token_urlsafe(24),) if made else tokens
    listening = listen(port, host)
    try:
        engine = load_model(model, device=device, speed=speed)
        limits = Limits(upload=largest << 20, waiting=waiting)
        service = Service(engine, folder, tokens, tuple(allow or ()), limits)
    except BaseException:
        listening.close()
        raise
    address = address_of(listening, host)

    def ready() -> None:
        typer.echo(f"Serving {engine.config.name} at {address}, described by {address}/openapi.json. Ctrl-C ends it.")
        if made:
            typer.echo(f"Token: {tokens[0]}")

    run(server(service, ready), listening, service.close)
