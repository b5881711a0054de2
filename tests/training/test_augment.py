"""Augmentation: masks follow their pictures, frames of a clip change together, seeds repeat."""

from __future__ import annotations

import dataclasses

import torch

from masklet.engines.arrays import sample
from masklet.training.batch import FLIP_ONLY, AugmentOptions, Batch, ColorJitter, augment

STILL = ColorJitter()


def batch(seed: int = 0) -> Batch:
    """Two clips of three frames with one white square each, which stands still."""
    masks = torch.zeros(2, 3, 32, 32, dtype=torch.bool)
    masks[0, :, 4:14, 6:16] = True
    masks[1, :, 16:26, 18:28] = True
    images = (masks[:, :, None].expand(-1, -1, 3, -1, -1) * 255).to(torch.uint8)
    known = torch.ones(2, 3, 32, 32, dtype=torch.bool)
    return Batch(images, masks, known, torch.arange(2), torch.tensor([seed, seed + 1]))


def test_masks_follow_their_pictures_in_all_frames() -> None:
    options = AugmentOptions(clip_jitter=STILL, frame_jitter=STILL, grey=0.0)
    turned = 0
    for seed in range(0, 20, 2):
        changed = augment(batch(seed), options)
        bright = changed.images[:, :, 0] > 200
        assert (bright ^ changed.masks).sum() <= 0.25 * changed.masks.sum()  # the rim
        assert (changed.masks[:, 0] == changed.masks[:, 2]).all()
        assert changed.masks.flatten(1).any(dim=1).all()
        turned += int((changed.masks != batch(seed).masks).any())
    assert turned >= 8


def test_a_mask_is_carried_alike_before_and_after_a_clip_is_mirrored() -> None:
    """By the clip's optical flow; a clip that is turned has another one."""
    flows = torch.rand(2, 3, 8, 8, 2, generator=torch.manual_seed(0)) * 2 - 1
    clips = batch()._replace(flows=flows)
    mirrored = augment(clips, dataclasses.replace(FLIP_ONLY, flip=1.0))
    cells = torch.rand(2, 1, 8, 8, generator=torch.manual_seed(1))
    assert mirrored.flows is not None
    for frame in range(3):
        plain, other = sample(cells, flows[:, frame]), sample(cells.flip(-1), mirrored.flows[:, frame])
        torch.testing.assert_close(other.flip(-1), plain)
    unchanged = augment(clips, dataclasses.replace(FLIP_ONLY, flip=0.0))
    assert unchanged.flows is not None
    assert torch.equal(unchanged.flows, flows)
    assert augment(clips, AugmentOptions()).flows is None


def test_the_same_seed_changes_the_same() -> None:
    one, other = augment(batch(3), AugmentOptions()), augment(batch(3), AugmentOptions())
    assert (one.images == other.images).all()
    assert (augment(batch(5), AugmentOptions()).images != one.images).any()


def test_a_turn_that_would_lose_an_object_is_left_out() -> None:
    corner = batch()
    masks = torch.zeros_like(corner.masks)
    masks[:, :, :1, :1] = True
    options = dataclasses.replace(FLIP_ONLY, flip=0.0, turn=45.0)
    assert (augment(corner._replace(masks=masks), options).masks == masks).all()


def test_colours_change_by_clip_and_by_frame() -> None:
    grey = batch()._replace(images=torch.full((2, 3, 3, 32, 32), 120, dtype=torch.uint8))
    by_clip = augment(grey, dataclasses.replace(FLIP_ONLY, clip_jitter=ColorJitter(brightness=0.4))).images.float()
    assert by_clip[0].std() == 0
    assert by_clip[0].mean() != by_clip[1].mean()
    by_frame = augment(grey, dataclasses.replace(FLIP_ONLY, frame_jitter=ColorJitter(brightness=0.4))).images.float()
    assert by_frame[0].flatten(1).mean(dim=1).unique().numel() == 3
