"""`import sam2` and `import segment_anything`, answered by masklet."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from masklet.errors import SessionError

ALIASES = {"sam2": "masklet.compat.sam2", "segment_anything": "masklet.compat.sam1"}
"""Package that others import -> the one that answers."""

SHARED = {"segment_anything.utils.amg": "masklet.compat.sam2.utils.amg"}
"""Modules that both packages have alike."""

INSTEAD = {
    "sam2.modeling.backbones": "masklet.nn.encoders",
    "sam2.modeling.memory_attention": "masklet.nn.memory_attention",
    "sam2.modeling.memory_encoder": "masklet.nn.memory_encoder",
    "sam2.modeling.position_encoding": "masklet.nn.positions",
    "sam2.modeling.sam": "masklet.nn.mask_decoder, masklet.nn.prompt_encoder and masklet.nn.two_way",
    "sam2.csrc": "masklet.masks.shape.small_holes",
    "sam2.benchmark": "the scripts in masklet's benchmarks folder",
    "sam2.sam2_video_predictor_legacy": "sam2.sam2_video_predictor",
    "segment_anything.utils.onnx": "`masklet export`, for models of SAM 2",
}
"""Modules of the reference that are not there -> what masklet has in their place."""


class _AliasLoader(Loader):
    """Gives the module of another name, which stays what it is."""

    def __init__(self, real: str) -> None:
        self._real = real
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._real)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has just put the alias's there


class _AliasFinder(MetaPathFinder):
    """Finds the modules of `ALIASES` before any that is installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, rest = fullname.partition(".")
        if package not in ALIASES:
            return None
        real = SHARED.get(fullname) or f"{ALIASES[package]}.{rest}".rstrip(".")
        try:
            found = importlib.util.find_spec(real)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise ModuleNotFoundError(
                f"there is no {fullname} in masklet's drop-in for {package}"
                + (f"; masklet has {INSTEAD[fullname]}" if fullname in INSTEAD else "")
                + "; docs/moving.md lists what stands for what",
                name=fullname,
            )
        is_package = found.submodule_search_locations is not None
        return ModuleSpec(fullname, _AliasLoader(real), is_package=is_package)


def install() -> list[str]:
    """Answer `import sam2` and `import segment_anything` by masklet from here on. Calling it again changes nothing.

    Returns:
        A sentence for each of the two packages: that masklet answers, and whether an installed package is passed over.

    Raises:
        SessionError: One of the packages was imported before: its classes are in use already.
    """
    for package, real in ALIASES.items():
        before = sys.modules.get(package)
        if before is not None and before.__name__ != real:
            raise SessionError(
                f"another {package} was imported before; call masklet.compat.install() before it is imported"
            )
    if not any(isinstance(finder, _AliasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AliasFinder())
    return [_told(package) for package in ALIASES]


def give_way(package: str) -> None:
    """From inside a module of one of these names: have masklet's take its place."""
    del sys.modules[package]
    install()
    importlib.import_module(package)


def _told(package: str) -> str:
    installed = PathFinder.find_spec(package)
    passed_over = f"; the installed one at {installed.origin} is not used" if installed is not None else ""
    return f"{package} is answered by masklet{passed_over}"
