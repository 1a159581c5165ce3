"""Measuring the variables of a run: what the kernel reads, and figures from its sums."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.drift.kernel import GRID, N_SUMS, Rows, Sums, measure
from ckread.analysis.drift.records import VariableDrift
from ckread.analysis.drift.series import changes
from ckread.analysis.norms import CLOSE, cosine_from_distance
from ckread.analysis.row_sums import inner_product
from ckread.analysis.scan import Item, Kernel, scan, side_by_side
from ckread.errors import CheckpointError
from ckread.model.variable import is_whole
from ckread.readers.contract import DataType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from ckread.analysis.drift.series import Series
    from ckread.analysis.workers import Work
    from ckread.model.variable import Variable

    Floats = NDArray[np.float64]


_FIGURES_AT_ONCE = 1 << 16


class Failure(NamedTuple):
    """A variable that could not be read from a checkpoint, by index."""

    name: str
    checkpoint: int
    error: CheckpointError


@dataclass(slots=True)
class Era:
    """The checkpoints that hold a variable in one shape.

    Attributes:
        series: whose.
        at: indices of these checkpoints.
        cells: the variable in each of them.
        is_plain: whether its bytes lie in one piece in each; else they are streamed.
        sums: shape (checkpoints, N_SUMS); None where there are no numbers.
        exponent: of the unit of these: values were divided by two to this power.
        failure: what could not be read.
        figures: made of the sums.
    """

    series: Series
    at: list[int]
    cells: list[Variable]
    is_plain: bool = True
    sums: Floats | None = None
    exponent: int = 0
    failure: Failure | None = None
    figures: Figures | None = None


def measure_series(many: Sequence[Series], work: Work) -> tuple[list[VariableDrift], list[Failure]]:
    """Give the drift of each variable that could be read whole, and what could not."""
    eras = [_eras(series) for series in many]
    every = [era for some in eras for era in some]
    items = [
        Item(i, era.cells, era.cells[0].elements, GRID, 0, [era.series.name] * len(era.cells))
        for i, era in enumerate(every)
        if era.is_plain
    ]
    _scan(items, every, work)
    # Squares of these left the range of float64: once more, in a unit of their own.
    wide = [item for item in items if every[item.number].exponent]
    _scan([replace(item, parameter=every[item.number].exponent) for item in wide], every, work)
    for era in every:
        if not era.is_plain:
            found = _measure_streams(era)
            if isinstance(found, Failure):
                era.failure = found
            else:
                era.sums = found
            work.advance(sum(cell.nbytes for cell in era.cells))
    _add_figures(every)
    measured = [
        _drift_of(series, some)
        for series, some in zip(many, eras, strict=True)
        if not any(era.failure for era in some)
    ]
    return measured, [era.failure for era in every if era.failure is not None]


def _scan(items: Sequence[Item], eras: Sequence[Era], work: Work) -> None:
    for item, found in scan(items, Kernel(measure, Rows), work):
        era = eras[item.number]
        if found.error is not None:
            era.failure = Failure(era.series.name, era.at[found.which], found.error)
            continue
        first, *others = found.partials
        era.sums = sum((other.sums for other in others), first.sums)
        extreme = max(partial.extreme for partial in found.partials)
        if not item.parameter:
            era.exponent = math.frexp(extreme)[1]


def _eras(series: Series) -> list[Era]:
    eras: dict[tuple[int, ...], Era] = {}
    for index, cell in enumerate(series.cells):
        if cell is not None:
            era = eras.setdefault(cell.shape, Era(series, [], []))
            era.at.append(index)
            era.cells.append(cell)
            era.is_plain = era.is_plain and _is_plain(cell)
    return list(eras.values())


def _is_plain(cell: Variable) -> bool:
    """Tell whether the bytes lie in one piece; a checksum of the whole says so too."""
    if is_whole(cell):
        return True
    try:
        extents = cell.readable_extents()
    except CheckpointError:  # told when it is streamed
        return False
    return extents is not None and len(extents) == 1


PIECE_ELEMENTS = 1 << 16


def _measure_streams(era: Era) -> Floats | Failure | None:
    """Give the sums of a variable in each checkpoint; None for what holds no numbers.

    Each is streamed beside the first and the one before it: three times the reading,
    but three chunks of memory, whatever the number of checkpoints.
    """
    cells = era.cells
    if not cells[0].dtype.is_plain or cells[0].dtype is DataType.STRING:
        return None
    sums = np.zeros((len(cells), N_SUMS))
    for j, cell in enumerate(cells):
        with np.errstate(all="ignore"):
            try:
                sums[j] = _measure_stream(cell, cells[0], cells[max(j - 1, 0)], is_first=j == 0)
            except CheckpointError as error:
                return Failure(era.series.name, era.at[_culprit(cells, j)], error)
    return sums


def _measure_stream(x: Variable, first: Variable, before: Variable, *, is_first: bool) -> Floats:
    row = np.zeros(N_SUMS)
    if is_first:
        for piece in _pieces(x):
            row += _own(piece)
        row[3] = row[0]
        row[2] = np.nan
        return row
    for here, there in side_by_side(_pieces(x), _pieces(first)):
        row += _own(here)
        away = here - there
        row[1] += inner_product(away, away)
        row[3] += inner_product(here, there)
    for here, there in side_by_side(_pieces(x), _pieces(before)):
        away = here - there
        row[2] += inner_product(away, away)
    return row


def _pieces(variable: Variable) -> Iterator[Floats]:
    """Give the values as float64, a complex number as two."""
    for chunk in variable.chunks():
        values: NDArray[Any] = chunk
        if values.dtype.kind == "c":
            values = values.view(f"{values.dtype.byteorder}f{values.itemsize // 2}")
        for start in range(0, values.size, PIECE_ELEMENTS):
            yield values[start : start + PIECE_ELEMENTS].astype(np.float64)


def _own(x: Floats) -> Floats:
    row = np.zeros(N_SUMS)
    row[0] = inner_product(x, x)
    if not np.isfinite(row[0]):
        row[4], row[5] = np.count_nonzero(np.isnan(x)), np.count_nonzero(np.isinf(x))
    return row


def _culprit(cells: Sequence[Variable], j: int) -> int:
    """Find which of the three checkpoints that were read cannot be."""
    for index in (j, max(j - 1, 0), 0):
        try:
            for _ in cells[index].chunks():
                pass
        except CheckpointError:
            return index
    return j


class Figures(NamedTuple):
    """What is told of a variable in the checkpoints of an era, one figure for each.

    Attributes:
        columns: l2, from_first, from_previous and cosine_to_first; None where there is none.
        nan: elements that are NaN.
        infinite: elements that are infinite.
    """

    columns: list[list[float | None]]
    nan: list[int]
    infinite: list[int]


def _add_figures(eras: Sequence[Era]) -> None:
    """Make the figures of eras from their sums; all that lie in the same checkpoints at once."""
    alike: dict[tuple[int, ...], list[Era]] = {}
    for era in eras:
        if era.sums is not None:
            alike.setdefault(tuple(era.at), []).append(era)
    for at, members in alike.items():
        step = max(1, _FIGURES_AT_ONCE // len(at))
        for start in range(0, len(members), step):
            some = members[start : start + step]
            sums = np.stack([era.sums for era in some if era.sums is not None])
            found = figures(sums, [era.exponent for era in some], at)
            for era, known in zip(some, found, strict=True):
                era.figures = known


def figures(sums: Floats, exponents: Sequence[int], at: Sequence[int]) -> list[Figures]:
    """Give the figures of some variables.

    Args:
        sums: shape (variables, checkpoints, N_SUMS), of values divided by 2**exponent.
        exponents: of the unit of each variable.
        at: indices of the checkpoints: a gap means that none is there to compare with.
    """
    row = Sums(*np.moveaxis(sums, 2, 0))
    with np.errstate(all="ignore"):
        norms = np.sqrt(row.xx)
        start = norms[:, :1]
        first = _ratio(np.sqrt(row.from_first), start)
        before = np.concatenate([np.full_like(start, np.nan), norms[:, :-1]], axis=1)
        previous = _ratio(np.sqrt(row.from_previous), before)
        angle = row.inner / (norms * start)
        close = cosine_from_distance(norms, start, row.from_first)
        cosine = np.clip(np.where(angle > CLOSE, close, angle), -1.0, 1.0)
        l2 = np.ldexp(norms, np.array(exponents)[:, None])
    table = np.stack([l2, first, previous, cosine], axis=1)
    known = np.ones(table.shape, np.bool_)
    known[:, 2] = np.diff(np.asarray(at), prepend=at[0] - 2) == 1
    known[:, 3] = (norms != 0) & (start != 0)
    columns: list[list[list[float | None]]] = table.tolist()
    for i, number, index in np.argwhere(~known).tolist():
        columns[i][number][index] = None
    counts = np.stack([row.nan, row.infinite], axis=1).astype(np.int64).tolist()
    return [Figures(some, *number) for some, number in zip(columns, counts, strict=True)]


def _ratio(distance: Floats, norm: Floats) -> Floats:
    """Divide; no distance from a norm of 0 is 0, any other is infinite."""
    return np.where(distance == 0, 0.0, distance / norm)


def _drift_of(series: Series, eras: Sequence[Era]) -> VariableDrift:
    """Put together the drift of a variable."""
    n = len(series.cells)
    whole = eras[0].figures
    if whole is None or len(eras[0].at) < n:
        whole = Figures([[None] * n for _ in range(4)], [0] * n, [0] * n)
        for era in eras:
            if era.figures is not None:
                parts: list[list[Any]] = [*era.figures.columns, *era.figures[1:]]
                lines: list[list[Any]] = [*whole.columns, *whole[1:]]
                for part, line in zip(parts, lines, strict=True):
                    for index, figure in zip(era.at, part, strict=True):
                        line[index] = figure
    columns, nan, infinite = whole
    bad = (i for i, (a, b) in enumerate(zip(nan, infinite, strict=True)) if a or b)
    return VariableDrift.of(
        series,
        _by_value(changes(series.cells), columns[2]),
        l2=tuple(columns[0]),
        from_first=tuple(columns[1]),
        from_previous=tuple(columns[2]),
        cosine_to_first=tuple(columns[3]),
        nan=tuple(nan),
        infinite=tuple(infinite),
        first_nonfinite=next(bad, None),
    )


def _by_value(
    changed: Sequence[bool | None], from_previous: Sequence[float | None]
) -> Iterable[bool | None]:
    """Tell by the values where no checksum does."""
    for by_checksum, distance in zip(changed, from_previous, strict=True):
        if by_checksum is not None or distance is None or math.isnan(distance):
            yield by_checksum
        else:
            yield distance != 0
