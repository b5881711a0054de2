"""Names from examples: a mask is called as the examples that it looks like are called, or gets no name.

A thing is cut out with some of what lies around it, and the network looks at that crop. The features in the mask and
those beside it are averaged, to one vector each, which are joined. The mean vector of a name's examples is its
prototype (Snell et al., "Prototypical Networks for Few-shot Learning", 2017). Likeness is the cosine to a prototype,
seen from the mean of all prototypes, in a space where examples of one name differ alike in all directions (linear
discriminant analysis, Fisher, 1936, with a covariance that is shrunk to a multiple of the identity).

Letters: K names, M masks, C channels, S side of the model's square.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import tee
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.engines.arrays import to_numpy
from masklet.engines.base import Engine
from masklet.errors import PromptError
from masklet.image.picture import Crop, Naming, PictureLike, as_picture, crop_of, naming
from masklet.image.predictor import ImagePredictor, ready_predictor
from masklet.nn import ModelConfig
from masklet.nn.config import MEMORY_STRIDE

MIN_NAME_LIKENESS = 0.35
"""A mask that is less like every name has none; benchmarks/names.py shows what that costs."""

SHRINKAGE = 0.3
"""What is added to the variance within names in each direction, as a share of its mean."""


@dataclass(frozen=True, eq=False)
class Prototypes:
    """What things of each name look like.

    Attributes:
        names: K of them, in the order in which they came.
        vectors: float32 (K, C), weighted, each of length 1.
        middle: float32 (C,), the mean over names, which is taken from vectors first.
        weights: float32 (C, C), with which they are multiplied then.
        config: What the network is made of; only such a network gives vectors that can be compared.
    """

    names: tuple[str, ...]
    vectors: NDArray[np.float32] = field(repr=False)
    middle: NDArray[np.float32] = field(repr=False)
    weights: NDArray[np.float32] = field(repr=False)
    config: ModelConfig = field(repr=False)


def learn_names(
    examples: Iterable[tuple[PictureLike, ArrayLike, str]], model: str | PathLike[str] | Engine = "nano"
) -> Prototypes:
    """Learn names from masks that have one.

        kinds = masklet.learn_names([("a.jpg", cat_mask, "cat"), ("b.jpg", dog_mask, "dog")])
        masklet.name_masks("c.jpg", masks, kinds)[0].name  # "dog"

    Args:
        examples: A picture, a mask of its size, bool (H, W), and the name, for each example. One of a name is enough,
            more are better; at least two names, as a name says what a thing is beside others.
        model: Name, path, `Model`, or any engine; what a name or a path gave stays loaded.

    Returns:
        `Prototypes`, for `name_masks`.

    Raises:
        PromptError: There are fewer than two names, or an example has an empty mask, a mask of another size, or an
            empty name.
        MediaError: A picture cannot be read.
        CheckpointError: The model cannot be loaded.
    """
    predictor = ready_predictor(model)
    names: list[str] = []

    def crops() -> Iterable[Crop]:
        for number, (picture, mask, name) in enumerate(examples):
            if not str(name or "").strip():
                raise PromptError(f"example {number} has the name {name!r}; give a text")
            names.append(str(name))
            yield crop_of(as_picture(picture, f"example {number}"), mask, f"the mask of example {number}")

    return prototypes(appearances(predictor, crops()), names, predictor.engine.config)


def prototypes(vectors: NDArray[np.float32], names: Sequence[str], config: ModelConfig) -> Prototypes:
    """The prototypes of examples, from their vectors (M, C) and names. Raises PromptError for fewer than two names."""
    kinds = tuple(dict.fromkeys(names))
    if len(kinds) < 2:
        there = f"only of {kinds[0]!r}" if kinds else "of no name"
        raise PromptError(f"there are examples {there}; give some of at least two names, such as of other things too")
    of_kind = np.array([kinds.index(name) for name in names])
    means = np.stack([vectors[of_kind == number].mean(axis=0) for number in range(len(kinds))])
    middle, weights = means.mean(axis=0), evening(vectors - means[of_kind])
    return Prototypes(kinds, unit((means - middle) @ weights), middle, weights, config)


def evening(rest: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 (C, C), by which vectors are multiplied so that the differences within names, (M, C), are alike in all
    directions; the identity if there are none."""
    covariance = rest.T.astype(np.float64) @ rest / len(rest)
    mean = float(np.trace(covariance)) / len(covariance)
    if mean < 1e-12:
        return np.eye(len(covariance), dtype=np.float32)
    values, vectors = np.linalg.eigh(covariance + SHRINKAGE * mean * np.eye(len(covariance)))
    return np.asarray(vectors / np.sqrt(values), np.float32)


def name_masks(
    picture: PictureLike,
    masks: Iterable[ArrayLike],
    kinds: Prototypes,
    model: str | PathLike[str] | Engine = "nano",
    *,
    least: float = MIN_NAME_LIKENESS,
) -> list[Naming]:
    """The names of masks of one picture.

    Args:
        picture: The picture.
        masks: bool (H, W) each, such as `Masks`.
        kinds: From `learn_names`, by the same model.
        model: The model.
        least: The likeness below which a mask has no name, -1..1.

    Returns:
        One `Naming` for each mask.

    Raises:
        PromptError: A mask is empty or not of the picture's size, `least` is no such number, or another model learned
            the names.
        MediaError: The picture cannot be read.
        CheckpointError: The model cannot be loaded.
    """
    predictor, image = ready_predictor(model), as_picture(picture)
    if kinds.config != predictor.engine.config:
        learned, looks = (f"{one.name} at {one.image_size} pixels" for one in (kinds.config, predictor.engine.config))
        raise PromptError(f"{learned} learned the names, and {looks} looks; take one model")
    if not -1 <= least <= 1:
        raise PromptError(f"least is {least!r}; give a number from -1 to 1")
    vectors = appearances(predictor, (crop_of(image, mask, f"mask {n}") for n, mask in enumerate(masks)))
    return [naming(row, kinds.names, least) for row in likenesses(vectors, kinds)]


def likenesses(vectors: NDArray[np.float32], kinds: Prototypes) -> NDArray[np.float32]:
    """float32 (M, K) in -1..1, of vectors (M, C) to each name."""
    centred = np.asarray((vectors - kinds.middle) @ kinds.weights, np.float32)
    return (unit(centred) @ kinds.vectors.T).clip(-1, 1)


def appearances(predictor: ImagePredictor, crops: Iterable[Crop]) -> NDArray[np.float32]:
    """float32 (M, C), the vector of each crop: means of its features at stride 16 in the mask, and beside it."""
    found = []
    crops, ahead = tee(crops)
    for crop, seen in zip(crops, predictor.encode_arrays((crop.image, "") for crop in ahead), strict=True):
        mask, place = crop.mask.astype(np.float32), seen.config.placed(seen.size)
        rows, columns = (-(-side // MEMORY_STRIDE) for side in place)
        features = to_numpy(seen.levels.stride16)[0, :, :rows, :columns]
        found.append(np.concatenate([averaged(features, mask), averaged(features, 1 - mask)]))
    return np.stack(found) if found else np.zeros((0, 2 * predictor.engine.config.width), np.float32)


def averaged(features: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C,) of length 1: the mean of features (C, h, w) where the mask (H, W) is; cells count as far as they are
    covered, and all of them if none is."""
    rows, columns = (shares(pixels, cells) for pixels, cells in zip(mask.shape, features.shape[1:], strict=True))
    weights = rows @ mask @ columns.T
    weights = weights if weights.any() else np.ones_like(weights)
    return unit((features * weights).sum(axis=(1, 2)) / weights.sum())


def shares(pixels: int, cells: int) -> NDArray[np.float32]:
    """(cells, pixels): how much each pixel of a line counts for the mean of each cell; one that two share, for both."""
    edges = np.arange(cells + 1) * pixels
    first, end = edges[:-1, None] // cells, -(-edges[1:, None] // cells)
    place = np.arange(pixels)
    return np.asarray(((place >= first) & (place < end)) / (end - first), np.float32)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors (..., C) at length 1; those without a length stay."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), np.float32)
