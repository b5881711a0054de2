"""The two-way transformer: tokens attend to the image, and the image to the tokens (SAM: Kirillov et al., 2023).

Tokens are few and cells of the image many, so what can be computed on the tokens is. In the first layer all objects see
the same image: it is projected once for all. In later layers each object has an image of its own, and projections of it
are folded into its tokens: q (W x) = (W' q) x. Numbers differ from the unfolded ones by rounding only.
"""

import torch
from torch import Tensor, nn

from masklet.nn.config import ModelConfig
from masklet.nn.layers import MLP, Attention, join

NARROWING = 2
"""Attention between tokens and image works at this fraction of the width."""


class CrossAttention(Attention):
    """Attention between T tokens and L cells of an image, both C wide."""

    @property
    def head_width(self) -> int:
        """D"""
        return self.q_proj.out_features // self.heads

    def folds(self, tokens: int) -> bool:
        """Whether so few tokens are that folding costs less than projecting the image; always in an exported graph,
        which serves any number of tokens, and mostly gets few."""
        return torch.compiler.is_exporting() or tokens <= self.head_width

    @property
    def scale(self) -> float:
        """The factor of attention scores."""
        return float(self.head_width**-0.5)


class TokensToImage(CrossAttention):
    """Tokens look at the image."""

    def forward(self, tokens: Tensor, keys: Tensor, image: Tensor) -> Tensor:  # type: ignore[override]
        """tokens (N, T, C), image (N or 1, L, C) and its keys, which are coded -> (N, T, C)"""
        queries = self.split(self.q_proj(tokens)) * self.scale
        if image.shape[0] == 1 or not self.folds(tokens.shape[1]):
            k, v = self.split(self.k_proj(keys)), self.split(self.v_proj(image))
            return self.out_proj(join(each_head(each_head(queries, k.mT).softmax(dim=-1), v)))
        folded = queries @ self.by_head(self.k_proj.weight)  # (N, heads, T, C); its bias shifts all scores alike
        seen = (folded.flatten(1, 2) @ keys.mT).softmax(dim=-1) @ image
        values = seen.unflatten(1, (self.heads, -1)) @ self.by_head(self.v_proj.weight).mT
        return self.out_proj(join(values) + self.v_proj.bias)


class ImageToTokens(CrossAttention):
    """The image looks at the tokens."""

    def forward(  # type: ignore[override]
        self, image: Tensor, coded: Tensor, keys: Tensor, values: Tensor, keep: Tensor | None
    ) -> Tensor:
        """image (N or 1, L, C) and the same coded, tokens (N, T, C) as keys and values, keep (N, T) bool or None
        -> (N, L, C), the image and what it saw."""
        count, tokens = keys.shape[:2]
        k, v = self.split(self.k_proj(keys)) * self.scale, self.split(self.v_proj(values))
        if image.shape[0] == 1 or not self.folds(tokens):
            scores = each_head(k, self.split(self.q_proj(coded)).mT)
        else:
            folded = (k @ self.by_head(self.q_proj.weight)).flatten(1, 2)  # (N, heads * T, C)
            offset = k @ self.q_proj.bias.view(self.heads, -1, 1)
            scores = (folded @ coded.mT).unflatten(1, (self.heads, tokens)) + offset
        if keep is not None:
            scores = scores.masked_fill(~keep[:, None, :, None], float("-inf"))
        weights = scores.softmax(dim=2).flatten(1, 2)  # (N, heads * T, L)
        answers = (v @ self.by_head(self.out_proj.weight.mT)).flatten(1, 2)  # (N, heads * T, C)
        return torch.baddbmm((image + self.out_proj.bias).expand(count, -1, -1), weights.mT, answers)


class TwoWayLayer(nn.Module):
    """One exchange. In the first layer tokens are their own position code, so self-attention stands alone."""

    def __init__(self, width: int, heads: int, mlp: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(width, width, heads)
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn_token_to_image = TokensToImage(width, width // NARROWING, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width, mlp, width)
        self.norm3 = nn.LayerNorm(width)
        self.norm4 = nn.LayerNorm(width)
        self.cross_attn_image_to_token = ImageToTokens(width, width // NARROWING, heads)

    def forward(
        self, tokens: Tensor, image: Tensor, token_code: Tensor, image_code: Tensor, keep: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """tokens (N, T, C), image (N or 1, h * w, C), their codes, keep (N, T) -> tokens and image (N, h * w, C)."""
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens, keep)
        else:
            coded = tokens + token_code
            tokens = tokens + self.self_attn(coded, coded, tokens, keep)
        tokens = self.norm1(tokens)
        coded_image = image + image_code
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_code, coded_image, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        seen = self.cross_attn_image_to_token(image, coded_image, tokens + token_code, tokens, keep)
        return tokens, self.norm4(seen)


class TwoWayTransformer(nn.Module):
    """The exchanges, and a last look of the tokens at the image."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, heads = config.width, config.decoder_heads
        self.layers = nn.ModuleList(
            TwoWayLayer(width, heads, config.decoder_mlp, first=index == 0) for index in range(config.decoder_layers)
        )
        self.final_attn_token_to_image = TokensToImage(width, width // NARROWING, heads)
        self.norm_final_attn = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, image: Tensor, image_code: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor]:
        """tokens (N, T, C), image (N or 1, h * w, C), image_code (h * w, C), keep (N, T) bool or None
        -> tokens (N, T, C), image (N, h * w, C)."""
        token_code = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_code, image_code, keep)
        seen = self.final_attn_token_to_image(tokens + token_code, image + image_code, image)
        return self.norm_final_attn(tokens + seen), image


def each_head(one: Tensor, other: Tensor) -> Tensor:
    """Products head by head, (N, heads, A, B) @ (N or 1, heads, B, C) -> (N, heads, A, C). What is the same for all
    objects is not copied."""
    if other.shape[0] > 1 or one.shape[0] == 1:
        return one @ other
    rows = one.transpose(0, 1)  # (heads, N, A, B)
    return (rows.flatten(1, 2) @ other[0]).unflatten(1, rows.shape[1:3]).transpose(0, 1)
