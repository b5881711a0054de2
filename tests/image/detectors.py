"""Small detectors: the real classes of transformers with random weights, and one that answers what was recorded."""

from __future__ import annotations

import importlib
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from masklet.words import FoundBox

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "red", "car", "dog", "a"]


SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


def letters() -> dict[str, int]:
    """A vocabulary of single letters."""
    single = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    return {word: number for number, word in enumerate(["<|startoftext|>", "<|endoftext|>", "!", *single])}


@dataclass
class Recorded:
    """Boxes by phrase, whatever the picture shows."""

    boxes: dict[str, list[tuple[tuple[float, ...], float]]]
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def find(self, image: NDArray[np.uint8], phrases: Sequence[str], least: float) -> list[FoundBox]:
        self.asked.append(tuple(phrases))
        return [
            FoundBox(box, score, phrase)  # type: ignore[arg-type]
            for phrase in phrases
            for box, score in self.boxes.get(phrase, [])
            if score >= least
        ]


def write_grounding_dino(folder: Path) -> None:
    from transformers import (
        BertConfig,
        BertTokenizerFast,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoProcessor,
        SwinConfig,
    )
    from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil

    torch.manual_seed(0)
    layers = {"ffn_dim": 16, "attention_heads": 2}
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            image_size=64, patch_size=4, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=BertConfig(vocab_size=len(WORDS), max_position_embeddings=64, **SMALL),
        num_queries=12, d_model=32, max_text_len=32, encoder_layers=1, decoder_layers=2,
        **{f"{part}_{name}": value for part in ("encoder", "decoder") for name, value in layers.items()},
    )  # fmt: skip
    tokenizer = BertTokenizerFast(vocab={word: number for number, word in enumerate(WORDS)}, do_lower_case=True)
    images = GroundingDinoImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96})
    GroundingDinoProcessor(images, tokenizer).save_pretrained(folder)
    GroundingDinoForObjectDetection(config).save_pretrained(folder)


def write_owl(folder: Path, kind: str = "Owlv2") -> None:
    """OWLv2, or the first, "OwlViT"."""
    import transformers

    module = f"transformers.models.{kind.lower()}.image_processing_pil_{kind.lower()}"
    images = getattr(importlib.import_module(module), f"{kind}ImageProcessorPil")(size={"height": 64, "width": 64})
    config_class, model, processor = (
        getattr(transformers, f"{kind}{part}") for part in ("Config", "ForObjectDetection", "Processor")
    )
    torch.manual_seed(0)
    config = config_class(
        text_config={"vocab_size": len(letters()), "max_position_embeddings": 16, "bos_token_id": 0,
                     "eos_token_id": 1, "pad_token_id": 2, **SMALL},
        vision_config={"image_size": 64, "patch_size": 16, **SMALL},
        projection_dim=16,
    )  # fmt: skip
    tokenizer = transformers.CLIPTokenizerFast(vocab=letters(), merges=[], model_max_length=16)
    processor(images, tokenizer).save_pretrained(folder)
    model(config).save_pretrained(folder)


def write_clip(folder: Path) -> None:
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTokenizerFast
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    tokenizer = CLIPTokenizerFast(vocab=letters(), merges=[], model_max_length=64)
    sides = {"height": 32, "width": 32}
    CLIPProcessor(CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=sides), tokenizer).save_pretrained(folder)
    text = {"vocab_size": len(letters()), "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 1, **SMALL}
    vision = {"image_size": 32, "patch_size": 16, **SMALL}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).save_pretrained(folder)


def write_siglip(folder: Path) -> None:
    from transformers import CLIPTokenizerFast, SiglipConfig, SiglipModel, SiglipProcessor
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    torch.manual_seed(0)
    tokenizer = CLIPTokenizerFast(vocab=letters(), merges=[], model_max_length=64)
    SiglipProcessor(SiglipImageProcessorPil(size={"height": 32, "width": 32}), tokenizer).save_pretrained(folder)
    text = {
        "vocab_size": len(letters()),
        "max_position_embeddings": 64,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "projection_size": 16,
        **SMALL,
    }
    vision = {"image_size": 32, "patch_size": 16, **SMALL}
    SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).save_pretrained(folder)


def write_sam3(folder: Path) -> None:
    from transformers import CLIPTokenizerFast, Sam3Config, Sam3Model

    torch.manual_seed(0)
    layer = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32}
    backbone = {
        "model_type": "sam3_vit_model", "image_size": 56, "patch_size": 14, "pretrain_image_size": 56, "window_size": 2,
        "num_hidden_layers": 2, "global_attn_indexes": [1], **layer,
    }  # fmt: skip
    config = Sam3Config(
        vision_config={"backbone_config": backbone, "fpn_hidden_size": 32,
                       "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]]},
        text_config={"model_type": "clip_text_model", "vocab_size": len(letters()), "max_position_embeddings": 32,
                     "bos_token_id": 0, "eos_token_id": 1, "projection_dim": 16, **SMALL},
        geometry_encoder_config={"num_layers": 1, "roi_size": 3, **layer},
        detr_encoder_config={"num_layers": 1, **layer},
        detr_decoder_config={"num_layers": 2, "num_queries": 12, **layer},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2},
    )  # fmt: skip
    CLIPTokenizerFast(vocab=letters(), merges=[], model_max_length=32).save_pretrained(folder)
    Sam3Model(config).save_pretrained(folder)


def write_florence(folder: Path) -> None:
    from transformers import (
        BartConfig,
        CLIPTokenizerFast,
        Florence2Config,
        Florence2ForConditionalGeneration,
        Florence2Processor,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    words = letters()
    tokenizer = CLIPTokenizerFast(
        vocab={**words, "<image>": len(words)}, merges=[], pad_token="!", model_max_length=96,
        extra_special_tokens={"image_token": "<image>"},
    )  # fmt: skip
    sides = {"height": 64, "width": 64}
    images = CLIPImageProcessorPil(size=sides, crop_size=sides, do_center_crop=False, image_seq_length=5)
    Florence2Processor(images, tokenizer).save_pretrained(folder)
    text = BartConfig(
        vocab_size=len(words) + 1, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=160, pad_token_id=2,
        bos_token_id=0, eos_token_id=1, decoder_start_token_id=1, forced_eos_token_id=1, init_std=2.0,
    )  # fmt: skip
    vision = {
        "depths": (1, 1, 1, 1), "embed_dim": (8, 8, 16, 16), "num_heads": (1, 1, 2, 2), "num_groups": (1, 1, 2, 2),
        "window_size": 2, "projection_dim": 16,
    }  # fmt: skip
    config = Florence2Config(text_config=text, vision_config=vision, image_token_id=len(words))
    Florence2ForConditionalGeneration(config).save_pretrained(folder)
