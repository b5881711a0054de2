"""What of a recipe can be seen to fail before the first step, of all its stages."""

from __future__ import annotations

import torch

from masklet.nn import Network
from masklet.training.optimizer import parameter_groups
from masklet.training.parts import learning_network
from masklet.training.processes import Processes
from masklet.training.recipe import Recipe, Stage


def check_recipe(recipe: Recipe, network: Network, processes: Processes) -> None:
    """Go through all stages, without weights.

    Raises:
        ConfigError: A stage's size, parts or optimizer do not fit the network.
        TrainingError: A batch cannot be shared by the processes.
    """
    for stage in recipe.stages:
        _check_shares(stage, processes)
        with torch.device("meta"):
            learning = learning_network(recipe, stage, Network(network.config))
        parameter_groups(learning, stage.optimizer)


def _check_shares(stage: Stage, processes: Processes) -> None:
    if stage.feed.clip_share > 0:
        processes.check_batch(stage.feed.clips, "clips", f"stages.{stage.name}.feed.clips")
    if stage.feed.clip_share < 1:
        processes.check_batch(stage.feed.pictures, "pictures", f"stages.{stage.name}.feed.pictures")
