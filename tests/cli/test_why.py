"""Every claim with its evidence: on screens, in pipes and documents, and on the page about it."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

import ckread as package
from ckread.errors import CheckpointError
from ckread.model.evidence import Strength
from tests.places import FIXTURES, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.terminal import Terminal

RUN = str(FIXTURES / "digits_run")
TEN, NINE = f"{RUN}/ckpt-10", f"{RUN}/ckpt-9"
KERAS = str(FIXTURES / "digits_files" / "digits.keras")
RESTORED = (str(FIXTURES / "restoring" / "pretrained"), str(FIXTURES / "restoring" / "mine"))
CLAIMING = {
    "info": ([TEN], "step"),
    "runs": ([RUN], "latest"),
    "drift": ([RUN, "--index-only"], "step"),
    "diff": ([NINE, TEN], "pairs"),
    "history": ([f"{RUN}/history.json", "--run", RUN], "epochs of checkpoints"),
    "stats": ([RUN, "conv1/bias", "--every"], "step"),
    "track": ([RUN, "learning_rate"], "step"),
    "optimizer": ([TEN], "optimizer"),
    "check": ([TEN, "--quick"], "step"),
    "compat": ([*RESTORED], "pairs"),
}
"""Commands that claim something, and one of their claims."""
each = pytest.mark.parametrize("command", CLAIMING)
PAGE = (ROOT / "docs" / "how-ckread-knows.md").read_text(encoding="utf-8")


@each
def test_a_screen_ends_in_the_claims_it_makes(ckread: Terminal, command: str) -> None:
    words, claim = CLAIMING[command]
    plain = ckread(command, *words, width=80).screen
    told = ckread(command, *words, "--why", width=80).screen
    assert told.startswith(plain.rstrip("\n"))
    section = told[len(plain) :].split("\n")
    assert section[1] == "why"
    assert any(line.startswith(claim) for line in section[2:])


@each
def test_a_pipe_keeps_its_records(ckread: Terminal, command: str) -> None:
    words, claim = CLAIMING[command]
    plain, told = (ckread(command, *words, *why).out for why in ([], ["--why"]))
    assert told.startswith(plain)
    more = told[len(plain) :].splitlines()
    assert all(line.startswith("# why ") for line in more)
    assert any(line.startswith(f"# why {claim}: ") for line in more)


@each
def test_documents_carry_the_evidence_unasked(ckread: Terminal, command: str) -> None:
    words, claim = CLAIMING[command]
    evidence = json.loads(ckread(command, *words, "--json").out)["evidence"]
    assert claim in {one["claim"] for one in evidence}
    for one in evidence:
        assert (one["value"] is None) == (one["strength"] == "unknown")
        assert one["strength"] in list(Strength)


# The page: every claim that the code makes has a section, and every reason that it gives a row.


def _sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@cache
def _rows(claim: str) -> list[tuple[re.Pattern[str], str]]:
    """Give the reasons of a claim as patterns, with the strengths of their row."""
    rows = []
    for line in _sections()[claim].splitlines():
        cells = line.split(" | ")
        if line.startswith("| `") and len(cells) >= 2:
            for _, text in re.findall(r"(``?)(.+?)\1(?!`)", cells[0]):
                pattern = re.escape(text.strip()).replace("…", ".*")
                pattern = pattern.replace("WORD", "[^`]+").replace("N", r"[\d,]+")
                rows.append((re.compile(pattern), cells[1]))
    return rows


def test_every_claim_of_the_code_has_its_section() -> None:
    made: set[Any] = set()
    for module in (ROOT / "ckread").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Claim":
                first = node.args[0]
                if isinstance(first, ast.JoinedStr):  # `optimizer of generator`
                    first = first.values[0]
                made |= {first.value} if isinstance(first, ast.Constant) else {"step", "epoch"}
    assert {str(claim).replace("_", " ") for claim in made} <= set(_sections())
    assert len(made) >= 12


def _places() -> Iterator[Path]:
    for path in sorted(FIXTURES.iterdir()):
        yield path
        if path.is_dir():
            yield from sorted(path.iterdir())


def _documents() -> Iterator[dict[str, Any]]:
    for path in _places():
        for make in (package.info, package.open_run):
            try:
                yield make(path).to_dict()
            except (CheckpointError, OSError):
                continue
    yield package.history(f"{RUN}/history.json", RUN).to_dict()
    for a, b in ((NINE, TEN), (TEN, KERAS)):
        yield package.diff(a, b).to_dict()
    for a, b in (RESTORED, RESTORED[::-1], (NINE, TEN)):
        yield package.compat(a, b).to_dict()
    yield package.compat(KERAS, KERAS, way="load_weights").to_dict()


def test_every_reason_that_is_given_stands_on_the_page() -> None:
    found = [claim for document in _documents() for claim in document["evidence"]]
    assert {claim["strength"] for claim in found} == {*map(str, Strength)}
    for claim in found:
        name = claim["claim"].partition(" of ")[0] if "epochs" not in claim["claim"] else None
        section = (name or claim["claim"]).replace("_", " ")
        strengths = [said for row, said in _rows(section) if row.fullmatch(claim["from"])]
        assert any(claim["strength"] in said for said in strengths), claim
