"""Two-way tables between our names, which are the published ones, and those of transformers: `Sam2VideoModel`,
`EdgeTamVideoModel`, whose trunk, perceiver and feed-forward parts have other names, and `SamModel`; and between ours
and those of the first Segment Anything's files.

In a rule `#` stands for a number and `*` for anything, the same on both sides. Every key fits exactly one rule of its
table. Three things are no mere names: transformers keeps the four point embeddings in one tensor, the matrix of the
Fourier code twice, and the keys and values of the perceiver apart.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from masklet.errors import CheckpointError

THEIR_TRUNK, THEIR_FIRST_TRUNK = "vision_encoder.backbone.", "vision_encoder.layers."
"""Keys that begin like these are in the naming of transformers: of `Sam2VideoModel` and its kind, and of `SamModel`."""

FIRST_START = "prompt_encoder.pe_layer."
"""Keys that begin like this are in that of the first Segment Anything's files, and of those of its kind."""

_TRUNK = (
    ("pos_embed", "pos_embed"),
    ("pos_embed_window", "pos_embed_window"),
    ("patch_embed.proj.*", "patch_embed.projection.*"),
    ("blocks.#.attn.*", "blocks.#.attn.*"),
    ("blocks.#.proj.*", "blocks.#.proj.*"),
    ("blocks.#.norm#.*", "blocks.#.layer_norm#.*"),
    ("blocks.#.mlp.layers.0.*", "blocks.#.mlp.proj_in.*"),
    ("blocks.#.mlp.layers.1.*", "blocks.#.mlp.proj_out.*"),
)

_PROMPTS = (
    ("no_mask_embed.weight", "no_mask_embed.weight"),
    ("not_a_point_embed.weight", "not_a_point_embed.weight"),
    ("mask_downscaling.0.*", "mask_embed.conv1.*"),
    ("mask_downscaling.1.*", "mask_embed.layer_norm1.*"),
    ("mask_downscaling.3.*", "mask_embed.conv2.*"),
    ("mask_downscaling.4.*", "mask_embed.layer_norm2.*"),
    ("mask_downscaling.6.*", "mask_embed.conv3.*"),
)

_ATTENTION = (
    ("q_proj.*", "q_proj.*"),
    ("k_proj.*", "k_proj.*"),
    ("v_proj.*", "v_proj.*"),
    ("out_proj.*", "o_proj.*"),
)

_HEAD = (
    ("layers.0.*", "proj_in.*"),
    ("layers.1.*", "layers.0.*"),
    ("layers.2.*", "proj_out.*"),
)
"""A perceptron of three layers."""

_FIRST_DECODER = (
    ("iou_token.weight", "iou_token.weight"),
    ("mask_tokens.weight", "mask_tokens.weight"),
    ("output_upscaling.0.*", "upscale_conv1.*"),
    ("output_upscaling.1.*", "upscale_layer_norm.*"),
    ("output_upscaling.3.*", "upscale_conv2.*"),
    ("transformer.norm_final_attn.*", "transformer.layer_norm_final_attn.*"),
    ("transformer.layers.#.norm#.*", "transformer.layers.#.layer_norm#.*"),
)

_DECODER = (
    *_FIRST_DECODER,
    ("obj_score_token.weight", "obj_score_token.weight"),
    ("conv_s#.*", "conv_s#.*"),
    ("transformer.layers.#.mlp.layers.0.*", "transformer.layers.#.mlp.proj_in.*"),
    ("transformer.layers.#.mlp.layers.1.*", "transformer.layers.#.mlp.proj_out.*"),
)

_MEMORY_ATTENTION = (
    ("norm.*", "layer_norm.*"),
    ("layers.#.norm#.*", "layers.#.layer_norm#.*"),
)

_MEMORY_ENCODER = (
    ("pix_feat_proj.*", "feature_projection.*"),
    ("out_proj.*", "projection.*"),
    *((f"mask_downsampler.encoder.{3 * i}.*", f"mask_downsampler.layers.{i}.conv.*") for i in range(4)),
    *((f"mask_downsampler.encoder.{3 * i + 1}.*", f"mask_downsampler.layers.{i}.layer_norm.*") for i in range(4)),
    ("mask_downsampler.encoder.12.*", "mask_downsampler.final_conv.*"),
    ("fuser.layers.#.gamma", "memory_fuser.layers.#.scale"),
    ("fuser.layers.#.dwconv.*", "memory_fuser.layers.#.depthwise_conv.*"),
    ("fuser.layers.#.norm.*", "memory_fuser.layers.#.layer_norm.*"),
    ("fuser.layers.#.pwconv#.*", "memory_fuser.layers.#.pointwise_conv#.*"),
)

_TOP = (
    ("maskmem_tpos_enc", "memory_temporal_positional_encoding"),
    ("no_mem_embed", "no_memory_embedding"),
    ("no_mem_pos_enc", "no_memory_positional_encoding"),
    ("no_obj_ptr", "no_object_pointer"),
    ("no_obj_embed_spatial", "occlusion_spatial_embedding_parameter"),
    ("obj_ptr_tpos_proj.*", "temporal_positional_encoding_projection_layer.*"),
    ("mask_downsample.*", "mask_downsample.*"),
    ("image_encoder.neck.convs.#.conv.*", "vision_encoder.neck.convs.#.*"),
    ("sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", "shared_image_embedding.positional_embedding"),
)

_HEADS = (
    ("sam_mask_decoder.output_hypernetworks_mlps.#.", "mask_decoder.output_hypernetworks_mlps.#.", _HEAD),
    ("sam_mask_decoder.iou_prediction_head.", "mask_decoder.iou_prediction_head.", _HEAD),
)

_PARTS = (
    ("", "", _TOP),
    ("sam_prompt_encoder.", "prompt_encoder.", _PROMPTS),
    ("sam_mask_decoder.", "mask_decoder.", _DECODER),
    ("sam_mask_decoder.transformer.*.", "mask_decoder.transformer.*.", _ATTENTION),
    *_HEADS,
    ("sam_mask_decoder.pred_obj_score_head.", "mask_decoder.pred_obj_score_head.", _HEAD),
    ("obj_ptr_proj.", "object_pointer_proj.", _HEAD),
    ("memory_attention.", "memory_attention.", _MEMORY_ATTENTION),
    ("memory_attention.*.", "memory_attention.*.", _ATTENTION),
    ("memory_encoder.", "memory_encoder.", _MEMORY_ENCODER),
)
"""What the families of SAM 2 share."""

_PERCEIVER = (
    ("latents", "latents_1d"),
    ("latents_2d", "latents_2d"),
    ("norm.*", "layer_norm.*"),
    ("layers.#.attn.norm_x.*", "layers.#.layer_norm_input.*"),
    ("layers.#.attn.norm_latents.*", "layers.#.layer_norm_latents.*"),
    ("layers.#.self_attn.norm.*", "layers.#.layer_norm_self.*"),
    *(
        (f"layers.#.{ours}.to_{our_part}.weight", f"layers.#.{theirs}.{their_part}_proj.weight")
        for ours, theirs in (("attn", "cross_attention"), ("self_attn", "self_attention"))
        for our_part, their_part in (("q", "q"), ("kv", "kv"), ("out", "o"))
    ),
    *(
        (f"layers.#.{ours}.{index}.*", f"layers.#.{theirs}.{name}.*")
        for ours, theirs in (("ff", "mlp"), ("self_ff", "self_mlp"))
        for index, name in ((0, "layer_norm"), (1, "up_proj"), (3, "down_proj"))
    ),
)

_SAM2_PARTS = (
    ("image_encoder.trunk.", THEIR_TRUNK, _TRUNK),
    ("memory_attention.", "memory_attention.", (("layers.#.linear#.*", "layers.#.linear#.*"),)),
)

_EDGETAM_PARTS = (
    ("image_encoder.trunk.", THEIR_TRUNK, (("body.*", "timm_model.*"),)),
    (
        "memory_attention.layers.#.",
        "memory_attention.layers.#.",
        (("linear1.*", "mlp.up_proj.*"), ("linear2.*", "mlp.down_proj.*")),
    ),
    ("spatial_perceiver.", "spatial_perceiver.", _PERCEIVER),
)

_EXCHANGES = ("self_attn", "cross_attn_token_to_image", "cross_attn_image_to_token")

_FIRST_MLP = (("mlp.layers.0.*", "mlp.lin1.*"), ("mlp.layers.1.*", "mlp.lin2.*"))

_FIRST_PARTS = (
    (
        "",
        "",
        (
            (
                "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
                "shared_image_embedding.positional_embedding",
            ),
        ),
    ),
    (
        "image_encoder.trunk.",
        "vision_encoder.",
        (
            ("pos_embed", "pos_embed"),
            ("patch_embed.proj.*", "patch_embed.projection.*"),
            ("blocks.#.attn.*", "layers.#.attn.*"),
            ("blocks.#.norm#.*", "layers.#.layer_norm#.*"),
            ("blocks.#.mlp.*", "layers.#.mlp.*"),
        ),
    ),
    (
        "image_encoder.neck.",
        "vision_encoder.neck.",
        (("0.*", "conv1.*"), ("1.*", "layer_norm1.*"), ("2.*", "conv2.*"), ("3.*", "layer_norm2.*")),
    ),
    (
        "sam_prompt_encoder.",
        "prompt_encoder.",
        (*_PROMPTS, ("point_embeddings.#.weight", "point_embed.#.weight")),
    ),
    (
        "sam_mask_decoder.",
        "mask_decoder.",
        (*_FIRST_DECODER, ("transformer.final_attn_token_to_image.*", "transformer.final_attn_token_to_image.*")),
    ),
    (
        "sam_mask_decoder.transformer.layers.#.",
        "mask_decoder.transformer.layers.#.",
        (*_FIRST_MLP, *((f"{name}.*", f"{name}.*") for name in _EXCHANGES)),
    ),
    *_HEADS,
)

_FIRST_FILE = (
    ("image_encoder.neck.", "image_encoder.neck.", (("*", "*"),)),
    (
        "image_encoder.trunk.",
        "image_encoder.",
        (
            ("pos_embed", "pos_embed"),
            ("patch_embed.*", "patch_embed.*"),
            ("blocks.*", "blocks.*"),
            ("stages.*", "layers.*"),
        ),
    ),
    ("sam_prompt_encoder.", "prompt_encoder.", (("*", "*"),)),
    (
        "sam_mask_decoder.",
        "mask_decoder.",
        tuple(
            (f"{name}.*", f"{name}.*")
            for name in (
                *("iou_token", "mask_tokens", "output_upscaling", "output_hypernetworks_mlps", "iou_prediction_head"),
                *("transformer.final_attn_token_to_image", "transformer.norm_final_attn"),
            )
        ),
    ),
    (
        "sam_mask_decoder.transformer.layers.#.",
        "mask_decoder.transformer.layers.#.",
        (*_FIRST_MLP, ("norm#.*", "norm#.*"), *((f"{name}.*", f"{name}.*") for name in _EXCHANGES)),
    ),
)
"""Published names of the first Segment Anything, which are not ours."""

RULES = {
    family: tuple((a + ours, b + theirs) for a, b, rules in parts for ours, theirs in rules)
    for family, parts in (
        ("sam2", (*_PARTS, *_SAM2_PARTS)),
        ("edgetam", (*_PARTS, *_EDGETAM_PARTS)),
        ("sam1", _FIRST_PARTS),
        ("sam1 files", _FIRST_FILE),
    )
}
"""Family -> its table of (our name, their name): of transformers, or of published files."""

OUR_POINTS = tuple(f"sam_prompt_encoder.point_embeddings.{label}.weight" for label in range(4))
THEIR_POINTS = "prompt_encoder.point_embed.weight"
"""Their row k is our embedding k."""

_CLASSIFIER = ("image_encoder.norm_head.", "image_encoder.head.")
"""In MobileSAM's file, and used by nobody."""

_APART = re.compile(r"spatial_perceiver\..*\.k_proj\.weight")
_TOGETHER = re.compile(r"spatial_perceiver\..*\.kv_proj\.weight")
"""Keys, and values beside them, of theirs are one tensor of ours."""

THEIR_MATRIX = "shared_image_embedding.positional_embedding"
THEIR_MATRIX_TWIN = "prompt_encoder.shared_embedding.positional_embedding"


class _Direction(NamedTuple):
    """One column of the table to the other."""

    patterns: tuple[re.Pattern[str], ...]
    templates: tuple[str, ...]


def _direction(sources: Iterable[str], targets: Iterable[str]) -> _Direction:
    patterns = (re.escape(source).replace(r"\#", r"(\d+)").replace(r"\*", "(.+)") for source in sources)
    templates = (target.replace("#", "{}").replace("*", "{}") for target in targets)
    return _Direction(tuple(map(re.compile, patterns)), tuple(templates))


_TO_OURS = {family: _direction(*reversed([*zip(*rules, strict=True)])) for family, rules in RULES.items()}
_TO_THEIRS = {family: _direction(*zip(*rules, strict=True)) for family, rules in RULES.items()}


def family_of(state: Mapping[str, Tensor]) -> str:
    """The family of a state dict in our naming or in that of transformers."""
    if any(key.startswith("spatial_perceiver.") for key in state):
        return "edgetam"
    return "sam2" if any(key.endswith("mask_decoder.obj_score_token.weight") for key in state) else "sam1"


def is_transformers(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict is in the naming of transformers."""
    return any(key.startswith((THEIR_TRUNK, THEIR_FIRST_TRUNK)) for key in state)


def is_first(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict is in the naming of the first Segment Anything's files."""
    return any(key.startswith(FIRST_START) for key in state)


def from_first(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of such a file under our names, without a classifier that was left in it. Raises CheckpointError for
    a key that is in no rule."""
    kept = {key: tensor for key, tensor in state.items() if not key.startswith(_CLASSIFIER)}
    return _rename(kept, _TO_OURS["sam1 files"])


def to_first(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of ours under the names of such a file. Raises CheckpointError for a key that is in no rule."""
    return _rename(state, _TO_THEIRS["sam1 files"])


def from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of transformers under our names.

    Raises:
        CheckpointError: A key is in no rule, the points' tensor has no four rows, or the two copies of the Fourier
            matrix differ.
    """
    theirs = dict(state)
    twin = theirs.pop(THEIR_MATRIX_TWIN, None)
    if twin is not None and not _same(theirs.setdefault(THEIR_MATRIX, twin), twin):
        raise CheckpointError(
            f"{THEIR_MATRIX} and {THEIR_MATRIX_TWIN} differ, but there is one matrix for points and pictures"
        )
    ours: dict[str, Tensor] = {}
    points = theirs.pop(THEIR_POINTS, None)
    if points is not None:
        if points.ndim != 2 or len(points) != len(OUR_POINTS):
            raise CheckpointError(f"{THEIR_POINTS} has shape {tuple(points.shape)}; 4 rows were expected")
        ours |= {key: points[label : label + 1] for label, key in enumerate(OUR_POINTS)}
    for key in [key for key in theirs if _APART.fullmatch(key)]:
        value = theirs.pop(key.replace("k_proj", "v_proj"), None)
        if value is None:
            raise CheckpointError(f"it has {key} without the values beside it")
        theirs[key.replace("k_proj", "kv_proj")] = torch.cat((theirs.pop(key), value))
    return ours | _rename(theirs, _TO_OURS[family_of(state)])


def to_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of ours under the names of transformers.

    Raises:
        CheckpointError: A key is in no rule (transformers has no such part), or points are missing.
    """
    ours, family = dict(state), family_of(state)
    if missing := [key for key in OUR_POINTS if key not in ours]:
        raise CheckpointError(f"the state lacks {', '.join(missing)}")
    points = {} if family == "sam1" else {THEIR_POINTS: torch.cat([ours.pop(key) for key in OUR_POINTS])}
    theirs = _rename(ours, _TO_THEIRS[family]) | points
    for key in [key for key in theirs if _TOGETHER.fullmatch(key)]:
        keys, values = theirs.pop(key).chunk(2)
        theirs |= {key.replace("kv_proj", "k_proj"): keys, key.replace("kv_proj", "v_proj"): values}
    if THEIR_MATRIX in theirs:
        theirs[THEIR_MATRIX_TWIN] = theirs[THEIR_MATRIX].clone()
    return theirs


def _rename(state: Mapping[str, Tensor], direction: _Direction) -> dict[str, Tensor]:
    names = {key: _translate(key, direction) for key in state}
    if unknown := [key for key, name in names.items() if name is None]:
        raise CheckpointError(
            f"the table of names has no place for {len(unknown)} {'key' if len(unknown) == 1 else 'keys'} "
            f"({', '.join(unknown[:3])}{', ...' if len(unknown) > 3 else ''})"
        )
    return {name: state[key] for key, name in names.items() if name is not None}


def _translate(key: str, direction: _Direction) -> str | None:
    for pattern, template in zip(*direction, strict=True):
        if found := pattern.fullmatch(key):
            return template.format(*found.groups())
    return None


def _same(a: Tensor, b: Tensor) -> bool:
    return a.is_meta or b.is_meta or torch.equal(a, b)
