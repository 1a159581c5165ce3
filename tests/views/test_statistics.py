"""What `stats` shows: whole pages beside their goldens, and the parts that goldens do not reach.

Goldens are written anew with CKREAD_UPDATE_GOLDENS=1 and read as a diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ckread.analysis.statistics.distribution import exact_distribution
from ckread.analysis.statistics.statistics import CheckpointStatistics, VariableStatistics
from ckread.errors import ChecksumError, MissingShardError
from ckread.model.role import Role
from ckread.readers.contract import DataType
from ckread.views.statistics import histogram_page, histogram_rows, round_ticks, statistics_page
from ckread.views.terminal.page import Page, Paper, cell_len, plain

GOLDEN = Path(__file__).parent / "golden"


def _grid(n: int, *, scale: float = 1.0, mean: float = 0.0) -> np.ndarray:
    """Give values that no random generator's version changes: a sum of two uniform ones."""
    i = np.arange(n)
    return (((i * 37 % 101) + (i * 53 % 97) - 98) / 98 * scale + mean).astype(np.float32)


def _variable(name: str, array: np.ndarray | None, **options: object) -> VariableStatistics:
    shape = (40, 50) if array is None else array.shape
    measured = None if array is None else exact_distribution(array, DataType.FLOAT32, 64)
    error = options.get("error")
    return VariableStatistics(
        name,
        name,
        Role.WEIGHT,
        DataType.FLOAT32,
        shape,
        measured,
        error if isinstance(error, ChecksumError | MissingShardError) else None,
    )


def _sound() -> CheckpointStatistics:
    pruned = _grid(64)
    pruned[::2] = 0
    variables = (
        _variable("conv1/kernel", _grid(2000, scale=0.2).reshape(4, 5, 100)),
        _variable("conv1/bias", _grid(16, scale=0.05)),
        _variable("norm1/gamma", np.ones(16, np.float32)),
        _variable("norm1/beta", pruned),
        _variable("logits/kernel", _grid(500, scale=3e-6, mean=1e-5)),
        _variable("logits/bias", np.zeros(0, np.float32)),
    )
    return CheckpointStatistics("run/ckpt-10", variables, {Role.SLOT: 24, Role.COUNTER: 1})


def _unsound() -> CheckpointStatistics:
    some = _grid(300)
    some[:7] = np.nan
    some[9] = np.inf
    stored = ChecksumError("ckpt-9.data-00000-of-00001: bytes 0 to 8: stored CRC-32C 0x1, …")
    shard = MissingShardError("ckpt-9.data-00001-of-00002: missing data shard (1 of 2)")
    variables = (
        _variable("rnn/cell/kernel", np.full(9, np.nan, np.float32)),
        _variable("rnn/cell/bias", some),
        _variable("dense/kernel", None, error=stored),
        _variable("dense/bias", None, error=shard),
        _variable("other/bias", None, error=shard),
    )
    return CheckpointStatistics("run/ckpt-9", variables, {})


def _shown(page: Page, width: int, encoding: str = "utf-8") -> str:
    return "".join(f"{plain(line)}\n" for line in page.lines(Paper(width, encoding)))


def _piped(page: Page) -> str:
    return "".join(f"{line}\n" for line in page.piped())


def _check_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("CKREAD_UPDATE_GOLDENS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [80, 120])
def test_sound_statistics(width: int) -> None:
    _check_golden(f"stats_{width}.txt", _shown(statistics_page(_sound()), width))


def test_sound_statistics_piped() -> None:
    _check_golden("stats_piped.txt", _piped(statistics_page(_sound())))


def test_unsound_statistics() -> None:
    page = statistics_page(_unsound())
    _check_golden("stats_unsound_80.txt", _shown(page, 80))
    _check_golden("stats_unsound_piped.txt", _piped(page))


def test_a_histogram() -> None:
    page = histogram_page(_sound().variables[0], "run/ckpt-10", n_bins=8)
    _check_golden("stats_one_80.txt", _shown(page, 80))
    _check_golden("stats_one_piped.txt", _piped(page))


def test_a_histogram_where_the_encoding_has_no_blocks() -> None:
    page = histogram_page(_sound().variables[0], "run/ckpt-10", n_bins=8)
    assert _shown(page, 80, "ascii").isascii()


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for variable in _sound().variables:
        page = histogram_page(variable, "run/ckpt-10", n_bins=8)
        body = _shown(page, width).splitlines()[1:]
        assert max(map(cell_len, body)) <= max(width, 24)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.full(3, np.nan), "all NaN"),
        (np.array([np.inf, np.nan]), "nothing finite"),
        (np.zeros(0), "no elements"),
        (np.full(3, 0.5), "all 0.500"),
    ],
)
def test_what_stands_in_the_place_of_a_histogram(array: np.ndarray, said: str) -> None:
    page = histogram_page(_variable("x", array.astype(np.float32)), "ckpt", n_bins=4)
    assert said in _shown(page, 80).splitlines()


def test_any_element_shows_above_none() -> None:
    rows = histogram_rows([1000, 1, 0, 500])
    assert rows[-1] == "█▁ █"
    assert rows[0] == "█"


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(-0.26, 0.264, [-0.2, -0.1, 0.0, 0.1, 0.2]), (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (5, 5, [])],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert round_ticks(low, high, 6) == pytest.approx(ticks)


def test_names_from_files_cannot_reach_the_terminal() -> None:
    hostile = _variable("a\x1b[31m [bold]x", np.ones(3, np.float32))
    page = statistics_page(CheckpointStatistics("ckpt", (hostile, hostile), {}))
    assert "\x1b" not in _shown(page, 80)
    assert "\\x1b[31m [bold]x" in _shown(page, 80)
