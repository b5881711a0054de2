"""`masklet loop`: learn from what people annotated, and annotate what comes next."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from masklet.cli.choices import MAX_STEPS, DeviceChoice, help_of, option

warn = partial(typer.echo, err=True)

if TYPE_CHECKING:
    from masklet.loop.project import Loop, Version


class ProjectOrStep(TyperGroup):
    """`masklet loop PROJECT` is `masklet loop run PROJECT`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What is no step is a project."""
        if args and args[0] not in (*self.commands, "-h", "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


loop = typer.Typer(
    cls=ProjectOrStep,
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Learn from what people annotated, and annotate what comes next. masklet loop PROJECT does all steps.",
)

ProjectChoice = Annotated[
    Path, typer.Argument(metavar="PROJECT", help="Folder of masklet annotate --project.", show_default=False)
]
FurtherChoice = Annotated[
    list[str], option("Further annotations, as of masklet train; may be given several times.", name="--data")
]


@loop.command()
def run(
    project: ProjectChoice,
    sources: Annotated[
        list[str], option("A video, picture or folder to annotate; may be given several times.", name="--videos")
    ] = [],  # noqa: B006
    data: FurtherChoice = [],  # noqa: B006
    model: Annotated[str | None, option("Name or file of the model to begin with; nano.")] = None,
    steps: Annotated[int | None, option("Steps of each training; 200.", 1, MAX_STEPS)] = None,
    settings: Annotated[
        list[str], option("FIELD=VALUE of the recipe, such as low_rank=8; as often as needed.", name="--set")
    ] = [],  # noqa: B006
    held_out: Annotated[float | None, option("Share to judge on; 0.2.", 0, 0.9)] = None,
    ahead: Annotated[int | None, option("Videos and pictures annotated ahead, at most; 100.", 0, 10**6)] = None,
    device: DeviceChoice = None,
) -> None:
    """All steps, one after another: collect, train, score, annotate, queue.

    Options are kept in the project, so that they are given once. A run that was stopped or killed goes on. Where
    nothing new is annotated, nothing is trained.

    \b
    Examples:
      masklet annotate footage --project work
      masklet loop work --videos footage
      masklet loop work
      masklet annotate footage --project work
    """
    several = {"sources": sources, "data": data, "settings": settings}
    asked: dict[str, Any] = {name: tuple(value) or None for name, value in several.items()}
    with opened_loop(project, model=model, steps=steps, held_out=held_out, ahead=ahead, **asked) as state:
        if collected(state):
            train(state, device)
            score(state, device)
        annotate(state, device)


@loop.command()
def collect(project: ProjectChoice, data: FurtherChoice = []) -> None:  # noqa: B006
    """Make training data of what people answer for: frames in which every object was prompted, locked or accepted.

    A fifth of the videos and pictures is held out to judge on, and stays so.

    \b
    Examples:
      masklet loop collect work
      masklet loop collect work --data earlier/DAVIS
    """
    with opened_loop(project, data=tuple(data) or None) as state:
        collected(state)


def collected(state: "Loop") -> bool:
    """Collect, and say what; whether there is something to train on."""
    from masklet.loop.collect import collect

    found = collect(state, warn)
    what = f"{found.learned} videos and pictures to learn from, {found.held_out} to judge on"
    if found.version is None:
        typer.echo(f"nothing new is annotated; there are {what}")
        return False
    typer.echo(f"collected for version {found.version}: {what}")
    return True


def step(work: Callable[["Loop", str | None], None]) -> Callable[["Loop", str | None], None]:
    """Make what is done with a project that is held a command of the same name and help."""

    def command(project: ProjectChoice, device: DeviceChoice = None) -> None:
        with opened_loop(project) as state:
            work(state, device)

    command.__doc__ = work.__doc__
    loop.command(work.__name__)(command)
    return work


@step
def train(state: "Loop", device: str | None) -> None:
    """Train a version on what was collected, from the model in use on.

    \b
    Examples:
      masklet loop train work
    """
    from masklet.loop.learn import learn

    number = learn(state, device)
    typer.echo(f"trained version {number} in {state.place(number) / 'run'}")


@step
def score(state: "Loop", device: str | None) -> None:
    """Score the version that was trained, and the one before it, on what is held out; use the better one.

    \b
    Examples:
      masklet loop score work
    """
    from masklet.loop.learn import judge

    version = judge(state, device)
    typer.echo(f"version {version.number}: {score_in_words(version)}")


@step
def annotate(state: "Loop", device: str | None) -> None:
    """Annotate what nobody began on, and order it: what teaches most for an hour of clicking comes first.

    \b
    Examples:
      masklet loop annotate work
    """
    from masklet.checkpoints import load_model
    from masklet.loop import ahead

    engine = load_model(state.weights(), device=device)
    estimates = ahead.annotate(state, engine, warn)
    queue = ahead.make_queue(state, engine, estimates)
    first = f"; the first is {queue[0].path}" if queue else ""
    typer.echo(f"annotated ahead: {len(estimates)} of {len(queue)} that nobody began on{first}")


@loop.command()
def queue(
    project: ProjectChoice,
    count: Annotated[int, option("So many lines.", 1, 10**6)] = 20,
) -> None:
    """Show what should be annotated next, and why.

    \b
    Examples:
      masklet loop queue work
    """
    from masklet.loop.ahead import read_queue

    with opened_loop(project, hold=False) as state:
        found = read_queue(state)
    typer.echo(f"{'doubt':>6} {'variety':>8} {'seconds':>8}")
    for one in found[:count]:
        typer.echo(f"{one.doubt:6.2f} {one.variety:8.2f} {one.seconds:8.0f}  {one.path}")


@loop.command()
def status(project: ProjectChoice) -> None:
    """Show the versions of the model, what they learned from, and how they scored.

    \b
    Examples:
      masklet loop status work
    """
    with opened_loop(project, hold=False) as state:
        there, begun = state.versions, state.open_version()
        typer.echo(f"{'*' if there.current == 0 else ' '} 0  {state.asked.model}")
        for version in there.judged:
            mark = "*" if version.number == there.current else " "
            score = score_in_words(version)
            typer.echo(f"{mark} {version.number}  from {version.parent}, {score}; digest {version.weights[:12]}")
        if begun is not None:
            typer.echo(f"  {begun}  is not judged yet; masklet loop {project} goes on")


@loop.command(name="roll-back")
def roll_back(
    project: ProjectChoice,
    version: Annotated[
        int | None, typer.Argument(min=0, max=10**6, metavar="[VERSION]", help="The one before if not given.")
    ] = None,
) -> None:
    """Use an earlier version again; the next training begins with it.

    \b
    Examples:
      masklet loop roll-back work
      masklet loop roll-back work 2
    """
    with opened_loop(project) as state:
        number = state.roll_back(version)
        typer.echo(f"version {number} is in use: {state.weights()}")


for _command in loop.registered_commands:
    if _command.callback is not None:
        _command.help = help_of(_command.callback)


@contextmanager
def opened_loop(project: Path, hold: bool = True, **asked: Any) -> "Iterator[Loop]":
    """The loop of a project, with what was asked; to change it, it is held as long as the block runs.

    Raises SessionError if there is no project, and nothing to begin one with.
    """
    from masklet.errors import SessionError
    from masklet.loop.project import Loop

    given = {name: value for name, value in asked.items() if value is not None}
    if not given and not any((project / folder).is_dir() for folder in ("loop", "videos")):
        raise SessionError(
            f"there is no project at {project}; give the folder of masklet annotate --project, or --videos or --data"
        )
    state = Loop(project)
    with state.held() if hold else nullcontext():
        if given:
            state.ask(**given)
        yield state


def score_in_words(version: "Version") -> str:
    """How a version scored, in words."""
    scores = ", ".join(f"{name} {version.before[name]:.3f} -> {after:.3f}" for name, after in version.after.items())
    verdict = "kept" if version.kept else "not kept"
    return f"learned from {version.learned}, judged on {version.held_out}: {scores}; {verdict}"
