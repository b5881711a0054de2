"""Memory attention: a frame's features look at what is remembered of each object (SAM 2: Ravi et al., 2024, sec. 4).

Memories are several times narrower than the values that are made of them. The rows of a softmax P sum to one, so for
memories M, projected with weight W and bias b, P(M W + b) = (P M) W + b. Projecting first is what fused kernels are
made for; projecting last multiplies P with a narrower matrix. The answers differ by rounding only, some 1e-6.
"""

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.nn.config import ModelConfig
from masklet.nn.layers import Attention, Prepared, attend, join, to_map, to_tokens
from masklet.nn.positions import Rotation, rotate, rotation, sine_map

CODE_SCALE = 0.1
"""Share of the position code that is added to the features."""

LAST_FROM = 256
"""On a CPU, heads of at least so many channels are quicker with values projected last, others with values projected
first; `benchmarks/attention.py` measures both."""

SCORES_IN_CACHE = 4 * 2**20
"""So many scores are held at once: with 4 bytes each, about what fits into a processor's cache."""

EXPORTED_ROWS = 512
"""So many queries are taken at once in an exported graph, whose parts are cut when it is written: 60 MB of scores where
seven memories of 1024 pixels are attended."""


class Tokens(NamedTuple):
    """What N objects remember, as T tokens: first the cells of all memories, then the pointers.

    Attributes:
        keys: (N, T, M) values with their place and age.
        values: (N, T, M).
        cells: How many tokens have a place.
        keep: (N, T) bool, False at padding, or None.
    """

    keys: Tensor
    values: Tensor
    cells: int
    keep: Tensor | None


class MemoryLayer(nn.Module):
    """Self-attention, attention to the memory, feed-forward; normalised before each, added after each.

    Attributes:
        dropout: Share of the attentions' weights that training leaves out; whoever trains sets it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.self_attn = Attention(width, width, heads=1)
        self.cross_attn_image = Attention(width, width, heads=1, key_width=config.memory_width)
        self.linear1 = nn.Linear(width, config.attention_mlp)
        self.linear2 = nn.Linear(config.attention_mlp, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)
        self.dropout = 0.0

    @property
    def left_out(self) -> float:
        """The share that is left out now."""
        return self.dropout if self.training else 0.0

    def attend_self(self, x: Tensor, by: Rotation) -> Tensor:
        """(N or 1, h * w, C) -> the same."""
        layer, y = self.self_attn, self.norm1(x)
        q, k = turned(layer.q_proj, y, by), turned(layer.k_proj, y, by)
        seen = attend(q, k, layer.split(layer.v_proj(y)), dropout=self.left_out)
        return x + layer.out_proj(join(seen))

    def attend_memory(self, x: Tensor, bank: Tokens, by: Rotation, memory_by: Rotation) -> Tensor:
        """x (N or 1, h * w, C) -> (N, h * w, C). Pointers have no place, so their keys are not turned."""
        layer = self.cross_attn_image
        k = layer.split(layer.k_proj(bank.keys[:, bank.cells :]))
        if bank.cells:
            k = torch.cat((turned(layer.k_proj, bank.keys[:, : bank.cells], memory_by), k), dim=-2)
        q = turned(layer.q_proj, self.norm2(x), by)
        seen = attend_values(q, k, bank.values, layer.v_proj, bank.keep, self.left_out)
        return x + layer.out_proj(join(seen))

    def feed_forward(self, x: Tensor) -> Tensor:
        """(N, h * w, C) -> the same."""
        return x + self.linear2(F.relu(self.linear1(self.norm3(x))))


class MemoryAttention(Prepared):
    """A stack of memory layers. Of condensed memories half of the latents form a square; the others have no place."""

    def __init__(self, config: ModelConfig) -> None:
        places = ("feature_code", "memory_code", "cos", "sin")
        super().__init__(*places, *(() if config.memory_grid is None else ("memory_cos", "memory_sin")))
        self.config = config
        self.layers = nn.ModuleList(MemoryLayer(config) for _ in range(config.attention_layers))
        self.norm = nn.LayerNorm(config.width)

    def compute_tables(self) -> tuple[Tensor, ...]:
        """Position codes of features (C, h, w) and memories (M, h', w'), and the rotations of cells, then of memories'
        cells where these are others."""
        device, width, memory_width = self.norm.weight.device, self.config.width, self.config.memory_width
        height, grid = self.config.memory_size, self.config.memory_grid
        features, turns = sine_map(width, height, device), rotation(width, height, device)
        if grid is None:
            return features, sine_map(memory_width, height, device), *turns
        local = sine_map(memory_width, grid, device)
        cos, sin = rotation(width, grid, device)
        memory_turns = torch.cat((torch.ones_like(cos), cos)), torch.cat((torch.zeros_like(sin), sin))
        return features, torch.cat((torch.zeros_like(local), local), dim=1), *turns, *memory_turns

    def forward(
        self,
        features: Tensor,
        memories: Tensor,
        times: Tensor,
        pointers: Tensor,
        ages: Tensor,
        keep: Tensor | None,
    ) -> Tensor:
        """Features (N or 1, C, h, w), of which one frame serves all objects, memories (N, F, M, h, w) or condensed
        ones, codes (N, F, M) of their temporal slots, pointers (N, Q, M) cut into tokens, codes (N, Q, M) of their
        ages, and keep (N, F * h * w + Q) bool, False at padding -> features conditioned on memory, (N, C, h, w)."""
        feature_code, memory_code, *turns = (table.to(features.dtype) for table in self.tables())
        by, memory_by, count = Rotation(*turns[:2]), Rotation(*turns[-2:]), memories.shape[0]
        x = to_tokens(features + CODE_SCALE * feature_code)
        x = self.stack()[0].attend_self(x, by)
        parts = memories, times, pointers, ages
        if torch.compiler.is_compiling() or x.device.type != "cpu" or count < 2:  # one graph for any number of objects
            seen = self.follow(x, memory_tokens(memory_code, keep, *parts), by, memory_by)
        else:  # a processor gains nothing from more at once: what one object needs fills its cache already
            frames = x.split(1) if len(x) == count else [x] * count
            keeps = [None] * count if keep is None else keep.split(1)
            each = zip(frames, keeps, *(part.split(1) for part in parts), strict=True)
            seen = torch.cat(
                [self.follow(x, memory_tokens(memory_code, keep, *own), by, memory_by) for x, keep, *own in each]
            )
        return to_map(self.norm(seen), self.config.memory_size)

    def follow(self, x: Tensor, bank: Tokens, by: Rotation, memory_by: Rotation) -> Tensor:
        """All layers, but for the first one's self-attention: x (N or 1, h * w, C) -> (N, h * w, C)."""
        for index, layer in enumerate(self.stack()):
            x = layer.attend_self(x, by) if index else x
            x = layer.feed_forward(layer.attend_memory(x, bank, by, memory_by))
        return x

    def stack(self) -> list[MemoryLayer]:
        """The layers, as what they are."""
        return cast("list[MemoryLayer]", list(self.layers))


def memory_tokens(
    memory_code: Tensor, keep: Tensor | None, memories: Tensor, times: Tensor, pointers: Tensor, ages: Tensor
) -> Tokens:
    """Memories (N, F, M, h, w) and pointers (N, Q, M) with their codes -> F * h * w + Q tokens."""
    values = memories.flatten(3).transpose(2, 3)  # (N, F, h * w, M)
    keys = values + memory_code.flatten(1).T + times.unsqueeze(2)
    return Tokens(
        keys=torch.cat((keys.flatten(1, 2), pointers + ages), dim=1),
        values=torch.cat((values.flatten(1, 2), pointers), dim=1),
        cells=values.shape[1] * values.shape[2],
        keep=keep,
    )


def turned(projection: nn.Linear, x: Tensor, by: Rotation) -> Tensor:
    """x (N, T, C), T a whole number of maps, projected for a head and turned: (N, 1, T, D).

    A turn of W x + b is cos (W x + b) + sin (W' x + b'), where W' has the rows of W in pairs (-second, first). So it is
    in exported graphs: other engines are slow at taking channels apart, one by one, and at putting them together.
    """
    if not torch.compiler.is_exporting():
        return rotate(projection(x)[:, None], by)
    weight, bias = projection.weight, projection.bias
    cos, sin = (table.repeat_interleave(2, dim=1) for table in by)
    straight, across = (F.linear(x, rows).unflatten(1, (-1, len(cos))) for rows in (weight, _crossed(weight)))
    return (straight * cos + across * sin + (bias * cos + _crossed(bias) * sin)).flatten(1, 2)[:, None]


def _crossed(rows: Tensor) -> Tensor:
    """Rows in pairs (-second, first)."""
    return torch.stack((-rows[1::2], rows[::2]), dim=1).flatten(0, 1)


def attend_values(
    q: Tensor, k: Tensor, memory: Tensor, projection: nn.Linear, keep: Tensor | None, dropout: float = 0.0
) -> Tensor:
    """Attention of one head to memories, their values projected first or last, whichever is quicker for the shapes.

    Queries q (N or 1, 1, Tq, D), keys k (N, 1, T, D), memories (N, T, M), which are projected from M to D, and keep
    (N, T) bool, False at keys that are not seen -> (N, 1, Tq, D). `dropout` is the share of the weights that are left
    out at random.
    """
    if torch.compiler.is_exporting():  # other engines multiply matrices one by one, so fewer numbers are quicker
        return project_last(q, k, memory, projection, keep, EXPORTED_ROWS)
    choice = q.device.type == "cpu" and q.dtype == torch.float32 and not torch.is_grad_enabled()
    if choice and q.shape[-1] >= LAST_FROM and not torch.compiler.is_compiling():
        return project_last(q, k, memory, projection, keep)
    return project_first(q, k, memory, projection, keep, dropout)


def project_first(
    q: Tensor, k: Tensor, memory: Tensor, projection: nn.Linear, keep: Tensor | None, dropout: float = 0.0
) -> Tensor:
    """See `attend_values`."""
    return attend(q, k, projection(memory)[:, None], keep, dropout)


def project_last(
    q: Tensor, k: Tensor, memory: Tensor, projection: nn.Linear, keep: Tensor | None, most_rows: int | None = None
) -> Tensor:
    """See `attend_values`, without dropout; at most so many rows of queries at a time, or as many as give
    `SCORES_IN_CACHE`."""
    q = q * q.shape[-1] ** -0.5
    k, memory = k.transpose(-2, -1), memory[:, None]
    hide = None if keep is None else ~keep[:, None, None, :]
    seen = []
    for rows in q.split(most_rows or max(SCORES_IN_CACHE // (k.shape[0] * k.shape[-1]), 1), dim=-2):
        scores = rows @ k
        scores = scores if hide is None else scores.masked_fill(hide, -torch.inf)
        seen.append(scores.softmax(dim=-1) @ memory)
    return projection(torch.cat(seen, dim=-2))
