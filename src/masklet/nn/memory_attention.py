"""Memory attention: a frame's features look at what is remembered of each object (SAM 2: Ravi et al., 2024, sec. 4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.nn.layers import Attention, Prepared, attend, join, to_map, to_tokens
from masklet.nn.positions import sine_map
from masklet.nn.rotary import Rotation, rotate, rotation

CODE_SCALE = 0.1
"""Share of the position code that is added to the features."""


class MemoryLayer(nn.Module):
    """Self-attention, attention to the memory, feed-forward; normalised before each, added after each."""

    def __init__(self, width: int, memory_width: int, mlp: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, width, heads=1)
        self.cross_attn_image = Attention(width, width, heads=1, key_width=memory_width)
        self.linear1 = nn.Linear(width, mlp)
        self.linear2 = nn.Linear(mlp, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, cells: int, by: Rotation, keep: Tensor | None) -> Tensor:
        """x (N or 1, h * w, C), keys and values (N, T, M), the first `cells` keys turned -> (N, h * w, C)."""
        x = x + self.attend_self(self.norm1(x), by)
        x = x + self.attend_memory(self.norm2(x), keys, values, cells, by, keep)
        y: Tensor = x + self.linear2(F.relu(self.linear1(self.norm3(x))))
        return y

    def attend_self(self, x: Tensor, by: Rotation) -> Tensor:
        layer = self.self_attn
        q, k, v = layer.split(layer.q_proj(x)), layer.split(layer.k_proj(x)), layer.split(layer.v_proj(x))
        y: Tensor = layer.out_proj(join(attend(rotate(q, by), rotate(k, by), v)))
        return y

    def attend_memory(
        self, x: Tensor, keys: Tensor, values: Tensor, cells: int, by: Rotation, keep: Tensor | None
    ) -> Tensor:
        """Pointers come after the cells of the memories; they have no place, so their keys are not turned."""
        layer = self.cross_attn_image
        q, k, v = layer.split(layer.q_proj(x)), layer.split(layer.k_proj(keys)), layer.split(layer.v_proj(values))
        if cells:
            k = torch.cat((rotate(k[..., :cells, :], by), k[..., cells:, :]), dim=-2)
        y: Tensor = layer.out_proj(join(attend(rotate(q, by), k, v, keep)))
        return y


class MemoryAttention(Prepared):
    """A stack of memory layers over a map of `height` x `height` cells."""

    def __init__(self, width: int, memory_width: int, mlp: int, layers: int, height: int) -> None:
        super().__init__("feature_code", "memory_code", "cos", "sin")
        self.width, self.memory_width, self.height = width, memory_width, height
        self.layers = nn.ModuleList(MemoryLayer(width, memory_width, mlp) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def compute_tables(self) -> tuple[Tensor, ...]:
        """Position codes of features (C, h, w) and memories (M, h, w), and the rotation of the cells."""
        device = self.norm.weight.device
        return (
            sine_map(self.width, self.height, device),
            sine_map(self.memory_width, self.height, device),
            *rotation(self.width, self.height, device),
        )

    def forward(
        self,
        features: Tensor,
        memories: Tensor,
        times: Tensor,
        pointers: Tensor,
        ages: Tensor,
        keep: Tensor | None,
    ) -> Tensor:
        """Attend the memories and pointers of N objects.

        Args:
            features: (N or 1, C, h, w); one frame serves all objects, and its first self-attention runs once.
            memories: (N, F, M, h, w).
            times: (N, F, M) code of each memory's temporal slot.
            pointers: (N, Q, M) pointers, cut into tokens.
            ages: (N, Q, M) code of each pointer token's age.
            keep: (N, F * h * w + Q) bool, False at padding, or None.

        Returns:
            Features conditioned on memory, (N, C, h, w).
        """
        feature_code, memory_code, cos, sin = (table.to(features.dtype) for table in self.tables())
        values = memories.flatten(3).transpose(2, 3)  # (N, F, h * w, M)
        keys = values + memory_code.flatten(1).T + times.unsqueeze(2)
        cells = values.shape[1] * values.shape[2]
        values = torch.cat((values.flatten(1, 2), pointers), dim=1)
        keys = torch.cat((keys.flatten(1, 2), pointers + ages), dim=1)
        x = to_tokens(features + CODE_SCALE * feature_code)
        for layer in self.layers:
            x = layer(x, keys, values, cells, Rotation(cos, sin), keep)
        return to_map(self.norm(x), self.height)
