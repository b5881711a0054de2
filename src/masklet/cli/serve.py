"""`masklet serve`: masks for other programs, over HTTP."""

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from masklet.app import check_installed
from masklet.cli.choices import DeviceChoice, HostChoice, PortChoice, SpeedChoice, option


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
    from masklet.app.web import HOSTS, address_of, listen, run
    from masklet.checkpoints import load_model
    from masklet.serve.server import Service, server

    for place in allow or ():
        if "://" not in place or not place.endswith("/"):
            raise typer.BadParameter(f"--allow {place} is no beginning of URLs; give one like https://host/clips/")
    tokens = tuple(filter(None, map(str.strip, os.environ.get("MASKLET_TOKENS", "").split(","))))
    made = not tokens and host not in HOSTS
    tokens = (secrets.token_urlsafe(24),) if made else tokens
    with listen(port, host) as listening:
        engine, place = load_model(model, device=device, speed=speed), address_of(listening, host)
        service = Service(engine, folder, tokens, tuple(allow or ()), largest_video=largest << 20, most_waiting=waiting)

        def ready() -> None:
            typer.echo(f"Serving {engine.config.name} at {place}, described by {place}/openapi.json. Ctrl-C ends it.")
            if made:
                typer.echo(f"Token: {tokens[0]}")

        run(server(service, ready), listening, service.close)
