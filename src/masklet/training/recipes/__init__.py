"""Recipes: functions that return the whole description of a training."""

from __future__ import annotations

from collections.abc import Callable

from masklet.training.recipe import Recipe
from masklet.training.recipes.finetune import finetune
from masklet.training.recipes.nano import nano
from masklet.training.recipes.published import published

RECIPES: dict[str, Callable[[str], Recipe]] = {
    "nano": nano,
    **{f"sam2.1-{size}": published for size in ("tiny", "small", "base-plus", "large")},
}
"""Name of a model -> the recipe that trains it, a function of the name."""

__all__ = ["RECIPES", "finetune"]
