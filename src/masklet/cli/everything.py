"""`masklet everything`: masks of all that is in a picture, or in many."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masklet.cli.choices import option, spread_options
from masklet.cli.pictures import Images, Make, PicturesChoice, do_pictures
from masklet.jobs.places import is_url

if TYPE_CHECKING:
    from masklet.image import MaskSet


@dataclass(frozen=True, kw_only=True)
class EverythingChoice:
    """How everything is looked for: fields of `masklet.EverythingOptions`."""

    points_per_side: Annotated[int, option("Clicks along each axis of the grid.", 1, 1024)] = 32
    points_per_batch: Annotated[int, option("Clicks at once: more need more memory.", 1, 4096)] = 64
    least_iou: Annotated[
        float | None, option("Masks are surer of themselves than this; usual for the model.", 0, 1)
    ] = None
    least_stability: Annotated[float | None, option("Masks change less than this at another threshold.", 0, 1)] = None
    most_overlap: Annotated[float, option("Of masks whose boxes overlap by more, the surest stays.", 0, 1)] = 0.7
    min_region: Annotated[int, option("Holes and islands of fewer pixels are filled and removed.", 0, 1 << 31)] = 0
    crop_layers: Annotated[
        int, option("Look again at crops, for small things: 1 is 2 x 2 crops, 2 also 4 x 4.", 0, 5)
    ] = 0
    refine: Annotated[bool, option("Give each mask to the decoder once more.", name="--refine")] = False


@spread_options
def everything(
    *,
    images: Images,
    pictures: PicturesChoice,
    choice: EverythingChoice,
    tile: Annotated[
        int, option("Do it tile by tile, each of this side in pixels: for pictures beyond memory.", 0, 32_768)
    ] = 0,
) -> None:
    """Find the masks of everything in a picture, or in many, without pointing at anything.

    Pictures whose masks are there are passed over; one that fails is reported, and the rest go on. Masks may overlap:
    coco keeps all of both, and in a PNG the smaller one lies on top. By tiles the format is coco, or one of maps.

    \b
    Examples:
      masklet everything street.jpg --out street.json
      masklet everything photos "more/**/*.jpg" --out masks --format overlay
      masklet everything cells.png --out cells.json --crop-layers 1 --min-region 20 --model sam2.1-tiny
      masklet everything aerial.tif --out aerial.json --tile 1024
      masklet everything city.tif --out roofs.gpkg --resolution 0.3 --simplify 1.5
      masklet everything "https://host/{z}/{x}/{y}.png" --bounds 11.55,48.13,11.56,48.14 --zoom 19 --out roofs.gpkg
    """
    mapped, format = pictures.mapped, pictures.format
    tile = tile or (1024 if pictures.by_windows or any(map(is_url, images)) else 0)
    if tile and not mapped and format not in (None, "coco"):
        raise typer.BadParameter(f"--tile writes coco or a map, and --format {format} came; leave one of them out")

    def begin() -> Make:
        from masklet.checkpoints import load_model
        from masklet.errors import MediaError
        from masklet.image import EverythingOptions, TileOptions, segment_everything, segment_tiles

        options = EverythingOptions(**vars(choice))
        loaded = load_model(pictures.model, device=pictures.device)
        if not tile:
            return lambda path: segment_everything(path, loaded, options)
        tiles = TileOptions(side=tile, overlap=tile // 4)

        def by_tiles(path: Path | str) -> MaskSet:
            with pictures.large(path) as picture:
                if mapped and picture.ground is None:  # said before hours of work
                    raise MediaError(f"{picture.name} does not say where it lies; give a GeoTIFF, or write coco")
                return segment_tiles(picture, loaded, options, tiles)

        return by_tiles

    kind = "coco" if tile and not mapped else format
    do_pictures(images, pictures, begin, format=kind, usual="coco")
