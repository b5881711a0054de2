"""Memory policies: which candidate mask counts, what stays known, and what is recalled. See docs/policies.md;
examples/policies has others."""

from masklet.errors import ConfigError
from masklet.plugins import find
from masklet.video.policies.base import Choice, MemoryPolicy, PolicyForSlots
from masklet.video.policies.published import PublishedPolicy

POLICIES: dict[str, PolicyForSlots] = {"published": PublishedPolicy}
"""masklet's own policies by name."""


def make_policy(name: str, slots: int) -> MemoryPolicy:
    """The policy of a name, for a model with so many temporal slots.

    Args:
        name: One of `POLICIES`, of an installed package by its entry point, or `module:Class`.
        slots: Of the model's memory.

    Raises:
        ConfigError: There is no such policy, or the name stands for something else.
    """
    found = find("policies", name, POLICIES)
    made = found.for_slots(slots) if hasattr(found, "for_slots") else None
    if not isinstance(made, MemoryPolicy):
        raise ConfigError(
            f"{name!r} is no memory policy; give a class with for_slots, choose, keep and recall, such as a subclass "
            "of masklet.video.policies.PublishedPolicy"
        )
    return made


def check_policy(name: str) -> None:
    """Raises `ConfigError`, with the nearest name, if there is no such policy."""
    make_policy(name, slots=7)


__all__ = ["POLICIES", "Choice", "MemoryPolicy", "PolicyForSlots", "PublishedPolicy", "check_policy", "make_policy"]
