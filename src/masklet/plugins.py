"""Names to things: those that a package resolves on first use (PEP 562), so that importing it is quick, and those that
can be chosen: what masklet has, what installed packages offer, and `module:Name` of one's own code.

A package offers things by entry points, for example in its pyproject.toml

    [project.entry-points."masklet.policies"]
    mine = "my_package.policies:MyPolicy"

and whoever does not want a package writes `my_module:MyPolicy`, with the module on the path or in the working folder.
"""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from masklet.errors import ConfigError, nearest

T = TypeVar("T")


def names(kind: str, own: Mapping[str, T]) -> list[str]:
    """All names that can be given without a module: masklet's own, then those of installed packages."""
    return [*own, *sorted({point.name for point in _offered(kind)} - set(own))]


def find(kind: str, name: str, own: Mapping[str, T | str]) -> T:
    """What goes by a name.

    Args:
        kind: What is looked for, in the plural: "policies", "encoders", "formats" or "datasets".
        name: One of masklet's own, the name of an entry point of the group `masklet.KIND`, or `module:Name`.
        own: Masklet's own, by name; a text, `module:Name`, is imported when it is wanted.

    Raises:
        ConfigError: Nothing goes by the name (with the nearest one), or it cannot be imported.
    """
    if name in own:
        found = own[name]
        return _imported(kind, name, found) if isinstance(found, str) else found
    for point in _offered(kind):
        if point.name == name:
            return _imported(kind, name, point.value)
    if ":" in name:
        if "" not in sys.path:
            sys.path.insert(0, "")  # console scripts do not look into the working folder
        return _imported(kind, name, name)
    known = names(kind, own)
    raise ConfigError(
        f"there is no {name!r} among the {kind}{nearest(name, known)}; there are {', '.join(known)}, "
        "or give module:Name of your own"
    )


def _offered(kind: str) -> Any:
    from importlib.metadata import entry_points  # here, so that importing masklet is quick

    return entry_points(group=f"masklet.{kind}")


def _imported(kind: str, name: str, target: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute.strip())
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{name!r} of the {kind} cannot be imported: {error}") from error


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
