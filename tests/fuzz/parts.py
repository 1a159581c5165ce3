"""Mutants of several parts: an index and its data, members of an archive, files of a run.

A kind of file has parts by name, which are changed, and is built of them at the end, so that
every checksum is right whatever the parts say. Parts travel as one piece: a line of JSON with
their sizes by name, then their bytes. That is what is kept of a mutant that failed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.fuzz.mutation import mutated

if TYPE_CHECKING:
    from tests.fuzz.workplace import Workplace

Parts = dict[str, bytes]
MAX_NBYTES = 1 << 18
"""Mutants of mutants may grow beyond all bounds, and then only time is spent."""
Change = Callable[[Parts, Sequence[Parts], Random], None]


def pack(parts: Parts) -> bytes:
    """Give parts as one piece of bytes."""
    sizes = json.dumps({name: len(data) for name, data in parts.items()}).encode()
    return b"\n".join((sizes, b"".join(parts.values())))


def unpack(data: bytes) -> Parts:
    """Give the parts of what `pack` made."""
    sizes, _, rest = data.partition(b"\n")
    parts, at = {}, 0
    for name, size in json.loads(sizes).items():
        parts[name] = rest[at : at + size]
        at += size
    return parts


def mutate_some_part(parts: Parts, others: Sequence[Parts], rng: Random) -> None:
    """Change the bytes of one part."""
    name = rng.choice(sorted(parts))
    spare = rng.choice(others).get(name, b"")
    parts[name] = mutated(parts[name], [parts[name], spare], rng)


@dataclass(frozen=True)
class Kind:
    """A kind of checkpoint, log or picture that is made of parts.

    Attributes:
        name: what it is called.
        path: what is opened, of the files that are built.
        seeds: parts of sound ones.
        change: changes parts in place.
        build: files by name, of parts; it takes any parts.
        suits: the commands that take it.
    """

    name: str
    path: str
    seeds: Callable[[], list[Parts]]
    change: Change = mutate_some_part
    build: Callable[[Parts], Parts] = dict
    suits: tuple[str, ...] = ()

    def mutate(self, data: bytes, seeds: Sequence[bytes], rng: Random) -> bytes:
        """Change packed parts."""
        parts = unpack(data)
        others = [unpack(rng.choice(seeds))]
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            self.change(parts, others, rng)
        changed = pack(parts)
        return changed if len(changed) <= MAX_NBYTES else rng.choice(seeds)

    def write(self, parts: Parts, place: Workplace) -> str:
        """Build the files; give the path that is opened."""
        for name, data in self.build(parts).items():
            place.write_new(name, data)
        return place.path(self.path)
