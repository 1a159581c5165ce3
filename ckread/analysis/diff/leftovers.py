"""Variables that no name pairs: by equal content, and by shape, role and nearest name.

Ten thousand leftovers must take a second, so only members of one block (same type,
shape, role, slot) are ever held against each other, and large blocks are cut by the
numbers and the last component of their names.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from ckread.analysis.checksums import content_key, is_constant
from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from ckread.model.variable import Variable

    Block = tuple[list[Variable], list[Variable]]

_OF_A_MODEL = (Role.WEIGHT, Role.STATISTIC, Role.AVERAGE, Role.SLOT)
_TOKEN = re.compile(r"\d+|[^\W\d_]+")
FEW = 4
"""Elements from which equal content is evidence, whatever the names."""
_LARGE = 100
_LIKELY = 0.34
"""Similarity of names from which a proposal is made."""
_CLOSE = 0.75
"""Similarity of names from which two biases that are 0 are taken for one."""
_RETYPED = 0.8
"""What is left of the confidence where the type differs too."""


def pair_by_content(
    a: Iterable[Variable], b: Iterable[Variable]
) -> list[tuple[Variable, Variable]]:
    """Pair equal checksums of one type and size: of one shape first, then of any."""
    pairs: list[tuple[Variable, Variable]] = []
    left, right = list(a), list(b)
    for key in (lambda v: _content(v, v.shape), _content):
        for block in _blocks(left, right, key):
            pairs += pair_nearest(*block)
        left, right = _without(left, right, pairs)
    return pairs


def pair_nearest(
    a: Sequence[Variable], b: Sequence[Variable], *, is_uniform: bool = False
) -> list[tuple[Variable, Variable]]:
    """Pair variables that hold the same: those of the nearest names, while both sides last.

    A few equal numbers are no evidence, nor are zeros or ones: names have to tell besides.
    """
    if not (a and b):
        return []
    needed = 0.0 if a[0].elements >= FEW else _LIKELY
    needed = _CLOSE if is_uniform or _is_blank(a[0]) else needed
    return [(x, y) for x, y, _ in _pair_block((list(a), list(b)), at_least=needed)]


def _is_blank(variable: Variable) -> bool:
    """Tell by its checksum whether a variable is all zeros or all ones."""
    key = content_key(variable)
    return key is not None and is_constant(key)


def propose(a: Sequence[Variable], b: Sequence[Variable]) -> list[tuple[Variable, Variable, float]]:
    """Pair by shape, role and nearest name, with a confidence; other types come second."""
    found: list[tuple[Variable, Variable, float]] = []
    left, right = list(a), list(b)
    for key, trust in ((lambda v: (v.dtype, *_shape(v)), 1.0), (_shape, _RETYPED)):
        pairs = []
        for block in _blocks(left, right, key):
            certain = len(block[0]) == len(block[1]) == 1
            for x, y, similarity in _pair_block(block, at_least=_LIKELY):
                if x.elements == 1 and x.role in _OF_A_MODEL:
                    continue  # one number: what is near then is the name alone
                if similarity < _CLOSE and _is_blank(x) and _is_blank(y):
                    continue
                bonus = 0.1 if certain else 0.0
                pairs.append((x, y, round(min(0.95, trust * similarity + bonus), 2)))
        left, right = _without(left, right, [(x, y) for x, y, _ in pairs])
        found += pairs
    return found


def _leaf(name: str) -> str:
    return name.rpartition("/")[2]


def _overlap(a: Counter[str], b: Counter[str]) -> float:
    """Give the share of words and numbers that two names have in common, 0 to 1."""
    common = sum(min(count, b[token]) for token, count in a.items() if token in b)
    return 2 * common / (a.total() + b.total())


def _blocks(
    a: Iterable[Variable], b: Iterable[Variable], key: Callable[[Variable], Hashable]
) -> Iterator[Block]:
    """Yield the variables of both sides that have one key; those without are left out."""
    sides: tuple[dict[Hashable, list[Variable]], ...] = ({}, {})
    for variables, side in zip((a, b), sides, strict=True):
        for variable in variables:
            value = key(variable)
            if value is not None:
                side.setdefault(value, []).append(variable)
    first, second = sides
    for value, members in first.items():
        if value in second:
            yield members, second[value]


def _content(variable: Variable, shape: object = None) -> Hashable:
    key = content_key(variable)
    return None if key is None else (key, shape, variable.role, variable.slot)


def _shape(variable: Variable) -> tuple[object, ...]:
    return variable.shape, variable.role, variable.slot


def _pair_block(block: Block, *, at_least: float) -> Iterator[tuple[Variable, Variable, float]]:
    left, right = block
    if len(left) * len(right) > _LARGE**2:
        keys: tuple[Callable[[Variable], Hashable], ...] = (
            lambda v: (tuple(re.findall(r"\d+", v.name)), _leaf(v.name)),
            lambda v: _leaf(v.name),
        )
        for key in keys:
            pairs: list[tuple[Any, Any]] = []
            for part in _blocks(left, right, key):
                for x, y, similarity in _pair_small_block(part, at_least):
                    pairs.append((x, y))
                    yield x, y, similarity
            left, right = _without(left, right, pairs)
    yield from _pair_small_block((left, right), at_least)


def _pair_small_block(block: Block, at_least: float) -> Iterator[tuple[Variable, Variable, float]]:
    """Pair the best scores; where even a part is large, in the order of the files."""
    left, right = block
    tokens, others = (
        # Words and numbers; the last component thrice: `…/kernel` is not `…/bias`.
        [Counter(_TOKEN.findall(v.name.lower())) + Counter({f"/{_leaf(v.name).lower()}": 3})
         for v in side] for side in block
    )  # fmt: skip
    if len(left) * len(right) > _LARGE**2:
        for i in range(min(len(left), len(right))):
            similarity = _overlap(tokens[i], others[i])
            if similarity >= at_least:
                yield left[i], right[i], similarity
        return
    scores = [[_overlap(mine, other) for other in others] for mine in tokens]
    for i, j in assign(scores, at_least=at_least):
        yield left[i], right[j], scores[i][j]


def _without(
    a: list[Variable], b: list[Variable], pairs: Sequence[tuple[Variable, Variable]]
) -> Block:
    used_a, used_b = {x.name for x, _ in pairs}, {y.name for _, y in pairs}
    return [v for v in a if v.name not in used_a], [v for v in b if v.name not in used_b]


# The best pairing of two small groups by score: each member is used at most once.
#
# The Hungarian method (Jonker and Volgenant's shortest augmenting paths) for groups of
# a few dozen; larger ones take the highest scores first. Scores are pure Python, as
# pairing names must not import numpy.

EXACT_SIZE = 40
"""Members of the larger group up to which the pairing is optimal."""


def assign(scores: Sequence[Sequence[float]], *, at_least: float = 0.0) -> list[tuple[int, int]]:
    """Give pairs (row, column) with the largest total score, in order of rows."""
    if not scores or not scores[0]:
        return []
    if max(len(scores), len(scores[0])) > EXACT_SIZE:
        order = sorted(
            (-score, i, j) for i, row in enumerate(scores) for j, score in enumerate(row)
        )
        column_of: dict[int, int] = {}
        taken: set[int] = set()
        for _, i, j in order:
            if i not in column_of and j not in taken:
                column_of[i] = j
                taken.add(j)
        pairs = sorted(column_of.items())
    elif len(scores) <= len(scores[0]):
        pairs = _assign_optimally(scores)
    else:
        turned = list(zip(*scores, strict=True))
        pairs = sorted((row, column) for column, row in _assign_optimally(turned))
    return [(row, column) for row, column in pairs if scores[row][column] >= at_least]


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
