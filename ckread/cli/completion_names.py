"""What a variable name that is being typed may become: up to the next `/`, as paths do.

The checkpoint is opened as `ls` does, which takes no value from it. Where that would
take longer than a person waits, raw keys are read from the index alone.
"""

from __future__ import annotations

import os
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from ckread.model.location import INDEX_SUFFIX, saved_model_prefix
from ckread.model.paths import locate
from ckread.model.patterns import natural_key
from ckread.readers.contract import Format
from ckread.views.quantities import safe_text, shape_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LARGE_INDEX_NBYTES = 1 << 19
"""Of an index from which on only its keys are read: opening it takes 0.1 s and more."""

_NO_NAMES = (b"\0", b"_CHECKPOINTABLE_OBJECT_GRAPH")
"""How keys begin that are no variables: slices of partitioned ones, the object graph."""

_MAX_MEANT = 2000
"""Candidates from which on shapes are not said."""


class Kind(Enum):
    """What may stand in a command line."""

    WORD = auto()
    """A word of ckread's own, which needs no quotes."""
    PATH = auto()
    NAME = auto()


class Candidate(NamedTuple):
    """What may stand in place of the word at the cursor.

    Attributes:
        text: the whole word; one that ends in `/` goes on.
        meaning: a few words on it, or nothing.
        kind: what it is, for how a shell is to quote it.
    """

    text: str
    meaning: str = ""
    kind: Kind = Kind.NAME


def variable_names(path: str, typed: str) -> list[Candidate]:
    """Give what a name may become in the checkpoint at a path; keys where no name fits.

    Names that are not printable are given in the escaped form that ckread prints.

    Raises:
        CheckpointError: it cannot be opened.
    """
    keys = _keys_of_large_index(path, typed)
    if keys is not None:
        return [Candidate(text) for text in next_components(keys, typed)]
    from ckread.model.opening import open_checkpoint
    from ckread.model.role import Role

    with open_checkpoint(path) as checkpoint:
        variables = [v for v in checkpoint.values() if v.role is not Role.BOOKKEEPING]
        meanings = {safe_text(v.name): f"{v.dtype} {shape_text(v.shape)}" for v in variables}
        found = next_components(meanings, typed)
        found = found or next_components((safe_text(v.key) for v in variables), typed)
    if len(found) > _MAX_MEANT:
        meanings = {}
    return [Candidate(text, meanings.get(text, "")) for text in found]


def next_components(names: Iterable[str], typed: str) -> list[str]:
    """Give the names that begin so, each up to its next `/`; whole where it is the only one.

    Where they all go on alike, they are given one component further.
    """
    fitting = [name for name in names if name.startswith(typed) and name]
    while True:
        ends = [name.find("/", len(typed)) + 1 or len(name) for name in fitting]
        parts: dict[str, list[str]] = {}
        for name, end in zip(fitting, ends, strict=True):
            parts.setdefault(name[:end], []).append(name)
        found = [whole[0] if len(whole) == 1 else part for part, whole in parts.items()]
        if len(found) != 1 or len(fitting) == 1:
            return sorted(found, key=natural_key)
        [typed] = found


def _keys_of_large_index(path: str, typed: str) -> Iterator[str] | None:
    """Give the keys of a large index that begin so; None if the index is not large."""
    location = locate(path)
    is_model = location.format is Format.SAVED_MODEL
    prefix = saved_model_prefix(location.path) if is_model else location.path
    try:
        if os.path.getsize(prefix + INDEX_SUFFIX) < LARGE_INDEX_NBYTES:
            return None
    except OSError:
        return None
    return _keys(prefix + INDEX_SUFFIX, typed.encode("utf-8", "surrogateescape"))


def _keys(index: str, typed: bytes) -> Iterator[str]:
    """Read the blocks of an index up to the last in which a key may begin so."""
    from ckread.readers.regular_file import RegularFile
    from ckread.readers.table import Table

    with RegularFile(index) as file:
        table = Table(file)
        for handle in table.handles():
            entries = table.read_entries(handle)
            if entries and entries[0][0][: len(typed)] > typed:
                return
            for key, _ in entries:
                if key.startswith(typed) and not key.startswith(_NO_NAMES) and key:
                    yield safe_text(key.decode("utf-8", "surrogateescape"))
