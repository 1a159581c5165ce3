"""Jobs of drift: tasks put together so that all processes are busy to the end.

A job opens every checkpoint once, so the first ones are long; they get shorter, so
that no process waits long for the others. How long a task takes, the checksums tell:
values that the checkpoint before has too are read and verified, and not compared.
"""

from __future__ import annotations

from operator import itemgetter, ne
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.drift_kernel import DriftTask

JOB_NBYTES = 1000 * 1000 * 1000
"""Bytes of a job, at most."""

_SHARE = 2
"""A job is this part of what a process would get of the rest."""
_MAX_JOBS_EACH = 16
_COMPARING = 1.5
"""What comparing values with two others takes, where reading and verifying them takes 1."""


def share_out(tasks: Sequence[DriftTask], n_jobs: int) -> list[tuple[DriftTask, ...]]:
    """Put tasks that are neighbours together into jobs, the longest first.

    Args:
        tasks: in the order of the files.
        n_jobs: processes that work.
    """
    efforts = [_effort(task) for task in tasks]
    left = sum(efforts)
    least = left / (_MAX_JOBS_EACH * n_jobs)
    jobs: list[tuple[float, tuple[DriftTask, ...]]] = []
    start = 0
    while start < len(tasks):
        wanted = min(max(left / (_SHARE * n_jobs), least), JOB_NBYTES)
        stop, effort = start + 1, efforts[start]
        while stop < len(tasks) and effort + efforts[stop] <= wanted:
            effort += efforts[stop]
            stop += 1
        jobs.append((effort, tuple(tasks[start:stop])))
        left -= effort
        start = stop
    jobs.sort(key=itemgetter(0), reverse=True)
    return [job for _, job in jobs]


def _effort(task: DriftTask) -> float:
    """Estimate the work of a task, in bytes that are read alone."""
    checksums = [getattr(source, "crc32c", None) for source in task.sources]
    n_compared: int = sum(map(ne, checksums, checksums[1:]))
    return task.nbytes * (1 + _COMPARING * n_compared / len(checksums))
