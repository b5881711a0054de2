"""What `--help` says of a command: its docstring, in lines as long as the terminal is wide."""

from __future__ import annotations

import inspect
from collections.abc import Callable


def help_of(command: Callable[..., None]) -> str:
    r"""A command's docstring without the line breaks of the source. Examples, which begin with \b, keep theirs."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(text if text.startswith("\b") else text.replace("\n", " ") for text in paragraphs)
