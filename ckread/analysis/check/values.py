"""Checking every value: checksums, and what is not finite; by variable, in one pass.

Findings about values: which are not finite, and where the first of them is.

One look at every byte of a tensor: its checksum, and what is not finite or constant.

Leaner than statistics: the least and greatest value of a chunk tell at once whether
anything in it is NaN or infinite, and only then is it looked at element by element.
Types of 16 bits and less are looked at by their bit patterns, which is faster.

Which byte changed, if only one did: told by the two checksums of a damaged tensor alone.

CRC-32C is linear: the difference of two checksums is that of the changed bytes, carried
on over the bytes behind them. Carried back byte by byte, it becomes an entry of the
table of single bytes where the change lies.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.check.findings import Code, Finding, Level
from ckread.analysis.check.index import RECOPY, is_damage
from ckread.analysis.scan import Segment, batches, chunk_buffer, joined_crc32c, segments_of
from ckread.analysis.workers import choose_n_jobs, run
from ckread.errors import CheckpointError, ChecksumError
from ckread.model.role import Role
from ckread.readers.bundle.strings import verify_variant
from ckread.readers.dtypes import DataType
from ckread.readers.extents import ExtentStream, OpenShards, decode, verify_extent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from ckread.model.variable import Variable
    from ckread.readers.contract import Extent
    from ckread.readers.files import RegularFile


_NARROWED = 16
"""Damaged tensors of which the changed byte is looked for: of more, it is not one byte each."""


@dataclass(slots=True)
class ValueCheck:
    """What came of looking at values.

    Attributes:
        findings: what was wrong.
        looks: what was seen, by name, of variables that are intact.
        n_verified: variables read whole and right.
        nbytes: bytes of these.
        n_blank: damaged variables of which nothing but zeros is left.
    """

    findings: list[Finding] = field(default_factory=list)
    looks: dict[str, Look] = field(default_factory=dict)
    n_verified: int = 0
    nbytes: int = 0
    n_blank: int = 0


def check_values(
    variables: Sequence[Variable],
    *,
    shards: Sequence[str] = (),
    n_jobs: int | None = 1,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> ValueCheck:
    """Read every value of these variables once.

    Args:
        variables: what to read.
        shards: paths of the data shards by number, where there are any.
        n_jobs: processes to use; None for as many as are worth it.
        executor: where to work instead.
        progress: called with the number of bytes whenever some have been read.

    Raises:
        CheckpointError: a worker process died.
    """
    advance = progress or (lambda nbytes: None)
    segments, _ = segments_of(variables)
    tasks = [ScanTask(i, part) for i, parts in segments.items() for part in parts]
    sizes = [task.segment.nbytes for task in tasks]
    jobs = [tuple(tasks[i] for i in batch) for batch in batches(sizes)]
    seen: dict[int, list[Seen]] = {i: [] for i in segments}
    workers = choose_n_jobs(sum(sizes), n_jobs)
    for index, outcomes in run(jobs, scan, n_jobs=workers, executor=executor):
        for outcome in outcomes:
            seen[outcome.task.variable].append(outcome)
        advance(sum(task.segment.nbytes for task in jobs[index]))
    result = ValueCheck()
    for i, variable in enumerate(variables):
        if i in segments:
            _join(result, variable, segments[i], seen[i])
        else:
            _check_here(result, variable, shards)
            advance(variable.nbytes)
    _mixed_shards(result, variables)
    return result


def _join(
    result: ValueCheck, variable: Variable, segments: list[Segment], seen: list[Seen]
) -> None:
    by_segment = {outcome.task.segment: outcome for outcome in seen}
    ordered = [by_segment[segment] for segment in segments]
    by_extent: dict[Extent, list[Seen]] = {}
    for outcome in ordered:
        by_extent.setdefault(outcome.task.segment.extent, []).append(outcome)
    n_damaged = 0
    for extent, parts in by_extent.items():
        error = next((part.error for part in parts if part.error), None)
        where = ""
        if error is None:
            computed = joined_crc32c((p.crc32c, p.task.segment.nbytes) for p in parts)
            try:
                verify_extent(extent, computed)
            except CheckpointError as mismatch:
                error = mismatch
                where = _narrowed(extent, computed) if len(result.findings) < _NARROWED else ""
        if error is not None:
            n_damaged += 1
            found = _damaged(variable, error, extent, n_extents=len(by_extent))
            result.findings.append(replace(found, message=f"{found.message}{where}"))
    if n_damaged:
        result.n_blank += all(outcome.look.is_zero and not outcome.error for outcome in ordered)
    else:
        _intact(result, variable, [(outcome.task.segment, outcome.look) for outcome in ordered])


def _narrowed(extent: Extent, computed: int) -> str:
    """Say which byte changed, where it can have been only one."""
    at = changed_byte(extent.crc32c or 0, computed, extent.nbytes)
    return "" if at is None else f", as if only byte {extent.offset + at} had changed"


def _damaged(
    variable: Variable, error: CheckpointError, extent: Extent, *, n_extents: int
) -> Finding:
    place = (
        f"{os.path.basename(extent.path)}, bytes {extent.offset} to {extent.offset + extent.nbytes}"
    )
    part = ""
    if n_extents > 1:
        cut = ", ".join(f"{start}:{stop}" for start, stop in extent.region)
        part = f"slice [{cut}]: "
    is_checksum = isinstance(error, ChecksumError)
    code = Code.CHECKSUM if is_checksum else Code.DAMAGED
    found = error.told if is_checksum else error.message
    remedy = error.remedy or RECOPY
    return Finding(Level.ERROR, code, variable.name, place, f"{part}{found}", remedy)


def _intact(result: ValueCheck, variable: Variable, looks: list[tuple[Segment, Look]]) -> None:
    result.n_verified += 1
    result.nbytes += variable.nbytes
    whole = Look()
    first: tuple[int, ...] | None = None
    for segment, look in looks:
        if first is None and look.first is not None:
            first = index_in(segment, look.first, variable)
        whole = whole.joined(look)
    result.looks[variable.name] = whole
    if whole.not_finite:
        result.findings.append(not_finite(variable, whole, first or ()))


def _verify_variant(variable: Variable, shards: Sequence[str]) -> None:
    """Verify what cannot be read: its checksums can be."""
    if variable.shard is not None and variable.shard < len(shards):
        verify_variant(variable.record, shards[variable.shard])


def _check_here(result: ValueCheck, variable: Variable, shards: Sequence[str]) -> None:
    """Read what lies nowhere plainly: strings, compressed or foreign formats."""
    try:
        look = Look()
        if variable.dtype is DataType.VARIANT:
            _verify_variant(variable, shards)
        if variable.dtype is DataType.STRING:
            variable.numpy()
            look = Look(variable.elements, is_zero=False)
        else:
            for chunk in variable.chunks():
                look = look.joined(look_at(chunk, variable.dtype))
    except CheckpointError as error:
        if is_damage(error):
            code = Code.CHECKSUM if isinstance(error, ChecksumError) else Code.DAMAGED
            found = Finding(
                Level.ERROR, code, variable.name, None, error.message, error.remedy or RECOPY
            )
        else:
            found = Finding(
                Level.NOTE, Code.UNREADABLE, variable.name, None, error.message, error.remedy
            )
        result.findings.append(found)
        return
    result.n_verified += 1
    result.nbytes += variable.nbytes
    result.looks[variable.name] = look
    if look.not_finite:
        first = unravelled(look.first or 0, variable.shape)
        result.findings.append(not_finite(variable, look, first))


def _mixed_shards(result: ValueCheck, variables: Sequence[Variable]) -> None:
    """Say so where most of the checksums of a checkpoint are wrong: two saves were mixed."""
    n_wrong = len({f.variable for f in result.findings if f.code is Code.CHECKSUM})
    if n_wrong > 3 and 2 * n_wrong > len(variables):
        message = f"{n_wrong} of {len(variables)} tensors have other checksums than the index says"
        remedy = "Shard and index are of different saves: copy both again, from one place."
        if result.n_blank > 3 and 2 * result.n_blank > n_wrong:
            message = f"{result.n_blank} of {len(variables)} tensors are nothing but zero bytes"
            remedy = "The data was never written out, as after a power loss: use another save."
        result.findings.insert(
            0, Finding(Level.ERROR, Code.SHARD_MIXED, None, None, message, remedy)
        )


_MUST_BE_FINITE = (Role.WEIGHT, Role.STATISTIC, Role.AVERAGE)


def index_in(segment: Segment, first: int, variable: Variable) -> tuple[int, ...]:
    """Give the index of an element of a segment within the whole tensor."""
    flat = segment.start // max(1, variable.dtype.itemsize) + first
    index: list[int] = []
    for start, stop in reversed(segment.extent.region):
        flat, position = divmod(flat, max(1, stop - start))
        index.append(start + position)
    return tuple(reversed(index))


def not_finite(variable: Variable, look: Look, first: tuple[int, ...]) -> Finding:
    """Give the finding for a variable with values that are not finite."""
    is_error = variable.role in _MUST_BE_FINITE
    kinds = [f"{look.nan} NaN"] if look.nan else []
    kinds += [f"{look.infinite} infinite"] if look.infinite else []
    counted = " and ".join(kinds)
    if look.not_finite == look.elements:
        message = f"holds nothing but {'NaN' if not look.infinite else 'NaN and infinities'}"
        if not look.nan:
            message = "holds nothing but infinities"
    else:
        at = ", ".join(map(str, first))
        message = f"{counted} of {look.elements} elements, the first at [{at}]"
    remedy = "Training broke down before this save: find the last good checkpoint of the run."
    level = Level.ERROR if is_error else Level.WARNING
    is_all = look.not_finite == look.elements
    return Finding(level, Code.NOT_FINITE, variable.name, None, message, remedy, is_all=is_all)


def unravelled(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Give the index of an element by its place in C order."""
    index: list[int] = []
    for size in reversed(shape):
        flat, position = divmod(flat, max(1, size))
        index.append(position)
    return tuple(reversed(index))


_PATTERNS = {"float16": 0x7C00, "bfloat16": 0x7F80}
"""Exponent bits of 16-bit floats: all of them set means infinite or NaN."""
_WIDE = ("float32", "float64", "complex64", "complex128")
_NARROW = ("float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz",
           "float8_e5m2fnuz")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen in some elements; looks at parts of a tensor join.

    Attributes:
        elements: how many.
        nan: how many are NaN.
        infinite: how many are infinite.
        first: place of the first that is not finite, counted from the first element.
        low: the least value, by bit pattern for 16-bit types; None without any.
        high: the greatest, likewise.
        is_zero: whether all are zero.
    """

    elements: int = 0
    nan: int = 0
    infinite: int = 0
    first: int | None = None
    low: float | None = None
    high: float | None = None
    is_zero: bool = True

    @property
    def is_constant(self) -> bool:
        """Whether all elements are the same number."""
        return self.low is not None and not self.not_finite and self.low == self.high

    @property
    def not_finite(self) -> int:
        """How many are NaN or infinite."""
        return self.nan + self.infinite

    def joined(self, other: Look) -> Look:
        """Put the look at the next elements behind this one."""
        first = self.first
        if first is None and other.first is not None:
            first = self.elements + other.first
        known = [look for look in (self, other) if look.low is not None]
        return Look(
            self.elements + other.elements,
            self.nan + other.nan,
            self.infinite + other.infinite,
            first,
            min((look.low for look in known if look.low is not None), default=None),
            max((look.high for look in known if look.high is not None), default=None),
            self.is_zero and other.is_zero,
        )


@dataclass(frozen=True, slots=True)
class ScanTask:
    """One segment to look at, and the number of the variable it belongs to."""

    variable: int
    segment: Segment


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a task: a look and a checksum, or an error."""

    task: ScanTask
    look: Look = Look()
    crc32c: int = 0
    error: CheckpointError | None = None


def scan(tasks: tuple[ScanTask, ...]) -> list[Seen]:
    """Do the tasks of one job; runs in any process."""
    seen: list[Seen] = []
    with OpenShards() as shards:
        for task in tasks:
            try:
                seen.append(_scan_segment(task, shards[task.segment.extent.path]))
            except CheckpointError as error:
                seen.append(Seen(task, error=error))
    return seen


def _scan_segment(task: ScanTask, shard: RegularFile) -> Seen:
    segment = task.segment
    stream = ExtentStream(
        segment.extent, chunk_buffer(), start=segment.start, stop=segment.stop, shard=shard
    )
    look = Look()
    for chunk in stream:
        look = look.joined(look_at(decode(segment.extent, chunk), segment.extent.dtype))
    return Seen(task, look, stream.crc32c)


def look_at(values: NDArray[Any], dtype: DataType) -> Look:
    """Look at some elements."""
    if not values.size:
        return Look()
    name = str(dtype)
    if name in _WIDE:
        return _look_at_numbers(values)
    if name in _PATTERNS:
        return _look_at_patterns(values.view(np.uint16), _PATTERNS[name])
    if name in _NARROW:
        return _look_at_numbers(values.astype(np.float32))
    return _look_at_integers(values)


def _look_at_numbers(values: NDArray[Any]) -> Look:
    parts = values.view(values.real.dtype) if values.dtype.kind == "c" else values
    with np.errstate(invalid="ignore"):
        low, high = np.minimum.reduce(parts).item(), np.maximum.reduce(parts).item()
    if np.isfinite(low) and np.isfinite(high):
        return Look(values.size, low=low, high=high, is_zero=low == high == 0)
    nan = np.isnan(values)
    bad = nan | np.isinf(values)
    n_nan = int(np.count_nonzero(nan))
    n_infinite = int(np.count_nonzero(bad)) - n_nan
    return Look(values.size, n_nan, n_infinite, int(np.argmax(bad)), is_zero=False)


def _look_at_patterns(patterns: NDArray[np.uint16], exponent: int) -> Look:
    low, high = int(np.minimum.reduce(patterns)), int(np.maximum.reduce(patterns))
    if high < exponent:  # positive and finite, all of them
        return Look(patterns.size, low=low, high=high, is_zero=high == 0)
    size = patterns & np.uint16(0x7FFF)
    greatest = int(np.maximum.reduce(size))
    if greatest < exponent:
        return Look(patterns.size, low=low, high=high, is_zero=greatest == 0)
    bad = size >= exponent
    n_infinite = int(np.count_nonzero(size == exponent))
    n_nan = int(np.count_nonzero(bad)) - n_infinite
    return Look(patterns.size, n_nan, n_infinite, int(np.argmax(bad)), is_zero=False)


def _look_at_integers(values: NDArray[Any]) -> Look:
    raw = values.view(np.uint8) if values.dtype.kind not in "iub" else values
    is_zero = not raw.any()
    return Look(values.size, is_zero=is_zero)


MAX_NBYTES = 1 << 16
"""Longest run of bytes in which this is tried: in a longer one other damage may look so too."""
_POLYNOMIAL = 0x82F63B78


def changed_byte(stored: int, computed: int, nbytes: int) -> int | None:
    """Give the place of the one byte whose change explains two checksums.

    Args:
        stored: CRC-32C of the bytes as they were.
        computed: of the bytes as they are.
        nbytes: how many they are.

    Returns:
        Its offset from the first byte; None if no single byte does, or more than one.
    """
    if nbytes > MAX_NBYTES or stored == computed:
        return None
    table, by_top, singles = _tables()
    difference, found = stored ^ computed, []
    for offset in range(nbytes - 1, -1, -1):
        if difference in singles:
            found.append(offset)
        low = by_top[difference >> 24]
        difference = ((difference ^ table[low]) << 8 | low) & 0xFFFFFFFF
    return found[0] if len(found) == 1 else None


@cache
def _tables() -> tuple[tuple[int, ...], tuple[int, ...], frozenset[int]]:
    """Give the checksums of single bytes, their order by the highest byte, and their set."""
    table = []
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = register >> 1 ^ (_POLYNOMIAL if register & 1 else 0)
        table.append(register)
    by_top = sorted(range(256), key=lambda byte: table[byte] >> 24)
    return tuple(table), tuple(by_top), frozenset(table[1:])
