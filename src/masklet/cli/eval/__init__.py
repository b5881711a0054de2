"""`masklet eval`: commands that measure, one that scores what any tool wrote, and one that compares runs."""

import typer

from masklet.cli.choices import help_of
from masklet.cli.eval.commands import everything, image, interactive, tracking, volumes, vos
from masklet.cli.eval.results import compare, score

app = typer.Typer(
    name="eval",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Measure how good masks are, by the field's protocols.",
)
for command in (vos, image, everything, interactive, tracking, volumes, score, compare):
    app.command(help=help_of(command))(command)
