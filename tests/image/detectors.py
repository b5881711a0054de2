"""Small detectors: the real classes of transformers with random weights, and one that answers what was recorded."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from masklet.image.words import FoundBox

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "red", "car", "dog", "a"]


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
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    layers = {"ffn_dim": 16, "attention_heads": 2}
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            image_size=64, patch_size=4, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=BertConfig(vocab_size=len(WORDS), max_position_embeddings=64, **small),
        num_queries=12, d_model=32, max_text_len=32, encoder_layers=1, decoder_layers=2,
        **{f"{part}_{name}": value for part in ("encoder", "decoder") for name, value in layers.items()},
    )  # fmt: skip
    tokenizer = BertTokenizerFast(vocab={word: number for number, word in enumerate(WORDS)}, do_lower_case=True)
    images = GroundingDinoImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96})
    GroundingDinoProcessor(images, tokenizer).save_pretrained(folder)
    GroundingDinoForObjectDetection(config).save_pretrained(folder)


def write_owl(folder: Path) -> None:
    from transformers import CLIPTokenizerFast, Owlv2Config, Owlv2ForObjectDetection, Owlv2Processor
    from transformers.models.owlv2.image_processing_pil_owlv2 import Owlv2ImageProcessorPil

    torch.manual_seed(0)
    letters = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    vocabulary = {word: number for number, word in enumerate(["<|startoftext|>", "<|endoftext|>", "!", *letters])}
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = Owlv2Config(
        text_config={"vocab_size": len(vocabulary), "max_position_embeddings": 16, "bos_token_id": 0,
                     "eos_token_id": 1, "pad_token_id": 2, **small},
        vision_config={"image_size": 64, "patch_size": 16, **small},
        projection_dim=16,
    )  # fmt: skip
    tokenizer = CLIPTokenizerFast(vocab=vocabulary, merges=[], model_max_length=16)
    images = Owlv2ImageProcessorPil(size={"height": 64, "width": 64})
    Owlv2Processor(images, tokenizer).save_pretrained(folder)
    Owlv2ForObjectDetection(config).save_pretrained(folder)
