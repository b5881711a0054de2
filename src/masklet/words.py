"""Words: what a text names is found in a picture as boxes, and a thing that was cut out gets the name that fits it
best, or a sentence about it, by models of transformers.

Letters: Q boxes that a detector proposes, P phrases, T tokens of a text, M crops, K names.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike, fspath
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from masklet.engines.arrays import to_numpy
from masklet.errors import CheckpointError, PromptError, nearest, needing
from masklet.masks.shape import suppress

GROUNDERS = {
    "grounding-dino-tiny": "IDEA-Research/grounding-dino-tiny",
    "grounding-dino-base": "IDEA-Research/grounding-dino-base",
    "owlv2": "google/owlv2-base-patch16-ensemble",
    "sam3": "facebook/sam3",
}
"""Detectors by name, and where they are published: under Apache-2.0, but for SAM 3, whose licence is to be accepted."""

GROUNDER_KINDS = ("grounding-dino", "mm-grounding-dino", "owlvit", "owlv2", "sam3")
"""Kinds of models of transformers whose answers are understood."""

NAMERS = {"siglip2": "google/siglip2-base-patch16-224", "clip": "openai/clip-vit-base-patch32"}
"""What compares pictures with names, and where it is published: under Apache-2.0 and MIT."""

NAMER_KINDS = {"siglip": "This is a photo of {}.", "siglip2": "This is a photo of {}.", "clip": "a photo of a {}"}
"""Kinds of models of transformers that compare pictures with texts, and the text that a name becomes, as published."""

CAPTIONERS = {"florence2": "florence-community/Florence-2-base"}
"""What says in a sentence what a picture shows, and where it is published: under MIT."""

TASK, MAX_CAPTION_LENGTH = "<CAPTION>", 64
"""What Florence-2 is asked for, as published, and the most tokens of an answer."""

MAX_PHRASES, MAX_PHRASE_LENGTH, MAX_TEXT_LENGTH = 50, 100, 700
"""The most phrases of a text, and letters of a phrase and of a text: detectors read some 256 tokens."""

MIN_SCORE = 0.3
"""A box counts from this score on, 0..1, as published for Grounding DINO."""

MAX_OVERLAP = 0.7
"""Of boxes of one phrase that overlap by more, the surest stays."""


@dataclass(frozen=True)
class FoundBox:
    """A box (x0, y0, x1, y1) in pixels, its score, 0..1, and the phrase that it is of."""

    box: tuple[float, float, float, float]
    score: float
    phrase: str


class Grounder(Protocol):
    """Finds what phrases name."""

    def find(self, image: NDArray[np.uint8], phrases: Sequence[str], least: float) -> list[FoundBox]:
        """The boxes of a picture, uint8 (H, W, 3), with a score of at least `least`, the surest first."""
        ...


def phrases_of(text: str) -> tuple[str, ...]:
    """The phrases of a text, in small letters: "Red car. dog" is "red car" and "dog".

    Raises PromptError if there are none, or too many for a detector.
    """
    if not isinstance(text, str):
        raise PromptError(f"text is {text!r:.80}; give words, such as 'red car . dog'")
    found = tuple(dict.fromkeys(" ".join(part.lower().split()) for part in re.split(r"[.\n;]", text) if part.strip()))
    if not found:
        raise PromptError("the text is empty; give words, such as 'red car . dog'")
    longest = max(map(len, found))
    if len(found) > MAX_PHRASES or longest > MAX_PHRASE_LENGTH or sum(map(len, found)) > MAX_TEXT_LENGTH:
        raise PromptError(
            f"the text has {len(text)} letters in {len(found)} phrases, the longest of {longest}; give at most "
            f"{MAX_TEXT_LENGTH} letters in {MAX_PHRASES} phrases of {MAX_PHRASE_LENGTH}, with a dot between them"
        )
    return found


def find_boxes(
    image: NDArray[np.uint8], text: str, grounder: str | PathLike[str] | Grounder, least: float = MIN_SCORE
) -> list[FoundBox]:
    """What a text names in a picture, uint8 (H, W, 3), the surest first; boxes of one phrase that cover each other are
    one.

    Raises PromptError for a text that is none, and a threshold outside of 0..1; CheckpointError as `load_grounder`.
    """
    phrases = phrases_of(text)
    if not 0 <= least <= 1:
        raise PromptError(f"least is {least!r}; give a score from 0 to 1")
    found = sorted(load_grounder(grounder).find(image, phrases, least), key=lambda one: -one.score)
    height, width = image.shape[:2]
    inside: dict[str, list[FoundBox]] = {phrase: [] for phrase in phrases}
    for one in found:
        x0, y0, x1, y1 = (min(max(edge, 0.0), most) for edge, most in zip(one.box, (width, height) * 2, strict=True))
        if one.score >= least and one.phrase in inside and x1 - x0 >= 1 and y1 - y0 >= 1:
            inside[one.phrase].append(FoundBox((x0, y0, x1, y1), one.score, one.phrase))
    kept: list[FoundBox] = []
    for boxes in inside.values():
        rows = suppress([one.box for one in boxes], [one.score for one in boxes], MAX_OVERLAP)
        kept += [boxes[row] for row in rows.tolist()]
    return sorted(kept, key=lambda one: -one.score)


class Namer(Protocol):
    """Compares pictures with names."""

    def compare(self, crops: Sequence[NDArray[np.uint8]], names: Sequence[str]) -> NDArray[np.float32]:
        """float32 (M, K) in 0..1: how well each name fits each picture, uint8 (H, W, 3)."""
        ...


class Captioner(Protocol):
    """Says in a sentence what a picture shows."""

    def caption(self, crops: Sequence[NDArray[np.uint8]]) -> list[str]:
        """A sentence for each picture, uint8 (H, W, 3)."""
        ...


def load_grounder(grounder: str | PathLike[str] | Grounder, device: str | None = None) -> Grounder:
    """A detector of `GROUNDERS`, or of a folder that transformers wrote; what was loaded stays. Others are given back.

    Raises CheckpointError if transformers is not installed, or the model is unknown, of another kind, damaged, or
    neither on this machine nor to be had.
    """
    return _loaded("grounder", fspath(grounder), device) if isinstance(grounder, str | PathLike) else grounder


def load_namer(namer: str | PathLike[str] | Namer, device: str | None = None) -> Namer:
    """As `load_grounder`, of `NAMERS`."""
    return _loaded("namer", fspath(namer), device) if isinstance(namer, str | PathLike) else namer


def load_captioner(captioner: str | PathLike[str] | Captioner, device: str | None = None) -> Captioner:
    """As `load_grounder`, of `CAPTIONERS`."""
    return _loaded("captioner", fspath(captioner), device) if isinstance(captioner, str | PathLike) else captioner


@lru_cache(maxsize=3)
def _loaded(what: str, name: str, device: str | None) -> Any:
    """A model of transformers with its processor; SAM 3, whose pictures are made ready here, with its tokenizer."""
    models: dict[str, tuple[dict[str, str], Sequence[str], str, Any]] = {
        "grounder": (GROUNDERS, GROUNDER_KINDS, "AutoModelForZeroShotObjectDetection", TransformersGrounder),
        "namer": (NAMERS, list(NAMER_KINDS), "AutoModel", TransformersNamer),
        "captioner": (CAPTIONERS, ["florence2"], "AutoModelForImageTextToText", TransformersCaptioner),
    }
    known, kinds, maker, wrapper = models[what]
    place = known.get(name, name)
    if name not in known and "/" not in name and not os.path.isdir(name):
        raise CheckpointError(
            f"no {what} is called {name!r}{nearest(name, known)}; there are {', '.join(known)}, or a folder"
        )
    with needing("text", "a text", CheckpointError):
        import transformers
        from transformers.utils import logging
    told, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        kind = transformers.AutoConfig.from_pretrained(place).model_type
        if kind not in kinds:
            raise CheckpointError(f"{name} is a {kind}; give a model of the kinds {', '.join(kinds)}")
        texts = "AutoProcessor"
        if kind == "sam3":
            texts, maker, wrapper = "AutoTokenizer", "AutoModel", Sam3Grounder
        processor = getattr(transformers, texts).from_pretrained(place)
        model = getattr(transformers, maker).from_pretrained(place, use_safetensors=True)
    except CheckpointError:
        raise
    except Exception as error:  # of many kinds: no such folder, no network, a damaged file, a part that is missing
        reason = str(error).strip().splitlines()
        raise CheckpointError(
            f"the {what} {name} cannot be loaded: {reason[0] if reason else type(error).__name__}; give a folder "
            "with its config.json, tokenizer and model.safetensors, or connect to download it"
        ) from error
    finally:
        logging.set_verbosity(told)
        if bars:
            logging.enable_progress_bar()
    import torch

    best = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return wrapper(model.to(best).eval().requires_grad_(False), processor)


@dataclass
class OfTransformers:
    """A model of transformers, and what makes its inputs."""

    model: Any
    processor: Any


class TransformersGrounder(OfTransformers):
    """A model of one of `GROUNDER_KINDS`."""

    def find(self, image: NDArray[np.uint8], phrases: Sequence[str], least: float) -> list[FoundBox]:
        kind, scale = self.model.config.model_type, (image.shape[1], image.shape[0])
        if kind.startswith("owl"):
            inputs = self.processor(text=[list(phrases)], images=image, truncation=True, return_tensors="pt")
            outputs = self.model(**inputs.to(self.model.device))
            scores = to_numpy(outputs.logits[0].sigmoid())  # (Q, P)
            if kind == "owlv2":  # pictures are padded to a square at the right and at the bottom
                scale = (max(scale),) * 2
        else:
            text = " ".join(f"{phrase}." for phrase in phrases)
            inputs = self.processor(text=text, images=image, return_tensors="pt")
            outputs = self.model(**inputs.to(self.model.device))
            tokens = to_numpy(inputs["input_ids"][0])
            scores = self._of_phrases(to_numpy(outputs.logits[0].sigmoid()), tokens, len(phrases))
        x, y, width, height = (to_numpy(outputs.pred_boxes[0]) * (*scale, *scale)).T
        boxes = np.stack((x - width / 2, y - height / 2, x + width / 2, y + height / 2), axis=1)
        best = scores.argmax(axis=1)
        return [
            FoundBox(tuple(boxes[row].tolist()), float(scores[row, best[row]]), phrases[best[row]])
            for row in np.flatnonzero(scores.max(axis=1) >= least).tolist()
        ]

    def _of_phrases(self, scores: NDArray[np.float32], tokens: NDArray[np.int64], count: int) -> NDArray[np.float32]:
        """(Q, P): the score of a phrase is the best of its tokens, of scores (Q, T) and tokens (T,) with a dot after
        each phrase. Phrases that transformers puts together stay apart so."""
        tokenizer = self.processor.tokenizer
        dot = tokenizer.convert_tokens_to_ids(".")
        ids = tokens[: scores.shape[1]]
        of_phrase, plain = np.cumsum(ids == dot), ~np.isin(ids, [dot, *tokenizer.all_special_ids])
        found = np.zeros((len(scores), count), np.float32)
        for number in range(count):
            places = np.flatnonzero((of_phrase == number) & plain)
            if len(places):
                found[:, number] = scores[:, places].max(axis=1)
        return found


class Sam3Grounder(OfTransformers):
    """SAM 3, each phrase for itself, with its tokenizer. Pictures are made ready here, as its own class for that needs
    torchvision: a square, and colours in -1..1."""

    def find(self, image: NDArray[np.uint8], phrases: Sequence[str], least: float) -> list[FoundBox]:
        import torch
        import torch.nn.functional as F

        side, device = self.model.config.image_size, self.model.device
        colours = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        square = F.interpolate(colours, size=(side, side), mode="bilinear", antialias=True).clamp(-1, 1)
        seen = self.model.get_vision_features(square.to(device, self.model.dtype))
        height, width = image.shape[:2]
        found = []
        for phrase in phrases:
            text = self.processor(phrase, padding="max_length", max_length=32, truncation=True, return_tensors="pt")
            answer = self.model(vision_embeds=seen, **text.to(device))
            scores = answer.pred_logits[0].sigmoid() * answer.presence_logits[0].sigmoid()
            boxes = answer.pred_boxes[0].float().cpu() * torch.tensor([width, height, width, height])
            found += [
                FoundBox(tuple(box), score, phrase)
                for box, score in zip(boxes.tolist(), scores.float().tolist(), strict=True)
                if score >= least
            ]
        return found


class TransformersNamer(OfTransformers):
    """A model of one of `NAMER_KINDS`. CLIP shares one out among the names, SigLIP judges each name for itself."""

    def compare(self, crops: Sequence[NDArray[np.uint8]], names: Sequence[str]) -> NDArray[np.float32]:
        kind = self.model.config.model_type
        texts = [NAMER_KINDS[kind].format(name) for name in names]
        padding = True if kind == "clip" else "max_length"
        inputs = self.processor(text=texts, images=list(crops), padding=padding, truncation=True, return_tensors="pt")
        logits = self.model(**inputs.to(self.model.device)).logits_per_image.float()
        return to_numpy(logits.softmax(dim=1) if kind == "clip" else logits.sigmoid())


class TransformersCaptioner(OfTransformers):
    """Florence-2: the best of three beams, as published."""

    def caption(self, crops: Sequence[NDArray[np.uint8]]) -> list[str]:
        inputs = self.processor(text=[TASK] * len(crops), images=list(crops), return_tensors="pt")
        tokens = self.model.generate(
            **inputs.to(self.model.device), max_new_tokens=MAX_CAPTION_LENGTH, num_beams=3, do_sample=False
        )
        return [text.strip() for text in self.processor.batch_decode(tokens, skip_special_tokens=True)]
