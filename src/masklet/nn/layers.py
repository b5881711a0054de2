"""Small layers that several parts of the network share."""

import copy
from collections import OrderedDict
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Prepared(nn.Module):
    """A module with tables that depend on its weights or sizes, but not on the frame.

    `prepare` computes them once and keeps them as buffers that move with the module and are not saved; until then, and
    in training, they are computed at every use.
    """

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.table_names = names
        for name in names:
            self.register_buffer(name, None, persistent=False)

    def compute_tables(self) -> tuple[Tensor, ...]:
        """The tables in the order of their names, on the module's device."""
        raise NotImplementedError

    def tables(self) -> tuple[Tensor, ...]:
        """The kept tables, or else fresh ones."""
        kept = tuple(getattr(self, name) for name in self.table_names)
        return self.compute_tables() if kept[0] is None else kept

    def prepare(self, dtype: torch.dtype) -> None:
        """Compute the tables and keep them."""
        with torch.no_grad():
            for name, table in zip(self.table_names, self.compute_tables(), strict=True):
                setattr(self, name, table.detach().to(dtype))  # a weight of its own is a table like others

    def forget(self) -> None:
        """Drop the kept tables: the weights have changed, or will."""
        for name in self.table_names:
            setattr(self, name, None)


def fold_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """A convolution, in float32, that answers as another with a batch normalisation in evaluation behind it."""
    return fuse_conv_bn_eval(copy.deepcopy(conv).float(), copy.deepcopy(norm).float())


def convolution(
    width: int, width_out: int, kernel: int = 1, stride: int = 1, groups: int = 1, eps: float = 1e-5
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A convolution and its normalisation: (B, C, H, W) -> (B, C', H/stride, W/stride)."""
    conv = nn.Conv2d(width, width_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return conv, nn.BatchNorm2d(width_out, eps=eps)


def chain(**parts: nn.Module) -> nn.Sequential:
    """Modules one after another, by the names under which published files hold their weights."""
    return nn.Sequential(OrderedDict(parts))


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of a map: (B, C, H, W) -> (B, C, H, W), or with `dim=-1` (..., C)."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.eps = eps

    def forward(self, x: Tensor, dim: int = 1) -> Tensor:
        if dim == -1:
            return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)
        mean = x.mean(1, keepdim=True)
        centred = x - mean
        variance = centred.square().mean(1, keepdim=True)
        x = centred * torch.rsqrt(variance + self.eps)
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class MLP(nn.Module):
    """Linear layers with an activation between them: (..., widths[0]) -> (..., widths[-1])."""

    def __init__(self, *widths: int, activation: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


class Attention(nn.Module):
    """Multi-head attention with separate projections to `inner` channels over all heads. Keys and values may be
    narrower than queries and the answer, by `key_width`."""

    def __init__(self, width: int, inner: int, heads: int, key_width: int | None = None) -> None:
        super().__init__()
        self.heads, self.head_width = heads, inner // heads
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(key_width or width, inner)
        self.v_proj = nn.Linear(key_width or width, inner)
        self.out_proj = nn.Linear(inner, width)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None = None) -> Tensor:
        """q (N, Tq, width), k and v (N or 1, Tk, key_width), keep (N, Tk) bool -> (N, Tq, width)."""
        q, k, v = self.split(self.q_proj(q)), self.split(self.k_proj(k)), self.split(self.v_proj(v))
        return self.out_proj(join(attend(q, k, v, keep)))

    def split(self, x: Tensor) -> Tensor:
        """(N, T, inner) -> (N, heads, T, D)"""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def by_head(self, weight: Tensor) -> Tensor:
        """(inner, C) -> (heads, D, C)"""
        return weight.unflatten(0, (self.heads, -1))


def or_all(keep: Tensor | None, like: Tensor) -> Tensor:
    """What is no padding, bool; all, in the shape of another tensor, where there is none."""
    return torch.ones_like(like, dtype=torch.bool) if keep is None else keep


def attend(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None = None, dropout: float = 0.0) -> Tensor:
    """Scaled dot-product attention over (N, heads, T, D); a batch of one serves all N.

    Keys where `keep` (N, Tk) is False are not seen. `dropout` is the share of the weights that are left out at random.
    """
    batch = max(q.shape[0], k.shape[0])
    q, k, v = (x if x.shape[0] == batch else x.expand(batch, -1, -1, -1) for x in (q, k, v))
    mask = None if keep is None else keep[:, None, None, :]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)


def join(x: Tensor) -> Tensor:
    """(N, heads, T, D) -> (N, T, heads * D)"""
    return x.transpose(1, 2).flatten(2)


def to_tokens(x: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, h * w, C)"""
    return x.flatten(2).transpose(1, 2)


def to_map(x: Tensor, height: int) -> Tensor:
    """(N, h * w, C) -> (N, C, h, w)"""
    return x.transpose(1, 2).unflatten(2, (height, -1))


def tight_box(inside: Tensor) -> Tensor:
    """bool (N, H, W) -> int64 (N, 4): the first and last column and row inside, (W, H, -1, -1) where nothing is."""
    height, width = inside.shape[-2:]
    edges = []
    for axis, length in ((-2, width), (-1, height)):
        taken = inside.any(dim=axis)
        place = torch.arange(length, device=inside.device)
        edges.append((torch.where(taken, place, length).amin(dim=1), torch.where(taken, place, -1).amax(dim=1)))
    (x0, x1), (y0, y1) = edges
    return torch.stack((x0, y0, x1, y1), dim=1)


class Layer(NamedTuple):
    """One of the layers that a trunk passes one after another."""

    module: nn.Module
    branches: tuple[nn.Module, ...] = ()
    """Modules inside it whose answers are added to what comes in. Training leaves them out at random (drop path)."""


class Trunk(nn.Module):
    """A module that turns pictures (B, 3, S, S) into four maps, (B, widths[k], S/stride, S/stride), at strides 4, 8,
    16 and 32.

    Attributes:
        memory_format: In which order numbers lie in memory while it is trained.
    """

    memory_format: torch.memory_format = torch.contiguous_format

    def layers(self) -> list[Layer]:
        """All layers from the picture on, for rates that fall with the distance from the end (layer decay). What is in
        none of them, such as position codes, learns at the full rate."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> list[Tensor]:
        raise NotImplementedError


def after_each(stages: Iterable[nn.Module], x: Tensor) -> list[Tensor]:
    """What each stage makes of what the one before it made."""
    maps = []
    for stage in stages:
        x = stage(x)
        maps.append(x)
    return maps
