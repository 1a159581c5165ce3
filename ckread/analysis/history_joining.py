"""Logs of one training that was interrupted, put together epoch by epoch."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ckread.readers.history_log import HistoryLog

if TYPE_CHECKING:
    from collections.abc import Sequence

Values = tuple[float | None, ...]
"""A metric along the epochs; None where there is none."""


def numbered(logs: list[HistoryLog]) -> list[HistoryLog]:
    """Order logs by their first epoch; one without numbers continues the one before."""
    numbered: list[HistoryLog] = []
    last = 0
    for log in logs:
        if not log.is_numbered and numbered:
            epochs = tuple(epoch + last for epoch in log.epochs)
            log = HistoryLog(log.path, epochs, log.metrics, log.is_numbered, log.unit)
        numbered.append(log)
        last = log.epochs[-1]
    return sorted(numbered, key=lambda log: log.epochs[0])


def joined(
    logs: Sequence[HistoryLog],
) -> tuple[tuple[int, ...], dict[str, Values], tuple[int, ...]]:
    """Join logs: of an epoch in several of them, the later log counts.

    Returns:
        The epochs, rising; the metrics along them; the first epoch of each later log.
    """
    source: dict[int, int] = {}
    for number, log in enumerate(logs):
        source.update(dict.fromkeys(log.epochs, number))
    epochs = tuple(sorted(source))
    places = [{epoch: i for i, epoch in enumerate(log.epochs)} for log in logs]
    names = dict.fromkeys(name for log in logs for name in log.metrics)
    metrics = {
        name: tuple(
            logs[source[e]].metrics[name][places[source[e]][e]]
            if name in logs[source[e]].metrics
            else None
            for e in epochs
        )
        for name in names
    }
    seams = tuple(epoch for before, epoch in pairwise(epochs) if source[before] != source[epoch])
    return epochs, metrics, seams


def gaps(epochs: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Give the first and last of each stretch of epochs that are missing."""
    return tuple((a + 1, b - 1) for a, b in pairwise(epochs) if b > a + 1)
