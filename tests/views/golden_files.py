"""Whole outputs beside their goldens; `pytest --update-goldens` brings these up to date."""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


def check_golden(name: str, text: str) -> None:
    """Compare a text with the golden of this name."""
    path = GOLDEN / name
    if os.environ.get("CKREAD_UPDATE_GOLDENS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
