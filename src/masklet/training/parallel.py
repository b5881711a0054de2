"""A network in many processes: a copy in each (DDP), or a shard of it in each (FSDP; for the large models)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from masklet.errors import TrainingError
from masklet.training.processes import Processes
from masklet.training.step import Step


class Parallel(Protocol):
    """How the processes share a network."""

    module: nn.Module
    """What a step is called through"""

    def weights(self) -> dict[str, Tensor]:
        """The network's whole state. All processes must ask."""

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """The optimizer's whole state. All processes must ask."""

    def load(self, optimizer: torch.optim.Optimizer, weights: Mapping[str, Tensor], state: dict[str, Any]) -> None:
        """Go on from the whole states."""


class Copies:
    """Each process has the whole network; gradients are averaged. With one process, only the network."""

    def __init__(self, step: Step, processes: Processes) -> None:
        self.network = step.network
        self.module: nn.Module = step
        if processes.world > 1:
            self.module = nn.parallel.DistributedDataParallel(step, find_unused_parameters=True)

    def weights(self) -> dict[str, Tensor]:
        return self.network.state_dict()

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        return optimizer.state_dict()

    def load(self, optimizer: torch.optim.Optimizer, weights: Mapping[str, Tensor], state: dict[str, Any]) -> None:
        self.network.load_state_dict(weights)
        optimizer.load_state_dict(state)


class Shards:
    """Each process has a part of every weight. A block of the trunk, where most weights are, gets its other parts when
    it works; all the rest has them throughout a step."""

    def __init__(self, step: Step, processes: Processes) -> None:
        from torch.distributed.fsdp import fully_shard

        if processes.world == 1:
            raise TrainingError("parallel is 'shards', but there is one process; start several with torchrun")
        self.network = step.network
        for layer in step.network.image_encoder.trunk.layers():
            if layer.branches:
                fully_shard(layer.module)
        fully_shard(step)
        self.module: nn.Module = step

    def weights(self) -> dict[str, Tensor]:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

        options = StateDictOptions(full_state_dict=True)
        return dict(get_model_state_dict(self.network, options=options))  # type: ignore[arg-type]

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict

        options = StateDictOptions(full_state_dict=True)
        return dict(get_optimizer_state_dict(self.network, optimizer, options=options))

    def load(self, optimizer: torch.optim.Optimizer, weights: Mapping[str, Tensor], state: dict[str, Any]) -> None:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

        options = StateDictOptions(full_state_dict=True)
        set_state_dict(self.network, optimizer, model_state_dict=dict(weights), optim_state_dict=state, options=options)


PARALLEL: dict[str, Callable[[Step, Processes], Parallel]] = {"copies": Copies, "shards": Shards}
"""By the name that a recipe gives."""
