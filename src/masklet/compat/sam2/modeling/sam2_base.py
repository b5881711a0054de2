"""The model that the builders return, and that the predictors take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from masklet.checkpoints import Model
from masklet.compat.sam2.modeling.faces import ImageEncoderFace, MaskDecoderFace, PromptEncoderFace
from masklet.compat.sam2.settings import IMAGE_POSTPROCESSING, Settings
from masklet.engines.rules import ABSENT_LOGIT
from masklet.nn.layers import to_tokens
from masklet.nn.network import ImageEncoder

if TYPE_CHECKING:
    from typing_extensions import Self

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

    def __init__(self, model: Model, settings: Settings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or Settings(**IMAGE_POSTPROCESSING)
        network = model.network
        self._parameters, self._buffers = network._parameters, network._buffers
        self._modules = dict(network._modules)
        object.__setattr__(self, "_model", model)
        self.sam_prompt_encoder = PromptEncoderFace(network.sam_prompt_encoder)
        self.sam_mask_decoder = MaskDecoderFace(
            network.sam_mask_decoder,
            settings.dynamic_multimask_via_stability,
            settings.dynamic_multimask_stability_delta,
            settings.dynamic_multimask_stability_thresh,
        )
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
        model: Model = self._model
        return model

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

    def train(self, mode: bool = True) -> Self:
        """Train or evaluate. While it is trained, weights have gradients; predictors answer by the weights as they are
        when evaluation begins again."""
        self.engine.network.train(mode)
        super().train(mode)
        if mode:
            self.requires_grad_()
        else:
            self._renew()
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self.engine.network._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._renew()
        return self

    def _renew(self) -> None:
        """What is computed from weights, such as tables and folded copies, is computed again."""
        old = self.engine
        object.__setattr__(self, "_model", Model(old.name, old.network.prepare(), old.compiled))
