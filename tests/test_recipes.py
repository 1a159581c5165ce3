"""The pages of docs/ that show commands: each is run, and prints what stands below it."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.places import FIXTURES, ROOT
from tests.screen import on_screen
from tests.test_docs import shortened

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["patterns"]
_EXAMPLE = re.compile(r"^```bash\n(.+?)\n```\n\n```text\n(.*?)```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_what_its_commands_print(name: str, tmp_path: Path) -> None:
    page = ROOT / "docs" / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    assert len(_EXAMPLE.findall(text)) == text.count("```bash\n")
    for one in ("digits_run", "digits_export", "keras_compiled"):
        shutil.copytree(FIXTURES / one, tmp_path / one)
    printed = {
        found[0]: shortened(on_screen(found[1], folder=tmp_path), found[2].rstrip("\n"))
        for found in _EXAMPLE.finditer(text)
    }
    for block, screen in printed.items():
        command = block.split("```\n\n```text\n")[0]
        text = text.replace(block, f"{command}```\n\n```text\n{screen.rstrip()}\n```")
    if os.environ.get("CKREAD_UPDATE_GOLDENS"):
        page.write_text(text, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == text
