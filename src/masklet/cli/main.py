"""`masklet` and its commands. Nothing heavy is imported until a command runs."""

import sys
from typing import Annotated

import typer

import masklet
from masklet.cli.choices import help_of, option, tell
from masklet.cli.eval import app as eval_app
from masklet.cli.live import live
from masklet.cli.loop import loop
from masklet.cli.masks import convert, dataset, name
from masklet.cli.models import export, models
from masklet.cli.pictures import everything, segment
from masklet.cli.servers import annotate, serve
from masklet.cli.track import track
from masklet.cli.train import finetune, train
from masklet.errors import MaskletError

app = typer.Typer(
    name="masklet",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Point at a thing in a video and get its mask in every frame.",
    epilog="Each command has its own help with examples: [bold]masklet track --help[/bold]",
    context_settings={
        "help_option_names": ["-h", "--help"],
        # What is absent; else Typer loads pydantic to read it: 0.2 s.
        "default_map": {"help": False, "install_completion": False, "show_completion": False},
    },
)
for panel, commands in (
    ("Masks", (annotate, track, live, segment, everything, name, convert)),
    ("Models", (models, finetune, export, serve)),
):
    for command in commands:
        app.command(help=help_of(command), rich_help_panel=panel)(command)
app.add_typer(dataset, name="dataset", rich_help_panel="Masks")
app.add_typer(train, name="train", rich_help_panel="Models")
app.add_typer(loop, name="loop", rich_help_panel="Models")
app.add_typer(eval_app, rich_help_panel="Measures")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"masklet {masklet.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, option("Print the version and exit.", name="--version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options of `masklet` itself."""


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 something was wrong with the input, 2 wrong usage, 130 stopped."""
    try:
        app()
    except MaskletError as error:
        tell(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
