"""The mask decoder: features and prompts of N objects to four candidate masks each (SAM: Kirillov et al., 2023).

In it a two-way transformer: tokens attend to the image, and the image to the tokens. Tokens are few and cells of the
image many, so what can be computed on the tokens is. In the first layer all objects see the same image: it is projected
once for all. In later layers each object has an image of its own, and projections of it are folded into its tokens:
q (W x) = (W' q) x. Numbers differ from the unfolded ones by rounding only.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.nn.config import ModelConfig
from masklet.nn.layers import MLP, Attention, LayerNorm2d, join, to_map, to_tokens
from masklet.nn.prompt_encoder import DRAWN_CHANNELS
from masklet.nn.tensors import Levels, PromptCodes

CANDIDATES = 4
"""One mask for a clear prompt, three for an ambiguous one."""

NARROWING = 2
"""Attention between tokens and image works at this fraction of the width."""


class CrossAttention(Attention):
    """Attention between T tokens and L cells of an image, both C wide."""

    def folds(self, tokens: int) -> bool:
        """Whether so few tokens are that folding costs less than projecting the image; always in an exported graph,
        which serves any number of tokens, and mostly gets few."""
        return torch.compiler.is_exporting() or tokens <= self.head_width


class TokensToImage(CrossAttention):
    """Tokens look at the image."""

    def forward(self, tokens: Tensor, keys: Tensor, image: Tensor) -> Tensor:  # type: ignore[override]
        """tokens (N, T, C), image (N or 1, L, C) and its keys, which are coded -> (N, T, C)"""
        queries = self.split(self.q_proj(tokens)) * self.head_width**-0.5
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
        k, v = self.split(self.k_proj(keys)) * self.head_width**-0.5, self.split(self.v_proj(values))
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
    """(N, heads, A, B) @ (N or 1, heads, B, C) -> (N, heads, A, C); what is the same for all objects is not copied."""
    if other.shape[0] > 1 or one.shape[0] == 1:
        return one @ other
    rows = one.transpose(0, 1)  # (heads, N, A, B)
    return (rows.flatten(1, 2) @ other[0]).unflatten(1, rows.shape[1:3]).transpose(0, 1)


class MaskDecoder(nn.Module):
    """Decodes all candidates always; which of them counts is decided outside."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, head_width = config.width, config.head_width
        self.transformer = TwoWayTransformer(config)
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(CANDIDATES, width)
        self.obj_score_token = nn.Embedding(1, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, kernel_size=2, stride=2),
            LayerNorm2d(width // 4),
            nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.conv_s0 = nn.Conv2d(width, width // 8, kernel_size=1)
        self.conv_s1 = nn.Conv2d(width, width // 4, kernel_size=1)
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(width, width, width, width // 8) for _ in range(CANDIDATES))
        self.iou_prediction_head = MLP(width, head_width, head_width, CANDIDATES)
        self.pred_obj_score_head = MLP(width, width, width, 1)

    def forward(
        self, features: Tensor, levels: Levels, prompts: PromptCodes, code: Tensor, keep: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features (N or 1, C, h, w), conditioned on memory, the frame's levels, of which strides 4 and 8 sharpen the
        masks, prompts of N objects, the cells' position code (h * w, C), and keep (N, P) bool, False at padding ->
        logits (N, 4, S/4, S/4), IoU (N, 4), mask tokens (N, 4, C), presence logit (N,)."""
        count, answers = prompts.tokens.shape[0], self.answers()
        tokens = torch.cat((answers.expand(count, -1, -1), prompts.tokens), dim=1)
        if keep is not None:
            keep = torch.cat((keep.new_ones(count, len(answers)), keep), dim=1)
        image = features + prompts.dense
        tokens, seen = self.transformer(tokens, to_tokens(image), code.to(image.dtype), keep)
        iou, masks, presence = self.scores(tokens[:, : len(answers)])
        return self.paint(seen, levels, self.vectors(masks), prompts.drawing), iou, masks, presence

    def answers(self) -> Tensor:
        """Tokens that become answers, (A, C): presence, IoU, and one for each mask."""
        return torch.cat((self.obj_score_token.weight, self.iou_token.weight, self.mask_tokens.weight))

    def scores(self, answers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What became of them, (N, A, C) -> IoU (N, 4), mask tokens (N, 4, C), presence logit (N,)."""
        presence, iou, masks = answers.split((1, 1, CANDIDATES), dim=1)
        presence = self.pred_obj_score_head(presence[:, 0])[:, 0]
        return self.iou_prediction_head(iou[:, 0]).sigmoid(), masks, presence

    def vectors(self, masks: Tensor) -> Tensor:
        """The weights (N, 4, C/8) that multiply the enlarged image, made of each mask token."""
        return torch.stack([mlp(masks[:, index]) for index, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1)

    def paint(self, image: Tensor, levels: Levels, vectors: Tensor, drawing: Tensor | None) -> Tensor:
        """Upscale the attended image, (N, h * w, C), to stride 4 and multiply it by each vector.

        Each cell becomes 2 x 2, and each of these 2 x 2. They stay together, cell by cell, until the masks are there:
        so enlarging is a product of matrices, and channels lie side by side all the way.
        """
        enlarge1, norm, act1, enlarge2, act2 = self.output_upscaling
        image = act1(norm(enlarged(image, enlarge1, nest(levels.stride8)), dim=-1))
        image = act2(enlarged(image.flatten(1, 2), enlarge2, nest_twice(levels.stride4)))
        painted = vectors @ image.flatten(1, 2).mT  # (N, 4, h * w * 16)
        return unnest_twice(painted, levels.stride8.shape[-2] // 2)


class RefiningMaskDecoder(MaskDecoder):
    """A mask decoder whose cells see their neighbours, and the drawn prompt, again at strides 8 and 4.

    The published one enlarges each cell on its own, and relies on features that a long training has made distinct.
    Where they are not, masks show the cells of stride 16; two small convolutions at each size mend that. With fresh
    weights it answers as the published one.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        width = config.width
        self.drawn_s0 = nn.Conv2d(DRAWN_CHANNELS, width // 8, kernel_size=1, bias=False)
        self.drawn_s1 = nn.Conv2d(DRAWN_CHANNELS, width // 4, kernel_size=1, bias=False)
        self.refine_s0 = Refinement(width // 8)
        self.refine_s1 = Refinement(width // 4)
        nn.init.zeros_(self.drawn_s0.weight)
        nn.init.zeros_(self.drawn_s1.weight)
        self.calibration = ScoreCalibration()

    def forward(
        self, features: Tensor, levels: Levels, prompts: PromptCodes, code: Tensor, keep: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        logits, iou, masks, presence = super().forward(features, levels, prompts, code, keep)
        assert prompts.drawing is not None, "a refining decoder is given the drawn prompt"
        followed = ~prompts.drawing[:, 1:].flatten(1).any(dim=1)  # neither box nor points
        iou, presence = self.calibration(iou, logits, presence, followed)
        return logits, iou, masks, presence

    def paint(self, image: Tensor, levels: Levels, vectors: Tensor, drawing: Tensor | None) -> Tensor:
        assert drawing is not None
        enlarge1, norm, act1, enlarge2, act2 = self.output_upscaling
        x = to_map(image, levels.stride8.shape[-2] // 2)
        x = act1(norm(enlarge1(x) + levels.stride8 + self.drawn_s1(F.avg_pool2d(drawing, 2))))
        x = act2(enlarge2(self.refine_s1(x)) + levels.stride4 + self.drawn_s0(drawing))
        x = self.refine_s0(x)
        return (vectors @ x.flatten(2)).unflatten(2, x.shape[-2:])


class ScoreCalibration(nn.Module):
    """Scores that mean what they say: predicted IoU and presence, corrected by a few numbers that are fitted on data
    which the network was not trained on. Fresh ones change nothing.

    The certainty of a mask's cells predicts its IoU better than the token for it. Row 0 is for objects that are pointed
    at, row 1 for those that are followed, of which a network is too sure.
    """

    iou: Tensor
    presence: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("iou", torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]))
        self.register_buffer("presence", torch.tensor([[0.0, 1.0], [0.0, 1.0]]))

    def forward(self, iou: Tensor, logits: Tensor, presence: Tensor, followed: Tensor) -> tuple[Tensor, Tensor]:
        """Predicted IoU (N, 4), logits of masks (N, 4, S/4, S/4), the logit of presence (N,) and which objects are
        followed, bool (N,) -> IoU in 0..1 (N, 4), and the logit of presence (N,), both corrected."""
        kind = followed.long()
        fitted = (iou_features(iou, logits) @ self.iou.float()[kind][..., None])[..., 0].clamp(0, 1)
        shift, scale = self.presence[kind].unbind(1)
        return fitted.to(iou.dtype), (shift + scale * presence).to(presence.dtype)


def iou_features(predicted: Tensor, logits: Tensor) -> Tensor:
    """float32 (N, 4, 3): one, the predicted IoU, and the mean probability inside the mask, 0 for an empty one."""
    logits = logits.detach().float()
    inside = (logits > 0).float()
    sure = (logits.sigmoid() * inside).flatten(2).sum(dim=2) / inside.flatten(2).sum(dim=2).clamp(min=1)
    predicted = predicted.float()
    return torch.stack((torch.ones_like(predicted), predicted, sure), dim=-1)


class Refinement(nn.Module):
    """Two 3 x 3 convolutions and a residual, at first the identity: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, 2 * width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(2 * width, width, kernel_size=3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        assert self.conv2.bias is not None, "the last convolution has a bias"
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(F.gelu(self.conv1(x)))
        return x + y


def enlarged(x: Tensor, enlarge: nn.Module, level: Tensor) -> Tensor:
    """Each cell as 2 x 2 smaller ones, plus those of a finer level: (N, L, C) and (B, L, 4, C') -> (N, L, 4, C')"""
    assert isinstance(enlarge, nn.ConvTranspose2d), f"enlarging is by a {type(enlarge).__name__}"
    assert enlarge.bias is not None, "enlarging has a bias"
    count = x.shape[0]
    weight = enlarge.weight.permute(0, 2, 3, 1).flatten(1)  # (C, 4 * C')
    shift = (level + enlarge.bias).flatten(2)
    x = torch.baddbmm(shift.expand(count, -1, -1), x, weight.expand(count, -1, -1))
    return x.unflatten(2, (4, -1))


def nest(fine: Tensor) -> Tensor:
    """A map at stride 8, (B, C, 2h, 2w) -> (B, h * w, 4, C): its cells, by the cell of stride 16 that they lie in."""
    x = fine.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (B, C, h, 2, w, 2)
    return x.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)


def nest_twice(fine: Tensor) -> Tensor:
    """A map at stride 4, (B, C, 4h, 4w) -> (B, h * w * 4, 4, C)"""
    x = fine.unflatten(3, (-1, 2, 2)).unflatten(2, (-1, 2, 2))  # (B, C, h, 2, 2, w, 2, 2)
    return x.permute(0, 2, 5, 3, 6, 4, 7, 1).flatten(5, 6).flatten(1, 4)


def unnest_twice(painted: Tensor, height: int) -> Tensor:
    """(N, K, h * w * 16) -> (N, K, 4h, 4w)

    Numbers are fetched by their places; a permuted copy, whose strides are of two, takes three times as long.
    """
    cells = torch.arange(painted.shape[2], device=painted.device).unflatten(0, (height, -1, 2, 2, 2, 2))
    order = cells.permute(0, 2, 4, 1, 3, 5).flatten()
    return painted.index_select(2, order).unflatten(2, (4 * height, -1))
