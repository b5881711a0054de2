"""What goes into the four functions of a network and what comes out.

Named tuples of tensors, so that they compile and export as they are. Where a graph takes the network's place they hold
NumPy's arrays of the same shapes and types. Imports no torch. Letters used in all of `nn`:

    B  pictures           N  objects            S  side of the model's square, in pixels
    C  channels (width)   M  memory channels    h, w  cells at stride 16 (S/16)
    F  memories of an object, padded            P  points or pointers of an object, padded
    T  tokens             D  channels of one attention head
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Levels(NamedTuple):
    """Features of pictures at three resolutions."""

    stride4: Tensor
    """(B, C/8, S/4, S/4)"""
    stride8: Tensor
    """(B, C/4, S/8, S/8)"""
    stride16: Tensor
    """(B, C, S/16, S/16), without any memory"""


class MemoryBank(NamedTuple):
    """What each of N objects remembers when a frame is attended.

    Banks of unequal length are padded; `keep_*` is False at the padding, None if there is none.
    """

    memories: Tensor
    """(N, F, M, h, w) encoded memories, each of `ModelConfig.memory_shape`; F may be 0"""
    slots: Tensor
    """(N, F) int64: temporal slot of each memory, 0 the newest, `memory_frames` - 1 a prompted frame"""
    pointers: Tensor
    """(N, P, C) object pointers; P may be 0"""
    ages: Tensor
    """(N, P) float: signed distance in time of each pointer, in units of the longest that is attended"""
    keep_memories: Tensor | None = None
    """(N, F) bool"""
    keep_pointers: Tensor | None = None
    """(N, P) bool"""


class PromptTokens(NamedTuple):
    """Prompts of N objects on one frame."""

    points: Tensor
    """(N, P, 2) float: x, y in pixels of the model's square"""
    labels: Tensor
    """(N, P) int64: 1 include, 0 exclude, 2 and 3 the corners of a box, -1 no point (which still counts as a token)"""
    keep: Tensor | None = None
    """(N, P) bool: False at padding, which has no effect at all; None if there is none"""
    masks: Tensor | None = None
    """(N, 1, S/4, S/4) logits of an earlier answer, or (N, 1, S, S) a given mask in 0..1"""
    keep_masks: Tensor | None = None
    """(N,) bool: which objects have a mask; None means all, if `masks` is given"""


class PromptCodes(NamedTuple):
    """Prompts of N objects as the mask decoder takes them."""

    tokens: Tensor
    """(N, P, C) points"""
    dense: Tensor
    """(N or 1, C, h, w) mask prompts, added to the features"""
    drawing: Tensor | None = None
    """(N, D, S/4, S/4) earlier logits, box and points as a picture, where prompts are drawn"""


class Decoded(NamedTuple):
    """All four candidate masks of N objects: the first for a clear prompt, three for an ambiguous one."""

    logits: Tensor
    """(N, 4, S/4, S/4), positive inside"""
    iou: Tensor
    """(N, 4) predicted intersection over union, 0..1"""
    pointers: Tensor
    """(N, 4, C) the object's pointer, by candidate"""
    presence: Tensor
    """(N,) logit: positive if the object is in the frame"""
