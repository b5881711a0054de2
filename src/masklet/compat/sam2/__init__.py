"""The reference project's package, as code that was written for it imports it."""

from importlib.util import find_spec

__version__ = "1.1.0"
"""Of the reference's release whose calls are answered."""

if find_spec("hydra") is not None:  # with it, `compose` finds the files in `configs`, as there
    from hydra import initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    if not GlobalHydra.instance().is_initialized():
        initialize_config_module(__name__, version_base="1.2")
