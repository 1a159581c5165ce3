"""Identities of very many variables by name, told once for those that are told alike.

A role follows from the last component, the type, the shape, and whether an optimizer trains the
variable: what depends on more, as slots and what lies in known containers, is told one by one.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ckread.model.columns.variables import IdentityColumns, Spelling
from ckread.model.naming.by_name import Names, depends_on_others
from ckread.model.optimizers import may_be_slot
from ckread.model.role import LONG, Role, is_container, is_state_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from ckread.model.columns.variables import Relation
    from ckread.model.evidence import Evidence, Identity
    from ckread.readers.contract import TensorColumns, TensorRecord


def identify_many(tensors: TensorColumns, evidence: Evidence) -> Mapping[str, Identity] | None:
    """Give the identity of every key; None where names are none that columns can hold."""
    try:
        spelling = Spelling(tensors.keys_in_order)
    except ValueError:
        return None
    if spelling.ends_in(lambda word: ":" in word[-4:]).any():
        return None
    return _ManyNames(tensors, evidence, spelling).columns()


class _ManyNames(Names):
    """The variables of a name-based checkpoint, as columns."""

    _tensors: TensorColumns

    def __init__(self, tensors: TensorColumns, evidence: Evidence, spelling: Spelling) -> None:
        self._spelling = spelling
        self._tensors = tensors
        super().__init__(tensors, evidence)

    def _custom_words(self) -> frozenset[str]:
        tensors, word = self._tensors, self._spelling.word
        order = np.argsort(word, kind="stable")
        starts = np.flatnonzero(np.diff(word[order], prepend=-1))
        ends = np.append(starts[1:], len(order))
        is_long = ends - starts > 1
        bounds = zip(starts[is_long].tolist(), ends[is_long].tolist(), strict=True)
        members = (order[start:end] for start, end in bounds)
        followed = {
            self._spelling.components[word[some[0]]]
            for some in members
            if all(self._follows_its_like(tensors.record(int(place))) for place in some)
        }
        return frozenset(one for one in followed if not is_state_word(one))

    def _follows_its_like(self, record: TensorRecord) -> bool:
        weight = self._tensors.get(record.key.rpartition("/")[0])
        return weight is not None and weight.shape == record.shape and bool(record.shape)

    def _candidates(self, custom: frozenset[str]) -> Iterator[tuple[str, TensorRecord]]:
        spelling = self._spelling
        is_word = spelling.ends_in(lambda word: may_be_slot(f"/{word}", custom))
        return self._at(is_word | self._in_training)

    @cached_property
    def _in_training(self) -> NDArray[np.bool_]:
        """Of each name, whether it begins so."""
        is_first = self._spelling.where(lambda component: component.startswith("training"))
        return is_first[self._spelling.codes[:, 0]]

    def _long(self) -> Iterator[tuple[str, TensorRecord]]:
        kinds = self._tensors.kinds
        is_long = np.array([bool(shape) and shape[0] >= LONG for _, shape, _ in kinds], bool)
        return self._at(is_long[self._tensors.kind])

    def _at(self, chosen: NDArray[np.bool_]) -> Iterator[tuple[str, TensorRecord]]:
        for place in np.flatnonzero(chosen).tolist():
            record = self._tensors.record(place)
            yield record.key, record

    def columns(self) -> Mapping[str, Identity]:
        """Give the identity of every variable."""
        if self._flags or self._buffers:
            return self.identities()
        tensors, spelling = self._tensors, self._spelling
        numbers: defaultdict[Relation, int] = defaultdict()
        numbers.default_factory = numbers.__len__
        relation = np.full(len(tensors), -1, np.int32)
        for key, slot in self._slots.items():
            relation[tensors.place(key)] = numbers[slot[1:]]
        is_trained = np.zeros(len(tensors), bool)
        places = [tensors.place(name) for name in self._trained]
        is_trained[[place for place in places if place is not None]] = True
        is_own = spelling.ends_in(depends_on_others)
        is_own |= self._in_training & (spelling.depth > 1)
        if is_container("\n".join(spelling.components)):
            is_meant = spelling.where(is_container)
            for column in range(spelling.codes.shape[1] - 1):
                is_own |= is_meant[spelling.codes[:, column]] & (spelling.depth > column + 1)
        alike = (spelling.word.astype(np.int64) * len(tensors.kinds) + tensors.kind) * 2
        alike += is_trained
        alike[is_own] = -1 - np.flatnonzero(is_own)
        rest = np.flatnonzero(relation < 0)
        _, first, inverse = np.unique(alike[rest], return_index=True, return_inverse=True)
        told = []
        for place in rest[first].tolist():
            record = tensors.record(place)
            role = self._role(record.key, record)
            trainable = False if role is Role.STATISTIC else None
            if role is Role.WEIGHT and self._trained:
                trainable = bool(is_trained[place])
            told.append(numbers[role, trainable, None, None, (), ()])
        relation[rest] = np.array(told, np.int32)[inverse]
        keys = tensors.keys_in_order
        return IdentityColumns(keys, keys, list(numbers), relation, spelling)
