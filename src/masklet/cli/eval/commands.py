"""The commands of `masklet eval` that measure a method: what each asks, in options; the rest is the same for all."""

from typing import Annotated, Literal

from masklet.cli.choices import option, spread_options
from masklet.cli.eval.measuring import AnnotatorChoice, BaselineName, Common, FirstName, TrackerChoice, run
from masklet.cli.everything import EverythingChoice

USUAL = "davis2017"
"""The scoring protocol of data sets without one of their own."""

Way = Literal["offline", "online", "saved"]

DEFAULT_CLICKS: dict[Way, int] = {"offline": 3, "online": 3, "saved": 5}
"""Clicks on an object in a frame, at most."""


@spread_options
def vos(
    common: Common,
    options: TrackerChoice,
    baseline: BaselineName = None,
    prompt: FirstName = "mask",
    clicks: Annotated[int, option("With --prompt click: clicks on each object.", 1, 100)] = 1,
    protocol: Annotated[
        str | None, option("Which frames and objects count, as in masklet eval score; the data set's own.")
    ] = None,
    *,
    who: AnnotatorChoice,
) -> None:
    """Semi-supervised video object segmentation: J and F of objects that are prompted once and then followed.

    Data sets: davis2016, davis2017, ytvos, sav, mose, lvos, and folder, your own videos with index PNGs.

    Writes OUT/masks as the data set wants them handed in, OUT/sequences.csv, objects.csv, summary.json, table.md,
    plot.png and OUT/worst. Sequences that are done are not done again.

    \b
    Examples:
      masklet eval vos --dataset davis2017 --root DAVIS --model sam2.1-tiny
      masklet eval vos --dataset davis2017 --root DAVIS --prompt click --clicks 3
      masklet eval vos --dataset folder --root my-videos --baseline flow
    """
    from masklet.evaluation.protocols.vos import Prompting, SemiSupervised
    from masklet.metrics.protocols import PROTOCOLS

    count = clicks if prompt == "click" else 0
    prompting = Prompting(prompt, count, who.made())
    run(
        "video",
        common,
        lambda found: SemiSupervised(prompting, protocol or (found.name if found.name in PROTOCOLS else USUAL)),
        f"vos-{prompt}{count or ''}",
        baseline=baseline,
        tracking=options,
    )


@spread_options
def tracking(common: Common, options: TrackerChoice, baseline: BaselineName = None, prompt: FirstName = "box") -> None:
    """Multi-object tracking: HOTA, DetA, AssA, MOTA, IDF1 and switches of identity, by TrackEval.

    Data sets and output are those of masklet eval vos. "all" is the mean over sequences.

    \b
    Examples:
      masklet eval tracking --dataset davis2017 --root DAVIS
      masklet eval tracking --dataset mose --root MOSE --split train --limit 20 --prompt mask
    """
    from masklet.evaluation.protocols.vos import MultiObject, Prompting

    procedure = MultiObject(Prompting(prompt))
    run("video", common, lambda _: procedure, f"tracking-{prompt}", baseline=baseline, tracking=options)


@spread_options
def interactive(
    common: Common,
    options: TrackerChoice,
    baseline: BaselineName = None,
    way: Annotated[
        Way, option("Correct the worst frame, round after round; pause in one pass; or count what it saves.")
    ] = "offline",
    rounds: Annotated[int, option("offline, online: annotated frames, the first included.", 1, 100)] = 8,
    clicks: Annotated[
        int | None, option("On an object in such a frame; 3, with --way saved at most 5.", 1, 100)
    ] = None,
    target: Annotated[float, option("online, saved: IoU that needs no correction.", 0.01, 1)] = 0.75,
    *,
    who: AnnotatorChoice,
) -> None:
    """Interactive video segmentation, with a simulated annotator, as in the SAM 2 paper.

    offline: J&F after each round, of which each corrects the worst frame of the video. online: one pass, which pauses
    where an object's IoU falls below the target. saved: clicks to bring every frame to the target, with the tracker and
    each frame alone. Data sets and output are those of masklet eval vos.

    \b
    Examples:
      masklet eval interactive --dataset davis2017 --root DAVIS --limit 5
      masklet eval interactive --dataset folder --root my-videos --way online --rounds 3
      masklet eval interactive --dataset folder --root my-videos --way saved --target 0.85
    """
    from masklet.evaluation.protocols.base import Procedure
    from masklet.evaluation.protocols.clicks_saved import ClicksSaved
    from masklet.evaluation.protocols.interactive import Offline, Online

    count, annotator = clicks or DEFAULT_CLICKS[way], who.made()
    procedures: dict[Way, Procedure] = {
        "offline": Offline(rounds, count, annotator),
        "online": Online(rounds, count, annotator, good=target),
        "saved": ClicksSaved(target, count, annotator),
    }
    run("video", common, lambda _: procedures[way], f"interactive-{way}", baseline=baseline, tracking=options)


@spread_options
def image(
    common: Common,
    baseline: BaselineName = None,
    prompt: Annotated[Literal["click", "box"], option("What comes first; everything after it is a click.")] = "click",
    clicks: Annotated[int, option("Answers to each object; the box counts as one.", 1, 100)] = 5,
    *,
    who: AnnotatorChoice,
) -> None:
    """Pictures: mean IoU after 1, 3 and 5 clicks, each on the centre of the largest error.

    With ten clicks or more it counts the clicks to IoUs of 85 and 90 % too. Data sets: coco, lvis, and folder, your own
    pictures with index PNGs. Output is that of masklet eval vos; OUT/masks holds index PNGs after the last click.

    \b
    Examples:
      masklet eval image --dataset coco --root COCO --limit 500
      masklet eval image --dataset folder --root pictures --prompt box --clicks 1
      masklet eval image --dataset folder --root pictures --clicks 20 --baseline grabcut
    """
    from masklet.evaluation.protocols.images import ImageClicks

    procedure = ImageClicks(prompt, clicks, who.made())
    run("image", common, lambda _: procedure, f"image-{prompt}{clicks}", baseline=baseline)


@spread_options
def everything(common: Common, choice: EverythingChoice) -> None:
    """Zero-shot masks of everything in pictures: how well they cover the annotated objects.

    Mean IoU of the best mask of each object, recall at IoUs of 50 and 75 %, COCO's average recall with 100 and 1000
    masks a picture, masks and seconds a picture. Baselines need prompts, so there are none here. Data sets
    and output are those of masklet eval image; OUT/masks holds the best masks, and a COCO JSON with all.

    \b
    Examples:
      masklet eval everything --dataset coco --root COCO --limit 100
      masklet eval everything --dataset folder --root pictures --points-per-side 16
      masklet eval everything --dataset lvis --root LVIS --model sam2.1-tiny --crop-layers 1 --most-overlap 0.9
    """
    from masklet.evaluation.protocols.images import Everything
    from masklet.image import EverythingOptions

    procedure = Everything(EverythingOptions(**vars(choice)))
    run("image", common, lambda _: procedure, "everything")


@spread_options
def volumes(
    common: Common,
    options: TrackerChoice,
    baseline: BaselineName = None,
    window: Annotated[str | None, option("LEVEL,WIDTH, or brain, soft-tissue, liver, lung or bone (CT).")] = None,
    tolerance: Annotated[float, option("Millimetres between surfaces, for NSD.", 0, 1000)] = 2.0,
    find_ends: Annotated[bool, option("Leave out slices beyond an object's ends.", name="--find-ends")] = False,
) -> None:
    """Volumes: Dice and normalised surface Dice from one box on the middle slice, followed in both directions.

    ROOT holds images/NAME.nii.gz and labels/NAME.nii.gz, or imagesTr and labelsTr as the Medical Segmentation Decathlon
    and nnU-Net do. Every number of a label map is an object.

    \b
    Examples:
      masklet eval volumes --dataset volumes --root Task09_Spleen --split train --window soft-tissue --limit 5
      masklet eval volumes --dataset volumes --root scans --find-ends --tolerance 1
    """
    from masklet.cli.choices import ReadingChoice
    from masklet.evaluation.protocols.volumes import Volumes

    shown = ReadingChoice(window=window).given.get("window")
    procedure = Volumes(tuple(shown) if isinstance(shown, list) else shown, find_ends, tolerance)
    run("video", common, lambda _: procedure, "volumes", baseline=baseline, tracking=options)
