"""Names that a package resolves on first use (PEP 562), so that importing it is quick."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def resolver(package: str, table: Mapping[str, Sequence[str]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose names live in other modules; `table` is module -> its names."""
    homes = {name: module for module, names in table.items() for name in names}

    def resolve(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)
        value = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)  # the next look-up does not come here
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return resolve, names
