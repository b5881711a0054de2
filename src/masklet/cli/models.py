"""`masklet models`: what can be loaded by name."""

import dataclasses
import json
from typing import Annotated

import typer

from masklet.cli.choices import option


def models(
    as_json: Annotated[bool, option("Print JSON instead of a table.", name="--json")] = False,
) -> None:
    """List the models that can be loaded by name, and which of them are already here.

    \b
    Examples:
      masklet models
      masklet models --json
    """
    from masklet.checkpoints import list_models

    known = list_models()
    if as_json:
        records = [{**dataclasses.asdict(model), "downloaded": model.downloaded} for model in known]
        typer.echo(json.dumps(records, indent=2, default=str))
        return

    from rich.console import Console
    from rich.table import Table

    caption = "Published weights: Apache-2.0. Load one by its name: --model NAME"
    table = Table("name", title="Models", title_justify="left", caption=caption)
    table.add_column("parameters", justify="right")
    table.add_column("pixels", justify="right")
    table.add_column("here")
    table.add_column("file", no_wrap=True)
    for model in known:
        here = "[green]yes[/green]" if model.downloaded else "no"
        table.add_row(model.name, f"{model.parameters / 1e6:.1f} M", str(model.image_size), here, model.file)
    Console().print(table)
