"""Every byte of the tensor data of every fixture, flipped one by one: found, and by what name?

    python -m tests.flips [PREFIX…]     one line per checkpoint, about eight minutes of CPU in all

A flip changes a byte on its way from the file to the code that `ckread check` runs, so
that millions of them take minutes and nothing is written. No checksum is computed here.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

from ckread.analysis.check import values as changed_byte
from ckread.analysis.check.values import check_values
from ckread.analysis.findings import Code, Level
from ckread.errors import CheckpointError
from ckread.model.opening import open_checkpoint
from ckread.readers.files import RegularFile
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable

_JOB_NBYTES = 1 << 14
_NARROWED_EVERY = 64
"""One flip of so many is also narrowed to its byte, which costs ten times what finding it does."""
_EDGE_NBYTES = 16
"""Bytes at either end of a tensor, and of a job, of which none is left out."""


class Flip:
    """A byte that is read wrongly.

    Attributes:
        path: the file it is in; empty for none.
        offset: its place there.
    """

    path = ""
    offset = 0

    @property
    def mask(self) -> int:
        """The bit that is turned; which one goes by the place."""
        return 1 << (self.offset * 5 + self.offset // 8) % 8

    def index(self, file: RegularFile, offset: int, nbytes: int) -> int | None:
        """Give where the byte is in a read, None if it is not."""
        at = self.offset - offset
        return at if 0 <= at < nbytes and file.path == self.path else None


@contextmanager
def flipping() -> Iterator[Flip]:
    """Read through a flip, which begins as none."""
    flip, pread, pread_into = Flip(), RegularFile.pread, RegularFile.pread_into

    def flipped(self: RegularFile, offset: int, nbytes: int) -> bytes:
        data = bytearray(pread(self, offset, nbytes))
        at = flip.index(self, offset, nbytes)
        if at is not None:
            data[at] ^= flip.mask
        return bytes(data)

    def flipped_into(self: RegularFile, buffer: Any, offset: int) -> None:
        pread_into(self, buffer, offset)
        at = flip.index(self, offset, len(buffer))
        if at is not None:
            buffer[at] ^= flip.mask

    RegularFile.pread, RegularFile.pread_into = flipped, flipped_into  # type: ignore[method-assign]
    try:
        yield flip
    finally:
        RegularFile.pread, RegularFile.pread_into = pread, pread_into  # type: ignore[method-assign]


class Job(NamedTuple):
    """Bytes of one data shard to flip.

    Attributes:
        prefix: the checkpoint, below the fixtures.
        shard: number of the shard.
        start: first byte.
        stop: the byte after the last.
        step: one byte of so many is flipped, beside all at the edges; 1 for each.
    """

    prefix: str
    shard: int
    start: int
    stop: int
    step: int = 1


def jobs_of(prefix: str, step: int = 1) -> list[Job]:
    """Cut the shards of a checkpoint into jobs."""
    with open_checkpoint(FIXTURES / prefix) as checkpoint:
        sizes = [file.nbytes or 0 for file in checkpoint.files() if file.is_shard]
    return [
        Job(prefix, i, start, min(start + _JOB_NBYTES, nbytes), step)
        for i, nbytes in enumerate(sizes)
        for start in range(0, nbytes, _JOB_NBYTES)
    ]


def do(job: Job) -> Counter[str]:
    """Flip the bytes of a job; count what came of each."""
    counts: Counter[str] = Counter()
    longest = changed_byte.MAX_NBYTES
    with (
        open_checkpoint(FIXTURES / job.prefix) as checkpoint,
        flipping() as flip,
        mock.patch.object(changed_byte, "MAX_NBYTES", longest),
    ):
        shards = [file.path for file in checkpoint.files() if file.is_shard]
        shard = shards[job.shard]
        spans, elsewhere, refused = _spread(checkpoint, shard, shards)
        at = job.start
        for start, stop, variable in [*spans, (job.stop, job.stop, None)]:
            for first, last, suspects in (
                (at, start, elsewhere),
                (max(at, start), stop, [variable] if variable else []),
            ):
                for offset in _offsets(first, min(last, job.stop), job.step):
                    flip.path, flip.offset = shard, offset
                    is_narrowed = offset % _NARROWED_EVERY == 0
                    changed_byte.MAX_NBYTES = longest if is_narrowed else 0
                    counts[_outcome(suspects, shards, bool(refused))] += 1
            at = max(at, stop)
    return counts


def _offsets(first: int, last: int, step: int) -> Iterable[int]:
    """Give every `step`-th byte of a range, and each at its two edges."""
    if step == 1 or last - first <= 2 * _EDGE_NBYTES:
        return range(first, last)
    start, stop = first + _EDGE_NBYTES, last - _EDGE_NBYTES
    return (*range(first, start), *range(start, stop, step), *range(stop, last))


def _spread(
    checkpoint: Checkpoint, shard: str, shards: Sequence[str]
) -> tuple[list[tuple[int, int, Variable]], list[Variable], list[Variable]]:
    """Give what lies where in a shard, what lies elsewhere or nowhere plainly, what is refused."""
    spans: list[tuple[int, int, Variable]] = []
    elsewhere: list[Variable] = []
    refused: list[Variable] = []
    for variable in checkpoint.values():
        try:
            extents = variable.extents()
        except CheckpointError:
            refused.append(variable)
            continue
        if extents is None:
            elsewhere.append(variable)
        spans += [
            (extent.offset, extent.offset + extent.nbytes, variable)
            for extent in extents or ()
            if extent.path == shard and extent.nbytes
        ]
    spans.sort(key=lambda span: span[0])
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(spans))
    assert not _damaged(elsewhere, shards)
    return spans, elsewhere, refused


def _damaged(suspects: Sequence[Variable], shards: Sequence[str]) -> dict[str, Code]:
    """Check variables as `ckread check` does; give what is damaged, and how."""
    found = check_values(suspects, shards=shards).findings
    return {
        finding.variable or "": finding.code
        for finding in found
        if finding.level is Level.ERROR and finding.code is not Code.NOT_FINITE
    }


def _outcome(suspects: Sequence[Variable], shards: Sequence[str], may_be_refused: bool) -> str:
    damaged = _damaged(suspects, shards)
    if len(damaged) == 1 and (len(suspects) > 1 or suspects[0].name in damaged):
        return "named"
    return "of a refused tensor" if not damaged and may_be_refused else "missed"


PREFIXES = sorted(
    str(path.relative_to(FIXTURES)).removesuffix(".index") for path in FIXTURES.rglob("*.index")
)


def flip_all(prefixes: Iterable[str] = PREFIXES, step: int = 1) -> dict[str, Counter[str]]:
    """Flip every (`step`-th) byte of the data of checkpoints, in as many processes as cores."""
    counts = {prefix: Counter[str]() for prefix in prefixes}
    jobs = [job for prefix in counts for job in jobs_of(prefix, step)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context) as pool:
        for job, outcome in zip(jobs, pool.map(do, jobs), strict=True):
            counts[job.prefix] += outcome
    return counts


def main(prefixes: Sequence[str]) -> None:
    """Print what came of all flips."""
    total: Counter[str] = Counter()
    for prefix, counts in flip_all(prefixes or PREFIXES).items():
        total += counts
        told = ", ".join(f"{count:,} {word}" for word, count in counts.items())
        sys.stdout.write(f"{counts.total():>9,} {prefix}: {told}\n")
    told = ", ".join(f"{count:,} {word}" for word, count in total.items())
    sys.stdout.write(f"{total.total():>9,} flips: {told}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
