"""Identities of the variables of TensorFlow 1: the key is the name.

A slot is called after its variable: `conv1/weights/Momentum`. Its owner is the longest
name before its last components that another variable of the same shape has.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

from ckread.model.evidence import Identity
from ckread.model.naming.graph import key_path, unescape
from ckread.model.naming.paths import unique_names
from ckread.model.optimizers import is_slot_scope, may_be_slot, slot_word, split_slot
from ckread.model.role import (
    Role,
    buffers,
    can_be_weight,
    is_metric_word,
    is_state_name,
    is_state_scope,
    is_state_word,
    is_weight_word,
    role_by_word,
    role_of_whole,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ckread.model.evidence import Evidence
    from ckread.readers.contract import DataType, TensorRecord


_ADAPTED = ("mean", "variance", "count")
_MEAN = ("total", "count")
_TABLE = ("keys", "values")
_TABLE_SLOTS = ("Adam", "Adagrad", "AdamAsync", "Ftrl", "Momentum", "RMSProp", "m", "v")
_TABLE_ENDS = ("-keys", "-values", "-freqs", "-versions")
_LEADS = 3
"""Scopes before or components after a variable's own name that a slot's name may have."""

_OUTPUT = re.compile(r":\d+\Z")
_PART = re.compile(r"_mht_\d+of\d+\Z")


def identify_names(tensors: Mapping[str, TensorRecord], evidence: Evidence) -> dict[str, Identity]:
    """Give the identity of every key of a name-based checkpoint.

    A saver that was given `{v.name: v}` writes keys that end in `:0`, which no name has.
    """
    names = {key: _OUTPUT.sub("", key) if ":" in key[-4:] else key for key in tensors}
    is_by_output = 2 * sum(key != name for key, name in names.items()) > len(names)
    if not is_by_output or len(set(names.values())) < len(names):
        return Names(tensors, evidence).identities()
    records = {names[key]: record for key, record in tensors.items()}
    found = Names(records, evidence).identities()
    return {key: found[name] for key, name in names.items()}


class Names:
    """The variables of a name-based checkpoint, by name."""

    def __init__(self, tensors: Mapping[str, TensorRecord], evidence: Evidence) -> None:
        self._tensors = tensors
        graph = evidence.meta_graph
        if graph is None and evidence.saved_model is not None:
            graph = evidence.saved_model.meta_graph
        listed = graph.collections if graph is not None else {}
        self._flags: dict[str, bool] = {}
        if "trainable_variables" in listed:
            trainable = {one.key for one in listed["trainable_variables"]}
            known = {one.key for variables in listed.values() for one in variables}
            self._flags = {key: key in trainable for key in known}
        self._of_model = {one.key for one in listed.get("model_variables", ())}
        custom = self._custom_words()
        self._slots = {
            key: slot
            for key, record in self._candidates(custom)
            if (slot := _slot(key, record, tensors, custom)) is not None
        }
        self._trained = {
            slot.owner for slot in self._slots.values() if slot.role is Role.SLOT and slot.owner
        }
        self._buffers = (
            buffers(
                ((key.rpartition("/")[0], record) for key, record in self._long()),
                {name.rpartition("/")[0] for name in self._trained},
            )
            if self._trained or self._flags
            else set()
        )

    # What goes through all of them; for very many there is a quicker way.

    def _custom_words(self) -> frozenset[str]:
        """Give unknown last components that always, and more than once, follow an equal shape."""
        found: dict[str, int] = {}
        lone: set[str] = set()
        for key, record in self._tensors.items():
            owner, _, suffix = key.rpartition("/")
            if suffix in lone:
                continue
            weight = self._tensors.get(owner)
            if weight is not None and weight.shape == record.shape and record.shape:
                found[suffix] = found.get(suffix, 0) + 1
            else:
                lone.add(suffix)
        return frozenset(
            suffix
            for suffix, n in found.items()
            if n > 1 and suffix not in lone and not is_state_word(suffix)
        )

    def _candidates(self, custom: frozenset[str]) -> Iterable[tuple[str, TensorRecord]]:
        """Give what may be a slot."""
        return (item for item in self._tensors.items() if may_be_slot(item[0], custom))

    def _long(self) -> Iterable[tuple[str, TensorRecord]]:
        """Give what may be part of a buffer, and perhaps more."""
        return self._tensors.items()

    def identities(self) -> dict[str, Identity]:
        """Give the identity of every variable; names of one kind, which most are, are told once."""
        found = {}
        told: dict[tuple[str, DataType, tuple[int, ...], bool], Role] = {}
        depends_on_all = bool(self._flags or self._buffers)
        for key, record in self._tensors.items():
            if key in self._slots:
                found[key] = self._slots[key]
                continue
            scope, _, word = key.rpartition("/")
            is_trained = key in self._trained
            kind = word, record.dtype, record.shape, is_trained
            is_own = depends_on_all or scope.startswith("training") or is_state_scope(scope)
            is_own = is_own or depends_on_others(word)
            role = None if is_own else told.get(kind)
            if role is None:
                role = self._role(key, record)
                if not is_own:
                    told[kind] = role
            trainable = False if role is Role.STATISTIC else None
            if role is Role.WEIGHT:
                trainable = self._flags.get(key, is_trained if self._trained else None)
            found[key] = Identity(key, role, trainable)
        return found

    def _role(self, name: str, record: TensorRecord) -> Role:
        """Give the role of what is no slot: what is trained first, then words, then the rest."""
        scope, _, word = name.rpartition("/")
        beside = f"{scope}/" if scope else ""
        role = role_by_word(_OUTPUT.sub("", word), record.dtype, record.shape)
        if role not in (None, Role.HYPERPARAMETER):
            return role
        if name in self._trained or self._flags.get(name):
            return Role.WEIGHT
        if role is not None:
            return role
        is_number = can_be_weight(record.dtype)
        if not record.shape and is_slot_scope(name) and is_number:
            return Role.HYPERPARAMETER
        if word in _ADAPTED and all(f"{beside}{other}" in self._tensors for other in _ADAPTED):
            return Role.STATISTIC
        if word in _MEAN and all(f"{beside}{other}" in self._tensors for other in _MEAN):
            return Role.METRIC
        if word.endswith(_TABLE_ENDS) and (table := _table(name, self._tensors)) is not None:
            return Role.WEIGHT if table else Role.TABLE
        if is_state_name(name) or scope in self._buffers:
            return Role.STATE
        if not record.shape and is_metric_word(word):
            return Role.METRIC
        if not is_number:
            return role_of_whole(word, record, is_trained=bool(self._trained or self._flags))
        is_left_out = self._flags.get(name) is False and name not in self._of_model
        return Role.STATE if is_left_out and not is_weight_word(word) else Role.WEIGHT


def depends_on_others(word: str) -> bool:
    """Tell whether the role of a variable called so depends on what is called beside it."""
    return word in _ADAPTED or word in _MEAN or word.endswith(_TABLE_ENDS)


def _table(name: str, tensors: Mapping[str, TensorRecord]) -> bool | None:
    """Tell the values of an embedding that is kept as a hash table; None if it is no table.

    Its values are vectors, and more than a lookup shows: it is called so, its rows are
    counted, or an optimizer keeps a table beside it.
    """
    stem, _, end = name.rpartition("-")
    if not all(f"{stem}-{other}" in tensors for other in _TABLE):
        return None
    values = tensors[f"{stem}-values"]
    if end != "values" or not can_be_weight(values.dtype) or len(values.shape) != 2:
        return False
    has_slots = any(f"{stem}/{word}-values" in tensors for word in _TABLE_SLOTS)
    is_part = _PART.search(stem) is not None
    return "emb" in stem.lower() or f"{stem}-freqs" in tensors or is_part or has_slots


def _slot(
    key: str,
    record: TensorRecord,
    tensors: Mapping[str, TensorRecord],
    custom: frozenset[str],
) -> Identity | None:
    """Give the identity of a slot or average, None for anything else."""
    stem, _, end = key.rpartition("-")
    if end == "values" and f"{stem}-keys" in tensors:
        part = _PART.search(stem)
        owner, suffix = split_slot(_PART.sub("", stem))
        values = f"{owner}{part[0] if part else ''}-values"
        word = slot_word(suffix)
        return Identity(key, Role.SLOT, None, values, word) if word and values in tensors else None
    owner, suffix = split_slot(key)
    word = slot_word(suffix)
    if not owner or (word is None and suffix not in custom):
        return Identity(key, Role.SLOT) if record.shape and is_slot_scope(key) else None
    if word is None and not suffix[0].isupper():  # called after no class of optimizer: `w/fisher`
        return Identity(key, Role.STATE)
    found = _owner(owner, record, tensors)
    is_average = suffix == "ExponentialMovingAverage"
    if found is None and not is_average and not (word and suffix[0].isupper()):
        return None
    return Identity(key, Role.AVERAGE if is_average else Role.SLOT, None, found, word or suffix)


def _owner(name: str, record: TensorRecord, tensors: Mapping[str, TensorRecord]) -> str | None:
    """Give the longest known name that begins or ends this one and has a fitting shape."""
    parts = name.split("/")
    cuts = range(min(_LEADS, len(parts)))
    beginnings = ("/".join(parts[: len(parts) - cut]) for cut in cuts)
    ends = ("/".join(parts[cut:]) for cut in cuts if cut)
    for candidate in chain(beginnings, ends):
        weight = tensors.get(candidate)
        if weight is None:
            continue
        whole = weight.shape  # or that less one axis
        factors = (whole[:axis] + whole[axis + 1 :] for axis in range(len(whole)))
        if record.shape == whole or (len(whole) > 1 and record.shape in factors):
            return candidate
    return None


# Identities of object-based keys alone, where the object graph is absent or damaged.

ATTRIBUTES = "/.ATTRIBUTES/"
"""Stands between the path of an object and the attribute that is stored."""

_SLOT = "/.OPTIMIZER_SLOT/"
_METRIC = re.compile(r"(^|/)(keras_api/metrics|_metrics|_compile_metrics)/")


def identify_keys(tensors: Mapping[str, TensorRecord]) -> dict[str, Identity]:
    """Give the identity of every key, from the keys, types and shapes alone."""
    optimizers = set()
    for key in tensors:
        path = key.partition(ATTRIBUTES)[0]
        for mark in ("_trainable_variables/", "_iterations", "_learning_rate"):
            before, found, after = path.rpartition(mark)
            if found and before[-1:] in ("", "/") and (not after or mark.endswith("/")):
                optimizers.add(before)
    drafts = {key: _draft(key, record, tensors, optimizers) for key, record in tensors.items()}
    names = unique_names({key: draft.name for key, draft in drafts.items()})
    return {
        key: draft._replace(name=names[key], owner=names.get(draft.owner or ""))
        for key, draft in drafts.items()
    }


def _draft(
    key: str,
    record: TensorRecord,
    tensors: Mapping[str, TensorRecord],
    optimizers: Collection[str],
) -> Identity:
    """Give an identity whose owner is still a key and whose name may be shared."""
    path, _, attribute = key.rpartition(ATTRIBUTES)
    if attribute != "VARIABLE_VALUE":
        return Identity(key_path(key), role_by_attribute(key, tensors))
    owner, is_slot, rest = path.partition(_SLOT)
    optimizer, _, word = rest.rpartition("/")
    if is_slot and word:
        owner_key = f"{owner}{ATTRIBUTES}VARIABLE_VALUE"
        name = "/".join(unescape(part) for part in (optimizer, owner, word) if part)
        stored = owner_key if owner_key in tensors else None
        role = Role.AVERAGE if word == "average" else Role.SLOT
        return Identity(name, role, owner=stored, slot=unescape(word))
    name = key_path(key)
    if _METRIC.search(path):
        return Identity(name, Role.METRIC)
    word = path.rpartition("/")[2]
    found = role_by_word(word, record.dtype, record.shape)
    if found is not None:
        return Identity(name, found, False if found is Role.STATISTIC else None)
    optimizer, is_trained, _ = path.rpartition("_trainable_variables/")
    if is_trained and optimizer in optimizers:
        return Identity(name, Role.WEIGHT, True)
    # Keras 3 keeps its slots in one list, after iterations and learning rate.
    optimizer, in_list, _ = path.rpartition("_variables/")
    if in_list and optimizer in optimizers:
        return Identity(name, Role.SLOT if record.shape else Role.OTHER)
    if is_state_name(unescape(path)):
        return Identity(name, Role.STATE)
    if not record.shape and is_metric_word(word):
        return Identity(name, Role.METRIC)
    return Identity(name, Role.WEIGHT if can_be_weight(record.dtype) else Role.OTHER)


def role_by_attribute(key: str, tensors: Mapping[str, TensorRecord]) -> Role:
    """Give the role of a key that is not the value of a variable."""
    attribute = key.rpartition(ATTRIBUTES)[2]
    if attribute.endswith(_TABLE_ENDS):
        is_slot = _SLOT in key
        return (Role.SLOT if is_slot else Role.WEIGHT) if _table(key, tensors) else Role.TABLE
    if "ITERATOR" in attribute:
        return Role.ITERATOR
    if key == "_CHECKPOINTABLE_OBJECT_GRAPH" or attribute == "OBJECT_CONFIG_JSON":
        return Role.BOOKKEEPING
    return Role.OTHER
