"""Memory policies: which candidate mask counts, what is remembered, and what is recalled. docs/policies.md compares
them."""

from masklet.errors import ConfigError, nearest
from masklet.video.policies.base import Choice, Kept, MemoryPolicy
from masklet.video.policies.distractor import DistractorPolicy
from masklet.video.policies.long import LongPolicy
from masklet.video.policies.motion import MotionPolicy
from masklet.video.policies.published import PublishedPolicy
from masklet.video.policies.quality import QualityPolicy
from masklet.video.recall import RecallOptions

POLICIES: dict[str, type[PublishedPolicy]] = {
    "published": PublishedPolicy,
    "quality": QualityPolicy,
    "distractor": DistractorPolicy,
    "motion": MotionPolicy,
    "long": LongPolicy,
}
"""Policies by name."""


def make_policy(name: str, slots: int) -> MemoryPolicy:
    """The policy of that name, for a model with so many temporal slots. Raises `ConfigError` for an unknown name."""
    check_policy(name)
    return POLICIES[name](options=RecallOptions(slots=slots))


def check_policy(name: str) -> None:
    """Raises `ConfigError`, with the nearest name, if there is no such policy."""
    if name not in POLICIES:
        raise ConfigError(f"unknown policy {name!r}{nearest(name, POLICIES)}; there are {', '.join(POLICIES)}")


__all__ = ["POLICIES", "Choice", "Kept", "MemoryPolicy", "PublishedPolicy", "check_policy", "make_policy"]
