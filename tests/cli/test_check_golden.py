"""What a person sees of `check` and `export`, whole: sound, damaged, torn, unsound values."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.corruption import flip, truncate
from tests.places import FIXTURES
from tests.rewriting import rewritten
from tests.views.golden_files import check_golden

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from tests.cli.terminal import Terminal

RUN = FIXTURES / "digits_run"
SHARD = "ckpt-7.data-00000-of-00001"


def _copy(*names: str) -> None:
    for name in names:
        shutil.copy(RUN / name, name)


def _sound() -> None:
    _copy("ckpt-7.index", SHARD)


def _damaged() -> None:
    _sound()
    flip(SHARD, 310_000, 1)


def _short() -> None:
    _sound()
    truncate(SHARD, 457_000)


def _missing() -> None:
    _sound()
    os.remove(SHARD)


def _mixed() -> None:
    _sound()
    shutil.copy(RUN / "ckpt-9.data-00000-of-00001", SHARD)


def _bad_index() -> None:
    _sound()
    flip("ckpt-7.index", 500)


def _torn() -> None:
    _sound()
    _copy("ckpt-8.data-00000-of-00001")
    os.mkdir("ckpt-8_temp")
    shutil.copy(RUN / "ckpt-8.index", "ckpt-8_temp/part-00000-of-00001.index")


def _not_finite() -> None:
    from pathlib import Path

    def edit(name: str, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if name.startswith(("hidden/", "logits/")):
            return np.full_like(values, np.nan)
        if name in ("conv2/kernel", "optimizer/conv2/kernel/velocity"):
            values = values.copy()
            values[1, 2, 3, 4] = np.inf
        return values

    rewritten(RUN / "ckpt-7", Path("ckpt-7"), edit)


CASES: dict[str, tuple[Callable[[], None], list[str], int]] = {
    "check_sound": (_sound, ["check", "ckpt-7"], 0),
    "check_quick": (_sound, ["check", "ckpt-7", "--quick"], 0),
    "check_damaged": (_damaged, ["check", "ckpt-7"], 1),
    "check_short": (_short, ["check", "ckpt-7"], 1),
    "check_missing": (_missing, ["check", "ckpt-7"], 1),
    "check_mixed": (_mixed, ["check", "ckpt-7"], 1),
    "check_index": (_bad_index, ["check", "ckpt-7"], 1),
    "check_torn": (_torn, ["check", "ckpt-8"], 1),
    "check_newer_torn": (_torn, ["check", "."], 0),
    "check_every_torn": (_torn, ["check", ".", "--every"], 1),
    "check_not_finite": (_not_finite, ["check", "ckpt-7"], 1),
    "export_sound": (_sound, ["export", "ckpt-7", "conv*/**", "-o", "conv.npz"], 0),
    "export_damaged": (_damaged, ["export", "ckpt-7", "-o", "rest.npz"], 2),
    "export_salvage": (_damaged, ["export", "ckpt-7", "-o", "rest.npz", "--salvage"], 1),
    "export_short": (_short, ["export", "ckpt-7", "-o", "rest.npz", "--salvage"], 1),
}


def _shown(ckread: Terminal, name: str, *words: str, width: int | None = None) -> str:
    """Run a case where its files are; give both streams, stderr behind a line that says so."""
    make, command, code = CASES[name]
    make()
    result = ckread(*command, *words, width=width)
    assert result.code == code
    return result.out + (f"[stderr]\n{result.err}" if result.err else "")


@pytest.fixture(autouse=True)
def in_a_place_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("width", [80, 120])
def test_screens(ckread: Terminal, name: str, width: int) -> None:
    text = _shown(ckread, name, "--color", "never", width=width)
    assert all(len(line) <= width for line in text.splitlines())
    check_golden(f"{name}_{width}.txt", text)


@pytest.mark.parametrize("name", list(CASES))
def test_pipes(ckread: Terminal, name: str) -> None:
    check_golden(f"{name}_piped.txt", _shown(ckread, name))


@pytest.mark.parametrize("name", list(CASES))
def test_documents(ckread: Terminal, name: str) -> None:
    check_golden(f"{name}.json", _shown(ckread, name, "--json"))
