"""The model that the builders return, and that the predictors take; its parts with the signatures of the reference,
which clients call, train and take apart; and small parts of the network that they build their own on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.checkpoints import Model
from masklet.compat import stand_for
from masklet.compat.sam2.settings import IMAGE_POSTPROCESSING, Settings
from masklet.engines.rules import ABSENT_LOGIT, single
from masklet.nn import Decoded, Levels, PromptTokens
from masklet.nn.layers import MLP as MLP
from masklet.nn.layers import LayerNorm2d as LayerNorm2d
from masklet.nn.layers import to_map, to_tokens
from masklet.nn.mask_decoder import MaskDecoder
from masklet.nn.network import ImageEncoder
from masklet.nn.positions import sine_ages, sine_map
from masklet.nn.prompt_encoder import PromptEncoder
from masklet.nn.tensors import PromptCodes
from masklet.prompts import NOT_A_POINT
from masklet.video.recall import nearest_prompted

stand_for(__name__, "sam2_base", "sam2_utils")

Output = TypeVar("Output")

NO_OBJ_SCORE = ABSENT_LOGIT
"""Logits of an object of which nothing is known in a frame."""

INSTEAD = {
    "track_step": "masklet.VideoTracker, and masklet.video.step.step for one frame",
    "_track_step": "masklet.VideoTracker, and masklet.video.step.step for one frame",
    "_forward_sam_heads": "Model.decode_masks (masklet.load_model), or sam_prompt_encoder and sam_mask_decoder here",
    "_use_mask_as_output": "VideoTracker.add_mask",
    "_encode_new_memory": "Model.encode_memory (masklet.load_model)",
    "_prepare_memory_conditioned_features": "Model.attend_memory (masklet.load_model)",
    "_apply_non_overlapping_constraints": "TrackingOptions(non_overlapping=True), or the override "
    "++model.non_overlap_masks=true",
    "propagate_in_video_preflight": "nothing to do before propagate_in_video: prompts count at once",
    "add_all_frames_to_correct_as_cond": "nothing to set: every correction counts, and stays",
    "_get_image_feature": "the state's frames by state['images'][frame], and forward_image",
    "_run_single_frame_inference": "propagate_in_video, or masklet.VideoTracker",
    "_obj_id_to_idx": "state['obj_id_to_idx'][obj_id]",
}
"""Insides of the reference -> what masklet has in their place."""


class SAM2Base(nn.Module):
    """A model of `masklet.load_model` with settings of the reference, those of `build_sam2` if not given. Its
    submodules have the signatures of the reference, and its weights are those of the model: loading others, or
    training, changes what the predictors answer."""

    _model: Model

    def __init__(self, model: Model, settings: Settings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or Settings(**IMAGE_POSTPROCESSING)
        network = model.network.requires_grad_()  # as there; whoever trains freezes what should stay
        self._parameters, self._buffers = network._parameters, network._buffers
        self._modules = dict(network._modules)
        object.__setattr__(self, "_model", model)
        self.sam_prompt_encoder = PromptEncoderFace(network.sam_prompt_encoder)
        self.sam_mask_decoder = MaskDecoderFace(network.sam_mask_decoder, settings)
        if isinstance(network.image_encoder, ImageEncoder):
            self.image_encoder = ImageEncoderFace(network.image_encoder)
        self.training = network.training

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError as error:
            if name in INSTEAD:
                raise AttributeError(f"masklet's drop-in has no {name}; it has {INSTEAD[name]}") from error
            raise

    @property
    def engine(self) -> Model:
        """The model, with the present weights."""
        return self._model

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.engine.device

    @property
    def image_size(self) -> int:
        """Side of the square that the network sees, in pixels."""
        return self.engine.config.image_size

    num_maskmem = property(lambda self: self.engine.config.memory_frames)
    hidden_dim = property(lambda self: self.engine.config.width)
    mem_dim = property(lambda self: self.engine.config.memory_width)
    num_feature_levels = 3
    directly_add_no_mem_embed = True

    def forward_image(self, img_batch: Tensor) -> dict[str, Any]:
        """(B, 3, S, S) -> as `image_encoder`, but the finer levels of "backbone_fpn" as the mask decoder wants them,
        with C/8 and C/4 channels."""
        found: dict[str, Any] = self.image_encoder(img_batch)
        stride4, stride8, stride16 = found["backbone_fpn"]
        decoder = self.engine.network.sam_mask_decoder
        found["backbone_fpn"] = [decoder.conv_s0(stride4), decoder.conv_s1(stride8), stride16]
        return found

    def _prepare_backbone_features(
        self, backbone_out: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], list[Tensor], list[Tensor], list[tuple[int, int]]]:
        """The same, its features and codes as (h * w, B, C), and the sizes (h, w)."""
        levels, codes = backbone_out["backbone_fpn"], backbone_out["vision_pos_enc"]
        sizes = [(level.shape[-2], level.shape[-1]) for level in levels]
        features, places = ([to_tokens(each).transpose(0, 1) for each in group] for group in (levels, codes))
        return backbone_out, features, places, sizes

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Other weights, by the names of the published checkpoints."""
        answer = super().load_state_dict(state_dict, strict=strict, assign=assign)
        self._renew()
        return answer

    def train(self, mode: bool = True) -> SAM2Base:
        """Train or evaluate. Predictors answer by the weights as they are when evaluation begins again."""
        self.engine.network.train(mode)
        super().train(mode)
        if not mode:
            self._renew()
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> SAM2Base:
        self.engine.network._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._renew()
        return self

    def _renew(self) -> None:
        """What is computed from weights, such as tables and folded copies, is computed again."""
        old = self.engine
        object.__setattr__(self, "_model", Model(old.name, old.network.prepare(), old.compiled))


class Face(nn.Module):
    """A module in front of another, whose weights and submodules it has under the same names, so that a state dict of
    one is that of the other. Training one trains the other."""

    def __init__(self, behind: nn.Module) -> None:
        super().__init__()
        self._modules, self._parameters, self._buffers = behind._modules, behind._parameters, behind._buffers
        self._non_persistent_buffers_set = behind._non_persistent_buffers_set
        object.__setattr__(self, "behind", behind)  # no submodule: its weights are here already
        self.training = behind.training

    def train(self, mode: bool = True) -> Face:
        """Trains the module behind too."""
        super().train(mode)
        behind: nn.Module = self.behind  # type: ignore[assignment]
        behind.training = mode
        return self


class ImageEncoderFace(Face):
    """Pictures to a pyramid of features."""

    behind: ImageEncoder

    def forward(self, sample: Tensor) -> dict[str, Any]:
        """(B, 3, S, S) -> "vision_features" (B, C, S/16, S/16), and "backbone_fpn" and "vision_pos_enc" at strides 4, 8
        and 16."""
        levels = list(self.behind(sample))
        codes = [
            sine_map(level.shape[1], level.shape[-1], level.device).to(level.dtype).expand_as(level) for level in levels
        ]
        return {"vision_features": levels[-1], "vision_pos_enc": codes, "backbone_fpn": levels}


class PromptEncoderFace(Face):
    """Points, boxes and masks to tokens and maps."""

    behind: PromptEncoder

    @property
    def image_embedding_size(self) -> tuple[int, int]:
        """Sides of the coarse features, in cells."""
        return (self.behind.height,) * 2

    @property
    def mask_input_size(self) -> tuple[int, int]:
        """Sides of a mask prompt, in cells."""
        return (4 * self.behind.height,) * 2

    def get_dense_pe(self) -> Tensor:
        """(1, C, h, w): the position code of every cell."""
        (code,) = self.behind.compute_tables()
        return to_map(code[None], self.behind.height)

    def forward(
        self, points: tuple[Tensor, Tensor] | None, boxes: Tensor | None, masks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Points (B, P, 2) with labels (B, P), boxes (B, 4), in pixels of the model's square, and logits (B, 1, S/4,
        S/4) -> tokens (B, T, C) and a map (B, C, h, w). Points without a box get a "not a point" beside them."""
        device = self.behind.no_mask_embed.weight.device
        given = next(len(each) for each in (points and points[0], boxes, masks, [0]) if each is not None)
        places = [torch.zeros(given, 0, 2, device=device)]
        labels = [torch.zeros(given, 0, dtype=torch.long, device=device)]
        if points is not None:
            alone = int(boxes is None)
            places.append(F.pad(points[0].to(device).float(), (0, 0, 0, alone)))
            labels.append(F.pad(points[1].to(device).long(), (0, alone), value=NOT_A_POINT))
        if boxes is not None:
            places.append(boxes.to(device).float().reshape(-1, 2, 2))
            labels.append(torch.tensor([[2, 3]], device=device).expand(given, -1))
        codes = self.behind(PromptTokens(torch.cat(places, dim=1), torch.cat(labels, dim=1), masks=masks))
        return codes.tokens, codes.dense.expand(given, -1, -1, -1)


class MaskDecoderFace(Face):
    """Features and prompts to masks. An unstable single mask gives way to the best of three if the settings say so."""

    behind: MaskDecoder

    def __init__(self, behind: MaskDecoder, settings: Settings) -> None:
        super().__init__(behind)
        self.dynamic_multimask_via_stability = settings.dynamic_multimask_via_stability
        self.dynamic_multimask_stability_delta = settings.dynamic_multimask_stability_delta
        self.dynamic_multimask_stability_thresh = settings.dynamic_multimask_stability_thresh

    def forward(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
        repeat_image: bool,
        high_res_features: list[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits (B, K, S/4, S/4), IoU (B, K), mask tokens (B, K or 1, C) and presence logits (B, 1); K is 3 for
        several masks, else 1. Whether one picture serves all prompts is seen from the shapes."""
        if high_res_features is None:
            raise ValueError("high_res_features are missing; forward_image makes those of strides 4 and 8")
        stride4, stride8 = high_res_features
        levels = Levels(stride4, stride8, image_embeddings)
        codes = PromptCodes(sparse_prompt_embeddings, dense_prompt_embeddings)
        decoded = Decoded(*self.behind(image_embeddings, levels, codes, image_pe[0].flatten(1).T, None))
        masks, iou, tokens, presence = decoded
        if multimask_output:
            return masks[:, 1:], iou[:, 1:], tokens[:, 1:], presence[:, None]
        falls_back = self.dynamic_multimask_via_stability and not self.training
        least = self.dynamic_multimask_stability_thresh if falls_back else 0.0
        chosen = single(decoded, self.dynamic_multimask_stability_delta, least)
        each = torch.arange(len(masks), device=masks.device)
        return masks[each, chosen][:, None], iou[each, chosen][:, None], tokens[:, :1], presence[:, None]


def get_1d_sine_pe(pos_inds: Tensor, dim: int) -> Tensor:
    """Sine code of numbers: (...) -> (..., dim), all sines before all cosines."""
    return sine_ages(pos_inds, dim)


def select_closest_cond_frames(
    frame_idx: int, cond_frame_outputs: Mapping[int, Output], max_cond_frame_num: int
) -> tuple[dict[int, Output], dict[int, Output]]:
    """The outputs of the prompted frames nearest to a frame, and the others; all are taken with -1."""
    most = None if max_cond_frame_num == -1 else max_cond_frame_num
    chosen = nearest_prompted(frame_idx, [*cond_frame_outputs], most)
    others = {frame: output for frame, output in cond_frame_outputs.items() if frame not in chosen}
    return {frame: cond_frame_outputs[frame] for frame in chosen}, others
