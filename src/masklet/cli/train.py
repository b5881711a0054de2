"""`masklet train`: a model from random weights, or from those of another; and what goes with it. `masklet finetune`: on
from a checkpoint, on one's own data."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from masklet.cli.choices import MAX_STEPS, DeviceChoice, ModelFile, TrainingChoice, help_of, option, spread_options
from masklet.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from masklet.nn import Network
    from masklet.training.data import Feed
    from masklet.training.recipes import Recipe

MAX_NAMED_DUPLICATES = 5
"""So many duplicates are named."""

DataChoice = Annotated[
    list[str],
    option("PATH, KIND:PATH or PATH@WEIGHT of training data; may be given several times.", show_default=False),
]
LicenceChoice = Annotated[str | None, option("Of an index, only rows of this licence group, such as open.")]
RunFolder = Annotated[Path, option("Folder of the run; the same again goes on with it.", show_default=False)]

train = typer.Typer(no_args_is_help=True, help="Train a model by a recipe, look at training data, or pack it.")

RECIPE_NAMES = ("nano", "sam2.1-tiny", "sam2.1-small", "sam2.1-base-plus", "sam2.1-large")
"""Those of `masklet.training.recipes.RECIPES`, here so that help needs no torch."""


@spread_options
def by_recipe(
    *,
    context: typer.Context,
    data: DataChoice,
    out: RunFolder,
    licence: LicenceChoice = None,
    start: Annotated[str | None, option("Name or file of a model to begin with; random weights if not given.")] = None,
    trunk: Annotated[
        Literal["imagenet", "random"] | None,
        option("What the trunk begins with, without --start: imagenet where it can, or random."),
    ] = None,
    choice: TrainingChoice,
) -> None:
    """Train this model by its recipe.

    Writes OUT/model.safetensors, which every command takes as --model, OUT/log.jsonl and OUT/checkpoint.pt. The same
    command goes on with a run that was stopped.

    \b
    Examples:
      masklet train nano --data shapes --out runs/nano
      masklet train nano --data small.pack --licence open --out runs/open
      masklet train sam2.1-tiny --data sa1b@15 --data sav@50 --out runs/tiny
      torchrun --nproc-per-node 8 -m masklet train sam2.1-tiny ...
    """
    from masklet.training.recipes import RECIPES, override

    name = str(context.info_name)
    recipe = override(RECIPES[name](name), choice.settings)
    run_training(recipe, initial_network(recipe.model, start, recipe.seed, trunk), data, licence, out, choice)


for _name in RECIPE_NAMES:
    train.command(_name, help=help_of(by_recipe))(by_recipe)


@spread_options
def finetune(
    *,
    checkpoint: ModelFile,
    data: DataChoice,
    out: RunFolder,
    licence: LicenceChoice = None,
    steps: Annotated[int, option("How many steps.", 1, MAX_STEPS)] = 2000,
    image_size: Annotated[
        int | None, option("Side of the model's square; the model's own if not given.", 32, 4096)
    ] = None,
    freeze: Annotated[
        list[str], option("A part that learns nothing, such as image_encoder; may be given several times.")
    ] = [],  # noqa: B006
    low_rank: Annotated[int, option("Learn only changes of attention of this rank (LoRA); 0: all.", 0, 1024)] = 0,
    choice: TrainingChoice,
) -> None:
    """Train a model further on your own videos and pictures.

    Writes OUT/model.safetensors, which every command takes as --model. The same command goes on with a run that was
    stopped. Projects of masklet are data too: what you annotated can be learned at once. The defaults are meant for one
    card of 24 GB; on a CPU the precision is float32.

    \b
    Examples:
      masklet finetune sam2.1-tiny --data projects --out runs/mine --freeze image_encoder
      masklet finetune nano --data DAVIS --out runs/davis --set stages.*.optimizer.rate=5e-5
    """
    from masklet.checkpoints.load import choose_device
    from masklet.training.recipes import finetune as recipe_of
    from masklet.training.recipes import override

    network = initial_network(checkpoint, checkpoint, seed=0)
    config = network.config
    recipe = recipe_of(
        config.name,
        steps=steps,
        image_size=image_size or config.image_size,
        freeze=tuple(freeze),
        low_rank=low_rank,
        precision="float32" if choose_device(choice.device).type == "cpu" else "bfloat16",
    )
    run_training(override(recipe, choice.settings), network, data, licence, out, choice)


def initial_network(name: str, start: str | None, seed: int, trunk: str | None = None) -> "Network":
    """The weights that a training begins with: those of a model, or random ones with or without a trunk that has
    learned to see (`load_trunk`), as the trunk allows if that is not said.

    Raises CheckpointError if the model is of another variant, or the trunk's weights are not there.
    """
    from masklet.checkpoints import build_model
    from masklet.checkpoints.load import load_torch_model
    from masklet.training.trunk import is_learned, load_trunk

    if start and trunk:
        raise ConfigError(f"--start {start} brings a trunk with it; leave out --trunk")
    model = load_torch_model(start, device="cpu") if start else build_model(name, seed=seed)
    if start and start != name and model.name != name:
        raise CheckpointError(f"{start} holds {model.name}, not {name}; give one of {name}, or use masklet finetune")
    if not start and (trunk == "imagenet" or (trunk is None and is_learned(model.config.encoder))):
        load_trunk(model.network)
    return model.network.requires_grad_(True)


def run_training(
    recipe: "Recipe", network: "Network", data: list[str], licence: str | None, folder: Path, choice: TrainingChoice
) -> None:
    """Read the data, train, and say where the model is. Warns of pictures to validate on that are learned from too."""
    from masklet.checkpoints.load import choose_device
    from masklet.loop.learn import held_out
    from masklet.training.data import find_duplicates, read_data
    from masklet.training.loop import MODEL_FILE, RunOptions, train

    learned, validate = read_data(data, licence=licence), None
    count = sum(len(collection.clips) for collection in learned)
    typer.echo(f"pictures and videos: {count}; collections: {len(learned)}", err=True)
    of_run = {field.name for field in fields(RunOptions)}
    run = RunOptions(folder, **{name: value for name, value in vars(choice).items() if name in of_run})
    if choice.validate_on:
        judged = read_data(choice.validate_on, split="val")
        if found := find_duplicates(learned, judged):
            named = "; ".join(f"{one} looks like {known}" for known, one in found[:MAX_NAMED_DUPLICATES])
            more = f"; and {len(found) - MAX_NAMED_DUPLICATES} more" if len(found) > MAX_NAMED_DUPLICATES else ""
            why = "pictures to validate on are in the training data, so their figures are too good"
            typer.echo(f"warning: {why}: {named}{more}", err=True)
        validate = held_out(judged)
    train(recipe, network, learned, run, device=choose_device(choice.device), validate=validate)
    typer.echo(f"the model is {folder / MODEL_FILE}")


ClipSide = Annotated[int, option("Side of each clip in pixels.", 32, 4096)]
ClipFrames = Annotated[int, option("Frames of each clip.", 1, 10_000)]
ClipSeed = Annotated[int, option("Another one gives other clips.", 0, 2**63 - 1)]


@train.command()
def preview(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The MP4 to write.", show_default=False)],
    data: DataChoice,
    licence: LicenceChoice = None,
    image_size: ClipSide = 256,
    frames: ClipFrames = 24,
    made_up: Annotated[float, option("Share of clips that are made up from pictures.", 0, 1)] = 1.0,
    seed: ClipSeed = 0,
) -> None:
    """Show what training sees: clips made up from pictures, or real ones, with their masks drawn in.

    \b
    Examples:
      masklet train preview clips.mp4 --data shapes
      masklet train preview regions.mp4 --data pictures:holiday
    """
    from masklet.jobs.track import check_film
    from masklet.training.written import write_preview

    check_film(out)
    write_preview(feed_of(data, licence, "train", image_size, seed, frames=frames, made_up=made_up), out)
    typer.echo(f"wrote {out}")


@train.command()
def clips(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.", show_default=False)],
    data: DataChoice,
    licence: LicenceChoice = None,
    count: Annotated[int, option("How many clips.", 1, 1_000_000)] = 50,
    image_size: ClipSide = 256,
    frames: ClipFrames = 24,
    objects: Annotated[int, option("At most so many objects of each clip.", 1, 254)] = 3,
    split: Annotated[str, option("Part of an index to make clips from; the list of clips has its name.")] = ("val"),
    seed: ClipSeed = 0,
) -> None:
    """Write clips made up from pictures, with their true masks, as a data set to measure with.

    The folder is laid out as DAVIS-2017 is.

    \b
    Examples:
      masklet train clips made-up --data my_pictures
      masklet eval vos --dataset davis2017 --root made-up --model nano
    """
    from masklet.cli.terminal import bar
    from masklet.training.written import write_clips

    feed = feed_of(data, licence, split, image_size, seed, frames=frames, clip_objects=objects, made_up=1.0)
    with bar("clips", count) as report:
        write_clips(feed, out, count, split, report)
    typer.echo(f"wrote {count} clips to {out}")


def feed_of(data: list[str], licence: str | None, split: str, size: int, seed: int, **options: float) -> "Feed":
    """A feed of clips alone; the options are fields of `FeedOptions`."""
    from masklet.training.data import Feed, FeedOptions, Mixture, read_data

    mixture = Mixture(read_data(data, licence=licence, split=split))
    return Feed(mixture, FeedOptions(clip_share=1.0, **options), size, seed)  # type: ignore[arg-type]


@train.command()
def pack(
    folder: Annotated[Path, typer.Argument(metavar="DATA", help="A folder with index.csv.", show_default=False)],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The .pack to write.", show_default=False)],
    longest: Annotated[int, option("Longest side in pixels.", 32, 16383)] = 384,
    quality: Annotated[int, option("Of the pictures (WebP).", 1, 100)] = 34,
    split: Annotated[str, option("The rows that are packed.")] = "train",
) -> None:
    """Put training data into one small file, to train from on another machine.

    \b
    Examples:
      masklet train pack data small.pack
      masklet train pack data val.pack --split val
      masklet train nano --data small.pack --validate-on val.pack --out runs/nano
    """
    from masklet.cli.terminal import bar
    from masklet.datasets.own import PackOptions, write_pack

    with bar("packing") as report:
        size = write_pack(folder, out, PackOptions(longest=longest, quality=quality, split=split), report)
    typer.echo(f"wrote {out}, {size / 2**20:.1f} MiB")


@train.command()
def calibrate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model of our own kind.", show_default=False)],
    data: DataChoice,
    out: Annotated[Path, option("The .safetensors to write.", show_default=False)],
    licence: LicenceChoice = None,
    split: Annotated[str, option("Part of an index that the model was not trained on.")] = "val",
    steps: Annotated[int, option("Batches that are looked at.", 1, 100_000)] = 200,
    device: DeviceChoice = None,
) -> None:
    """Make a model's scores mean what they say: its predicted IoU and its presence.

    The masks stay as they are. Which of three a click gets follows from the scores, and so does what is doubted in a
    video. Give data that the model was not trained on.

    \b
    Examples:
      masklet train calibrate runs/nano/model.safetensors --data my_pictures --out nano.safetensors
    """
    from masklet.checkpoints import save_model
    from masklet.checkpoints.load import load_torch_model
    from masklet.cli.terminal import bar
    from masklet.training.calibrate import calibrate_on
    from masklet.training.data import Mixture, read_data

    loaded = load_torch_model(model, device=device)
    mixture = Mixture(read_data(data, licence=licence, split=split))
    with bar("calibrating", steps) as report:
        fitted = calibrate_on(loaded.network, mixture, steps, report)
    save_model(loaded, out)
    typer.echo(f"wrote {out}; {fitted}")


@train.command()
def plot(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Folders of runs, in the order of time.", show_default=False)
    ],
    out: Annotated[Path, option("The picture to write, such as curves.png.", show_default=False)],
) -> None:
    """Draw the learning curves of runs: what was answered while learning, and what validation said.

    \b
    Examples:
      masklet train plot runs/nano --out curves.png
      masklet train plot runs/pictures runs/clips --out curves.svg
    """
    from masklet.training.log import plot_training

    steps = plot_training(runs, out)
    typer.echo(f"{steps} steps in {out}")
