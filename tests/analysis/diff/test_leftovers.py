"""The best assignment beside trying every one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.analysis.diff.leftovers import EXACT_SIZE, assign


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(
            st.lists(st.floats(0, 1), min_size=n, max_size=n), min_size=1, max_size=5
        )
    )
)
def test_the_total_is_the_best_of_all_assignments(scores: list[list[float]]) -> None:
    pairs = assign(scores)
    n_rows, n_columns = len(scores), len(scores[0])
    size = min(n_rows, n_columns)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert len(pairs) == size
    best = max(
        sum(scores[row][column] for row, column in zip(rows, columns, strict=True))
        for rows in itertools.combinations(range(n_rows), size)
        for columns in itertools.permutations(range(n_columns), size)
    )
    assert sum(scores[row][column] for row, column in pairs) == pytest.approx(best)


def test_the_highest_score_first_is_not_always_best() -> None:
    assert assign([[1.0, 0.9], [0.9, 0.0]]) == [(0, 1), (1, 0)]


def test_low_scores_are_left_out() -> None:
    assert assign([[0.9, 0.0], [0.0, 0.2]], at_least=0.5) == [(0, 0)]


def test_nothing_to_assign() -> None:
    assert assign([]) == []
    assert assign([[]]) == []


def test_large_groups_use_nobody_twice() -> None:
    n = EXACT_SIZE + 20
    scores = [[1.0 if (3 * i) % n == j else 0.1 for j in range(n)] for i in range(n - 5)]
    pairs = assign(scores, at_least=0.05)
    assert len(pairs) == n - 5
    assert len({column for _, column in pairs}) == n - 5
