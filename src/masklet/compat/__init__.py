"""Faces with the names of other projects, so that code written for them runs on masklet.

    import masklet.compat

    masklet.compat.install()  # from here on `import sam2` and `import segment_anything` are answered by masklet

`python -m masklet.compat SCRIPT.py ...` does the same for a script that is not touched. `masklet.compat.sam2` can also
be imported by its own name.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType

from masklet.errors import SessionError

__all__ = ["install"]

ALIASES = {"sam2": "masklet.compat.sam2", "segment_anything": "masklet.compat.sam1"}
"""Package that others import -> the one that answers."""

ELSEWHERE = {
    "segment_anything.utils.amg": "masklet.compat.sam2.utils",
    **{
        f"segment_anything.{part}": "masklet.compat.sam1"
        for part in ("automatic_mask_generator", "build_sam", "modeling", "predictor", "utils", "utils.transforms")
    },
}
"""Modules that are answered by one of another name: of `segment_anything` all are one file."""

INSTEAD = {
    "sam2.modeling.backbones": "masklet.nn.encoders",
    "sam2.modeling.memory_attention": "masklet.nn.memory_attention",
    "sam2.modeling.memory_encoder": "masklet.nn.memory_encoder",
    "sam2.modeling.position_encoding": "masklet.nn.positions",
    "sam2.modeling.sam": "masklet.nn.mask_decoder and masklet.nn.prompt_encoder",
    "sam2.csrc": "masklet.masks.shape.small_holes",
    "sam2.benchmark": "the scripts in masklet's benchmarks folder",
    "sam2.sam2_video_predictor_legacy": "sam2.sam2_video_predictor",
    "segment_anything.utils.onnx": "`masklet export`, for models of SAM 2",
}
"""Modules of the reference that are not there -> what masklet has in their place."""


class _Aliases(MetaPathFinder, Loader):
    """Finds the modules of `ALIASES` before any that is installed; what it gives are those of the other names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, rest = fullname.partition(".")
        if package not in ALIASES:
            return None
        real = ELSEWHERE.get(fullname) or f"{ALIASES[package]}.{rest}".rstrip(".")
        try:
            found = find_spec(real)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise ModuleNotFoundError(
                f"there is no {fullname} in masklet's drop-in for {package}"
                + (f"; masklet has {INSTEAD[fullname]}" if fullname in INSTEAD else "")
                + "; docs/moving.md lists what stands for what",
                name=fullname,
            )
        return ModuleSpec(fullname, self, loader_state=found, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module, package = importlib.import_module(spec.loader_state.name), spec.name.partition(".")[0]
        for alias, real in ELSEWHERE.items():  # before modules get into the place of functions of their names
            if real == module.__name__ and alias.startswith(f"{package}."):
                sys.modules.setdefault(alias, module)
                vars(module).setdefault(alias.rpartition(".")[2], module)
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state  # the import system has just put the alias's there


def install() -> list[str]:
    """Answer `import sam2` and `import segment_anything` by masklet from here on. Calling it again changes nothing.

    Returns:
        A sentence for each of the two packages: that masklet answers, and whether an installed package is passed over.

    Raises:
        SessionError: One of the packages was imported before: its classes are in use already.
    """
    told = []
    for package, real in ALIASES.items():
        before = sys.modules.get(package)
        if before is not None and before.__name__ != real:
            raise SessionError(
                f"another {package} was imported before; call masklet.compat.install() before it is imported"
            )
        installed = PathFinder.find_spec(package)
        passed_over = f"; the installed one at {installed.origin} is not used" if installed is not None else ""
        told.append(f"{package} is answered by masklet{passed_over}")
    if not any(isinstance(finder, _Aliases) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Aliases())
    return told


def stand_for(module: str, *parts: str) -> None:
    """From inside a module that is several files of the reference: have it answer when one of them is imported."""
    for part in parts:
        sys.modules[f"{module}.{part}"] = sys.modules[module]
        setattr(sys.modules[module], part, sys.modules[module])


def give_way(package: str) -> None:
    """From inside a module of one of these names: have masklet's take its place."""
    del sys.modules[package]
    install()
    importlib.import_module(package)
