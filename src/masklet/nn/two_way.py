"""The two-way transformer: tokens attend to the image, and the image to the tokens (SAM: Kirillov et al., 2023)."""

from __future__ import annotations

from torch import Tensor, nn

from masklet.nn.layers import MLP, Attention

NARROWING = 2
"""Attention between tokens and image works at this fraction of the width."""


class TwoWayLayer(nn.Module):
    """One exchange. In the first layer tokens are their own position code, so self-attention stands alone."""

    def __init__(self, width: int, heads: int, mlp: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(width, width, heads)
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn_token_to_image = Attention(width, width // NARROWING, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width, mlp, width)
        self.norm3 = nn.LayerNorm(width)
        self.norm4 = nn.LayerNorm(width)
        self.cross_attn_image_to_token = Attention(width, width // NARROWING, heads)

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
        seen = self.cross_attn_image_to_token(coded_image, tokens + token_code, tokens, keep)
        return tokens, self.norm4(image + seen)


class TwoWayTransformer(nn.Module):
    """The exchanges, and a last look of the tokens at the image."""

    def __init__(self, width: int, heads: int, mlp: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(width, heads, mlp, first=index == 0) for index in range(layers))
        self.final_attn_token_to_image = Attention(width, width // NARROWING, heads)
        self.norm_final_attn = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, image: Tensor, image_code: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor]:
        """tokens (N, T, C), image (N or 1, h * w, C), image_code (h * w, C), keep (N, T) bool or None
        -> tokens (N, T, C), image (N, h * w, C)."""
        token_code = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_code, image_code, keep)
        seen = self.final_attn_token_to_image(tokens + token_code, image + image_code, image)
        return self.norm_final_attn(tokens + seen), image
