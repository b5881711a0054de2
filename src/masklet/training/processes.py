"""One process or many: who we are among those that `torchrun` started, and what we share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from masklet.errors import TrainingError
from masklet.training.data.feed import Share


@dataclass(frozen=True)
class Processes:
    """All processes of a run, seen from one.

    Attributes:
        rank: Number of this one.
        world: How many there are.
        device: What this one computes on.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this one writes files and talks."""
        return self.rank == 0

    @property
    def share(self) -> Share:
        """This one's part of every batch."""
        return Share(self.rank, self.world)

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes."""
        if self.world == 1:
            return values
        values = values.clone()
        dist.all_reduce(values)
        return values / self.world

    def meet(self) -> None:
        """Wait until all processes are here."""
        if self.world > 1:
            dist.barrier()

    def check_batch(self, count: int, what: str, field: str) -> None:
        """Raises TrainingError, which names the recipe's field, if a batch of so many samples cannot be shared."""
        if count < self.world:
            raise TrainingError(
                f"{field} is {count}: a batch of {count} {what} cannot be shared by {self.world} processes; "
                f"start at most {count}, or make the batch larger"
            )
        if count % self.world:
            raise TrainingError(
                f"{field} is {count}: a batch of {count} {what} cannot be shared evenly by {self.world} processes; "
                f"give a multiple, such as {field}={count + self.world - count % self.world}"
            )


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """The processes that `torchrun` started, or this one alone."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Processes(0, 1, device)
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), world, device)
    finally:
        dist.destroy_process_group()
