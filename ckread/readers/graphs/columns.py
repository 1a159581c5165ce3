"""The object graph of very many variables as columns, its nodes decoded side by side.

    node 0A.. children   0A len  08 node_id  12 len local_name
         12.. variable   0A 0E VARIABLE_VALUE  12 len full_name  1A len key
         1A.. slot       08 node_id  12 len slot_name  18 node_id
         2A.. flag       08 00 or 08 01

Where messages begin is found by going from one to the next; what they hold is decoded in one
step of numpy for all. A node with anything else in it is decoded as `object_graph` does, and so
is any that is asked for as an object. `read_graph_columns` gives None for a graph that is
damaged, or of another kind: the careful way says what it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar, overload

import numpy as np

from ckread.errors import CheckpointError
from ckread.readers.contract import no_garbage_collection
from ckread.readers.graphs.object_graph import TrackableObject, check_size, parse_node
from ckread.readers.protobuf import MAX_PARTS, parse_varint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    Integers = NDArray[np.integer]
    Truths = NDArray[np.bool_]

T = TypeVar("T")

_PAD = 64
"""Zeros behind the last byte, which nothing that is looked at lies beyond."""

_CHILD, _ATTRIBUTE, _SLOT, _FLAG = 0x0A, 0x12, 0x1A, 0x2A
_TEXT, _KEY = 0x12, 0x1A
_FIRST_NUMBER, _LAST_NUMBER = 0x08, 0x18
_VARIABLE_VALUE = "VARIABLE_VALUE"
_VALUE = b"\x0a\x0e" + _VARIABLE_VALUE.encode()
_HAS_VALUES = b"\x2a\x02\x08\x01"
_MAX_NUMBER_NBYTES = 4
_MAX_DIGITS, _ZERO = 7, ord("0")
_FREE_ODD, _NODES_PER_ODD = 1000, 4
"""Of what has another form there may be so much."""


class _UnusualError(Exception):
    """It is not as TensorFlow writes it."""


class Lazy(Sequence[T], Generic[T]):
    """Things of which each is made when it is asked for, once."""

    def __init__(self, n: int, make: Callable[[int], T]) -> None:
        self._n = n
        self._make = make
        self._made: dict[int, T] = {}

    def __len__(self) -> int:
        """Count them."""
        return self._n

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        """Give one, or some."""
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(self._n))]
        made = self._made.get(at)
        if made is None:
            if not -self._n <= at < self._n:
                raise IndexError(at)
            made = self._made[at] = self._make(at % self._n)
        return made


class SlotColumns(NamedTuple):
    """The slot variables that objects list, in file order.

    Attributes:
        holder: of each the node that lists it.
        owner: the node of the variable that it is kept beside.
        slot: its own node.
        word: what it is called.
    """

    holder: Integers
    owner: Integers
    slot: Integers
    word: list[str]


class GraphColumns(NamedTuple):
    """A TrackableObjectGraph, as columns.

    Attributes:
        nodes: the trackable objects, made when they are asked for.
        parent: of each child the node that holds it, in file order.
        child: its node.
        name: its local name, by its number.
        names: the local names, each once.
        number: of each, the number that it is; -1 where it is none, or is spelled otherwise.
        variable: the nodes of the variables, in file order.
        full_names: of each, the name its program gave it.
        keys: of each, its checkpoint key.
        slots: the slot variables that objects list.
    """

    nodes: Sequence[TrackableObject]
    parent: Integers
    child: Integers
    name: Integers
    names: list[str]
    number: Integers
    variable: Integers
    full_names: list[str]
    keys: list[str]
    slots: SlotColumns


def read_graph_columns(buffer: bytes, n_tensors: int) -> GraphColumns | None:
    """Decode a TrackableObjectGraph of a checkpoint with so many tensors."""
    try:
        with no_garbage_collection():
            return _Decoder(buffer, check_size(buffer, n_tensors)).columns()
    except (CheckpointError, _UnusualError):
        return None


class _Decoder:
    """Decodes one graph."""

    def __init__(self, buffer: bytes, n_most: int) -> None:
        self._nbytes = len(buffer)
        self._buffer = buffer + bytes(_PAD)
        self._data = np.frombuffer(self._buffer, np.uint8)
        found, _ = _hops(self._buffer, [(0, self._nbytes)], min(n_most, MAX_PARTS))
        at = np.array(found, np.int64)
        if not found or (self._data[at] != _CHILD).any():
            raise _UnusualError
        self._start = self._numbers(at + 1)[1]
        self._stop = np.append(at[1:], self._nbytes)
        self._codes_of: defaultdict[bytes, int] = defaultdict()  # of texts that are no numbers
        self._codes_of.default_factory = self._codes_of.__len__

    def columns(self) -> GraphColumns:
        """Give all that it holds."""
        variable, full_names, keys = self._variables()
        edges, listed, is_odd = self._references_of(variable)
        node_at = partial(_node_at, self._buffer, self._start, self._stop)
        odd = [(i, node_at(i)) for i in np.flatnonzero(is_odd).tolist()]
        if len(odd) > _FREE_ODD + len(is_odd) // _NODES_PER_ODD:
            raise _UnusualError
        if odd:
            rows = [(i, at, self._code(name)) for i, one in odd for at, name in one.children]
            edges = _merged(edges, rows)
            all_slots = ((i, slot) for i, one in odd for slot in one.slot_variables)
            of_slots = [(i, one[0], one[2], self._code(one.slot_name)) for i, one in all_slots]
            listed = _merged(listed, of_slots)
            values = {
                i: value
                for i, one in odd
                for value in one.attributes
                if value.name == _VARIABLE_VALUE
            }
            n = len(variable)
            rows_of = [(i, n + row) for row, i in enumerate(values)]
            variable, order = _merged([variable, np.arange(n)], rows_of)
            full_names += [value.full_name for value in values.values()]
            keys += [value.checkpoint_key for value in values.values()]
            full_names, keys = ([all_[i] for i in order.tolist()] for all_ in (full_names, keys))
        parent, child, names = edges
        holder, owner, slot, words = listed
        if ((child < 0) | (child >= len(is_odd))).any():
            raise _UnusualError
        # Numbers come after all other texts, in order.
        codes, n = np.concatenate((names, words)), len(self._codes_of)
        numbers = -1 - codes[codes < 0]
        is_there = np.zeros(int(numbers.max(initial=0)) + 1, bool)
        is_there[numbers] = True
        once = np.flatnonzero(is_there)
        codes[codes < 0] = n + np.searchsorted(once, numbers)
        texts = [text.decode("utf-8", "surrogateescape") for text in self._codes_of]
        texts += map(str, once.tolist())
        told = [texts[code] for code in codes[len(names) :].tolist()]
        return GraphColumns(
            nodes=Lazy(len(is_odd), node_at),
            parent=parent,
            child=child,
            name=codes[: len(names)],
            names=texts,
            number=np.append(np.full(n, -1), once),
            variable=variable,
            full_names=full_names,
            keys=keys,
            slots=SlotColumns(holder, owner, slot, told),
        )

    def _references_of(self, variable: Integers) -> tuple[list[Integers], list[Integers], Truths]:
        """Decode the children and the slot variables of all nodes but these.

        A child is the node that holds it, its own and the number of its name; a slot variable
        the node that lists it, those of its owner and its own, and the number of its word.
        The last tells which nodes are of another form, and left out.
        """
        is_other = self._start < self._stop
        is_other[variable] = False
        others = np.flatnonzero(is_other)
        spans = zip(self._start[others].tolist(), self._stop[others].tolist(), strict=True)
        found, counts = _hops(self._buffer, spans, MAX_PARTS)
        at, node = np.array(found, np.int64), np.repeat(others, counts)
        data, tag = self._data, self._data[at]
        length, first, _ = self._numbers(at + 1)
        is_flag = (length == 0) | (length == 2) & (data[first] == 0x08) & (data[first + 1] < 2)
        children, slots = (np.flatnonzero(tag == one) for one in (_CHILD, _SLOT))
        child, name, is_child = self._references(first[children])
        owner, word, is_slot = self._references(first[slots])
        slot, end, is_short = self._numbers(word[1] + 1)
        is_child &= name[1] == (first + length)[children]
        is_slot &= is_short & (data[word[1]] == _LAST_NUMBER) & (end == (first + length)[slots])
        is_odd = np.zeros(len(is_other), bool)
        is_odd[node[(tag != _CHILD) & (tag != _SLOT) & ~(is_flag & (tag == _FLAG))]] = True
        is_odd[node[children[~is_child]]] = True
        is_odd[node[slots[~is_slot]]] = True
        is_child, is_slot = ~is_odd[node[children]], ~is_odd[node[slots]]
        names, words = self._codes(name, is_child), self._codes(word, is_slot)
        edges = [node[children][is_child], child[is_child], names]
        return edges, [node[slots][is_slot], owner[is_slot], slot[is_slot], words], is_odd

    def _variables(self) -> tuple[Integers, list[str], list[str]]:
        """Find the nodes that are a variable of the usual form; give full names and keys too."""
        data = self._data
        words = np.ndarray((len(data) - 7,), "<u8", buffer=data, strides=(1,))
        node = np.flatnonzero((data[self._start] == _ATTRIBUTE) & (self._start < self._stop))
        stop = self._stop[node]
        length, at, is_good = self._numbers(self._start[node] + 1)
        end = np.minimum(at + length, stop)
        is_good &= end == at + length
        has_values = (words[end] & np.uint64(0xFFFFFFFF)) == _word(_HAS_VALUES)
        is_good &= (end == stop) | has_values & (stop - end == len(_HAS_VALUES))
        is_good &= (words[at] == _word(_VALUE[:8])) & (words[at + 8] == _word(_VALUE[8:]))
        at += len(_VALUE)
        has_name = data[at] == _TEXT
        length, name_at, is_short = self._numbers(at + 1)
        name_at = np.where(has_name, name_at, at)
        name_stop = np.minimum(np.where(has_name, name_at + length, at), self._nbytes)
        is_good &= (is_short | ~has_name) & (data[name_stop] == _KEY)
        length, key_at, is_short = self._numbers(name_stop + 1)
        is_good &= is_short & (key_at + length == end)
        text = self._buffer.decode("latin-1")
        full_names, keys = (
            _texts(text, first[is_good].tolist(), last[is_good].tolist())
            for first, last in ((name_at, name_stop), (key_at, end))
        )
        return node[is_good], full_names, keys

    def _references(self, at: Integers) -> tuple[Integers, tuple[Integers, Integers], Truths]:
        """Decode the number of a node, and where the text after it begins and ends.

        The number is left out where it is 0. The last tells which are so.
        """
        has_number = self._data[at] == _FIRST_NUMBER
        number, after, is_good = self._numbers(at + 1)
        at = np.where(has_number, after, at)
        length, start, is_short = self._numbers(at + 1)
        is_good = (is_good | ~has_number) & is_short & (self._data[at] == _TEXT)
        stop = np.minimum(start + length, self._nbytes)
        return np.where(has_number, number, 0), (start, stop), is_good

    def _numbers(self, at: Integers) -> tuple[Integers, Integers, Truths]:
        """Decode the number at each place; give the places after them, and which are so short."""
        byte = self._data[at].astype(np.int64)
        value, after = byte & 0x7F, at + 1
        rest = np.flatnonzero(byte > 0x7F)
        for shift in range(7, 7 * _MAX_NUMBER_NBYTES, 7):
            byte = self._data[after[rest]].astype(np.int64)
            value[rest] |= (byte & 0x7F) << shift
            after[rest] += 1
            rest = rest[byte > 0x7F]
        is_short = np.ones(len(at), bool)
        is_short[rest] = False
        return value, after, is_short

    def _codes(self, span: tuple[Integers, Integers], chosen: Truths) -> Integers:
        """Number the texts that are chosen; what is a decimal number itself is -1 minus that."""
        buffer = self._buffer
        start, stop = (column[chosen] for column in span)
        found = -1 - self._decimals(start, stop - start)
        rest = np.flatnonzero(found == 0)
        starts, stops = start[rest].tolist(), stop[rest].tolist()
        raw = [buffer[start:stop] for start, stop in zip(starts, stops, strict=True)]
        found[rest] = np.fromiter(map(self._codes_of.__getitem__, raw), np.int64, len(raw))
        return found

    def _code(self, text: str) -> int:
        """Number one text, likewise."""
        raw = text.encode("utf-8", "surrogateescape")
        is_number = raw.isdigit() and len(raw) <= _MAX_DIGITS
        if is_number and (raw[0] != _ZERO or len(raw) == 1):
            return -1 - int(raw)
        return self._codes_of[raw]

    def _decimals(self, start: Integers, length: Integers) -> Integers:
        """Give the numbers that texts are; -1 where they are none, or are spelled otherwise."""
        data, found = self._data, np.full(len(start), -1)
        first = data[start]
        is_it = (first >= _ZERO) & (first < _ZERO + 10) & ((first != _ZERO) | (length == 1))
        at = np.flatnonzero(is_it & (length > 0) & (length <= _MAX_DIGITS))
        start, length = start[at], length[at]
        value, is_it = np.zeros(len(at), np.int64), np.ones(len(at), bool)
        for place in range(int(length.max(initial=0))):
            digit = data[start + place].astype(np.int64) - _ZERO
            is_in = place < length
            is_it &= ~is_in | (digit >= 0) & (digit < 10)
            value = np.where(is_in, 10 * value + digit, value)
        found[at[is_it]] = value[is_it]
        return found


def _node_at(buffer: bytes, starts: Integers, stops: Integers, i: int) -> TrackableObject:
    """Decode a node as an object."""
    return parse_node(buffer, int(starts[i]), int(stops[i]))


def _hops(
    buffer: bytes, spans: Iterable[tuple[int, int]], n_most: int
) -> tuple[list[int], list[int]]:
    """Find where the fields of some messages begin, and how many each has."""
    found: list[int] = []
    counts = []
    add, n_before = found.append, 0
    for start, stop in spans:
        at = start
        while at < stop:
            add(at)
            length = buffer[at + 1]
            if length < 0x80:
                at += length + 2
            elif buffer[at + 2] < 0x80:
                at += length + (buffer[at + 2] << 7) - 0x7D
            else:
                length, at = parse_varint(buffer, at + 1, stop)
                at += length
        counts.append(len(found) - n_before)
        n_before = len(found)
        if at != stop or counts[-1] > n_most:
            raise _UnusualError
    return found, counts


def _merged(columns: list[Integers], rows: Sequence[tuple[int, ...]]) -> list[Integers]:
    """Put rows into columns, by the first of these."""
    more = np.array(rows, np.int64).reshape(-1, len(columns)).T
    joined = [np.concatenate(both) for both in zip(columns, more, strict=True)]
    order = np.argsort(joined[0], kind="stable")
    return [column[order] for column in joined]


def _texts(text: str, starts: list[int], stops: list[int]) -> list[str]:
    """Give parts of a text whose letters stand for bytes."""
    found = [text[start:stop] for start, stop in zip(starts, stops, strict=True)]
    if not all(map(str.isascii, found)):
        found = [one.encode("latin-1").decode("utf-8", "surrogateescape") for one in found]
    return found


def _word(letters: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(letters, "little"))
