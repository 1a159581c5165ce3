"""How many bytes of a file are asked for at once: few requests, and few bytes nobody wants.

A request costs as much as some 64 KiB on the way. So what a reader says it will read is
asked for together where it lies close together, at most 8 MiB at a time, and with it what it
will read after that: some requests are on their way at once. Other small reads of a file that
is looked at, and not streamed, are rounded to blocks, which grow while they follow each other.

What came is kept by the thread that asked for it, as much as memory is to hold: other threads
find it there, or wait for it, and it goes when its thread does.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from concurrent.futures import Future
from threading import RLock, local
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

GAP_NBYTES = 64 << 10
"""Bytes that are rather read than left out by a request of their own."""
SPAN_NBYTES = 8 << 20
"""Of what is expected, asked for at once."""
_BLOCK_NBYTES = 64 << 10
_MAX_BLOCK_NBYTES = 1 << 20
_AHEAD_NBYTES, _N_AHEAD = 4 * SPAN_NBYTES, 32
"""Of what is expected, on its way at once: as many bytes and requests at most."""
_KEPT_NBYTES = 4 * _AHEAD_NBYTES
"""By one thread: four files may be streamed side by side."""
_SCALAR_NBYTES = 4 << 10
"""Of a file of values, where scalars lie side by side."""

Span = tuple[int, int]
Fetch: TypeAlias = "Callable[[Sequence[Span]], Sequence[bytes | Exception]]"
"""Brings several spans of a file at once; what could not be brought is told in its place."""


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


class _Piece:
    """Bytes of a file that were asked for; whoever wants them meanwhile waits."""

    def __init__(self, span: Span, *, is_expected: bool) -> None:
        self.start, self.stop = span
        self.nbytes = self.stop - self.start
        self.is_expected = is_expected
        self.coming: Future[bytes] = Future()


class _Kept(local):
    """What this thread asked for, the oldest first."""

    def __init__(self) -> None:
        self.pieces: deque[_Piece] = deque()
        self.nbytes = 0

    def add(self, piece: _Piece) -> None:
        self.pieces.append(piece)
        self.nbytes += piece.nbytes
        while self.nbytes > _KEPT_NBYTES:
            self.nbytes -= self.pieces.popleft().nbytes


_lock = RLock()
_kept = _Kept()


def begin_job() -> None:
    """Forget what this thread expected until now: it was read."""
    left = [piece for piece in _kept.pieces if not piece.is_expected]
    _kept.pieces, _kept.nbytes = deque(left), sum(piece.nbytes for piece in left)


class Ranges:
    """The bytes of a file of a size, by requests; threads may share it."""

    def __init__(self, nbytes: int, fetch: Fetch, *, in_blocks: bool) -> None:
        """Ask for nothing yet; with `in_blocks` small reads are rounded."""
        self.nbytes = nbytes
        self._fetch = fetch
        self._in_blocks = in_blocks
        self._expected: list[Span] = []
        self._starts: list[int] = []
        self._pieces: WeakValueDictionary[int, _Piece] = WeakValueDictionary()
        self._next, self._step = -GAP_NBYTES, _BLOCK_NBYTES

    def expect(self, spans: Iterable[Span]) -> None:
        """Take note of what will be read."""
        with _lock:
            new = [span for span in spans if not self._has(*span)]
            self._expected = merged([*self._expected, *new])

    def _has(self, start: int, stop: int) -> bool:
        piece = self._known(start)
        return piece is not None and stop <= piece.stop

    def read(self, offset: int, nbytes: int) -> bytes:
        """Give bytes, fewer where the file is at its end."""
        stop = min(offset + nbytes, self.nbytes)
        parts = [self._first_of(offset, stop)]
        while parts[-1] and (offset := offset + len(parts[-1])) < stop:
            parts.append(self._first_of(offset, stop))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _first_of(self, start: int, stop: int) -> bytes:
        """Give bytes as far as one piece has them."""
        with _lock:
            piece = self._known(start)
            new = [] if piece is not None else self._asked(start, stop)
        if piece is None:
            piece = new[0]
            self._bring(new)
        return piece.coming.result()[start - piece.start : stop - piece.start]

    def _known(self, start: int) -> _Piece | None:
        """Give the piece that has the byte at a place."""
        at = bisect_right(self._starts, start)
        for first in self._starts[max(0, at - 2) : at]:
            piece = self._pieces.get(first)
            if piece is None:
                self._starts.remove(first)
            elif start < piece.stop:
                return piece
        return None

    def _asked(self, start: int, stop: int) -> list[_Piece]:
        """Give what to ask for where these bytes are wanted: them, and what is expected next."""
        at = bisect_right(self._expected, (start, self.nbytes)) - 1
        if at < 0 or start >= self._expected[at][1]:
            span = self._rounded(start, stop)
            piece = _Piece(span, is_expected=False)
            if span[1] - span[0] <= SPAN_NBYTES and (self._in_blocks or span != (start, stop)):
                self._keep(piece)
            return [piece]
        end, total = at, 0
        for first, last in self._expected[at : at + _N_AHEAD]:
            total += last - first
            if end > at and total > _AHEAD_NBYTES:
                break
            end += 1
        pieces = [_Piece(span, is_expected=True) for span in self._expected[at:end]]
        del self._expected[at:end]
        for piece in pieces:
            self._keep(piece)
        return pieces

    def _keep(self, piece: _Piece) -> None:
        # What lies in it is found in it from now on.
        first, last = (bisect_left(self._starts, at) for at in (piece.start, piece.stop))
        self._starts[first:last] = [piece.start]
        self._pieces[piece.start] = piece
        _kept.add(piece)

    def _bring(self, pieces: Sequence[_Piece]) -> None:
        """Ask for pieces; those that do not come are asked for anew when they are wanted."""
        found: Sequence[bytes | BaseException] = ()
        try:
            found = self._fetch([(piece.start, piece.stop) for piece in pieces])
        except BaseException as error:
            found = [error] * len(pieces)
            raise
        finally:
            for piece, data in zip(pieces, found, strict=True):
                if isinstance(data, bytes):
                    piece.coming.set_result(data)
                    continue
                with _lock:
                    if self._pieces.get(piece.start) is piece:
                        del self._pieces[piece.start]
                piece.coming.set_exception(data)

    def _rounded(self, start: int, stop: int) -> Span:
        """Give what to ask for where bytes are wanted that nobody expected."""
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
