"""Two-way tables between our names, which are the published ones, and those of transformers: `Sam2VideoModel`,
`EdgeTamVideoModel`, whose trunk, perceiver and feed-forward parts have other names, and `SamModel`; and between ours
and those of the first Segment Anything's files.

In a rule `#` stands for a number and `*` for anything, the same on both sides. Every key fits exactly one rule of its
table. Three things are no mere names: transformers keeps the four point embeddings in one tensor, the matrix of the
Fourier code twice, and the keys and values of the perceiver apart.
"""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from masklet.errors import CheckpointError

THEIR_TRUNK, THEIR_FIRST_TRUNK = "vision_encoder.backbone.", "vision_encoder.layers."
"""Keys that begin like these are in the naming of transformers: of `Sam2VideoModel` and its kind, and of `SamModel`."""

FIRST_START = "prompt_encoder.pe_layer."
"""Keys that begin like this are in that of the first Segment Anything's files, and of those of its kind."""


def _table(text: str) -> list[tuple[str, str]]:
    """Rules of a text: a line each, ours and theirs, or one name for both; below a line `[ours theirs]` every name
    begins like these."""
    rules, ours, theirs = [], "", ""
    for line in text.split("\n"):
        names = line.strip("[]").split()
        if line.startswith("["):
            ours, theirs = names or ("", "")
        elif names:
            rules.append((ours + names[0], theirs + names[-1]))
    return rules


_ATTENTION = """
q_proj.*    q_proj.*
k_proj.*    k_proj.*
v_proj.*    v_proj.*
out_proj.*  o_proj.*
"""

_HEAD = """
layers.0.*  proj_in.*
layers.1.*  layers.0.*
layers.2.*  proj_out.*
"""
"""A perceptron of three layers."""

_PROMPTS = """
[sam_prompt_encoder. prompt_encoder.]
no_mask_embed.weight
not_a_point_embed.weight
mask_downscaling.0.*  mask_embed.conv1.*
mask_downscaling.1.*  mask_embed.layer_norm1.*
mask_downscaling.3.*  mask_embed.conv2.*
mask_downscaling.4.*  mask_embed.layer_norm2.*
mask_downscaling.6.*  mask_embed.conv3.*
"""

_DECODER = f"""
[sam_mask_decoder. mask_decoder.]
iou_token.weight
mask_tokens.weight
output_upscaling.0.*            upscale_conv1.*
output_upscaling.1.*            upscale_layer_norm.*
output_upscaling.3.*            upscale_conv2.*
transformer.norm_final_attn.*   transformer.layer_norm_final_attn.*
transformer.layers.#.norm#.*    transformer.layers.#.layer_norm#.*
[sam_mask_decoder.output_hypernetworks_mlps.#. mask_decoder.output_hypernetworks_mlps.#.]{_HEAD}
[sam_mask_decoder.iou_prediction_head. mask_decoder.iou_prediction_head.]{_HEAD}
"""

_SHARED = f"""
maskmem_tpos_enc                 memory_temporal_positional_encoding
no_mem_embed                     no_memory_embedding
no_mem_pos_enc                   no_memory_positional_encoding
no_obj_ptr                       no_object_pointer
no_obj_embed_spatial             occlusion_spatial_embedding_parameter
obj_ptr_tpos_proj.*              temporal_positional_encoding_projection_layer.*
mask_downsample.*
image_encoder.neck.convs.#.conv.*  vision_encoder.neck.convs.#.*
sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix  shared_image_embedding.positional_embedding
{_PROMPTS}{_DECODER}
[sam_mask_decoder. mask_decoder.]
obj_score_token.weight
conv_s#.*
transformer.layers.#.mlp.layers.0.*  transformer.layers.#.mlp.proj_in.*
transformer.layers.#.mlp.layers.1.*  transformer.layers.#.mlp.proj_out.*
[sam_mask_decoder.transformer.*. mask_decoder.transformer.*.]{_ATTENTION}
[sam_mask_decoder.pred_obj_score_head. mask_decoder.pred_obj_score_head.]{_HEAD}
[obj_ptr_proj. object_pointer_proj.]{_HEAD}
[memory_attention. memory_attention.]
norm.*           layer_norm.*
layers.#.norm#.*  layers.#.layer_norm#.*
[memory_attention.*. memory_attention.*.]{_ATTENTION}
[memory_encoder. memory_encoder.]
pix_feat_proj.*                feature_projection.*
out_proj.*                     projection.*
mask_downsampler.encoder.0.*   mask_downsampler.layers.0.conv.*
mask_downsampler.encoder.1.*   mask_downsampler.layers.0.layer_norm.*
mask_downsampler.encoder.3.*   mask_downsampler.layers.1.conv.*
mask_downsampler.encoder.4.*   mask_downsampler.layers.1.layer_norm.*
mask_downsampler.encoder.6.*   mask_downsampler.layers.2.conv.*
mask_downsampler.encoder.7.*   mask_downsampler.layers.2.layer_norm.*
mask_downsampler.encoder.9.*   mask_downsampler.layers.3.conv.*
mask_downsampler.encoder.10.*  mask_downsampler.layers.3.layer_norm.*
mask_downsampler.encoder.12.*  mask_downsampler.final_conv.*
fuser.layers.#.gamma           memory_fuser.layers.#.scale
fuser.layers.#.dwconv.*        memory_fuser.layers.#.depthwise_conv.*
fuser.layers.#.norm.*          memory_fuser.layers.#.layer_norm.*
fuser.layers.#.pwconv#.*       memory_fuser.layers.#.pointwise_conv#.*
"""
"""What the families of SAM 2 share."""

_SAM2 = f"""{_SHARED}
[image_encoder.trunk. {THEIR_TRUNK}]
pos_embed
pos_embed_window
patch_embed.proj.*       patch_embed.projection.*
blocks.#.attn.*
blocks.#.proj.*
blocks.#.norm#.*         blocks.#.layer_norm#.*
blocks.#.mlp.layers.0.*  blocks.#.mlp.proj_in.*
blocks.#.mlp.layers.1.*  blocks.#.mlp.proj_out.*
[memory_attention. memory_attention.]
layers.#.linear#.*
"""

_EDGETAM = f"""{_SHARED}
[image_encoder.trunk. {THEIR_TRUNK}]
body.*  timm_model.*
[memory_attention.layers.#. memory_attention.layers.#.]
linear1.*  mlp.up_proj.*
linear2.*  mlp.down_proj.*
[spatial_perceiver. spatial_perceiver.]
latents  latents_1d
latents_2d
norm.*                            layer_norm.*
layers.#.attn.norm_x.*            layers.#.layer_norm_input.*
layers.#.attn.norm_latents.*      layers.#.layer_norm_latents.*
layers.#.self_attn.norm.*         layers.#.layer_norm_self.*
layers.#.attn.to_q.weight         layers.#.cross_attention.q_proj.weight
layers.#.attn.to_kv.weight        layers.#.cross_attention.kv_proj.weight
layers.#.attn.to_out.weight       layers.#.cross_attention.o_proj.weight
layers.#.self_attn.to_q.weight    layers.#.self_attention.q_proj.weight
layers.#.self_attn.to_kv.weight   layers.#.self_attention.kv_proj.weight
layers.#.self_attn.to_out.weight  layers.#.self_attention.o_proj.weight
layers.#.ff.0.*                   layers.#.mlp.layer_norm.*
layers.#.ff.1.*                   layers.#.mlp.up_proj.*
layers.#.ff.3.*                   layers.#.mlp.down_proj.*
layers.#.self_ff.0.*              layers.#.self_mlp.layer_norm.*
layers.#.self_ff.1.*              layers.#.self_mlp.up_proj.*
layers.#.self_ff.3.*              layers.#.self_mlp.down_proj.*
"""

_FIRST_LAYERS = """
[sam_mask_decoder.transformer.layers.#. mask_decoder.transformer.layers.#.]
mlp.layers.0.*  mlp.lin1.*
mlp.layers.1.*  mlp.lin2.*
self_attn.*
cross_attn_token_to_image.*
cross_attn_image_to_token.*
[sam_mask_decoder. mask_decoder.]
transformer.final_attn_token_to_image.*
"""

_FIRST = f"""
sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix  shared_image_embedding.positional_embedding
{_PROMPTS}point_embeddings.#.weight  point_embed.#.weight
{_DECODER}{_FIRST_LAYERS}
[image_encoder.trunk. vision_encoder.]
pos_embed
patch_embed.proj.*  patch_embed.projection.*
blocks.#.attn.*     layers.#.attn.*
blocks.#.norm#.*    layers.#.layer_norm#.*
blocks.#.mlp.*      layers.#.mlp.*
[image_encoder.neck. vision_encoder.neck.]
0.*  conv1.*
1.*  layer_norm1.*
2.*  conv2.*
3.*  layer_norm2.*
"""

_FIRST_FILE = f"""
image_encoder.neck.*
sam_prompt_encoder.*  prompt_encoder.*
[image_encoder.trunk. image_encoder.]
pos_embed
patch_embed.*
blocks.*
stages.*  layers.*
{_FIRST_LAYERS}
iou_token.*
mask_tokens.*
output_upscaling.*
output_hypernetworks_mlps.*
iou_prediction_head.*
transformer.norm_final_attn.*
transformer.layers.#.norm#.*
"""
"""Published names of the first Segment Anything, which are not ours."""

_TABLES = {"sam2": _SAM2, "edgetam": _EDGETAM, "sam1": _FIRST, "sam1 files": _FIRST_FILE}

RULES = {family: _table(text) for family, text in _TABLES.items()}
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


_Names = list[tuple[re.Pattern[str], str]]
"""Patterns of one column of a table, and what the other has in their place."""


def _patterns(rules: Iterable[tuple[str, str]]) -> _Names:
    return [
        (
            re.compile(re.escape(source).replace(r"\#", r"(\d+)").replace(r"\*", "(.+)")),
            target.replace("#", "{}").replace("*", "{}"),
        )
        for source, target in rules
    ]


_TO_THEIRS = {family: _patterns(rules) for family, rules in RULES.items()}
_TO_OURS = {family: _patterns((theirs, ours) for ours, theirs in rules) for family, rules in RULES.items()}


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
    """A state dict of such a file under our names, without a classifier. Raises CheckpointError for an unknown key."""
    kept = {key: tensor for key, tensor in state.items() if not key.startswith(_CLASSIFIER)}
    return _rename(kept, _TO_OURS["sam1 files"])


def to_first(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of ours under the names of such a file. Raises CheckpointError for a key that is in no rule."""
    return _rename(state, _TO_THEIRS["sam1 files"])


def from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of transformers under our names. Raises CheckpointError if a key is in no rule, the points' tensor
    has no four rows, or the two copies of the Fourier matrix differ."""
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
    """A state dict of ours under the names of transformers. Raises CheckpointError if a key is in no rule (transformers
    has no such part), or points are missing."""
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


NAMINGS = (
    (is_first, from_first, "the first Segment Anything"),
    (is_transformers, from_transformers, "transformers"),
)
"""Namings that files have beside ours: whether a state dict is in one, what brings it under our names, and whose it is.
The first that it is in counts."""


def _rename(state: Mapping[str, Tensor], patterns: _Names) -> dict[str, Tensor]:
    renamed, unknown = {}, []
    for key, tensor in state.items():
        fitting = ((pattern.fullmatch(key), template) for pattern, template in patterns)
        if name := next((template.format(*found.groups()) for found, template in fitting if found), None):
            renamed[name] = tensor
        else:
            unknown.append(key)
    if unknown:
        raise CheckpointError(
            f"the table of names has no place for {len(unknown)} {'key' if len(unknown) == 1 else 'keys'} "
            f"({', '.join(unknown[:3])}{', ...' if len(unknown) > 3 else ''})"
        )
    return renamed


def _same(a: Tensor, b: Tensor) -> bool:
    return a.is_meta or b.is_meta or torch.equal(a, b)
