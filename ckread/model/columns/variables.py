"""Very many variables as columns: names cut into components, identities told once for many.

A `Variable` is made when it is asked for. What goes through all of them goes through the
columns: totals, the order of the model, the tree, the choice by patterns.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence, ValuesView
from functools import cached_property
from itertools import chain, islice, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ckread.model.display import Columns
from ckread.model.evidence import Identity
from ckread.model.role import Role
from ckread.model.selection import LEAF_RANK, compile_patterns, component_key, ranks_of
from ckread.model.variable import Variable, VariableKind
from ckread.readers.contract import no_garbage_collection

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from numpy.typing import NDArray

    from ckread.model.evidence import Evidence
    from ckread.readers.contract import CheckpointReader, Kind, TensorColumns

    Relation = tuple[Role, bool | None, str | None, str | None, tuple[str, ...], tuple[str, ...]]
    """An identity without its name, which many share."""
    Integers = NDArray[np.integer]

_CHUNK = 1 << 16
_LOW = re.compile(r"[\x01-.]")
MAX_DEPTH = 32
"""Components of a name; what has more is no case for columns."""


class Spelling:
    """Names cut at `/`.

    Attributes:
        components: each once.
        codes: of each name its components by their numbers, -1 behind its last.
        depth: of each name, how many it has.
        word: of each name, its last.
    """

    depth: Integers
    components: list[str]
    word: Integers
    codes: Integers

    def __init__(self, names: Sequence[str]) -> None:
        """Cut them.

        Raises:
            ValueError: a name is none that columns can hold.
        """
        numbers: defaultdict[str, int] = defaultdict()
        numbers.default_factory = numbers.__len__
        self.depth = np.fromiter(map(str.count, names, repeat("/")), np.int64, len(names)) + 1
        parts = []
        for at in range(0, len(names), _CHUNK):
            flat = "/".join(names[at : at + _CHUNK]).split("/")
            parts.append(np.fromiter(map(numbers.__getitem__, flat), np.int32, len(flat)))
        self.components = list(numbers)
        width = int(self.depth.max())
        if width > MAX_DEPTH or "\0" in "".join(self.components):
            raise ValueError
        codes = np.concatenate(parts)
        ends = np.cumsum(self.depth)
        self.word = codes[ends - 1]
        self.codes = np.full((len(names), width), -1, np.int32)
        self.codes[np.arange(width) < self.depth[:, None]] = codes

    def where(self, is_meant: Callable[[str], bool]) -> NDArray[np.bool_]:
        """Tell of each component whether it is meant; to be indexed by codes, -1 is not."""
        return np.array([*map(is_meant, self.components), False])

    def ends_in(self, is_meant: Callable[[str], bool]) -> NDArray[np.bool_]:
        """Tell of each name whether its last component is meant."""
        found = np.zeros(len(self.components), bool)
        for code in self._words:
            found[code] = is_meant(self.components[code])
        return found[self.word]

    @cached_property
    def _words(self) -> list[int]:
        return np.unique(self.word).tolist()  # type: ignore[no-any-return]

    @cached_property
    def has_low_letters(self) -> bool:
        """Whether there is a letter that comes before `/`: `a-b` between `a` and `a/b`."""
        return _LOW.search("\0".join(self.components)) is not None

    @cached_property
    def natural(self) -> Integers:
        """The place of each component in natural order; -1 comes before all."""
        keys = [component_key(component) for component in self.components]
        places = {key: place for place, key in enumerate(sorted(set(keys)))}
        return np.array([*map(places.__getitem__, keys), -1], np.int32)

    @cached_property
    def scopes(self) -> Integers:
        """A number for the scope of each name, all components but the last."""
        found = np.zeros(len(self.depth), np.int64)
        for column in range(self.codes.shape[1] - 1):
            code = found * (len(self.components) + 1) + self.scope_codes(column)
            found = np.unique(code, return_inverse=True)[1]
        return found

    def scope_codes(self, column: int) -> Integers:
        """Give of each name the component of its scope in a column; the scope of `/a` is none."""
        is_there = self.depth > column + 1
        if column == 0 and "" in self.components:
            is_there &= (self.depth > 2) | (self.codes[:, 0] != self.components.index(""))
        return np.where(is_there, self.codes[:, column], -1)


class IdentityColumns(Mapping[str, Identity]):
    """Identities by checkpoint key, as columns.

    Attributes:
        keys_in_order: the keys.
        names: of each key, its name.
        relations: what else of identities there is.
        relation: of each key, which of these.
        spelling: of the names.
        owner: of each key, the place of its owner, where its relation leaves that out; else -1.
    """

    def __init__(
        self,
        keys: list[str],
        names: list[str],
        relations: list[Relation],
        relation: Integers,
        spelling: Spelling,
        owner: Integers | None = None,
    ) -> None:
        self.keys_in_order: list[str] = keys
        self.names: list[str] = names
        self.relations: list[Relation] = relations
        self.relation: Integers = relation
        self.spelling: Spelling = spelling
        if owner is None:
            owner = np.broadcast_to(np.int32(-1), len(keys))
        self.owner: Integers = owner

    @classmethod
    def of(cls, keys: list[str], found: Mapping[str, Identity]) -> IdentityColumns:
        """Make them from single ones.

        Raises:
            ValueError: a name is none that columns can hold.
        """
        numbers: defaultdict[Relation, int] = defaultdict()
        numbers.default_factory = numbers.__len__
        rows = [found[key] for key in keys]
        with no_garbage_collection():
            relation = np.fromiter((numbers[row[1:]] for row in rows), np.int32, len(rows))
        names = [row[0] for row in rows]
        return cls(keys, names, list(numbers), relation, Spelling(names))

    @cached_property
    def _places(self) -> dict[str, int]:
        return dict(zip(self.keys_in_order, range(len(self)), strict=True))

    def at(self, place: int) -> Identity:
        """Make the identity at a place."""
        relation, owner = self.relations[self.relation[place]], int(self.owner[place])
        if owner >= 0:
            relation = (*relation[:2], self.names[owner], *relation[3:])
        return Identity(self.names[place], *relation)

    def in_order(self) -> Iterator[Identity]:
        """Make one identity after the other."""
        make_identity = tuple.__new__  # what Identity(...) calls, without the call
        relations = map(self.relations.__getitem__, self.relation.tolist())
        for name, relation, owner in zip(self.names, relations, self.owner.tolist(), strict=True):
            if owner < 0:
                yield make_identity(Identity, (name, *relation))
            else:
                told = (name, *relation[:2], self.names[owner], *relation[3:])
                yield make_identity(Identity, told)

    def owners(self, places: Integers) -> Iterable[str | None]:
        """Give the owners at some places."""
        names, relations, owner = self.names, self.relations, self.owner[places]
        if not (owner >= 0).any():
            told = [relation[2] for relation in relations]
            return map(told.__getitem__, self.relation[places].tolist())
        cells = zip(self.relation[places].tolist(), owner.tolist(), strict=True)
        return [names[of] if of >= 0 else relations[at][2] for at, of in cells]

    def __getitem__(self, key: str) -> Identity:
        """Make the identity of a key."""
        return self.at(self._places[key])

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        return iter(self.keys_in_order)

    def __len__(self) -> int:
        """Count them."""
        return len(self.keys_in_order)


class VariableColumns(Mapping[str, Variable]):
    """The variables of a checkpoint by name, as columns.

    Attributes:
        tensors: what the file lists.
        identities: relation they are, in the same order.
        names: what they are called, likewise.
    """

    def __init__(
        self, tensors: TensorColumns, identities: IdentityColumns, reader: CheckpointReader
    ) -> None:
        self.tensors: TensorColumns = tensors
        self.identities: IdentityColumns = identities
        self.names: list[str] = identities.names
        self._reader = reader
        self._made: dict[int, Variable] = {}

    def __len__(self) -> int:
        """Count them."""
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is one of this name."""
        return isinstance(name, str) and self._place(name) is not None

    def __getitem__(self, name: str) -> Variable:
        """Give the variable of a name."""
        place = self._place(name)
        if place is None:
            raise KeyError(name)
        return self.at(place)

    def are_like(self, others: VariableColumns) -> bool:
        """Tell whether all but values, and where they lie, is that of others."""
        who, other = self.identities, others.identities
        return (
            self.names == others.names
            and self.tensors.are_built_like(others.tensors)
            and who.relations == other.relations
            and np.array_equal(who.relation, other.relation)
            and np.array_equal(who.owner, other.owner)
        )

    def _place(self, name: str) -> int | None:
        if self.names is self.tensors.keys_in_order:
            return self.tensors.place(name)
        return self._places.get(name)

    @cached_property
    def _places(self) -> dict[str, int]:
        return dict(zip(self.names, range(len(self)), strict=True))

    def of_key(self, key: str) -> Variable | None:
        """Give the variable of a checkpoint key."""
        place = self.tensors.place(key)
        return None if place is None else self.at(place)

    def at(self, place: int) -> Variable:
        """Give the variable at a place, always the same one."""
        made = self._made.get(place)
        if made is None:
            made = Variable(self.tensors.record(place), self.identities.at(place), self._reader)
            self._made[place] = made
        return made

    def values(self) -> ValuesView[Variable]:
        """Give all variables."""
        if len(self._made) < len(self):
            some, reader, identities = self._made, self._reader, self.identities.in_order()
            with no_garbage_collection():
                self._made = {
                    i: some.get(i) or Variable(record, identity, reader)
                    for i, (record, identity) in enumerate(
                        zip(self.tensors.rows(), identities, strict=True)
                    )
                }
        return self._made.values()

    def some(self, places: Integers) -> list[Variable]:
        """Give the variables at some places."""
        if 2 * len(places) > len(self):
            self.values()  # all at once are made three times as fast
        return [self.at(place) for place in places.tolist()]

    # What is asked of all of them.

    @cached_property
    def role_numbers(self) -> Integers:
        """The role of each, by its number."""
        return self._role_of_relation[self.identities.relation]

    @cached_property
    def _role_of_relation(self) -> Integers:
        numbers = {role: number for number, role in enumerate(Role)}
        return np.array([numbers[relation[0]] for relation in self.identities.relations], np.int8)

    def have_role(self, roles: Collection[Role]) -> NDArray[np.bool_]:
        """Tell of each whether it has one of some roles."""
        return np.array([role in roles for role in Role])[self.role_numbers]

    def of_role(self, roles: Collection[Role]) -> Integers:
        """Give the places of the variables of some roles."""
        return np.flatnonzero(self.have_role(roles))

    @property
    def are_parameters(self) -> NDArray[np.bool_]:
        """Tell of each whether it is a parameter."""
        return self.have_role([role for role in Role if role.is_parameter])

    def of_word(self, words: Collection[str]) -> Integers:
        """Give the places of the variables whose names end in one of some components."""
        return np.flatnonzero(self.identities.spelling.ends_in(words.__contains__))

    @property
    def tied(self) -> Integers:
        """The places of those that stand in a second place in the model."""
        is_tied = np.array([bool(relation[-1]) for relation in self.identities.relations])
        return np.flatnonzero(is_tied[self.identities.relation])

    def alike(self, roles: Collection[Role]) -> list[Integers]:
        """Give the places of those of some roles that have one checksum, type and size, by groups.

        Scalars are left out.
        """
        contents: dict[tuple[str, int], int] = {}
        of_kind = [
            contents.setdefault((dtype, math.prod(shape)), len(contents))
            for dtype, shape, _ in self.tensors.kinds
        ]
        is_scalar = np.array([math.prod(shape) < 2 for _, shape, _ in self.tensors.kinds])
        chosen = np.flatnonzero(self.have_role(roles) & ~is_scalar[self.tensors.kind])
        code = self.tensors.crc32c[chosen].astype(np.int64) * len(contents)
        code += np.array(of_kind, np.int64)[self.tensors.kind[chosen]]
        chosen = chosen[order := np.argsort(code, kind="stable")]
        starts = np.flatnonzero(np.diff(code[order], prepend=-1, append=-1))
        runs = np.flatnonzero(np.diff(starts) > 1)
        groups = [chosen[starts[run] : starts[run + 1]] for run in runs.tolist()]
        return sorted(groups, key=lambda group: int(group[0]))

    @cached_property
    def kinds(self) -> dict[VariableKind, int]:
        """How many there are of each kind, in the order in which kinds are met."""
        pairs = [relation[:2] for relation in self.identities.relations]
        alike = {pair: number for number, pair in enumerate(dict.fromkeys(pairs))}
        pair_of = np.array([alike[pair] for pair in pairs], np.int64)[self.identities.relation]
        n_kinds = len(self.tensors.kinds)
        found, first, count = np.unique(
            pair_of * n_kinds + self.tensors.kind, return_index=True, return_counts=True
        )
        told = list(alike)
        kinds: dict[VariableKind, int] = {}
        for i in np.argsort(first).tolist():
            pair, number = divmod(int(found[i]), n_kinds)
            dtype, shape, nbytes = self.tensors.kinds[number]
            one = VariableKind(*told[pair], dtype, shape, nbytes)
            kinds[one] = kinds.get(one, 0) + int(count[i])
        return kinds

    def order(self, evidence: Evidence) -> Integers:
        """Give the places in the order of the model, as `model_order`."""
        spelling = self.identities.spelling
        ranks = ranks_of(zip(self.tensors, self.names, strict=True), evidence)
        natural, depth = spelling.natural, spelling.depth
        leaves = [LEAF_RANK.get(component, len(LEAF_RANK)) for component in spelling.components]
        first: list[Integers] = []
        ranked: list[Integers] = []
        if ranks:
            last = len(ranks)
            rank = np.fromiter(map(ranks.get, self.tensors, repeat(last)), np.int64)
            of_scope = np.full(int(spelling.scopes.max()) + 1, last)
            np.minimum.at(of_scope, spelling.scopes, rank)
            first, ranked = [of_scope[spelling.scopes]], [rank]
        part = np.where(self.are_parameters, 0, np.where(depth > 1, 1, 2)).astype(np.int8)
        scopes = map(spelling.scope_codes, range(spelling.codes.shape[1] - 1))
        leaf = np.array(leaves, np.int8)[spelling.word]
        ends = [leaf, *ranked, natural[spelling.word]]
        return _sorted_by(chain([part], first, map(natural.__getitem__, scopes), ends))

    def sorted(self, places: Integers, order: str, evidence: Evidence) -> Integers:
        """Give some places in an order of `ls`: of the model or file, by name, bytes, elements."""
        if order == "file":
            return places
        if order == "model":
            ordered = self.order(evidence)
            is_chosen = np.zeros(len(ordered), bool)
            is_chosen[places] = True
            return ordered[is_chosen[ordered]]
        spelling, kinds = self.identities.spelling, self.tensors.kinds
        keys = list(spelling.natural[spelling.codes[places]].T[::-1])
        if order == "name":
            keys.append(~self.are_parameters[places])
        else:
            sizes = [-nbytes if order == "bytes" else -math.prod(s) for _, s, nbytes in kinds]
            ranks = {size: rank for rank, size in enumerate(sorted(set(sizes)))}
            keys.append(np.array([ranks[size] for size in sizes])[self.tensors.kind[places]])
        return places[np.lexsort(keys)]

    def select(self, places: Integers, patterns: str | Sequence[str]) -> Integers:
        """Give those of some places that any of the patterns means, as `select`."""
        if not patterns:
            return places
        names, keys = self.names, self.tensors.keys_in_order
        there = [(names[i], keys[i]) for i in places.tolist()]
        is_meant = compile_patterns(patterns, there)
        chosen: Integers = places[np.fromiter(map(is_meant, there), bool, len(there))]
        return chosen


def _sorted_by(keys: Iterable[Integers]) -> Integers:
    """Give the places in the order of the first key, then of the second and so on.

    As `numpy.lexsort`, which sorts once for each: here several are one number.
    """
    packed: list[Integers] = []
    room = _MAX_PACKED
    for key in keys:
        low = int(key.min(initial=0))
        n_values = int(key.max(initial=0)) - low + 1
        if room * n_values < _MAX_PACKED:
            packed[-1] = packed[-1] * n_values + (key - low)
            room *= n_values
        else:
            packed.append(key.astype(np.int64) - low)
            room = n_values
    return np.lexsort(packed[::-1])


_MAX_PACKED = 1 << 62

_OF_RELATION: dict[str, Callable[[Relation], Any]] = {
    name: itemgetter(at) for at, name in ((0, "role"), (1, "trainable"), (3, "slot"))
}
_OF_KIND: dict[str, Callable[[Kind], Any]] = {
    "dtype": itemgetter(0),
    "shape": itemgetter(1),
    "elements": lambda kind: math.prod(kind[1]),
    "nbytes": itemgetter(2),
}


class SomeVariables(Columns[Variable]):
    """Variables of some columns, by their places.

    Attributes:
        columns: those of the checkpoint.
        places: where in these each of them is.
    """

    def __init__(self, columns: VariableColumns, places: Integers) -> None:
        self.columns: VariableColumns = columns
        self.places: Integers = places

    def __len__(self) -> int:
        """Count them."""
        return len(self.places)

    @cached_property
    def rows(self) -> Sequence[Variable]:
        """The variables themselves."""
        return self.columns.some(self.places)

    def __iter__(self) -> Iterator[Variable]:
        """Iterate over them: the first is often enough, more are made all at once."""
        yield from map(self.columns.at, self.places[:1].tolist())
        yield from islice(self.rows, 1, None)

    def column(self, name: str) -> list[Any] | None:
        """Give an attribute of all of them; None where the columns do not tell it."""
        identities, tensors = self.columns.identities, self.columns.tensors
        told: list[Any]
        if name == "owner":
            return list(identities.owners(self.places))
        if name in _OF_RELATION:
            told = list(map(_OF_RELATION[name], identities.relations))
            numbers = identities.relation[self.places]
        elif name in _OF_KIND:
            told = list(map(_OF_KIND[name], tensors.kinds))
            numbers = tensors.kind[self.places]
        elif name in ("name", "key"):
            told = self.columns.names if name == "name" else tensors.keys_in_order
            numbers = self.places
        else:
            return None
        return list(map(told.__getitem__, numbers.tolist()))

    @overload
    def __getitem__(self, at: int) -> Variable: ...
    @overload
    def __getitem__(self, at: slice) -> SomeVariables: ...
    def __getitem__(self, at: int | slice) -> Variable | SomeVariables:
        """Give one, or some of them."""
        if isinstance(at, slice):
            return SomeVariables(self.columns, self.places[at])
        return self.columns.at(int(self.places[at]))
