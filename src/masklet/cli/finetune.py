"""`masklet finetune`: go on from a checkpoint on one's own data."""

from typing import Annotated

import typer

from masklet.cli.choices import MOST_STEPS, DataChoice, LicenceChoice, RunFolder, TrainingChoice, spread_options


@spread_options
def finetune(
    *,
    checkpoint: Annotated[
        str,
        typer.Argument(metavar="CHECKPOINT", help="Name or file of a model; see masklet models.", show_default=False),
    ],
    data: DataChoice,
    out: RunFolder,
    licence: LicenceChoice = None,
    steps: Annotated[int, typer.Option(min=1, max=MOST_STEPS, help="How many steps.")] = 2000,
    image_size: Annotated[
        int | None, typer.Option(min=32, max=4096, help="Side of the model's square; the model's own if not given.")
    ] = None,
    freeze: Annotated[
        list[str], typer.Option(help="A part that learns nothing, such as image_encoder; may be given several times.")
    ] = [],  # noqa: B006
    low_rank: Annotated[
        int, typer.Option(min=0, max=1024, help="Learn only changes of attention of this rank (LoRA); 0: all.")
    ] = 0,
    choice: TrainingChoice,
) -> None:
    """Train a model further on your own videos and pictures.

    Writes OUT/model.safetensors, which every command takes as --model. A run that was stopped goes on where it was when
    it is started again. Projects of masklet are data too: what you annotated can be learned at once. The defaults are
    meant for one card of 24 GB; on a CPU the precision is float32.

    \b
    Examples:
      masklet finetune sam2.1-tiny --data projects --out runs/mine --freeze image_encoder
      masklet finetune nano --data DAVIS --out runs/davis --set stages.*.optimizer.rate=5e-5
    """
    from dataclasses import replace

    from masklet.checkpoints.load import choose_device
    from masklet.cli.training import initial_network, run_training
    from masklet.training.recipe import override
    from masklet.training.recipes import finetune as recipe_of

    network = initial_network(checkpoint, checkpoint, seed=0)
    config = network.config
    recipe = recipe_of(
        config.name,
        steps=steps,
        image_size=image_size or config.image_size,
        freeze=tuple(freeze),
        precision="float32" if choose_device(choice.device).type == "cpu" else "bfloat16",
    )
    recipe = override(replace(recipe, low_rank=low_rank), choice.settings)
    run_training(recipe, network, data, licence, out, choice)
