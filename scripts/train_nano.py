"""Train `nano`, version 0: a plain script, one file, two cores, an hour or two.

    python scripts/train_nano.py images --data ../shared/data --out runs/nano --size 128 --minutes 50
    python scripts/train_nano.py clips  --data ../shared/data --out runs/nano --size 256 --minutes 50
    python scripts/train_nano.py export --out runs/nano --to src/masklet/weights/nano.safetensors

`images` teaches encoder, prompts and decoder on labelled pictures: boxes, clicks, then corrections of what came out
wrong. `clips` adds the memory: pictures set in motion, cut-outs pasted on other pictures, and the real training videos.
Each stage continues from the newest checkpoint in --out, is timed in minutes (the learning rate follows the clock),
and can be stopped and started again. Loss as published (SAM 2: Ravi et al., 2024, appendix): 20 focal + 1 dice on the
best candidate, L1 on IoU, cross-entropy on presence.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from masklet.nn import NANO, Decoded, Levels, MemoryBank, Network, PromptTokens

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
UNKNOWN = 255
LONGEST = 320  # pictures are kept in memory with this longest side
AGES = 15  # pointers tell their age in units of this many frames
RECENT = 3  # recent frames that a clip's frame remembers, beside the first


# ---------------------------------------------------------------------------------------------------------------------
# Pictures and videos


class Picture(NamedTuple):
    image: np.ndarray  # (H, W, 3) uint8
    labels: np.ndarray  # (H, W) uint8: 0 background, 1.. objects, 255 unknown


def shrink(image: np.ndarray, labels: np.ndarray, longest: int = LONGEST) -> Picture:
    scale = longest / max(image.shape[:2])
    if scale < 1:
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    return Picture(image, labels)


def read_pictures(root: Path, split: str) -> tuple[list[Picture], np.ndarray]:
    """All pictures of a split, and how often to draw each: small sources a little more often than their share."""
    rows = [r for r in csv.DictReader((root / "index.csv").open()) if r["kind"] == "image" and r["split"] == split]
    pictures = [
        shrink(np.array(Image.open(root / r["path"]).convert("RGB")), np.array(Image.open(root / r["masks"])))
        for r in rows
    ]
    sources = [r["source"] for r in rows]
    weights = np.array([sources.count(source) ** -0.3 for source in sources])
    return pictures, weights / weights.sum()


def read_videos(root: Path, split: str) -> list[list[Picture]]:
    import av

    rows = [r for r in csv.DictReader((root / "index.csv").open()) if r["kind"] == "video" and r["split"] == split]
    videos = []
    for row in rows:
        with av.open(str(root / row["path"])) as container:
            images = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        masks = [np.array(Image.open(root / row["masks"] / f"{n:05d}.png")) for n in range(len(images))]
        videos.append([shrink(image, mask) for image, mask in zip(images, masks, strict=True)])
    return videos


# ---------------------------------------------------------------------------------------------------------------------
# Augmentation


def random_view(rng: np.random.Generator, picture: Picture, size: int, whole: float = 0.25) -> np.ndarray:
    """A 2 x 3 matrix from a random upright part of the picture to the square, mirrored half of the time."""
    height, width = picture.labels.shape
    if rng.random() < whole:
        x0, y0, w, h = 0.0, 0.0, float(width), float(height)
    else:
        area, aspect = rng.uniform(0.25, 1.0), math.exp(rng.uniform(-0.4, 0.4))
        w, h = min(width, width * math.sqrt(area * aspect)), min(height, height * math.sqrt(area / aspect))
        x0, y0 = rng.uniform(0, width - w), rng.uniform(0, height - h)
    matrix = np.array([[size / w, 0, -x0 * size / w], [0, size / h, -y0 * size / h]])
    if rng.random() < 0.5:
        matrix[0] = [-matrix[0, 0], 0, size - matrix[0, 2]]
    return matrix


def warp(picture: Picture, matrix: np.ndarray, size: int, border: int = cv2.BORDER_REFLECT_101) -> Picture:
    shrinking = abs(matrix[0, 0]) < 0.7
    flags = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    image = cv2.warpAffine(picture.image, matrix, (size, size), flags=flags, borderMode=border)
    outside = 0 if border == cv2.BORDER_CONSTANT else UNKNOWN
    labels = cv2.warpAffine(
        picture.labels,
        matrix,
        (size, size),
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=outside,
    )
    return Picture(image, labels)


def recolour(rng: np.random.Generator, images: list[np.ndarray]) -> list[np.ndarray]:
    """The same change of light and colour for all images of a clip."""
    gain = rng.uniform(0.6, 1.4, 3) if rng.random() < 0.3 else np.full(3, rng.uniform(0.6, 1.4))
    table = np.arange(256)[:, None] / 255
    table = np.clip(table ** rng.uniform(0.7, 1.4) * gain + rng.uniform(-0.1, 0.1), 0, 1) * 255
    table = table.astype(np.uint8)[None]
    grey = rng.random() < 0.08
    changed = []
    for image in images:
        image = cv2.LUT(image, table)
        if grey:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        changed.append(image)
    return changed


def smooth_path(rng: np.random.Generator, frames: int, size: int, strength: float) -> list[np.ndarray]:
    """Matrices of a slow drift, turn and zoom about the centre of the square, one a frame, the first near rest."""
    speed = rng.normal(0, [0.05 * size, 0.04 * size, 0.07, 0.06]) * strength
    jitter = rng.normal(0, [0.01 * size, 0.01 * size, 0.015, 0.015], (frames, 4)) * strength
    matrices = []
    for frame in range(frames):
        dx, dy, turn, zoom = speed * frame + jitter[frame]
        matrix = cv2.getRotationMatrix2D((size / 2, size / 2), math.degrees(turn), math.exp(zoom))
        matrix[:, 2] += dx, dy
        matrices.append(matrix)
    return matrices


def compose(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """First b, then a."""
    full = np.vstack([a, [0, 0, 1]]) @ np.vstack([b, [0, 0, 1]])
    return full[:2]


def pick_object(rng: np.random.Generator, labels: np.ndarray, least: float) -> int | None:
    counts = np.bincount(labels.ravel(), minlength=256).astype(float)
    counts[[0, UNKNOWN]] = 0
    counts[counts < least * labels.size] = 0
    return int(rng.choice(256, p=np.sqrt(counts) / np.sqrt(counts).sum())) if counts.any() else None


# ---------------------------------------------------------------------------------------------------------------------
# Batches


class Batch(NamedTuple):
    """B clips of T frames (T = 1: pictures), K objects in each."""

    images: Tensor  # (B, T, 3, S, S) uint8
    masks: Tensor  # (B, T, K, S, S) bool
    known: Tensor  # (B, T, S, S) bool


def stack(clips: list[tuple[list[Picture], list[int]]]) -> Batch:
    images = torch.from_numpy(np.stack([[p.image for p in clip] for clip, _ in clips])).permute(0, 1, 4, 2, 3)
    labels = torch.from_numpy(np.stack([[p.labels for p in clip] for clip, _ in clips]))
    ids = torch.tensor([objects for _, objects in clips], dtype=torch.uint8)
    return Batch(images, labels[:, :, None] == ids[:, None, :, None, None], labels != UNKNOWN)


class Source:
    """Draws pictures and clips. Each call is independent of the others but for the random state."""

    def __init__(self, root: Path, seed: int, videos: bool) -> None:
        self.pictures, self.weights = read_pictures(root, "train")
        self.videos = read_videos(root, "train") if videos else []
        self.rng = np.random.default_rng(seed)

    def picture(self, size: int) -> Picture:
        index = int(self.rng.choice(len(self.pictures), p=self.weights))
        picture = self.pictures[index]
        for _ in range(3):
            seen = warp(picture, random_view(self.rng, picture, size), size)
            if pick_object(self.rng, seen.labels, 0.003) is not None:
                return seen
        return warp(picture, random_view(self.rng, picture, size, whole=1), size)

    def images(self, size: int, batch: int, objects: int) -> Batch:
        clips: list[tuple[list[Picture], list[int]]] = []
        while len(clips) < batch:
            picture = self.picture(size)
            ids = [pick_object(self.rng, picture.labels, 0.003) for _ in range(objects)]
            if None not in ids:
                (image,) = recolour(self.rng, [picture.image])
                clips.append(([Picture(image, picture.labels)], ids))  # type: ignore[arg-type]
        return stack(clips)

    def clips(self, size: int, batch: int, frames: int) -> Batch:
        clips: list[tuple[list[Picture], list[int]]] = []
        while len(clips) < batch:
            draw = self.rng.random()
            make = self.real_clip if draw < 0.4 else self.moved_clip if draw < 0.6 else self.pasted_clip
            clip, target = make(size, frames)
            if pick_object(self.rng, np.where(clip[0].labels == target, 1, 0).astype(np.uint8), 0.004) is None:
                continue
            images = recolour(self.rng, [p.image for p in clip])
            clips.append(([Picture(i, p.labels) for i, p in zip(images, clip, strict=True)], [target]))
        return stack(clips)

    def real_clip(self, size: int, frames: int) -> tuple[list[Picture], int]:
        video = self.videos[int(self.rng.integers(len(self.videos)))]
        stride = int(self.rng.integers(1, 5))
        span = min((frames - 1) * stride, len(video) - 1)
        first = int(self.rng.integers(len(video) - span))
        chosen = [video[first + min(k * stride, span)] for k in range(frames)]
        if self.rng.random() < 0.5:
            chosen.reverse()
        view = random_view(self.rng, chosen[0], size, whole=0.5)
        return [warp(p, view, size) for p in chosen], 1

    def moved_clip(self, size: int, frames: int) -> tuple[list[Picture], int]:
        """One picture under a moving camera."""
        picture = self.pictures[int(self.rng.choice(len(self.pictures), p=self.weights))]
        view = random_view(self.rng, picture, size)
        path = smooth_path(self.rng, frames, size, strength=1.0)
        clip = [warp(picture, compose(step, view), size) for step in path]
        return clip, pick_object(self.rng, clip[0].labels, 0.004) or 1

    def pasted_clip(self, size: int, frames: int) -> tuple[list[Picture], int]:
        """One to three cut-outs moving over another picture; the first is followed, the others may hide it."""
        ground = self.picture(size)
        paths = [smooth_path(self.rng, frames, size, strength=0.4)]
        layers = []
        for _ in range(int(self.rng.integers(1, 4))):
            cut = self.picture(size)
            number = pick_object(self.rng, cut.labels, 0.01)
            if number is not None:
                layers.append((Picture(cut.image, (cut.labels == number).astype(np.uint8)), self.placing(size)))
                paths.append(smooth_path(self.rng, frames, size, strength=1.5))
        leaves = self.rng.random() < 0.2  # the scene changes: nothing is left of the object
        elsewhere = self.picture(size)
        clip = []
        for frame in range(frames):
            if leaves and 0 < frame == frames - 2:
                clip.append(Picture(elsewhere.image, np.zeros_like(elsewhere.labels)))
                continue
            canvas = warp(ground, paths[0][frame], size)
            image, labels = canvas.image, np.zeros_like(canvas.labels)
            for number, ((cut, placing), path) in enumerate(zip(layers, paths[1:], strict=True), start=1):
                moved = warp(cut, compose(path[frame], placing), size, border=cv2.BORDER_CONSTANT)
                alpha = cv2.GaussianBlur(moved.labels.astype(np.float32), (3, 3), 0)[..., None]
                image = (image * (1 - alpha) + moved.image * alpha).astype(np.uint8)
                labels = np.where(moved.labels > 0, np.uint8(number), labels)
            clip.append(Picture(image, labels))
        return clip, 1

    def placing(self, size: int) -> np.ndarray:
        matrix = cv2.getRotationMatrix2D((size / 2, size / 2), self.rng.normal(0, 10), self.rng.uniform(0.5, 1.1))
        matrix[:, 2] += self.rng.normal(0, 0.12 * size, 2)
        return matrix


def ahead(make: Callable[[], Batch]) -> Iterator[Batch]:
    """Batches made by a thread while the last one is learned from."""
    ready: queue.Queue[Batch] = queue.Queue(maxsize=2)

    def work() -> None:
        while True:
            ready.put(make())

    threading.Thread(target=work, daemon=True).start()
    while True:
        yield ready.get()


# ---------------------------------------------------------------------------------------------------------------------
# Prompts, as a person gives them


class Prompts(NamedTuple):
    points: np.ndarray  # (N, P, 2)
    labels: np.ndarray  # (N, P); -1 where there is none


def inner_point(rng: np.random.Generator, mask: np.ndarray, central: bool) -> tuple[float, float]:
    """A pixel of the mask: the one farthest from its border, or any but more likely far from it."""
    distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    if central:
        y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    else:
        share = distance.ravel().astype(np.float64) ** 1.0
        y, x = np.unravel_index(int(rng.choice(share.size, p=share / share.sum())), distance.shape)
    return float(x), float(y)


def first_prompts(rng: np.random.Generator, masks: np.ndarray, boxes: float) -> Prompts:
    """A jittered box or one click for each of N masks: 2 places, then one that is no point, as the predictors give."""
    count, size = masks.shape[0], masks.shape[-1]
    points, labels = np.zeros((count, 3, 2), np.float32), np.full((count, 3), -1, np.int64)
    for n, mask in enumerate(masks):
        if not mask.any():
            continue
        if rng.random() < boxes:
            x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
            jitter = rng.normal(0, 0.04, 4) * [w, h, w, h]
            box = np.clip(np.array([x, y, x + w, y + h]) + jitter, 0, size)
            points[n, :2], labels[n, :2] = box.reshape(2, 2), (2, 3)
        else:
            points[n, 0], labels[n, 0] = inner_point(rng, mask, central=rng.random() < 0.5), 1
    return Prompts(points, labels)


def correct(rng: np.random.Generator, prompts: Prompts, masks: np.ndarray, answers: np.ndarray) -> Prompts:
    """One more click in the larger error region of each object."""
    points = np.concatenate([prompts.points, np.zeros_like(prompts.points[:, :1])], axis=1)
    labels = np.concatenate([prompts.labels, np.full_like(prompts.labels[:, :1], -1)], axis=1)
    for n, (mask, answer) in enumerate(zip(masks, answers, strict=True)):
        missed, extra = mask & ~answer, answer & ~mask
        region, label = (missed, 1) if missed.sum() >= extra.sum() else (extra, 0)
        if region.any():
            points[n, -1], labels[n, -1] = inner_point(rng, region, central=False), label
    return Prompts(points, labels)


def tokens(prompts: Prompts, logits: Tensor | None = None) -> PromptTokens:
    return PromptTokens(torch.from_numpy(prompts.points), torch.from_numpy(prompts.labels), masks=logits)


# ---------------------------------------------------------------------------------------------------------------------
# Loss


def mask_loss(decoded: Decoded, masks: Tensor, known: Tensor, ambiguous: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of N objects, and the IoU (N, 4) of the four candidates.

    The first candidate always learns; of the other three only the best does, and twice as much after an ambiguous
    prompt. masks, known (N, S, S) bool; ambiguous (N,) bool.
    """
    target, weight = (F.avg_pool2d(x[:, None].float(), 4) for x in (masks, known))  # (N, 1, S/4, S/4)
    logits = decoded.logits
    probability = logits.sigmoid()
    cross = F.binary_cross_entropy_with_logits(logits, target.expand_as(logits), reduction="none")
    right = probability * target + (1 - probability) * (1 - target)
    balance = 0.25 * target + 0.75 * (1 - target)
    focal = (balance * (1 - right).square() * cross * weight).mean((2, 3))
    overlap = (probability * target * weight).sum((2, 3))
    total = ((probability + target) * weight).sum((2, 3))
    dice = 1 - (2 * overlap + 1) / (total + 1)
    loss = 20 * focal + dice  # (N, 4)

    present = masks.flatten(1).any(1)
    best = loss[:, 1:].min(dim=1).values
    share = torch.where(ambiguous, 1.0, 0.5)
    with torch.no_grad():
        inside, truth = (logits > 0) & (weight > 0.5), (target > 0.5) & (weight > 0.5)
        iou = (inside & truth).sum((2, 3)) / (inside | truth).sum((2, 3)).clamp(min=1)
    scores = (decoded.iou - iou).abs().mean(1)
    presence = F.binary_cross_entropy_with_logits(decoded.presence, present.float())
    return ((1.5 - share) * loss[:, 0] + share * best + scores).mul(present).mean() + presence, iou


# ---------------------------------------------------------------------------------------------------------------------
# The two kinds of step


def normalise(images: Tensor) -> Tensor:
    return (images.float() / 255 - MEAN) / STD


def spread(levels: Levels, index: Tensor) -> Levels:
    return Levels(*(level[index] for level in levels))


def image_step(network: Network, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
    """One prompt for each object, and for half of the batches one correction."""
    masks = batch.masks[:, 0].flatten(0, 1)
    objects = batch.masks.shape[2]
    index = torch.arange(batch.images.shape[0]).repeat_interleave(objects)
    known = batch.known[:, 0][index]
    levels = spread(network.encode_image(normalise(batch.images[:, 0])), index)
    nothing = network.no_mem_embed.view(1, -1, 1, 1)
    prompts = first_prompts(rng, masks.numpy(), boxes=0.5)
    decoded = network.decode_masks(levels.stride16 + nothing, levels, tokens(prompts))
    ambiguous = torch.from_numpy(prompts.labels[:, 0] == 1)
    loss, iou = mask_loss(decoded, masks, known, ambiguous)
    clicks = iou[ambiguous, 1:].max(1).values.mean().item() if ambiguous.any() else 0.0
    figures = {"box": iou[~ambiguous, 0].mean().item(), "click": clicks}
    if rng.random() < 0.5:
        logits = answer(decoded, ambiguous)
        wrong = F.interpolate(logits, size=masks.shape[-2:], mode="bilinear", align_corners=False)[:, 0] > 0
        prompts = correct(rng, prompts, masks.numpy(), wrong.numpy())
        decoded = network.decode_masks(levels.stride16 + nothing, levels, tokens(prompts, logits.clamp(-32, 32)))
        again, iou = mask_loss(decoded, masks, known, torch.zeros_like(ambiguous))
        loss, figures["corrected"] = loss + again, iou[:, 0].mean().item()
    return loss, figures


def choose(decoded: Decoded, ambiguous: Tensor) -> Tensor:
    """(N,) the candidate that counts: the best scored of three after an ambiguous prompt, else the first."""
    return torch.where(ambiguous, decoded.iou[:, 1:].argmax(1) + 1, 0)


def answer(decoded: Decoded, ambiguous: Tensor) -> Tensor:
    return decoded.logits[torch.arange(len(ambiguous)), choose(decoded, ambiguous)][:, None].detach()


def clip_step(network: Network, batch: Batch, rng: np.random.Generator, still: bool) -> tuple[Tensor, dict[str, float]]:
    """Prompt the first frame by mask, box or click, then follow through the others by memory.

    With `still` the image encoder does not learn from clips, which takes half of the time.
    """
    count, frames = batch.images.shape[:2]
    size = batch.images.shape[-1]
    with torch.set_grad_enabled(not still):
        levels = network.encode_image(normalise(batch.images.flatten(0, 1)))
    memories: list[Tensor] = []
    pointers: list[Tensor] = []
    loss, followed = torch.zeros(()), []
    kind = rng.choice(["mask", "box", "click"], p=[0.4, 0.35, 0.25])
    for frame in range(frames):
        here = spread(levels, torch.arange(count) * frames + frame)
        masks, known = batch.masks[:, frame, 0], batch.known[:, frame]
        if frame == 0 and kind == "mask":
            none = Prompts(np.zeros((count, 2, 2), np.float32), np.full((count, 2), -1, np.int64))
            decoded = network.decode_masks(here.stride16, here, tokens(none, masks[:, None].float()))
            pointers.append(decoded.pointers[:, 0])
            presence = decoded.presence
            shown = masks[:, None].float()
        else:
            tracked = frame > 0
            if tracked:
                features = network.attend_memory(here.stride16, recall(network, memories, pointers, frame))
                prompts = Prompts(np.zeros((count, 2, 2), np.float32), np.full((count, 2), -1, np.int64))
            else:
                features = here.stride16 + network.no_mem_embed.view(1, -1, 1, 1)
                prompts = first_prompts(rng, masks.numpy(), boxes=float(kind == "box"))
            decoded = network.decode_masks(features, here, tokens(prompts))
            ambiguous = torch.full((count,), tracked or kind == "click")
            step_loss, iou = mask_loss(decoded, masks, known, ambiguous)
            loss = loss + step_loss
            chosen = choose(decoded, ambiguous)
            each = torch.arange(count)
            if tracked:
                followed += iou[each, chosen][masks.flatten(1).any(1)].tolist()
            pointer, presence = decoded.pointers[each, chosen], decoded.presence
            pointers.append(torch.where(presence[:, None] > 0, pointer, network.no_obj_ptr))
            logits = torch.where(presence[:, None, None] > 0, decoded.logits[each, chosen], -32.0)
            shown = F.interpolate(logits[:, None], size=(size, size), mode="bilinear", align_corners=False).sigmoid()
        memories.append(network.encode_memory(here.stride16, shown * 20 - 10, presence))
    return loss / (frames - 1), {"followed": float(np.mean(followed or [0]))}


def recall(network: Network, memories: list[Tensor], pointers: list[Tensor], frame: int) -> MemoryBank:
    """The first frame in the slot of prompted frames, and the last few, the newest in slot 0."""
    recent = [f for f in range(max(1, frame - RECENT), frame)]
    chosen = [0, *recent]
    slots = [network.config.memory_frames - 1, *(frame - f - 1 for f in recent)]
    count = memories[0].shape[0]
    return MemoryBank(
        torch.stack([memories[f] for f in chosen], dim=1),
        torch.tensor(slots).expand(count, -1),
        torch.stack([pointers[f] for f in range(frame)], dim=1),
        torch.tensor([(frame - f) / AGES for f in range(frame)]).expand(count, -1),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Validation


class Examiner:
    """Box and centre-click IoU on fixed objects of validation pictures, and IoU along validation videos."""

    def __init__(self, root: Path, size: int, videos: bool, count: int = 160) -> None:
        pictures, _ = read_pictures(root, "val")
        rng = np.random.default_rng(0)
        order = rng.permutation(len(pictures))[:count]
        self.size = size
        self.items = []
        for picture in (pictures[i] for i in order):
            squeeze = np.array([[size / picture.labels.shape[1], 0, 0], [0, size / picture.labels.shape[0], 0]])
            seen = warp(picture, squeeze, size)
            ids = {pick_object(rng, seen.labels, 0.003) for _ in range(4)} - {None}
            if ids:
                self.items.append((seen, sorted(ids)))  # type: ignore[type-var]
        self.videos = read_videos(root, "val") if videos else []

    @torch.no_grad()
    def __call__(self, network: Network) -> dict[str, float]:
        network.eval()
        rng = np.random.default_rng(0)
        boxes, clicks = [], []
        for picture, ids in self.items:
            image = normalise(torch.from_numpy(picture.image).permute(2, 0, 1)[None])
            levels = network.encode_image(image)
            features = levels.stride16 + network.no_mem_embed.view(1, -1, 1, 1)
            masks = np.stack([picture.labels == i for i in ids])
            for kind, scores in ((1.0, boxes), (0.0, clicks)):
                prompts = self.fixed_prompts(rng, masks, kind)
                decoded = network.decode_masks(features, levels, tokens(prompts))
                logits = answer(decoded, torch.full((len(ids),), kind == 0.0))
                scores += self.iou(logits, masks, picture.labels != UNKNOWN)
        figures = {"val_box": float(np.mean(boxes)), "val_click": float(np.mean(clicks))}
        if self.videos:
            figures["val_video"] = float(np.mean([self.follow(network, video) for video in self.videos]))
        network.train()
        return figures

    def fixed_prompts(self, rng: np.random.Generator, masks: np.ndarray, boxes: float) -> Prompts:
        points, labels = np.zeros((len(masks), 3, 2), np.float32), np.full((len(masks), 3), -1, np.int64)
        for n, mask in enumerate(masks):
            if boxes:
                x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
                points[n, :2], labels[n, :2] = ((x, y), (x + w, y + h)), (2, 3)
            else:
                points[n, 0], labels[n, 0] = inner_point(rng, mask, central=True), 1
        return Prompts(points, labels)

    def iou(self, logits: Tensor, masks: np.ndarray, known: np.ndarray) -> list[float]:
        size = masks.shape[-2:]
        found = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)[:, 0].numpy() > 0
        both, either = (found & masks & known).sum((1, 2)), ((found | masks) & known).sum((1, 2))
        return [float(b / max(e, 1)) for b, e in zip(both, either, strict=True)]

    def follow(self, network: Network, video: list[Picture], stride: int = 2) -> float:
        """Mean IoU from the first mask, every other frame, as `clip_step` follows."""
        size = self.size
        first = video[0].labels.shape
        squeeze = np.array([[size / first[1], 0, 0], [0, size / first[0], 0]])
        clip = [warp(p, squeeze, size) for p in video[::stride]]
        memories: list[Tensor] = []
        pointers: list[Tensor] = []
        scores: list[float] = []
        none = Prompts(np.zeros((1, 2, 2), np.float32), np.full((1, 2), -1, np.int64))
        for frame, picture in enumerate(clip):
            levels = network.encode_image(normalise(torch.from_numpy(picture.image).permute(2, 0, 1)[None]))
            if frame == 0:
                shown = torch.from_numpy(picture.labels == 1)[None, None].float()
                decoded = network.decode_masks(levels.stride16, levels, tokens(none, shown))
                pointer, presence = decoded.pointers[:, 0], torch.tensor([10.0])
            else:
                bank = self.window(network, memories, pointers, frame)
                decoded = network.decode_masks(network.attend_memory(levels.stride16, bank), levels, tokens(none))
                chosen = int(choose(decoded, torch.tensor([True])))
                logits, presence = decoded.logits[:, chosen, None], decoded.presence
                pointer = torch.where(presence[:, None] > 0, decoded.pointers[:, chosen], network.no_obj_ptr)
                logits = torch.where(presence[:, None, None, None] > 0, logits, -32.0)
                scores += self.iou(logits, (picture.labels == 1)[None], picture.labels != UNKNOWN)
                shown = F.interpolate(logits, size=(size, size), mode="bilinear", align_corners=False).sigmoid()
            memories.append(network.encode_memory(levels.stride16, shown * 20 - 10, presence))
            pointers.append(pointer)
        return float(np.mean(scores))

    def window(self, network: Network, memories: list[Tensor], pointers: list[Tensor], frame: int) -> MemoryBank:
        """As published: the first frame, the six before, and the pointers of fifteen."""
        bank = recall_window(network.config.memory_frames, frame)
        return MemoryBank(
            torch.stack([memories[f] for f in bank[0]], dim=1),
            torch.tensor([bank[1]]),
            torch.stack([pointers[f] for f in bank[2]], dim=1),
            torch.tensor([[(frame - f) / AGES for f in bank[2]]]),
        )


def recall_window(slots: int, frame: int) -> tuple[list[int], list[int], list[int]]:
    recent = list(range(max(1, frame - slots + 1), frame))
    return [0, *recent], [slots - 1, *(frame - f - 1 for f in recent)], [0, *range(max(1, frame - AGES), frame)]


# ---------------------------------------------------------------------------------------------------------------------
# The loop


class Average:
    """An exponential moving average of the weights."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {key: value.clone() for key, value in network.state_dict().items()}

    def update(self, network: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for key, value in network.state_dict().items():
            kept = self.state[key]
            kept.lerp_(value, 1 - decay) if kept.is_floating_point() else kept.copy_(value)


def train(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    clips = args.stage == "clips"
    out: Path = args.out
    out.mkdir(parents=True, exist_ok=True)
    config = dataclasses.replace(NANO, image_size=args.size)
    network = Network(config).to(memory_format=torch.channels_last)
    newest = out / "newest.safetensors"
    if newest.exists():
        network.load_state_dict(load_file(newest))
        print(f"continuing from {newest}", flush=True)
    network.train()
    average = Average(network, decay=0.998)
    encoder = list(network.image_encoder.parameters())
    others = [p for name, p in network.named_parameters() if not name.startswith("image_encoder.")]
    optimizer = torch.optim.AdamW(
        [{"params": encoder, "scale": 0.4 if clips else 1.0}, {"params": others, "scale": 1.0}], weight_decay=0.03
    )
    source = Source(args.data, args.seed + (1 if clips else 0) + int(time.time()) % 1000, videos=clips)
    examine = Examiner(args.data, args.size, videos=clips)
    pictures = ahead(lambda: source.images(args.size, args.batch, args.objects))
    films = ahead(lambda: Source.clips(source, args.size, args.clip_batch, args.frames)) if clips else None
    rng = np.random.default_rng(args.seed + 7)
    began, step, sums, best = time.time(), 0, {}, -1.0
    log = (out / "log.jsonl").open("a")
    examined = began
    while (progress := (time.time() - began) / (60 * args.minutes)) < 1:
        rate = args.rate * min(1, (step + 1) / 150) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        if films is not None and step % 3:
            freeze_statistics(network)
            loss, figures = clip_step(network, next(films), rng, args.still)
        else:
            loss, figures = image_step(network, next(pictures), rng)
        if not torch.isfinite(loss):
            raise SystemExit(f"the loss is {loss.item()} at step {step}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update(network, step)
        step += 1
        for key, value in {"loss": loss.item(), **figures}.items():
            sums.setdefault(key, []).append(value)
        last = time.time() - began >= 60 * args.minutes
        if step % 50 == 0:
            means = {key: round(float(np.mean(values[-200:])), 3) for key, values in sums.items()}
            print(f"step {step} {(time.time() - began) / 60:.1f} min rate {rate:.1e} {means}", flush=True)
        if last or time.time() - examined > 60 * args.examine:
            copy = Network(config)
            copy.load_state_dict(average.state)
            figures = examine(copy)
            examined = time.time()
            minutes = round((examined - began) / 60, 1)
            record = {"stage": args.stage, "size": args.size, "step": step, "minutes": minutes, **figures}
            log.write(json.dumps(record) + "\n")
            log.flush()
            print(f"== {record}", flush=True)
            save(average.state, out / "newest.safetensors")
            if (score := sum(figures.values())) > best:
                best = score
                save(average.state, out / f"best-{args.stage}-{args.size}.safetensors")


def freeze_statistics(network: Network) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def save(state: dict[str, Tensor], path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    save_file({key: value.contiguous() for key, value in state.items()}, temporary)
    os.replace(temporary, path)


def export(args: argparse.Namespace) -> None:
    from masklet.checkpoints import build_model, save_model

    config = dataclasses.replace(NANO, image_size=args.size)
    model = build_model(config)
    model.network.load_state_dict(load_file(args.out / "newest.safetensors"))
    save_model(model, args.to, dtype="float16")
    print(f"wrote {args.to}, {args.to.stat().st_size / 1e6:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["images", "clips", "export"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with index.csv")
    parser.add_argument("--out", type=Path, default=Path("runs/nano"), help="checkpoints and log.jsonl")
    parser.add_argument("--to", type=Path, default=Path("src/masklet/weights/nano.safetensors"))
    parser.add_argument("--size", type=int, default=NANO.image_size, help="side of the square in pixels")
    parser.add_argument("--minutes", type=float, default=50)
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--batch", type=int, default=16, help="pictures a step")
    parser.add_argument("--objects", type=int, default=6, help="prompted objects a picture")
    parser.add_argument("--clip-batch", type=int, default=4, help="clips a step")
    parser.add_argument("--frames", type=int, default=5, help="frames a clip")
    parser.add_argument("--still", action="store_true", help="clips do not train the image encoder")
    parser.add_argument("--examine", type=float, default=6, help="minutes between validations")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    export(args) if args.stage == "export" else train(args)


if __name__ == "__main__":
    main()
