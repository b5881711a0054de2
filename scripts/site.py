"""Hooks of the documents' site: pages made of docstrings, of commands, and of the files beside docs/."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer.main import get_command

import masklet
from masklet.cli.main import app

ROOT = Path(__file__).parents[1]
BESIDE = {name: f"{name.removesuffix('.md').lower()}.md" for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")}
"""Files of the repository that are pages of the site, and their names there."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    made = {"api.md": api_page(), "commands.md": commands_page()}
    made |= {page: (ROOT / name).read_text(encoding="utf-8") for name, page in BESIDE.items()}
    for page, content in made.items():
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links out of docs/ lead to the pages of the site, or become plain text where there is none."""

    here = posixpath.dirname(page.file.src_uri)
    base = "" if page.file.src_uri in BESIDE.values() else posixpath.join("docs", here)

    def led(match: re.Match[str]) -> str:
        text, (target, _, anchor) = match[1], match[2].partition("#")
        place = posixpath.normpath(posixpath.join(base, target))
        name = BESIDE.get(place, place.removeprefix("docs/"))
        if files.get_file_from_path(name if target else page.file.src_uri) is None:
            return text
        return f"[{text}]({posixpath.relpath(name, here or '.') if target else ''}{'#' + anchor if anchor else ''})"

    return re.sub(r"(?<!!)\[([^\]]*)\]\((?!\w+://|#)([^)]+)\)", led, markdown)


def api_page() -> str:
    """Every public name, from its docstring."""
    names = sorted(name for name in masklet.__all__ if not name.startswith("_"))
    modules = {name: module for module, listed in masklet._LAZY.items() for name in listed}
    parts = [f"::: {modules[name]}.{getattr(masklet, name).__name__}\n" for name in names]
    return "# Python\n\nEvery name of `import masklet`.\n\n" + "\n".join(parts)


def commands_page() -> str:
    """Every command, from its help."""
    parts = ["# Command line\n\nThe same as `masklet COMMAND --help`.\n"]
    for name, command in commands_of(get_command(app)):
        text, _, examples = (command.help or "").partition("\b")
        parts.append(f"## masklet {name}\n\n{text.strip()}\n")
        if lines := examples.strip().removeprefix("Examples:").strip("\n"):
            parts.append("```sh\n" + "\n".join(line.strip() for line in lines.splitlines()) + "\n```\n")
        parts.append("| option | | if not given |\n|---|---|---|")
        for parameter in command.params:
            if parameter.name != "help":
                typed = ", ".join(f"`{option}`" for option in parameter.opts) if parameter.opts else parameter.name
                told = (getattr(parameter, "help", None) or "").replace("|", "\\|").replace("\n", " ")
                default = "required" if parameter.required else shown(parameter.default)
                parts.append(f"| {typed} | {told} | {default} |")
        parts.append("")
    return "\n".join(parts)


def commands_of(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All commands by what is typed, those of groups as `eval score`."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def shown(default: Any) -> str:
    """A default in a table; empty if there is none."""
    return "" if default in (None, False, "", [], ()) or callable(default) else f"`{default}`"
