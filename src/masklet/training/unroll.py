"""A clip, worked through as in use: prompted, followed by memory, corrected; with gradients through all of it; and what
its answers cost.

Built on the four functions of the network and on the published rule of recall. All clips of a batch follow one plan.
Logits are trained as they are decoded, also where presence is denied: blanked ones would have no gradient.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from masklet.engines.arrays import resize, sample
from masklet.engines.rules import ABSENT_LOGIT, GIVEN_LOGIT, MASK_SCALE, MASK_SHIFT, best_of_three, normalise
from masklet.nn import Decoded, Levels, MemoryBank, Network, PromptTokens
from masklet.prompts import MAX_LOGIT, NOT_A_POINT
from masklet.training.batch import Batch, Dice, brightness_of
from masklet.training.losses import LossTerms, actual_iou, on_cells, prediction_loss
from masklet.training.parts import is_still
from masklet.training.prompts import Plan, Points, first_points, uniform_click
from masklet.training.recipes import Recipe, Stage
from masklet.video.reader import optical_flow
from masklet.video.recall import Recall, RecallOptions, published_recall


class Prediction(NamedTuple):
    """One answer that is to be judged."""

    frame: int
    decoded: Decoded
    ambiguous: bool  # whether three candidates were asked for
    corrections: int  # how many corrections came before

    @property
    def choice(self) -> Tensor:
        """(N,): the candidates that a predictor would take."""
        best = best_of_three(self.decoded)
        return best if self.ambiguous else torch.zeros_like(best)


class Remembered(NamedTuple):
    """Memory and pointer of N objects in one frame."""

    memory: Tensor  # (N, M, h, w)
    pointer: Tensor  # (N, C)


class Unroll:
    """The network, in training or in evaluation, at work on one batch, which is on its device.

    recompute  whether activations are computed again on the way back (activation checkpointing: Chen et al., 2016),
               which costs time in place of memory
    still      whether the image encoder learns nothing, so that nothing of it is kept

    prompted, tracked  what is remembered of earlier frames, in the order of the work
    masks              logits (N, 1, S/4, S/4) of earlier frames and whether each object is present, (N,), without
                       gradients, and only for networks that get the mask of the frame before
    """

    def __init__(
        self, network: Network, batch: Batch, plan: Plan, *, recompute: bool = False, still: bool = False
    ) -> None:
        self.network, self.batch, self.plan = network, batch, plan
        self.recompute, self.still = recompute, still
        self.device = network.no_obj_ptr.device
        self.each = torch.arange(len(batch.owners), device=self.device)
        self.square = batch.images.shape[-1], batch.images.shape[-1]
        self.order = plan.order(batch.frames)
        self.dice = Dice(batch, self.device)
        self.prompted: dict[int, Remembered] = {}
        self.tracked: dict[int, Remembered] = {}
        self.masks: dict[int, tuple[Tensor, Tensor]] = {}
        self.recall_options = RecallOptions(slots=network.config.memory_frames, future_pointers=True)

    def keep(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function; what the way back needs is kept, or computed again."""
        return checkpoint(function, *arguments, use_reentrant=False) if self.recompute else function(*arguments)

    def predictions(self) -> Iterator[Prediction]:
        """Every answer of every frame, in the order in which they are given."""
        levels = self.encode()
        for frame in self.order:
            here = self.levels_of(levels, frame)
            if self.plan.kind == "mask" and frame in self.plan.prompted:
                self.prompted[frame] = self.take_mask(here, frame)
            else:
                yield from self.decode(here, frame)

    def encode(self) -> Levels:
        """Levels of all B * T pictures."""
        images = normalise(self.batch.images.flatten(0, 1).float() / 255)
        with torch.set_grad_enabled(not self.still and torch.is_grad_enabled()):
            return Levels(*self.keep(self.network.encode_image, images))

    def levels_of(self, levels: Levels, frame: int) -> Levels:
        """Those of one frame, for each of the N objects."""
        index = self.batch.owners * self.batch.frames + frame
        return Levels(*(level[index] for level in levels))

    def decode(self, here: Levels, frame: int) -> Iterator[Prediction]:
        """A frame without a given mask: its first prompt, if there is one, then its corrections."""
        truth, plan, first = self.batch.masks[:, frame], self.plan, frame in self.plan.prompted
        recall = Recall() if first else published_recall(frame, list(self.prompted), self.tracked, self.recall_options)
        features = self.keep(self.attend, here.stride16, recall)
        points, earlier, present = Points.none(len(truth), self.device), None, None
        if first:
            clicks, corners = self.dice.roll(*truth.shape[1:], 2), self.dice.roll(4)
            points = first_points(plan.kind, truth, clicks, corners)
        else:
            earlier, present = self.previous(frame)
        # for each correction, whether it is drawn from the true mask
        truths = plan.from_truth[plan.corrected.index(frame)] if frame in plan.corrected else ()
        for correction in range(len(truths) + 1):
            given = prompt_tokens(points, earlier)._replace(keep_masks=None if correction else present)
            decoded = Decoded(*self.keep(self.network.decode_masks, features, here, given))
            answer = Prediction(frame, decoded, points.labels.shape[1] <= 1, correction)
            yield answer
            choice = answer.choice
            earlier = decoded.logits[self.each, choice][:, None]
            if correction < len(truths):
                found = None if truths[correction] else resize(earlier.detach().float(), self.square)[:, 0] > 0
                points = points.plus(uniform_click(truth, found, self.dice.roll(*truth.shape[1:], 2)))
        if frame == self.order[-1]:
            return  # nothing comes after it that could remember it
        assert earlier is not None, "a frame is decoded at least once"
        present = decoded.presence > 0
        if self.network.config.previous_mask:
            self.masks[frame] = earlier.detach(), present
        shown = torch.where(present[:, None, None, None], earlier.float(), ABSENT_LOGIT)
        masks = resize(shown, self.square).sigmoid()  # it stays soft
        known = self.prompted if first or truths else self.tracked
        known[frame] = self.remember(here, masks, decoded.presence, decoded.pointers[self.each, choice], present)

    def take_mask(self, here: Levels, frame: int) -> Remembered:
        """A frame whose mask a person gave: it is remembered as it is, and decoded only for its pointer."""
        masks = self.batch.masks[:, frame, None].float()
        prompt = prompt_tokens(Points.none(len(masks), self.device), masks)
        decoded = Decoded(*self.keep(self.network.decode_masks, here.stride16, here, prompt))
        given = masks.flatten(1).any(dim=1)
        if self.network.config.previous_mask:
            side = self.network.config.mask_size
            self.masks[frame] = resize((2 * masks - 1) * GIVEN_LOGIT, (side, side), antialias=True), given
        presence = torch.where(given, GIVEN_LOGIT, -GIVEN_LOGIT)
        return self.remember(here, masks, presence, decoded.pointers[:, 0], given & (decoded.presence > 0))

    def remember(self, here: Levels, masks: Tensor, presence: Tensor, pointers: Tensor, present: Tensor) -> Remembered:
        """Memory and pointer of masks in 0..1, (N, 1, S, S), with the logits of their presence; objects that are not
        `present`, bool (N,), get the pointer of absent ones."""
        memory = self.keep(self.network.encode_memory, here.stride16, masks * MASK_SCALE + MASK_SHIFT, presence)
        return Remembered(memory, torch.where(present[:, None], pointers, self.network.no_obj_ptr))

    def previous(self, frame: int) -> tuple[Tensor | None, Tensor | None]:
        """Logits of the frame before, (N, 1, S/4, S/4), carried to the frame if the network wants that, and where they
        count, (N,). The plan leaves some out and turns some by half a turn."""
        logits, present = self.masks.get(frame - 1, (None, None))
        if logits is not None and self.network.config.motion == "flow":
            logits = sample(logits, self.flow(frame))
        missing, wrong = self.plan.previous
        if logits is None or present is None or not missing + wrong:
            return logits, present
        drawn = self.dice.roll()
        turned = (drawn >= missing) & (drawn < missing + wrong)
        return torch.where(turned[:, None, None, None], logits.flip((-2, -1)), logits), present & (drawn >= missing)

    def flow(self, frame: int) -> Tensor:
        """For each object the optical flow from a frame to the one before, (N, S/4, S/4, 2); see `optical_flow`."""
        if self.batch.flows is not None:
            return self.batch.flows[self.batch.owners, frame]
        pairs = brightness_of(self.batch.images[:, frame - 1 : frame + 1].float())[:, :, 0]
        greys, cells = pairs.round().to(torch.uint8).cpu().numpy(), self.network.config.mask_size
        flows = torch.stack([torch.from_numpy(optical_flow(here, before, cells)) for before, here in greys])
        return flows.to(self.device)[self.batch.owners]

    def attend(self, features: Tensor, recall: Recall) -> Tensor:
        """Features that know what is recalled, of the same frames for all N objects."""
        config, count, known = self.network.config, len(self.each), {**self.tracked, **self.prompted}
        memories = [known[frame].memory for frame in recall.memories]
        pointers = [known[frame].pointer for frame in recall.pointers]
        slots = torch.tensor(recall.slots, dtype=torch.int64, device=self.device)
        ages = torch.tensor([age / recall.longest for age in recall.ages], device=self.device)
        bank = MemoryBank(
            memories=torch.stack(memories, 1) if memories else features.new_zeros(count, 0, *config.memory_shape),
            slots=slots.expand(count, -1),
            pointers=torch.stack(pointers, 1) if pointers else features.new_zeros(count, 0, config.width),
            ages=ages.expand(count, -1),
        )
        return self.network.attend_memory(features, bank)


def prompt_tokens(points: Points, masks: Tensor | None) -> PromptTokens:
    """Points with the "no more points" that predictors add; two of these where there is no point."""
    count, given = points.labels.shape
    more = 1 if given else 2
    places = torch.cat((points.places, points.places.new_zeros(count, more, 2)), dim=1)
    labels = torch.cat((points.labels, points.labels.new_full((count, more), NOT_A_POINT)), dim=1)
    return PromptTokens(places, labels, masks=None if masks is None else masks.clamp(-MAX_LOGIT, MAX_LOGIT))


class Judged(NamedTuple):
    """The loss of a step, and its parts."""

    loss: Tensor  # A number
    terms: Tensor  # (4,): the parts of the loss, without weights
    iou: Tensor  # mean IoU of the answers that count, of objects that are present


class Step(nn.Module):
    """A network and what its answers cost in a stage of a recipe."""

    def __init__(self, network: Network, recipe: Recipe, stage: Stage) -> None:
        super().__init__()
        self.network, self.recipe, self.stage = network, recipe, stage

    def forward(self, batch: Batch, plan: Plan, count: Tensor) -> Judged:
        """Work through a batch by a plan; sums over objects are divided by `count`."""
        still = is_still(self.network.image_encoder) or (self.stage.still_clips and batch.frames > 1)
        unroll = Unroll(self.network, batch, plan, recompute=self.recipe.recompute, still=still)
        zero = torch.zeros((), device=batch.images.device)
        terms, ious = LossTerms(zero, zero, zero, zero), []
        for answer in unroll.predictions():
            masks, known = batch.masks[:, answer.frame], batch.known[batch.owners, answer.frame]
            terms = terms.plus(
                prediction_loss(
                    answer.decoded, masks, known, ambiguous=answer.ambiguous, count=count, options=self.stage.losses
                )
            )
            ious.append(mean_iou(answer, masks, known))
        loss = terms.total(self.stage.losses)
        if self.recipe.parallel == "shards":
            # They exchange gradients of the same weights in all processes, also of those that a batch does not need:
            # these are zeros. Weights of blocks that are shared out are needed by every batch.
            learning = (weight for weight in self.network.parameters() if weight.requires_grad)
            at_hand = [weight.sum() for weight in learning if not hasattr(weight, "full_tensor")]
            loss = loss + 0 * torch.stack(at_hand).sum()
        return Judged(loss, torch.stack(terms).detach(), torch.stack(ious).mean() if ious else zero)


@torch.no_grad()
def mean_iou(answer: Prediction, masks: Tensor, known: Tensor) -> Tensor:
    """The mean over present objects of the IoU of the mask that a predictor would take, on the cells of the logits."""
    logits, choice = answer.decoded.logits, answer.choice[:, None]
    iou = actual_iou(logits, *(on_cells(pixels, logits) for pixels in (masks, known))).gather(1, choice)[:, 0]
    present = masks.flatten(1).any(dim=1).float()
    return (iou * present).sum() / present.sum().clamp(min=1)
