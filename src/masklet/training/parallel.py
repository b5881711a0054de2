"""Many processes: who we are among those that `torchrun` started, and how they share a network: a copy of it in each
(DDP), or a shard of it in each (FSDP; for the large models).
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from masklet.errors import TrainingError
from masklet.training.unroll import Step

PROCESS_TIMEOUT = timedelta(days=1)
"""How long processes wait for each other: the first one validates and saves alone."""


@dataclass(frozen=True)
class Processes:
    """All processes of a run, seen from one."""

    rank: int  # number of this one
    world: int  # how many there are
    device: torch.device  # what this one computes on

    @property
    def leads(self) -> bool:
        """Whether this one writes files and talks."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        if self.world == 1:
            return values
        values = values.clone()
        dist.all_reduce(values)
        return values / self.world

    def meet(self) -> None:
        if self.world > 1:
            dist.barrier()

    def check_batch(self, count: int, field: str) -> None:
        """Raises TrainingError, which names the recipe's field, if a batch of so many samples cannot be shared."""
        told = f"{field} is {count}: a batch of {count} {field.rpartition('.')[2]} cannot be shared"
        if count < self.world:
            raise TrainingError(f"{told} by {self.world} processes; start at most {count}, or make the batch larger")
        if count % self.world:
            multiple = count + self.world - count % self.world
            raise TrainingError(f"{told} evenly by {self.world} processes; give a multiple, such as {field}={multiple}")


@contextmanager
def join_processes(device: torch.device) -> Iterator[Processes]:
    """The processes that `torchrun` started, or this one alone."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Processes(0, 1, device)
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PROCESS_TIMEOUT)
    try:
        yield Processes(dist.get_rank(), world, device)
    finally:
        dist.destroy_process_group()


class Copies:
    """Each process has the whole network; gradients are averaged. With one process, only the network.

    module  what a step is called through
    """

    def __init__(self, step: Step, processes: Processes) -> None:
        self.network = step.network
        self.module: nn.Module = step
        if processes.world > 1:
            self.module = nn.parallel.DistributedDataParallel(step, find_unused_parameters=True)

    def weights(self) -> dict[str, Tensor]:
        """The network's whole state. All processes must ask."""
        return self.network.state_dict()

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        return optimizer.state_dict()

    def load(self, optimizer: torch.optim.Optimizer, weights: Mapping[str, Tensor], state: dict[str, Any]) -> None:
        self.network.load_state_dict(weights)
        optimizer.load_state_dict(state)


class Shards(Copies):
    """Each process has a part of every weight. A block of the trunk, where most weights are, gets its other parts when
    it works; all the rest has them throughout a step."""

    def __init__(self, step: Step, processes: Processes) -> None:
        from torch.distributed.checkpoint import state_dict
        from torch.distributed.fsdp import fully_shard

        if processes.world == 1:
            raise TrainingError("parallel is 'shards', but there is one process; start several with torchrun")
        self.states, self.whole = state_dict, state_dict.StateDictOptions(full_state_dict=True)
        self.network = step.network
        for layer in step.network.image_encoder.trunk.layers():
            if layer.branches:
                fully_shard(layer.module)
        fully_shard(step)
        self.module = step

    def weights(self) -> dict[str, Tensor]:
        return dict(self.states.get_model_state_dict(self.network, options=self.whole))  # type: ignore[arg-type]

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        return dict(self.states.get_optimizer_state_dict(self.network, optimizer, options=self.whole))

    def load(self, optimizer: torch.optim.Optimizer, weights: Mapping[str, Tensor], state: dict[str, Any]) -> None:
        self.states.set_state_dict(
            self.network, optimizer, model_state_dict=dict(weights), optim_state_dict=state, options=self.whole
        )


PARALLEL: dict[str, type[Copies]] = {"copies": Copies, "shards": Shards}
"""The ways to share work, by their name in a recipe."""
