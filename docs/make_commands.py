"""Writes a page per command, from its `--help` and the docstring of its module.

    python docs/make_commands.py [FOLDER]

FOLDER is `docs/commands` unless given. The docstring is the manual: what the command
is for, an example with its real output, and what a user should know. The help is as
`ckread COMMAND --help` prints it on 80 columns. `README.md` there is the index.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from itertools import groupby
from pathlib import Path
from textwrap import dedent

from ckread.cli.commands import COMMANDS, Command, Group

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "commands"


def pages() -> dict[str, str]:
    """Give the text of every page by file name: the index, and one per command."""
    made = {f"{command.name}.md": command_page(command) for command in COMMANDS}
    return {"README.md": index_page(), **made}


def command_page(command: Command) -> str:
    """Give the page of one command."""
    manual = dedent(import_module(command.module).__doc__ or "").strip()
    name, documents = command.name, (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    has_document = f"\n### {name}\n" in documents
    told = f"\nWith `--json`: [`ckread.{name}/1`](../json.md#{name}).\n" if has_document else ""
    return (
        f"# ckread {name}\n\n{as_markdown(manual)}\n\n"
        f"## ckread {name} --help\n\n```text\n{help_text(name)}```\n{told}"
    )


def index_page() -> str:
    """Give the list of commands, under the questions that they answer."""
    parts = ["# Commands\n\n`ckread PATH` is `ckread info PATH`.\n"]
    for group in Group:
        rows = [
            f"| [`{command.name}`]({command.name}.md) | `{command.usage}` | {command.summary} |\n"
            for command in COMMANDS
            if command.group is group
        ]
        parts.append(f"\n## {group}\n\n| command | arguments | answers |\n|---|---|---|\n")
        parts.extend(rows)
    return "".join([*parts, f"\n## ckread --help\n\n```text\n{help_text()}```\n"])


def as_markdown(manual: str) -> str:
    """Give a docstring as Markdown: indented paragraphs become fenced blocks."""
    parts = []
    for is_block, paragraphs in groupby(manual.split("\n\n"), key=_is_indented):
        text = "\n\n".join(paragraphs)
        parts.append(f"```text\n{dedent(text)}\n```" if is_block else text)
    return "\n\n".join(parts)


def _is_indented(paragraph: str) -> bool:
    return paragraph.startswith("    ")


def help_text(*words: str) -> str:
    """Give what `ckread WORDS --help` prints."""
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    environment.pop("FORCE_COLOR", None)
    command = [sys.executable, "-m", "ckread", *words, "--help"]
    return subprocess.run(
        command, check=True, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8"
    ).stdout


def main(folder: Path) -> None:
    """Write the pages, and take away those of commands that are gone."""
    made = pages()
    folder.mkdir(exist_ok=True)
    for stale in {path.name for path in folder.glob("*.md")} - set(made):
        (folder / stale).unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PAGES)
