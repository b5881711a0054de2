"""Which object gets a pixel that several claim, decided once for all objects of a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.formats.base import ObjectId, RleMask, distance_logits
from masklet.masks.rle import Rle, decode_rle
from masklet.masks.trace import resize_logits

LOST_LOGIT = -10.0
"""Highest logit of a pixel that was given to another object, as published."""

FINAL = 1000.0
"""Added to the logits of a final mask: a pixel that a person gave to an object is not lost to a tracked one."""

LOST = 2.0**-10
"""Logit of a pixel of a final mask that was decided against it: inside the mask, and less sure than any other."""


@dataclass(frozen=True)
class FinalMask:
    """A mask that stays as it is: a person gave or locked it, or it was read from a file.

    Attributes:
        rle: The mask.
        lost: Those of its pixels that another object has in index maps, where that was decided before; or None.
    """

    rle: Rle
    lost: Rle | None = None

    @classmethod
    def of(cls, mask: RleMask) -> FinalMask:
        """A mask with its scores, without them."""
        return cls(mask.rle, mask.lost)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool (H, W)"""
        return decode_rle(self.rle)

    def claim(self) -> NDArray[np.float32]:
        """(H, W) float32: how strongly it claims each pixel; -inf outside."""
        mask = self.mask
        sure = np.where(mask, FINAL + distance_logits(mask), -np.inf).astype(np.float32)
        return sure if self.lost is None else np.where(decode_rle(self.lost), np.float32(LOST), sure)


@dataclass(eq=False)
class FramePixels:
    """The masks of one frame, at the size of the picture. Each is made once, and kept as bits.

    Args:
        logits: (S/4, S/4) of each object, positive inside; not needed of final masks.
        final: Objects whose mask is final: their logits say nothing of it.
        size: (height, width) of the picture.
        side: S/4.
        apart: Whether each pixel is given to one object.

    Attributes:
        names: The objects, in an order in which equally sure ones take precedence.
    """

    logits: Mapping[ObjectId, NDArray[np.float32]]
    final: Mapping[ObjectId, FinalMask]
    size: tuple[int, int]
    side: int
    apart: bool = False
    names: list[ObjectId] = field(init=False)
    _bits: dict[ObjectId, NDArray[np.uint8]] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.names = [*dict.fromkeys((*self.logits, *self.final))]

    def mask(self, name: ObjectId) -> NDArray[np.bool_]:
        """bool (H, W) of an object; where `apart`, without the pixels of surer ones."""
        if name in self.final:
            return self.final[name].mask
        if self.apart:
            return self._has(name) & (self.owners >= 0)
        if name not in self._bits:
            self._bits[name] = np.packbits(self.full_logits(name) > 0)
        height, width = self.size
        return np.unpackbits(self._bits[name], count=height * width).reshape(self.size).view(np.bool_)

    def full_logits(self, name: ObjectId) -> NDArray[np.float32]:
        """(H, W) float32, positive inside: stretched, bilinear. Where `apart`, at most -10 where another object is
        surer. Of a final mask twice the distance to its edge."""
        if name in self.final:
            return distance_logits(self.final[name].mask)
        own = resize_logits(self.logits[name], self.size)
        return np.where(self._has(name), own, np.minimum(own, LOST_LOGIT)) if self.apart else own

    def small_logits(self, name: ObjectId) -> NDArray[np.float32]:
        """(S/4, S/4) float32; of a final mask without logits from the distance to its edge."""
        if name in self.logits:
            return self.logits[name]
        small = cv2.resize(self.full_logits(name), (self.side, self.side), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.float32)

    @property
    def owners(self) -> NDArray[np.int16]:
        """int16 (H, W): the place of the object to which a pixel goes, in `names`; -1 where there is no mask."""
        return np.maximum(self._surest, np.int16(-1))

    def _has(self, name: ObjectId) -> NDArray[np.bool_]:
        """Pixels where no other object is surer, inside of masks and outside."""
        place = self.names.index(name)
        return (self._surest == place) | (self._surest == ~place)

    @cached_property
    def _surest(self) -> NDArray[np.int16]:
        """The place of the object with the highest logit; ~place where that is not positive. Of equals the first."""
        surest = np.zeros(self.size, np.int16)
        best = np.full(self.size, -np.inf, np.float32)
        for place, name in enumerate(self.names):
            final = self.final.get(name)
            claim = resize_logits(self.logits[name], self.size) if final is None else final.claim()
            if final is None and not self.apart:
                self._bits[name] = np.packbits(claim > 0)
            surer = claim > best
            surest[surer], best[surer] = place, claim[surer]
        return np.where(best > 0, surest, ~surest)
