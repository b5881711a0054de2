"""`import sam2` in a process that `python -m masklet.compat` started: PYTHONPATH leads here."""

from masklet.compat import give_way

give_way(__name__)
