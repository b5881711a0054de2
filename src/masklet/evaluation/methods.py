"""Methods: models and baselines behind one interface, so that every protocol runs them all.

A baseline carries the mask of a prompted frame on, from each frame to the next, without any learning.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, NoReturn, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.engines.base import Engine
from masklet.errors import EvaluationError, nearest
from masklet.formats.base import FrameLike, ObjectId, ObjectLike, PlainFrame, mask_only, object_numbers
from masklet.image import EncodedImage, EverythingOptions, ImagePredictor, MaskSet, segment_everything
from masklet.masks.shape import mask_box
from masklet.media.source import FrameSource
from masklet.prompts import INCLUDE, Prompt, merge_prompts
from masklet.video import TrackingOptions, VideoTracker


class MethodSession(Protocol):
    """One video under way."""

    def prompt(self, frame: int, object: int, prompt: Prompt) -> NDArray[np.bool_]:
        """Add to the prompts of an object in a frame: its mask, bool (H, W)."""
        ...

    def follow(self, start: int) -> Iterator[FrameLike]:
        """Every frame from `start` to the end, with the objects that were prompted there or before."""
        ...


Predict = Callable[[Sequence[Prompt]], Sequence[ObjectLike]]
"""One picture under way: all prompts so far of N objects -> their masks with their scores. Calls on one picture are
about the same objects in the same order; each refines the last answers."""


class Method(Protocol):
    """A model or a baseline.

    name       for tables
    facts      what it is, exactly: plain JSON for the record of a run
    estimates  whether it estimates the IoU and the presence of its masks; a baseline does not
    """

    @property
    def name(self) -> str: ...

    @property
    def facts(self) -> Mapping[str, Any]: ...

    @property
    def estimates(self) -> bool: ...

    def track(self, source: FrameSource) -> AbstractContextManager[MethodSession]:
        """Begin on a video."""
        ...

    def look(self, image: NDArray[np.uint8]) -> Predict:
        """Begin on a picture, uint8 (H, W, 3) RGB."""
        ...

    def everything(self, image: NDArray[np.uint8], options: EverythingOptions) -> MaskSet:
        """The masks of everything in a picture. Raises EvaluationError if the method finds nothing without prompts."""
        ...


@dataclass(frozen=True)
class MethodChoice:
    """What is to be measured: a baseline, or else a model; plain data, so that other processes can load it."""

    model: str = "nano"  # name or file
    baseline: str | None = None  # a name of `BASELINES`, or None
    device: str | None = None  # where a model runs; None for the best there is
    speed: str | None = None  # its speed mode; None for what the model's name says
    # fields of `masklet.TrackingOptions` that are not the default
    tracking: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.baseline is not None and self.baseline not in BASELINES:
            known, hint = ", ".join(BASELINES), nearest(self.baseline, BASELINES)
            raise EvaluationError(f"unknown baseline {self.baseline!r}{hint}; there are {known}")
        if self.baseline is not None and (self.tracking or self.speed not in (None, "exact")):
            raise EvaluationError("a baseline has no speed and no tracking options; leave them out, or give a model")


@cache
def find_method(choice: MethodChoice) -> Method:
    """The method, loaded once in each process.

    Raises CheckpointError if it is a model that cannot be loaded, and ConfigError for options that it cannot have.
    """
    if choice.baseline is not None:
        return BASELINES[choice.baseline]
    from masklet.checkpoints import load_model  # imports torch, which baselines do without

    return ModelMethod(load_model(choice.model, device=choice.device, speed=choice.speed), choice.tracking)


class TrackerSession:
    """A video under way, by masklet's tracker."""

    def __init__(self, tracker: VideoTracker) -> None:
        self.tracker = tracker

    def prompt(self, frame: int, object: int, prompt: Prompt) -> NDArray[np.bool_]:
        return self.tracker.add_prompt(frame=frame, object=object, prompt=prompt).objects[object].mask

    def follow(self, start: int) -> Iterator[FrameLike]:
        return self.tracker.propagate(start=start)


class ModelMethod:
    """An engine, such as a loaded model, with fields of `TrackingOptions` that are not the default, plain JSON. Raises
    ConfigError for options that do not exist."""

    estimates = True

    def __init__(self, engine: Engine, tracking: Mapping[str, Any] | None = None) -> None:
        self.engine, self.tracking = engine, dict(tracking or {})
        self.options = TrackingOptions(**self.tracking)
        self.options.policy_for(engine.config)  # raises for an unknown policy
        self.name = ", ".join([engine.config.name, *(f"{name} {value}" for name, value in self.tracking.items())])

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Name, fingerprint of the weights, size, precision, and how it tracks if not by default."""
        return {
            "model": self.engine.config.name,
            "weights": self.engine.digest,
            "image_size": self.engine.config.image_size,
            "dtype": str(self.engine.dtype).removeprefix("torch."),
            "device": str(self.engine.device),
            **({"tracking": self.tracking} if self.tracking else {}),
        }

    @contextmanager
    def track(self, source: FrameSource) -> Iterator[TrackerSession]:
        with VideoTracker(source, self.engine, options=self.options) as tracker:
            yield TrackerSession(tracker)

    def look(self, image: NDArray[np.uint8]) -> Predict:
        predictor = ImagePredictor(self.engine)
        return look_at(predictor, predictor.encode(image))

    def everything(self, image: NDArray[np.uint8], options: EverythingOptions) -> MaskSet:
        return segment_everything(image, self.engine, options)


def look_at(predictor: ImagePredictor, picture: EncodedImage) -> Predict:
    """Answers about a picture; after the first its logits go in with the prompts."""
    logits = None

    def answer(prompts: Sequence[Prompt]) -> Sequence[ObjectLike]:
        nonlocal logits
        best = predictor.predict(
            picture,
            points=[prompt.points or None for prompt in prompts],
            labels=[prompt.labels or None for prompt in prompts],
            boxes=[prompt.box for prompt in prompts],
            masks=logits,
        ).best
        logits = list(best.logits)
        scores = zip(best, best.iou, best.presence, strict=True)
        return [mask_only(mask, float(iou), float(presence)) for mask, iou, presence in scores]

    return answer


Soft = NDArray[np.float32]
"""(H, W) in 0..1: how much of a pixel belongs to the object."""

Carry = Callable[[NDArray[np.uint8], NDArray[np.uint8], Mapping[int, Soft]], Mapping[int, Soft]]
"""(image of a frame, image of the next, masks by object) -> masks in the next."""

GRABCUT_ROUNDS = 5
"""Times that colours and cut are fitted to each other (Rother et al., SIGGRAPH 2004; OpenCV's own example)."""

GRABCUT_LONGEST = 192
"""Larger cuttings are made smaller, in pixels of the longer side; GrabCut takes seconds otherwise."""

GRABCUT_MARGIN = 0.5
"""Share of a box's sides that is looked at beyond each of them, to learn the background's colours."""

REACH, SURE = 0.25, 0.02
"""Radius around a click, in shares of the shorter side: within one its kind is likely, within the other certain."""


@dataclass(frozen=True, eq=False)
class SoftMask:
    """One object in one frame, as files are written from it."""

    soft: Soft
    iou: float = 1.0
    presence: float = 1.0

    @property
    def mask(self) -> NDArray[np.bool_]:
        return self.soft > 0.5

    def full_logits(self) -> Soft:
        """-1..1, positive inside."""
        return 2 * self.soft - 1


class CarriedSession:
    """A video under way: masks stand where they were prompted, and are carried from there."""

    def __init__(self, source: FrameSource, carry: Carry) -> None:
        self.source = source
        self.carry = carry
        self.prompts: dict[tuple[int, int], Prompt] = {}
        self.anchors: dict[int, dict[int, Soft]] = {}
        self.carried: tuple[int, Mapping[int, Soft]] = (-1, {})  # the frame that was reached last, and its masks

    def prompt(self, frame: int, object: int, prompt: Prompt) -> NDArray[np.bool_]:
        """The object's mask on the frame: the given mask, or GrabCut's answer to all prompts there."""
        prompt = self.prompts[frame, object] = merge_prompts(self.prompts.get((frame, object)), prompt)
        mask = prompt.mask if prompt.mask is not None else cut_prompt(self.source.read(frame).image, prompt)
        self.anchors.setdefault(frame, {})[object] = mask.astype(np.float32)
        return mask

    def follow(self, start: int) -> Iterator[FrameLike]:
        """Forward to the end; if `start` is the frame that was reached last, on from there."""
        masks = self.carried[1] if self.carried[0] == start else {}
        image = None
        for frame in self.source.frames(start):
            if image is not None:
                masks = self.carry(image, frame.image, masks)
            masks = {**masks, **self.anchors.get(frame.index, {})}
            image, self.carried = frame.image, (frame.index, masks)
            objects: dict[ObjectId, ObjectLike] = {number: SoftMask(soft) for number, soft in masks.items()}
            yield PlainFrame(frame.index, frame.time, self.source.size, objects, object_numbers(objects), frame.image)


@dataclass(frozen=True)
class Baseline:
    """A way to carry masks. Where no mask is given but a box or clicks, GrabCut makes the first one."""

    name: str  # what people type
    help: str  # one line
    carry: Carry  # from a frame to the next
    estimates: bool = field(default=False, init=False)

    @property
    def facts(self) -> dict[str, str]:
        return {"baseline": self.name, "how": self.help}

    @contextmanager
    def track(self, source: FrameSource) -> Iterator[CarriedSession]:
        with source:
            yield CarriedSession(source, self.carry)

    def look(self, image: NDArray[np.uint8]) -> Predict:
        """GrabCut, which begins anew with all prompts."""
        return lambda prompts: [mask_only(cut_prompt(image, prompt)) for prompt in prompts]

    def everything(self, image: NDArray[np.uint8], options: object) -> NoReturn:
        raise EvaluationError(f"{self.name} needs prompts and finds nothing by itself; give a model")


def carry_by_flow(
    image: NDArray[np.uint8], following: NDArray[np.uint8], masks: Mapping[int, Soft]
) -> Mapping[int, Soft]:
    """Soft masks in the next frame: each pixel looks back along the flow, and takes what is there, bilinearly.

    The flow is DIS, medium preset (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016), from the
    next frame to this one. What flows in from beyond the picture is background.
    """
    if not masks:
        return masks
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    here, there = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (image, following))
    back = flow.calc(there, here, np.zeros((*image.shape[:2], 2), np.float32))
    rows, columns = np.indices(image.shape[:2], np.float32)
    across, down = columns + back[..., 0], rows + back[..., 1]

    def moved(soft: Soft) -> Soft:
        taken = cv2.remap(soft, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        return np.asarray(taken, np.float32)

    return {number: moved(soft) for number, soft in masks.items()}


def cut_prompt(image: NDArray[np.uint8], prompt: Prompt) -> NDArray[np.bool_]:
    """The object of a box, of clicks, or of both, in a picture, uint8 (H, W, 3): bool (H, W)."""
    height, width = image.shape[:2]
    hints = np.full((height, width), cv2.GC_BGD if prompt.box else cv2.GC_PR_BGD, np.uint8)
    clicks = [
        ((round(x), round(y)), label == INCLUDE) for (x, y), label in zip(prompt.points, prompt.labels, strict=True)
    ]
    window: tuple[slice, slice] = slice(None), slice(None)
    if prompt.box:
        x0, y0, x1, y1 = prompt.box
        across, down = GRABCUT_MARGIN * (x1 - x0) + 2, GRABCUT_MARGIN * (y1 - y0) + 2
        rows = slice(max(0, int(y0 - down)), min(height, int(y1 + down) + 1))
        window = rows, slice(max(0, int(x0 - across)), min(width, int(x1 + across) + 1))
        x0, y0, x1, y1 = (round(edge) for edge in prompt.box)
        hints[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = cv2.GC_PR_FGD
    else:
        for place, inside in clicks:
            likely = cv2.GC_PR_FGD if inside else cv2.GC_PR_BGD
            cv2.circle(hints, place, max(2, round(REACH * min(height, width))), likely, -1)
    for place, inside in clicks:
        cv2.circle(hints, place, round(SURE * min(height, width)), cv2.GC_FGD if inside else cv2.GC_BGD, -1)
    mask = np.zeros((height, width), np.bool_)
    mask[window] = _cut(image[window], hints[window])
    return mask


def recut(image: NDArray[np.uint8], following: NDArray[np.uint8], masks: Mapping[int, Soft]) -> Mapping[int, Soft]:
    """Each object cut out of the next frame, from the box around its mask, a tenth larger on each side."""
    height, width = following.shape[:2]
    found = {}
    for number, soft in masks.items():
        x0, y0, x1, y1 = mask_box(soft > 0.5).tolist()
        across, down = (x1 - x0) / 10, (y1 - y0) / 10
        box = max(x0 - across, 0.0), max(y0 - down, 0.0), min(x1 + across, float(width)), min(y1 + down, float(height))
        found[number] = cut_prompt(following, Prompt(box=box)).astype(np.float32) if x0 < x1 else np.zeros_like(soft)
    return found


def _cut(image: NDArray[np.uint8], hints: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """GrabCut on a cutting, at a size that takes no seconds. Where it finds nothing, what was likely is the answer."""
    size = hints.shape[::-1]
    scale = min(1.0, GRABCUT_LONGEST / max(size))
    smaller = tuple(max(1, round(side * scale)) for side in size)
    picture = np.ascontiguousarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)[..., ::-1])
    marks = np.ascontiguousarray(cv2.resize(hints, smaller, interpolation=cv2.INTER_NEAREST))
    inside = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if inside.any() and not inside.all():
        cv2.setRNGSeed(0)  # its clustering draws at random
        cv2.grabCut(
            picture, marks, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK
        )
    found = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD))
    kept = (found if found.any() else inside).astype(np.float32)
    return np.asarray(cv2.resize(kept, size, interpolation=cv2.INTER_LINEAR) > 0.5)


BASELINES = {
    baseline.name: baseline
    for baseline in (
        Baseline("still", "the first mask kept still", lambda image, following, masks: masks),
        Baseline("flow", "the first mask carried by optical flow (OpenCV DIS, medium)", carry_by_flow),
        Baseline("grabcut", "GrabCut from the box, in each frame from the box of the mask before", recut),
    )
}
"""To add a baseline, write its carry function and add a line here."""
