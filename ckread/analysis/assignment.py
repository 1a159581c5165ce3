"""The best pairing of two small groups by score: each member is used at most once.

The Hungarian method (Jonker and Volgenant's shortest augmenting paths) for groups of
a few dozen; larger ones take the highest scores first. Scores are pure Python, as
pairing names must not import numpy.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

EXACT_SIZE = 40
"""Members of the larger group up to which the pairing is optimal."""


def assign(scores: Sequence[Sequence[float]], *, at_least: float = 0.0) -> list[tuple[int, int]]:
    """Give pairs (row, column) with the largest total score, in order of rows.

    Args:
        scores: one row per member of the first group.
        at_least: pairs with a lower score are left out.
    """
    if not scores or not scores[0]:
        return []
    if max(len(scores), len(scores[0])) > EXACT_SIZE:
        pairs = _assign_greedily(scores)
    elif len(scores) <= len(scores[0]):
        pairs = _assign_optimally(scores)
    else:
        turned = list(zip(*scores, strict=True))
        pairs = sorted((row, column) for column, row in _assign_optimally(turned))
    return [(row, column) for row, column in pairs if scores[row][column] >= at_least]


def _assign_greedily(scores: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    order = sorted(
        ((-score, i, j) for i, row in enumerate(scores) for j, score in enumerate(row)),
    )
    rows: set[int] = set()
    columns: set[int] = set()
    pairs = []
    for _, i, j in order:
        if i not in rows and j not in columns:
            rows.add(i)
            columns.add(j)
            pairs.append((i, j))
    return sorted(pairs)


def _assign_optimally(scores: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Pair every row; there are at least as many columns. Index 0 stands for none."""
    n_columns = len(scores[0])
    row_price = [0.0] * (len(scores) + 1)
    column_price = [0.0] * (n_columns + 1)
    row_of = [0] * (n_columns + 1)
    for row in range(1, len(scores) + 1):
        row_of[0] = row
        previous = _augmenting_path(scores, row_of, row_price, column_price)
        column = previous[-1]
        while column:
            row_of[column] = row_of[previous[column]]
            column = previous[column]
    return sorted((row_of[j] - 1, j - 1) for j in range(1, n_columns + 1) if row_of[j])


def _augmenting_path(
    scores: Sequence[Sequence[float]],
    row_of: list[int],
    row_price: list[float],
    column_price: list[float],
) -> list[int]:
    """Give the column before each column on the cheapest path, and last its end."""
    n_columns = len(column_price)
    cheapest = [math.inf] * n_columns
    previous = [0] * n_columns
    done = [False] * n_columns
    column = 0
    while row_of[column] or column == 0:
        done[column] = True
        row = row_of[column]
        costs = scores[row - 1]
        best, following = math.inf, 0
        for j in range(1, n_columns):
            if done[j]:
                continue
            cost = -costs[j - 1] - row_price[row] - column_price[j]
            if cost < cheapest[j]:
                cheapest[j], previous[j] = cost, column
            if cheapest[j] < best:
                best, following = cheapest[j], j
        for j in range(n_columns):
            if done[j]:
                row_price[row_of[j]] += best
                column_price[j] -= best
            else:
                cheapest[j] -= best
        column = following
    return [*previous, column]
