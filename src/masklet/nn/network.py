"""The network: four pure functions on tensors, and nothing else above it to know.

Attribute names are those of the published checkpoints, so that their files load as they are. The functions keep no
state, take no flags, know no videos and decide nothing: which mask counts, which memories are recalled and how a mask
is scaled into a memory is decided by the caller.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.errors import ConfigError
from masklet.nn.config import ModelConfig
from masklet.nn.layers import MLP, Prepared, Trunk, chain, or_all
from masklet.nn.mask_decoder import MaskDecoder, RefiningMaskDecoder
from masklet.nn.memory_attention import MemoryAttention
from masklet.nn.memory_encoder import MemoryEncoder, Perceiver
from masklet.nn.positions import sine_ages
from masklet.nn.prompt_encoder import DrawnPromptEncoder, PromptEncoder
from masklet.nn.tensors import Decoded, Levels, MemoryBank, PromptTokens

HEADS: dict[str, tuple[type[PromptEncoder], type[MaskDecoder]]] = {
    "published": (PromptEncoder, MaskDecoder),
    "refining": (DrawnPromptEncoder, RefiningMaskDecoder),
}
"""Prompt encoder and mask decoder, by `ModelConfig.head`."""


class Neck(nn.Module):
    """Four maps of the trunk to three levels of equal width (feature pyramid: Lin et al., 2017). Only the coarsest map
    flows down, and only one step: stride 32 is added to stride 16, then dropped.
    """

    def __init__(self, widths: tuple[int, ...], width_out: int) -> None:
        super().__init__()
        laterals = (nn.Conv2d(width, width_out, kernel_size=1) for width in reversed(widths))  # coarse to fine
        self.convs = nn.ModuleList(chain(conv=lateral) for lateral in laterals)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Maps at strides 4, 8, 16, 32 -> levels at strides 4, 8, 16, each (B, C, S/stride, S/stride)."""
        stride32, stride16, stride8, stride4 = (
            lateral(x) for lateral, x in zip(self.convs, reversed(maps), strict=True)
        )
        return stride4, stride8, stride16 + F.interpolate(stride32, scale_factor=2.0, mode="nearest")


class ImageEncoder(nn.Module):
    """Trunk and neck: (B, 3, S, S) -> three levels of `width` channels at strides 4, 8 and 16."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.trunk: Trunk = config.encoder.build(config.image_size)
        self.neck = Neck(config.encoder.widths, config.width)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.neck(self.trunk(images))


class Network(nn.Module):
    """SAM 2 as configured, with random weights until a checkpoint is loaded.

    Attributes:
        config: What the network is made of.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.version == "1":
            raise ConfigError(f"{config.name} has no memory; this needs a model of SAM 2, or one of its kind")
        width, memory_width = config.width, config.memory_width
        self.config = config
        self.image_encoder = ImageEncoder(config)
        self.memory_attention = MemoryAttention(config)
        self.memory_encoder = MemoryEncoder(config)
        self.spatial_perceiver = None if config.memory_grid is None else Perceiver(config, config.memory_grid)
        prompt_encoder, mask_decoder = HEADS[config.head]
        self.sam_prompt_encoder = prompt_encoder(config)
        self.sam_mask_decoder = mask_decoder(config)
        self.mask_downsample = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        self.obj_ptr_proj = MLP(width, width, width, width)
        newer = config.version == "2.1"
        self.obj_ptr_tpos_proj = nn.Linear(width, memory_width) if newer else None
        self.maskmem_tpos_enc = _learned(config.memory_frames, 1, 1, memory_width)
        self.no_mem_embed = _learned(1, 1, width)
        self.no_mem_pos_enc = _learned(1, 1, width)  # in every published file, used by none
        self.no_obj_ptr = _learned(1, width)
        self.no_obj_embed_spatial = nn.Parameter(torch.zeros(1, memory_width)) if newer else None
        self.register_load_state_dict_post_hook(Network.forget)  # type: ignore[no-untyped-call]

    @property
    def absent_pointer(self) -> Tensor:
        """(1, C) the pointer of an object that is not in the frame."""
        return self.no_obj_ptr

    def encode_image(self, images: Tensor) -> Levels:
        """Pictures, normalised, (B, 3, S, S) -> features at three resolutions."""
        stride4, stride8, stride16 = self.image_encoder(images)
        return Levels(self.sam_mask_decoder.conv_s0(stride4), self.sam_mask_decoder.conv_s1(stride8), stride16)

    def attend_memory(self, features: Tensor, bank: MemoryBank) -> Tensor:
        """Condition a frame on what is remembered of N objects.

        Args:
            features: (N or 1, C, h, w) at stride 16.
            bank: What each object remembers. An object that remembers nothing gets a learned vector instead.

        Returns:
            (N, C, h, w)
        """
        nothing = features + self.no_mem_embed.view(1, -1, 1, 1)
        count, frames = bank.memories.shape[:2]
        pointers = bank.pointers.shape[1]
        _, rows, columns = self.config.memory_shape
        if frames + pointers == 0:
            return nothing.expand(count, -1, -1, -1)
        pieces = self.config.width // self.config.memory_width  # memory tokens that a pointer is cut into
        attended: Tensor = self.memory_attention(
            features,
            memories=bank.memories.to(features.dtype),
            times=self.maskmem_tpos_enc[:, 0, 0][bank.slots],
            pointers=bank.pointers.to(features.dtype).reshape(count, pointers * pieces, self.config.memory_width),
            ages=self.code_ages(bank.ages).to(features.dtype).repeat_interleave(pieces, dim=1),
            keep=_keep_tokens(bank, rows * columns, pieces),
        )
        if bank.keep_memories is None and bank.keep_pointers is None:
            return attended
        remembers = _keep_tokens(bank, 1, 1).any(dim=1)  # type: ignore[union-attr]
        return torch.where(remembers[:, None, None, None], attended, nothing)

    def code_ages(self, ages: Tensor) -> Tensor:
        """A projected sine code of each pointer's age, (N, P) -> (N, P, M); zeros in SAM 2.0."""
        if self.obj_ptr_tpos_proj is None:
            return ages.new_zeros(*ages.shape, self.config.memory_width)
        codes = sine_ages(ages, self.config.width).to(self.obj_ptr_tpos_proj.weight.dtype)
        return self.obj_ptr_tpos_proj(codes)

    def decode_masks(self, features: Tensor, levels: Levels, prompts: PromptTokens) -> Decoded:
        """Decode all candidate masks of N objects.

        Args:
            features: (N or 1, C, h, w), conditioned on memory.
            levels: The frame's levels; only strides 4 and 8 are used.
            prompts: Prompts of the N objects.
        """
        if prompts.masks is not None and prompts.masks.shape[-1] == self.config.image_size:
            prompts = prompts._replace(masks=self.mask_downsample(prompts.masks))
        codes = self.sam_prompt_encoder(prompts)
        (code,) = self.sam_prompt_encoder.tables()
        logits, iou, mask_tokens, presence = self.sam_mask_decoder(features, levels, codes, code, prompts.keep)
        return Decoded(logits, iou, self.obj_ptr_proj(mask_tokens), presence)

    def encode_memory(self, features: Tensor, masks: Tensor, presence: Tensor) -> Tensor:
        """Encode what is to be remembered of N objects in a frame.

        Args:
            features: (N or 1, C, h, w) at stride 16, not conditioned on memory.
            masks: (N, 1, S, S), scaled to -10 outside .. 10 inside.
            presence: (N,) logit; memories of objects that are absent (<= 0) are marked (2.1).

        Returns:
            (N, M, h, w), or `ModelConfig.memory_shape` where memories are condensed.
        """
        memory: Tensor = self.memory_encoder(features, masks)
        if self.no_obj_embed_spatial is not None:
            absent = (presence <= 0).to(memory.dtype)[:, None, None, None]
            memory = memory + absent * self.no_obj_embed_spatial[:, :, None, None]
        return memory if self.spatial_perceiver is None else self.spatial_perceiver(memory)

    def prepare(self) -> Network:
        """Compute once what does not depend on the frame, for the present weights, device and dtype."""
        for module in self.modules():
            if isinstance(module, Prepared):
                module.prepare(self.absent_pointer.dtype)
        return self

    def forget(self, *_: Any) -> None:
        """Drop what `prepare` computed. Loading weights and training do so by themselves."""
        for module in self.modules():
            if isinstance(module, Prepared):
                module.forget()

    def train(self, mode: bool = True) -> Network:
        """Training changes the weights that tables were computed from, so they are dropped."""
        if mode:
            self.forget()
        super().train(mode)
        return self

    def forward(self, *_: Any) -> None:
        raise TypeError("a network has four functions; call encode_image, attend_memory, decode_masks or encode_memory")


def _learned(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(*shape), std=0.02))


def _keep_tokens(bank: MemoryBank, cells: int, pieces: int) -> Tensor | None:
    """(N, F * cells + P * pieces) bool: which memory tokens are no padding; None if none is."""
    if bank.keep_memories is None and bank.keep_pointers is None:
        return None
    memories, pointers = or_all(bank.keep_memories, bank.slots), or_all(bank.keep_pointers, bank.ages)
    return torch.cat((memories.repeat_interleave(cells, dim=1), pointers.repeat_interleave(pieces, dim=1)), dim=1)
