"""What goes through a run does so much for each checkpoint, however many there are."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.cli.main import main
from ckread.readers.contract import DataType
from tests.builders import BundleBuilder

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

FEW, MANY, MORE = 10, 20, 40
OPENED = {
    "runs": 2,
    "info": 0,
    "track learning_rate": 2,
    "drift": 3,
    "drift --index-only": 2,
    "check --every": 6,
}
"""Files that a command opens for one checkpoint more, which has two: the index is told by its
size and bytes, the counters are read once, the values once."""


def _make_run(folder: Path, n: int) -> str:
    random = np.random.default_rng(0)
    folder.mkdir()
    for step in range(1, n + 1):
        builder = BundleBuilder()
        for i in range(3):
            builder.add(f"layer_{i}/kernel", random.random((3, 4), np.float32), DataType.FLOAT32)
        builder.add("global_step", np.array(step, np.int64), DataType.INT64)
        builder.add("learning_rate", np.array(1 / step, np.float32), DataType.FLOAT32)
        builder.write(folder / f"model.ckpt-{step}")
    return str(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Give runs of a few checkpoints, of twice as many, and of twice as many again."""
    folder = tmp_path_factory.mktemp("many")
    return [_make_run(folder / str(n), n) for n in (FEW, MANY, MORE)]


def _do(words: str, run: str) -> None:
    command, *rest = words.split()
    assert main([command, run, *rest]) == 0


@pytest.mark.parametrize("words", OPENED)
def test_files_are_opened_so_often_for_each_checkpoint(
    words: str, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    really_open = os.open

    def count(path: Any, *rest: Any, **others: Any) -> int:
        counts[-1] += str(path).startswith(runs[0].rpartition("/")[0])
        return really_open(path, *rest, **others)

    monkeypatch.setattr(os, "open", count)
    for run in runs[:2]:
        counts.append(0)
        _do(words, run)
    assert counts[1] - counts[0] == OPENED[words] * (MANY - FEW)


@pytest.mark.parametrize("words", OPENED)
def test_no_step_grows_with_the_square_of_the_checkpoints(words: str, runs: list[str]) -> None:
    counts: list[int] = []

    def count(_: FrameType, event: str, __: object) -> None:
        counts[-1] += event in ("call", "c_call")  # comparisons of entries are calls too

    for run in runs:  # imports, and what is cached
        _do(words, run)
    for run in runs:
        counts.append(0)
        sys.setprofile(count)
        try:
            _do(words, run)
        finally:
            sys.setprofile(None)
    first, second = counts[1] - counts[0], counts[2] - counts[1]
    assert second <= 2.02 * first, counts
