"""Masks of pictures that several programs ask for: those that wait at the same time are encoded together."""

import base64
import binascii
import io
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.engines.base import Engine
from masklet.errors import MediaError, PromptError, SessionError
from masklet.image import EverythingOptions, ImagePredictor, segment_everything
from masklet.image.picture import as_picture
from masklet.image.predictor import PICTURES_AT_ONCE
from masklet.image.result import PictureMasks
from masklet.media.image_file import PILLOW_ERRORS
from masklet.prompts import Prompt, check_name, make_prompt

Shape = Literal["rle", "png", "polygons"]

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""Pictures that are read; others, such as EPS, would start programs."""

MAX_PROMPTS = 256
"""Objects in one request."""


class TooMany(SessionError):
    """More pictures or videos wait than may; there will be room."""


@dataclass
class Question:
    """A picture, uint8 (H, W, 3), with a prompt for each object, or none for everything; the names of the objects, and
    the shape in which their masks are told."""

    image: NDArray[np.uint8]
    prompts: Sequence[Prompt]
    multimask: bool | None
    names: Sequence[Any] = ()
    shape: Shape = "rle"
    answer: Future[PictureMasks] = field(default_factory=Future)


class PictureDesk:
    """Answers questions on a thread of its own, several pictures at a time; more than `most_waiting` are refused."""

    def __init__(self, engine: Engine, most_waiting: int) -> None:
        self._predictor = ImagePredictor(engine)
        self._waiting: deque[Question] = deque()
        self._most = most_waiting
        self._thread = ThreadPoolExecutor(1, "masklet-pictures")

    def ask(self, question: Question) -> Future[PictureMasks]:
        """The answer, later. Raises TooMany if too many wait."""
        if len(self._waiting) >= self._most:
            raise TooMany(f"{self._most} pictures wait already; ask again in a moment")
        self._waiting.append(question)
        self._thread.submit(self._answer)
        return question.answer

    def close(self) -> None:
        """Answer what waits, and end."""
        self._thread.shutdown()

    def _answer(self) -> None:
        """Answer those that wait longest; none may be left, as each question asks for a turn."""
        taken = [self._waiting.popleft() for _ in range(min(PICTURES_AT_ONCE, len(self._waiting)))]
        batch = [question for question in taken if question.answer.set_running_or_notify_cancel()]
        try:
            encoded = iter([*self._predictor.encode_arrays((one.image, "") for one in batch if one.prompts)])
        except Exception as error:
            for question in batch:
                question.answer.set_exception(error)
            return
        for question in batch:
            try:
                if question.prompts:
                    found: PictureMasks = self._predictor.predict_prompts(
                        next(encoded), question.prompts, multimask=question.multimask
                    )
                else:
                    found = segment_everything(question.image, self._predictor.engine, EverythingOptions())
                question.answer.set_result(found)
            except Exception as error:  # the others wait for theirs
                question.answer.set_exception(error)


def question_of(said: Mapping[str, Any], read_url: Callable[[str], bytes]) -> Question:
    """What a request asks. Raises MediaError or PromptError for what makes no sense."""
    if unknown := set(said) - {"image", "url", "prompts", "everything", "shape", "multimask"}:
        raise PromptError(f"the request has {', '.join(sorted(unknown))[:80]}, which nothing knows; see /openapi.json")
    shape = said.get("shape", "rle")
    if shape not in list(SHAPES):
        raise PromptError(f"shape is {shape!r:.40}; give {', '.join(SHAPES)}")
    if ("image" in said) == ("url" in said):
        raise MediaError("give the picture as image, in base64, or as url; one of them")
    image = sent_picture(decode_base64(said["image"]) if "image" in said else read_url(str(said["url"])))
    records, everything = said.get("prompts", []), truth_of(said, "everything")
    if not isinstance(records, list) or len(records) > MAX_PROMPTS or everything == bool(records):
        raise PromptError(f"give prompts, a list of at most {MAX_PROMPTS}, or everything; one of them")
    prompts, names = [], []
    for number, record in enumerate(records, start=1):
        if not isinstance(record, Mapping):
            raise PromptError(f"a prompt is {str(record)[:40]!r}; give object, and points or box")
        given = {key: record.get(key) for key in ("points", "labels", "box")}
        prompts.append(make_prompt((image.shape[0], image.shape[1]), **given))
        names.append(check_name(record.get("object", number)))
    multimask = None if said.get("multimask") is None else truth_of(said, "multimask")
    return Question(image, prompts, multimask, names, shape)


def truth_of(said: Mapping[str, Any], name: str) -> bool:
    """A truth of a request, false if not given or null. Raises PromptError for anything else: `"false"` would count as
    true."""
    value = False if said.get(name) is None else said[name]
    if not isinstance(value, bool):
        raise PromptError(f"{name} is {value!r:.40}; give true or false")
    return value


def decode_base64(text: object) -> bytes:
    """Bytes of base64, with or without `data:...,` before it. Raises MediaError if it is none."""
    try:
        return base64.b64decode(str(text).rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise MediaError(f"image is no base64: {error}") from None


def sent_picture(content: bytes) -> NDArray[np.uint8]:
    """A picture, uint8 (H, W, 3), of the bytes of a file. Raises MediaError if it is none."""
    try:
        with Image.open(io.BytesIO(content), formats=IMAGE_FORMATS) as image:
            return as_picture(image, "the picture")
    except PILLOW_ERRORS:
        raise MediaError(f"the picture cannot be read; give one of these kinds: {', '.join(IMAGE_FORMATS)}") from None


def answer_of(question: Question, found: PictureMasks) -> dict[str, Any]:
    """Masks in plain values, best first within each object."""
    height, width = found.size
    masks = [
        {
            "object": question.names[int(found.objects[i])] if question.names else i + 1,
            "iou": round(float(found.iou[i]), 4),
            "box": [int(value) for value in found.boxes[i]],
            "area": int(found.areas[i]),
            question.shape: SHAPES[question.shape](found, i),
        }
        for i in range(len(found))
    ]
    return {"width": width, "height": height, "masks": masks}


def _png(found: PictureMasks, i: int) -> str:
    done, data = cv2.imencode(".png", found[i].astype(np.uint8) * 255)
    assert done, "OpenCV encodes every mask as PNG"
    return base64.b64encode(data.tobytes()).decode()


def _polygons(found: PictureMasks, i: int) -> list[dict[str, Any]]:
    return [
        {"outer": part.outer.tolist(), "holes": [hole.tolist() for hole in part.holes]} for part in found.polygons(i)
    ]


SHAPES: dict[str, Callable[[PictureMasks, int], Any]] = {
    "rle": lambda found, i: found.rle(i).to_json(),
    "png": _png,
    "polygons": _polygons,
}
"""How masks are told: COCO's run lengths, black and white PNGs in base64, or polygons in pixels."""
