"""Measuring the variables of a run: what the kernel reads, and figures from its sums."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.drift.kernel import CHUNK_ELEMENTS, N_SUMS, Rows, Sums, grid_of, measure
from ckread.analysis.drift.records import VariableDrift, changes
from ckread.analysis.norms import cosine_from_distance, distance_tells_more
from ckread.analysis.numbers import inner_product
from ckread.analysis.scan import Item, scan, side_by_side
from ckread.analysis.small import grouped, limit_of, scan_together
from ckread.errors import CheckpointError
from ckread.model.variable import is_whole
from ckread.readers.contract import DataType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from ckread.analysis.drift.records import Series
    from ckread.analysis.workers import Work
    from ckread.model.variable import Variable

    Floats = NDArray[np.float64]


FIGURES_AT_ONCE = 1 << 16
"""Of each kind: what goes through them needs some arrays as large."""


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
        sums: shape (checkpoints, N_SUMS); None where there are no numbers.
        extreme: largest magnitude, where squares left the range of float64.
        exponent: of the unit of the sums: values were divided by two to this power.
        failure: what could not be read.
        figures: made of the sums.
    """

    series: Series
    at: Sequence[int]
    cells: list[Variable]
    sums: Floats | None = None
    extreme: float = 0.0
    exponent: int = 0
    failure: Failure | None = None
    figures: Figures | None = None


def measure_series(many: Sequence[Series], work: Work) -> tuple[list[VariableDrift], list[Failure]]:
    """Give the drift of each variable that could be read whole, and what could not."""
    eras = [_eras(series) for series in many]
    every = [era for some in eras for era in some]
    alike: dict[tuple[int, ...], list[Era]] = {}
    for era in every:
        alike.setdefault(tuple(era.at), []).append(era)
    rest: list[Era] = []
    for members in alike.values():
        cells = [*zip(*(era.cells for era in members), strict=True)]
        sums, extremes, left = measure_small(cells, work)
        for era, found, extreme in zip(members, sums, extremes.tolist(), strict=True):
            era.sums, era.extreme = found, extreme
        for number in left:
            members[number].sums = None
        rest += [members[number] for number in left]
    plain = [all(map(_is_plain, era.cells)) for era in rest]
    _measure_large([era for era, is_plain in zip(rest, plain, strict=True) if is_plain], work)
    # Squares of these left the range of float64: once more, in a unit of their own.
    wide = [era for era in every if era.extreme]
    for era in wide:
        era.exponent = math.frexp(era.extreme)[1]
    _measure_large([era for era in wide if era.exponent], work)
    for era, is_plain in zip(rest, plain, strict=True):
        if not is_plain:
            found = _measure_streams(era)
            if isinstance(found, Failure):
                era.failure = found
            else:
                era.sums = found
            work.advance(sum(cell.nbytes for cell in era.cells))
    for members in alike.values():
        _add_figures(members)
    sound = [
        (series, some)
        for series, some in zip(many, eras, strict=True)
        if not any(era.failure for era in some)
    ]
    measured = [_drift_of(series, some) for series, some in sound]
    return measured, [era.failure for era in every if era.failure is not None]


MAX_SPAN, _MIN_SPAN = 64, 16
"""Checkpoints that one job of several reads."""


class Span(NamedTuple):
    """Checkpoints that one job measures.

    Attributes:
        which: their places, before them the first of all and the one before them.
        lead: so many of these are measured elsewhere.
    """

    which: Sequence[int]
    lead: int = 0


def spans(n: int, n_workers: int) -> list[Span]:
    """Cut a run of n checkpoints where several work on it: a job should open few files."""
    size = min(MAX_SPAN, max(_MIN_SPAN, n // (4 * n_workers)))
    if n_workers == 1 or n <= size + 2:
        return [Span(range(n))]
    later = range(size, n, size)
    cut = [Span([0, start - 1, *range(start, min(start + size, n))], 2) for start in later]
    return [Span(range(size)), *cut]


def measure_small(
    cells: Sequence[Sequence[Variable]], work: Work
) -> tuple[Floats, Floats, list[int]]:
    """Measure small variables that lie in the same checkpoints, `cells` of each of these.

    Gives the sums, shape (variables, checkpoints, N_SUMS), the extremes, and the numbers of the
    others, whose sums are nothing.
    """
    n, m = len(cells), len(cells[0])
    groups, rest = grouped(cells, limit_of(n, CHUNK_ELEMENTS))
    cut = spans(n, work.n_workers(sum(group.nbytes for group in groups)))
    parts = [
        group._replace(columns=[group.columns[j] for j in span.which], part=part)
        for group in groups
        for part, span in enumerate(cut)
    ]
    left = {*rest}
    sums, extremes = np.empty((m, n, N_SUMS)), np.zeros(m)
    for rows in scan_together(parts, Rows, work):
        left.update(rows.left)
        if rows.result is None:
            continue
        which, lead = cut[rows.group.part]
        numbers = rows.group.numbers[rows.is_done]
        found, largest = (one[rows.is_done] for one in rows.result)
        sums[numbers, which[lead] : which[-1] + 1] = found[:, lead:]
        extremes[numbers] = np.maximum(extremes[numbers], largest)
    others = sorted(left)
    extremes[others] = 0.0
    return sums, extremes, others


def _measure_large(eras: Sequence[Era], work: Work) -> None:
    """Measure variables of any size, each of which lies in one piece."""
    nbytes = sum(cell.nbytes for era in eras for cell in era.cells)
    items: list[Item] = []
    whose: list[tuple[Era, Span, Floats]] = []
    for era in eras:
        name = era.series.name
        cut = spans(len(era.at), work.n_workers(nbytes))
        grid = grid_of(era.cells)
        sums = np.zeros((len(era.at), N_SUMS))
        for span in cut:
            cells = [era.cells[j] for j in span.which]
            names = [name] * len(cells)
            items.append(Item(len(whose), cells, cells[0].elements, grid, era.exponent, names))
            whose.append((era, span, sums))
        era.sums = sums
    for item, found in scan(items, measure, work):
        era, (which, lead), sums = whose[item.number]
        if found.error is not None:
            era.failure = Failure(era.series.name, era.at[which[found.which]], found.error)
            continue
        first, *others = found.partials
        total = sum((other.sums for other in others), first.sums)
        sums[which[lead] : which[-1] + 1] = total[lead:]
        era.extreme = max(era.extreme, *(partial.extreme for partial in found.partials))


def _eras(series: Series) -> list[Era]:
    shapes = {None if cell is None else cell.shape for cell in series.cells}
    if len(shapes) == 1:
        return [Era(series, range(len(series.cells)), series.cells)]  # type: ignore[arg-type]
    eras: dict[tuple[int, ...], tuple[list[int], list[Variable]]] = {}
    for index, cell in enumerate(series.cells):
        if cell is not None:
            at, cells = eras.setdefault(cell.shape, ([], []))
            at.append(index)
            cells.append(cell)
    return [Era(series, *found) for found in eras.values()]


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
        l2: norm.
        from_first: distance from the first, relative to its norm.
        from_previous: likewise from the checkpoint before, None where that has none.
        cosine_to_first: None where a norm is 0.
        nan: elements that are NaN.
        infinite: elements that are infinite.
        is_finite: whether there are none of either.
    """

    l2: tuple[float | None, ...]
    from_first: tuple[float | None, ...]
    from_previous: tuple[float | None, ...]
    cosine_to_first: tuple[float | None, ...]
    nan: tuple[int, ...]
    infinite: tuple[int, ...]
    is_finite: bool = True


def _add_figures(eras: Sequence[Era]) -> None:
    """Make the figures of eras that lie in the same checkpoints from their sums."""
    members = [era for era in eras if era.sums is not None]
    step = max(1, FIGURES_AT_ONCE // len(eras[0].at))
    for start in range(0, len(members), step):
        some = members[start : start + step]
        sums = np.stack([era.sums for era in some if era.sums is not None])
        lines = figures_of(sums, [era.exponent for era in some], some[0].at)
        for era, known in zip(some, zip(*lines, strict=True), strict=True):
            era.figures = Figures._make(known)


def figures_of(sums: Floats, exponents: Sequence[int], at: Sequence[int]) -> list[list[Any]]:
    """Give the figures of some variables, a list for each field of `Figures`.

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
        by_distance = cosine_from_distance(norms, start, row.from_first)
        cosine = np.where(distance_tells_more(angle, norms, start), by_distance, angle)
        cosine = np.clip(cosine, -1.0, 1.0)
        l2 = np.ldexp(norms, np.array(exponents)[:, None])
    is_next = np.broadcast_to(np.diff(np.asarray(at), prepend=at[0] - 2) == 1, norms.shape)
    has_angle = (norms != 0) & (start != 0)
    counts = [column.astype(np.int64) for column in (row.nan, row.infinite)]
    are_finite = ~(counts[0] + counts[1]).any(axis=1)
    lines: list[Any] = [
        _tuples(l2),
        _tuples(first),
        _tuples(previous, is_next),
        _tuples(cosine, has_angle),
        *map(_tuples, counts),
        are_finite.tolist(),
    ]
    return lines


def _tuples(rows: NDArray[Any], are_there: NDArray[np.bool_] | None = None) -> list[Any]:
    """Give each row as a tuple, None in the place of what is not there."""
    if are_there is not None and not are_there.all():
        rows = rows.astype(object)
        rows[~are_there] = None
    # Of very many rows of few elements a column at a time is quicker.
    is_high = len(rows) > rows.shape[1]
    return [*zip(*rows.T.tolist(), strict=True)] if is_high else [*map(tuple, rows.tolist())]


def _ratio(distance: Floats, norm: Floats) -> Floats:
    """Divide; no distance from a norm of 0 is 0, any other is infinite."""
    return np.where(distance == 0, 0.0, distance / norm)


def _drift_of(series: Series, eras: Sequence[Era]) -> VariableDrift:
    """Put together the drift of a variable."""
    n = len(series.cells)
    whole = eras[0].figures
    if whole is None or len(eras[0].at) < n:
        lines: list[list[Any]] = [[None] * n, [None] * n, [None] * n, [None] * n, [0] * n, [0] * n]
        parts = [(era.at, era.figures) for era in eras if era.figures is not None]
        for at, part in parts:
            found: list[Any] = [*part[: len(lines)]]
            for line, figures in zip(lines, found, strict=True):
                for index, figure in zip(at, figures, strict=True):
                    line[index] = figure
        are_finite = all(part.is_finite for _, part in parts)
        whole = Figures._make([*map(tuple, lines), are_finite])
    *told, is_finite = whole
    nonfinite = None
    if not is_finite:
        bad = (i for i, pair in enumerate(zip(whole.nan, whole.infinite, strict=True)) if any(pair))
        nonfinite = next(bad, None)
    changed = changes(series.cells)
    if None in changed[1:]:
        changed = [*_by_value(changed, whole.from_previous)]
    return VariableDrift.of(series, changed, (*told, nonfinite))


def _by_value(
    changed: Sequence[bool | None], from_previous: Sequence[float | None]
) -> Iterable[bool | None]:
    """Tell by the values where no checksum does."""
    for by_checksum, distance in zip(changed, from_previous, strict=True):
        if by_checksum is not None or distance is None or math.isnan(distance):
            yield by_checksum
        else:
            yield distance != 0
