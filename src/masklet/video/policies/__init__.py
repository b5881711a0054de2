"""Memory policies: which candidate mask counts, what is remembered, and what is recalled."""

from masklet.video.policies.base import Choice, MemoryPolicy
from masklet.video.policies.published import PublishedPolicy

POLICIES: dict[str, type[MemoryPolicy]] = {"published": PublishedPolicy}
"""Policies by name."""

__all__ = ["POLICIES", "Choice", "MemoryPolicy", "PublishedPolicy"]
