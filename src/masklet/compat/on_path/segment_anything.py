"""`import segment_anything` in a process that `python -m masklet.compat` started: PYTHONPATH leads here."""

import sys
from importlib import import_module

import masklet.compat

del sys.modules[__name__]
masklet.compat.install()
import_module(__name__)  # takes the place of this module
