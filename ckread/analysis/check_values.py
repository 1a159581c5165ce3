"""Checking every value: checksums, and what is not finite; by variable, in one pass."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ckread.analysis.check_layout import RECOPY, is_damage
from ckread.analysis.findings import Code, Finding, Level
from ckread.analysis.segments import Segment, batches, joined_crc32c, segments_of
from ckread.analysis.value_findings import index_in, not_finite, unravelled
from ckread.analysis.value_scan import Look, ScanTask, Seen, look_at, scan
from ckread.analysis.workers import choose_n_jobs, run
from ckread.errors import CheckpointError, ChecksumError
from ckread.readers.dtypes import DataType
from ckread.readers.extents import verify_extent
from ckread.readers.variant_tensor import verify_variant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from ckread.model.variable import Variable
    from ckread.readers.contract import Extent


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
    from ckread.analysis.changed_byte import changed_byte

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
    found = (
        error.message.partition(": bytes ")[2].partition(": ")[2] if is_checksum else error.message
    )
    return Finding(
        Level.ERROR, code, variable.name, place, f"{part}{found or error.message}",
        error.remedy or RECOPY,
    )  # fmt: skip


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
