"""`masklet eval`: one subcommand per file."""

from __future__ import annotations

import typer

from masklet.cli.eval.score import score

app = typer.Typer(
    name="eval",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Measure how good masks are, by the field's protocols.",
)
app.command()(score)


@app.callback()
def options() -> None:
    """Measure how good masks are, by the field's protocols."""
