"""How many bytes of a file are asked for at once: few requests, and few bytes nobody wants.

A request costs as much as some 64 KiB on the way. So what a reader says it will read is
asked for together where it lies close together, at most 8 MiB at a time; other small reads of
a file that is looked at, and not streamed, are rounded to blocks, which grow while they follow
each other.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GAP_NBYTES = 64 << 10
"""Bytes that are rather read than left out by a request of their own."""
SPAN_NBYTES = 8 << 20
"""Of what is expected, asked for at once."""
_BLOCK_NBYTES = 64 << 10
_MAX_BLOCK_NBYTES = 1 << 20
_KEPT_NBYTES = 64 << 20
_SCALAR_NBYTES = 4 << 10
"""Of a file of values, where scalars lie side by side."""

Span = tuple[int, int]


def merged(spans: Iterable[Span]) -> list[Span]:
    """Join spans (start, stop) of bytes between which little is left out; in order."""
    joined: list[Span] = []
    for start, stop in sorted(spans):
        if joined and start - joined[-1][1] < GAP_NBYTES:
            first, last = joined[-1]
            if max(last, stop) - first <= SPAN_NBYTES:
                joined[-1] = first, max(last, stop)
                continue
        joined += [
            (at, min(at + SPAN_NBYTES, stop))
            for at in range(max(start, joined[-1][1] if joined else 0), stop, SPAN_NBYTES)
        ]
    return joined


class _Kept(dict[tuple["Ranges", int], bytes]):
    """What came, by file and place, the oldest first: as much as memory is to hold of all files."""

    nbytes = 0


_lock = RLock()
_kept = _Kept()


class Ranges:
    """The bytes of a file of a size, by requests `fetch(start, stop)`; threads may share it."""

    def __init__(self, nbytes: int, fetch: Callable[[int, int], bytes], *, in_blocks: bool) -> None:
        """Ask for nothing yet; with `in_blocks` small reads are rounded."""
        self.nbytes = nbytes
        self._fetch = fetch
        self._in_blocks = in_blocks
        self._expected: list[Span] = []
        self._starts: list[int] = []
        self._next, self._step = -GAP_NBYTES, _BLOCK_NBYTES

    def expect(self, spans: Iterable[Span]) -> None:
        """Take note of what will be read."""
        with _lock:
            new = [span for span in spans if self._known(*span) is None]
            self._expected = merged([*self._expected, *new])

    def read(self, offset: int, nbytes: int) -> bytes:
        """Give bytes, fewer where the file is at its end."""
        stop = min(offset + nbytes, self.nbytes)
        with _lock:
            known = self._known(offset, stop)
            if known is not None:
                return known
            start, end = self._span_of(offset, stop)
        data = self._fetch(start, end)
        is_worth = self._in_blocks or (start, end) != (offset, stop)
        if is_worth and end - start <= SPAN_NBYTES:
            with _lock:
                self._keep(start, data)
        return data[offset - start : stop - start]

    def _known(self, start: int, stop: int) -> bytes | None:
        at = bisect_right(self._starts, start)
        for first in self._starts[max(0, at - 2) : at]:
            data = _kept[self, first]
            if stop <= first + len(data):
                return data[start - first : stop - first]
        return None

    def _keep(self, start: int, data: bytes) -> None:
        if start in self._starts:
            _kept.nbytes -= len(_kept.pop((self, start)))
        else:
            insort(self._starts, start)
        _kept[self, start] = data
        _kept.nbytes += len(data)
        while _kept.nbytes > _KEPT_NBYTES:
            ranges, first = oldest = next(iter(_kept))
            _kept.nbytes -= len(_kept.pop(oldest))
            ranges._starts.remove(first)

    def _span_of(self, start: int, stop: int) -> Span:
        """Give what to ask for where these bytes are wanted."""
        at = bisect_right(self._expected, (start, self.nbytes)) - 1
        if at >= 0 and stop <= self._expected[at][1]:
            return self._expected.pop(at)
        if not self._in_blocks:
            first = start // _SCALAR_NBYTES * _SCALAR_NBYTES
            last = min(first + _SCALAR_NBYTES, self.nbytes)
            is_small = stop <= last and stop - start < _SCALAR_NBYTES
            return (first, last) if is_small else (start, stop)
        if stop - start >= _MAX_BLOCK_NBYTES:
            return start, stop
        is_next = 0 <= start - self._next < GAP_NBYTES
        self._step = min(2 * self._step, _MAX_BLOCK_NBYTES) if is_next else _BLOCK_NBYTES
        first = self._next if is_next else start // _BLOCK_NBYTES * _BLOCK_NBYTES
        last = min(max(stop, first + self._step), self.nbytes)
        self._next = last
        return first, last
