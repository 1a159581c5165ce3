"""Identities of the variables of TensorFlow 1: the key is the name.

A slot is called after its variable: `conv1/weights/Momentum`. Its owner is the longest
name before its last components that another variable of the same shape has.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ckread.model.evidence import Identity
from ckread.model.naming.path_tree import key_path, unescape
from ckread.model.naming.paths import unique_names
from ckread.model.optimizers import is_slot_scope, may_be_slot, slot_word, split_slot
from ckread.model.role import Role, can_be_weight, role_by_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ckread.model.evidence import Evidence
    from ckread.readers.contract import TensorRecord
    from ckread.readers.dtypes import DataType


_ADAPTED = ("mean", "variance", "count")
_TABLE_ENDS = ("-keys", "-values")
_LEADS = 3
"""Scopes before or components after a variable's own name that a slot's name may have."""


def identify_names(tensors: Mapping[str, TensorRecord], evidence: Evidence) -> dict[str, Identity]:
    """Give the identity of every key of a name-based checkpoint."""
    graph = evidence.meta_graph
    if graph is None and evidence.saved_model is not None:
        graph = evidence.saved_model.meta_graph
    flags: dict[str, bool] = {}
    if graph is not None and "trainable_variables" in graph.collections:
        listed = {one.key for one in graph.collections["trainable_variables"]}
        known = {one.key for variables in graph.collections.values() for one in variables}
        flags = {key: key in listed for key in known}
    custom = _custom_words(tensors)
    slots = {}
    for key, record in tensors.items():
        if may_be_slot(key, custom) and (slot := _slot(key, record, tensors, custom)) is not None:
            slots[key] = slot
    trained = {slot.owner for slot in slots.values() if slot.role is Role.SLOT and slot.owner}
    identities = {}
    for key, role in _roles(tensors, slots, flags):
        if role is Role.WEIGHT:
            trainable = flags.get(key, key in trained if trained else None)
            identities[key] = Identity(key, role, trainable)
        else:
            identities[key] = slots.get(key) or Identity(
                key, role, False if role is Role.STATISTIC else None
            )
    return identities


def _roles(
    tensors: Mapping[str, TensorRecord], slots: Mapping[str, Identity], flags: Mapping[str, bool]
) -> Iterator[tuple[str, Role]]:
    """Yield key and role in file order; keys of one kind, which most are, are told once."""
    told: dict[tuple[str, DataType, tuple[int, ...]], Role] = {}
    for key, record in tensors.items():
        if key in slots:
            yield key, slots[key].role
            continue
        word = key.rpartition("/")[2]
        kind = word, record.dtype, record.shape
        role = None if key.startswith("training") else told.get(kind)
        if role is None:
            role = _role_of_name(key, record, tensors, flags)
            depends_on_others = word in _ADAPTED or word.endswith(_TABLE_ENDS) or bool(flags)
            if not depends_on_others and not key.startswith("training"):
                told[kind] = role
        yield key, role


def _slot(
    key: str,
    record: TensorRecord,
    tensors: Mapping[str, TensorRecord],
    custom: frozenset[str],
) -> Identity | None:
    """Give the identity of a slot or average, None for anything else."""
    owner, suffix = split_slot(key)
    word = slot_word(suffix)
    if not owner or (word is None and suffix not in custom):
        return Identity(key, Role.SLOT) if record.shape and is_slot_scope(key) else None
    found = _owner(owner, record, tensors)
    is_average = suffix == "ExponentialMovingAverage"
    if found is None and not is_average and not (word and suffix[0].isupper()):
        return None
    return Identity(key, Role.AVERAGE if is_average else Role.SLOT, None, found, word or suffix)


def _owner(name: str, record: TensorRecord, tensors: Mapping[str, TensorRecord]) -> str | None:
    """Give the longest known name that begins or ends this one and has a fitting shape."""
    weight = tensors.get(name)
    if weight is not None and _fits(record.shape, weight.shape):
        return name
    parts = name.split("/")
    cuts = range(min(_LEADS, len(parts)))
    candidates = ["/".join(parts[: len(parts) - cut]) for cut in cuts]
    candidates += ["/".join(parts[cut:]) for cut in cuts if cut]
    for candidate in candidates:
        weight = tensors.get(candidate)
        if weight is not None and _fits(record.shape, weight.shape):
            return candidate
    return None


def _fits(shape: tuple[int, ...], weight: tuple[int, ...]) -> bool:
    """Tell whether this is the weight's shape, or that less one axis."""
    if shape == weight:
        return True
    return len(shape) == len(weight) - 1 >= 1 and any(
        shape == weight[:axis] + weight[axis + 1 :] for axis in range(len(weight))
    )


def _custom_words(tensors: Mapping[str, TensorRecord]) -> frozenset[str]:
    """Give unknown last components that always, and more than once, follow an equal shape."""
    found: dict[str, int] = {}
    lone: set[str] = set()
    for key, record in tensors.items():
        owner, _, suffix = key.rpartition("/")
        if suffix in lone:
            continue
        weight = tensors.get(owner)
        if weight is not None and weight.shape == record.shape and record.shape:
            found[suffix] = found.get(suffix, 0) + 1
        else:
            lone.add(suffix)
    return frozenset(suffix for suffix, n in found.items() if n > 1 and suffix not in lone)


def _role_of_name(
    key: str,
    record: TensorRecord,
    tensors: Mapping[str, TensorRecord],
    flags: Mapping[str, bool],
) -> Role:
    scope, _, word = key.rpartition("/")
    role = role_by_word(word, record.dtype, record.shape)
    if role is not None:
        return role
    if not record.shape and is_slot_scope(key) and can_be_weight(record.dtype):
        return Role.HYPERPARAMETER
    if word in _ADAPTED and all(f"{scope}/{other}" in tensors for other in _ADAPTED):
        return Role.STATISTIC
    scope, dash, end = key.rpartition("-")
    if dash + end in _TABLE_ENDS and all(scope + other in tensors for other in _TABLE_ENDS):
        return Role.TABLE
    if can_be_weight(record.dtype) or flags.get(key):
        return Role.WEIGHT
    return Role.OTHER


# Identities of object-based keys alone, where the object graph is absent or damaged.

ATTRIBUTES = "/.ATTRIBUTES/"
"""Stands between the path of an object and the attribute that is stored."""

_SLOT = "/.OPTIMIZER_SLOT/"
_METRIC = re.compile(r"(^|/)(keras_api/metrics|_metrics|_compile_metrics)/")


def identify_keys(tensors: Mapping[str, TensorRecord]) -> dict[str, Identity]:
    """Give the identity of every key, from the keys, types and shapes alone."""
    trained: dict[str, set[tuple[int, ...]]] = {}
    for key, record in tensors.items():
        optimizer, in_list, _ = key.rpartition("_trainable_variables/")
        if in_list:
            trained.setdefault(optimizer, set()).add(record.shape)
    drafts = {key: _draft(key, record, tensors, trained) for key, record in tensors.items()}
    names = unique_names({key: draft.name for key, draft in drafts.items()})
    return {
        key: draft._replace(name=names[key], owner=names.get(draft.owner or ""))
        for key, draft in drafts.items()
    }


def _draft(
    key: str,
    record: TensorRecord,
    tensors: Mapping[str, TensorRecord],
    trained: Mapping[str, set[tuple[int, ...]]],
) -> Identity:
    """Give an identity whose owner is still a key and whose name may be shared."""
    path, _, attribute = key.rpartition(ATTRIBUTES)
    if attribute != "VARIABLE_VALUE":
        return Identity(key_path(key), role_by_attribute(key))
    owner, is_slot, rest = path.partition(_SLOT)
    optimizer, _, word = rest.rpartition("/")
    if is_slot and word:
        owner_key = f"{owner}{ATTRIBUTES}VARIABLE_VALUE"
        name = "/".join(unescape(part) for part in (optimizer, owner, word) if part)
        stored = owner_key if owner_key in tensors else None
        role = Role.AVERAGE if word == "average" else Role.SLOT
        return Identity(name, role, owner=stored, slot=unescape(word))
    return Identity(key_path(key), _role_of_path(path, record, trained))


def _role_of_path(
    path: str, record: TensorRecord, trained: Mapping[str, set[tuple[int, ...]]]
) -> Role:
    if _METRIC.search(path):
        return Role.METRIC
    role = role_by_word(path.rpartition("/")[2], record.dtype, record.shape)
    if role is not None:
        return role
    optimizer, in_list, _ = path.rpartition("_variables/")
    if in_list and optimizer in trained:
        is_slot = record.shape and record.shape in trained[optimizer]
        return Role.SLOT if is_slot else Role.OTHER
    return Role.WEIGHT if can_be_weight(record.dtype) else Role.OTHER


def role_by_attribute(key: str) -> Role:
    """Give the role of a key that is not the value of a variable."""
    attribute = key.rpartition(ATTRIBUTES)[2]
    if attribute.endswith(("-keys", "-values")):
        return Role.TABLE
    if "ITERATOR" in attribute:
        return Role.ITERATOR
    if key == "_CHECKPOINTABLE_OBJECT_GRAPH" or attribute == "OBJECT_CONFIG_JSON":
        return Role.BOOKKEEPING
    return Role.OTHER
