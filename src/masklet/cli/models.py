"""`masklet models`: what can be loaded by name. `masklet export`: a model as graphs for another engine."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from masklet.cli.choices import ModelFile, option
from masklet.errors import ConfigError

GraphsFor = Literal["onnx", "openvino"]
"""The engines of `masklet.engines.graphs.ENGINES`, here so that help need not load them."""


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

    licences = dict.fromkeys(model.licence for model in known if model.repo)
    caption = f"Published weights: {', '.join(licences)}. Load one by its name: --model NAME"
    table = Table("name", title="Models", title_justify="left", caption=caption)
    table.add_column("parameters", justify="right")
    table.add_column("pixels", justify="right")
    table.add_column("here")
    table.add_column("file", no_wrap=True)
    for model in known:
        here = "[green]yes[/green]" if model.downloaded else "no"
        table.add_row(model.name, f"{model.parameters / 1e6:.1f} M", str(model.image_size), here, model.file)
    Console().print(table)


def export(
    model: ModelFile,
    out: Annotated[Path, option("The folder to write; an export that is there is replaced.")],
    engine: Annotated[GraphsFor, option("What will run it.")] = "onnx",
    objects: Annotated[
        str | None,
        option(
            "Counts of objects that graphs are fixed to, such as 1,4,16; any count for onnx and 1,4,16 for "
            "openvino if not given.",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        Literal["float32", "float16", "int8"], option("float16 halves the files; int8 quantises the image encoder.")
    ] = "float32",
    calibrate: Annotated[
        Path | None, option("Pictures or videos with masks, as for masklet train; int8 needs them.")
    ] = None,
    image_size: Annotated[
        int | None, option("Side of the model's square, in pixels; the model's own if not given.", 32, 4096)
    ] = None,
    least_iou: Annotated[
        float | None, option("Write nothing under this IoU of masks with PyTorch's.", 0, 1, show_default=False)
    ] = None,
) -> None:
    """Write a model as graphs for ONNX Runtime or OpenVINO. Every --model takes the folder.

    The graphs are compared with PyTorch, function by function and on a clip of 30 frames with two objects and a
    correction. Nothing is written if an object's masks of the clip have an IoU with PyTorch's under 0.999 (0.99 in
    float16, 0.98 in int8).

    \b
    Examples:
      masklet export nano --out nano-onnx
      masklet export sam2.1-tiny --engine openvino --objects 1,4 --out tiny-openvino
      masklet export nano --precision int8 --calibrate my_data --out nano-int8
      masklet track clip.mp4 --model nano-onnx --box 0:1:40,60,220,240 --out masks
    """
    from rich.console import Console

    from masklet.checkpoints.load import load_torch_model
    from masklet.cli.terminal import as_table
    from masklet.export import export_model

    loaded = load_torch_model(model, device="cpu", image_size=image_size)
    console = Console(stderr=True)
    with console.status("exporting") as status:
        parity = export_model(
            loaded,
            out,
            engine=engine,
            objects=counts(objects),
            precision=precision,
            calibration=calibrate,
            least_iou=least_iou,
            advance=status.update,
        )
    rows = [("function", "objects", "largest difference", "largest number")]
    rows += [
        (each.function, f"{each.objects}", f"{each.largest:.1e}", f"{each.scale:.3g}") for each in parity.differences
    ]
    Console().print(as_table("Against PyTorch", rows))
    by_object = ", ".join(f"{iou:.5f}" for iou in parity.clip_iou)
    typer.echo(f"IoU of masks in {parity.frames} frames, by object: {by_object}; lowest {parity.lowest_iou:.5f}")
    typer.echo(f"wrote {out}")


def counts(text: str | None) -> tuple[int, ...]:
    """Counts of objects, of a text such as 1,4,16. Raises ConfigError for anything else."""
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise ConfigError(f"--objects is {text!r}; give whole numbers with commas between, such as 1,4,16") from error
