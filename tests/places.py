"""Where the checkpoints that tests read are, and which there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "fixtures"
REAL = ROOT.parent / "shared" / "real"
"""Real checkpoints, beside the project where they are there at all."""

NO_REAL = f"the real checkpoints are not at {REAL}"


def frozen() -> dict[str, dict[str, dict[str, Any]]]:
    """Give what TensorFlow read from every fixture: prefix → key → dtype, shape, sha256."""
    checkpoints: dict[str, dict[str, dict[str, Any]]] = {}
    for path in sorted((FIXTURES / "expected").glob("*.json")):
        checkpoints |= json.loads(path.read_text(encoding="utf-8"))["checkpoints"]
    return checkpoints


def real(*kinds: str) -> list[str]:
    """Give the paths of real checkpoints whose kind begins so; none where they are absent."""
    manifest = REAL / "manifest.json"
    if not manifest.exists():
        return []
    rows = json.loads(manifest.read_text(encoding="utf-8"))
    return sorted({row["path"] for row in rows if row["kind"].startswith(kinds)})


def real_index_only() -> list[str]:
    """Give the prefixes of real indexes without data shards."""
    paths = (REAL / "index_only").rglob("*.index") if REAL.exists() else ()
    return sorted(str(path.relative_to(REAL)).removesuffix(".index") for path in paths)
