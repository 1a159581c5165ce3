"""Whole outputs beside their goldens; `pytest --update-goldens` brings these up to date."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GOLDEN = Path(__file__).parent / "golden"


def check_golden(name: str, text: str) -> None:
    """Compare a text with the golden of this name."""
    path = GOLDEN / name
    if os.environ.get("CKREAD_UPDATE_GOLDENS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def check_block_golden(
    name: str, cases: Sequence[tuple[str, Callable[[], list[str]]]], some: slice
) -> None:
    """Compare some blocks of a golden, each a title and what is told under it, with theirs."""
    path = GOLDEN / name
    if os.environ.get("CKREAD_UPDATE_GOLDENS") and not some.start:
        text = "".join("\n".join([f"{title}\n", *told(), "\n"]) for title, told in cases)
        path.write_text(text, encoding="utf-8")
    parts = path.read_text(encoding="utf-8").split("\n\n")
    blocks = dict(zip(parts[::2], parts[1::2], strict=False))
    assert list(blocks) == [title for title, _ in cases]
    for title, told in cases[some]:
        assert "\n".join(told()) == blocks[title], title
