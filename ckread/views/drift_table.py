"""The piped table of a drift: a line per variable and step, columns named as in JSON.

Its words are made column by column: a run of 200 checkpoints easily has 10,000 lines.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING

from ckread.views.columns import Column, Justify, aligned
from ckread.views.quantities import ABSENT_WORD, float_word, safe_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ckread.analysis.drift_records import RunDrift, VariableDrift
    from ckread.views.page import Line
    from ckread.views.paper import Paper

_RIGHT = Justify.RIGHT
_COLUMNS: tuple[Column[VariableDrift], ...] = (
    Column(title="name"),
    Column(title="step", justify=_RIGHT),
    Column(title="l2", justify=_RIGHT),
    Column(title="from_first", justify=_RIGHT),
    Column(title="from_previous", justify=_RIGHT),
    Column(title="cosine_to_first", justify=_RIGHT),
    Column(title="changed"),
)
_CHANGED_WORDS = {None: ABSENT_WORD, True: "yes", False: "no"}


class PipedDrift:
    """A block of a line per variable and checkpoint that holds it.

    Args:
        result: the checkpoints.
        chosen: the variables, in the order they stand.
    """

    def __init__(self, result: RunDrift, chosen: Sequence[VariableDrift]) -> None:
        self._result = result
        self._chosen = chosen

    def lines(self, paper: Paper) -> Iterable[Line]:
        """Give nothing: it is for pipes."""
        return ()

    def piped(self) -> Iterator[str]:
        """Give the lines, aligned."""
        steps = [
            ABSENT_WORD if entry.step is None else str(entry.step)
            for entry in self._result.checkpoints
        ]
        words: list[list[str]] = [[] for _ in _COLUMNS]
        for variable in self._chosen:
            for column, found in zip(words, _words(variable, steps), strict=True):
                column += found
        return aligned(_COLUMNS, words)


def _words(variable: VariableDrift, steps: Sequence[str]) -> list[Iterable[str]]:
    """Give the words of one variable, per column, where it is present."""
    columns = [
        [safe_word(variable.name)] * len(steps),
        steps,
        _figures(variable.l2, steps),
        _figures(variable.from_first, steps),
        _figures(variable.from_previous, steps),
        _figures(variable.cosine_to_first, steps),
        [_CHANGED_WORDS[changed] for changed in variable.changed],
    ]
    return [compress(column, variable.present) for column in columns]


def _figures(values: Sequence[float | None], steps: Sequence[str]) -> list[str]:
    return list(map(float_word, values)) if values else [ABSENT_WORD] * len(steps)
