"""How tests of commands call them, and a damaged checkpoint."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from ckread.cli.main import main
from tests.cli.terminal import Terminal
from tests.corruption import flip
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def ckread(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Give a caller of ckread."""
    return Terminal(monkeypatch)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Give a caller of ckread in a pipe: exit code, standard output, standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def damaged(tmp_path: Path) -> str:
    """Give a checkpoint with one changed byte in the values of conv2/kernel."""
    shard = "ckpt-7.data-00000-of-00001"
    for name in ("ckpt-7.index", shard):
        shutil.copy(FIXTURES / "digits_run" / name, tmp_path / name)
    flip(tmp_path / shard, 310_000, 1)
    return str(tmp_path / "ckpt-7")
