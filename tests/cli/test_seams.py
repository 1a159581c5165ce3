"""Seams on screens: a sentence, a line above the row after it, a stroke in every curve."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.analysis.audit.crafted import Training

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.terminal import Terminal


@pytest.fixture
def resumed(tmp_path: Path) -> str:
    first = Training(tmp_path).epochs(3)
    first.began_anew()
    first.epochs(2)
    return str(tmp_path)


def test_runs(ckread: Terminal, resumed: str) -> None:
    lines = ckread("runs", resumed, width=80).screen.splitlines()
    text = " ".join(lines)
    assert "The optimizer began anew at step 80." in text
    at = next(i for i, line in enumerate(lines) if line.startswith("!"))
    assert "iterations 60 → 20, the weights went on" in lines[at]
    assert lines[at + 1].split()[1] == "model.ckpt-4"
    piped = ckread("runs", resumed).out.splitlines()
    assert [line.split()[-1] for line in piped[1:]] == [
        "seam",
        "-",
        "-",
        "-",
        "optimizer-reset",
        "-",
    ]


def test_drift(ckread: Terminal, resumed: str) -> None:
    for more in ([], ["--index-only"]):
        out = ckread("drift", resumed, *more, width=80).screen
        assert "The optimizer began anew at step 80." in " ".join(out.split())
        rows = [line for line in out.splitlines() if "▇" in line and "/" in line.split()[0]]
        assert rows
        assert all("|" in row for row in rows)


def test_track(ckread: Terminal, resumed: str) -> None:
    lines = ckread("track", resumed, "global_step", "a/bias[0]", width=80).screen.splitlines()
    assert any("▁▃▇|" in line or "|" in line for line in lines[3:5])
    at = next(i for i, line in enumerate(lines) if line.startswith("!"))
    assert lines[at + 1].split()[0] == "80"
    piped = ckread("track", resumed, "a/bias[0]").out.splitlines()
    assert [line.split()[-1] for line in piped] == ["seam", "-", "-", "-", "optimizer-reset", "-"]


def test_history(ckread: Terminal, resumed: str, tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    log.write_text(json.dumps({"step": [20, 40, 60, 80, 100], "loss": [5, 4, 3, 3.5, 3.2]}))
    result = ckread("history", str(log), "--run", resumed, width=80)
    assert "The optimizer began anew after" in " ".join(result.screen.split())
    assert any(line.startswith("!") for line in result.screen.splitlines())


@pytest.mark.parametrize("words", [["runs"], ["drift"], ["track", "step"], ["check", "--every"]])
def test_documents_hold_them(ckread: Terminal, resumed: str, words: list[str]) -> None:
    command, *rest = words
    document = json.loads(ckread(command, resumed, *rest, "--json").out)
    [seam] = document["seams"]
    assert (seam["code"], seam["level"], seam["step"]) == ("optimizer-reset", "warning", 80)
    assert seam["after"].endswith("model.ckpt-4")
    assert seam["evidence"]["strength"] == "derived"


def test_many_seams_are_counted(ckread: Terminal, tmp_path: Path) -> None:
    first = Training(tmp_path)
    for _ in range(5):
        first.began_anew()
        first.epochs(2)
    out = ckread("runs", str(tmp_path), width=80).screen
    assert "4 seams, the first at step 60, step 100, step 140." in " ".join(out.split())
    assert not any(line.startswith("!") for line in out.splitlines())


def test_check_says_since_when_moments_are(ckread: Terminal, tmp_path: Path) -> None:
    first = Training(tmp_path).epochs(2)
    first.began_anew()
    first.epochs(1)
    out = ckread("check", str(tmp_path), "--every", width=80).screen
    assert "1 seam: between model.ckpt-2 and model.ckpt-3 the optimizer began anew." in " ".join(
        out.split()
    )
    assert "tf.compat.v1.train.Saver().restore(session, path)" in out
