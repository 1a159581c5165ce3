"""Identities of the variables of TensorFlow 1: the key is the name.

A slot is called after its variable: `conv1/weights/Momentum`. Its owner is the longest
name before its last components that another variable of the same shape has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.identity import Identity
from ckread.model.role import Role
from ckread.model.role_rules import can_be_weight, role_by_word
from ckread.model.slot_words import is_slot_scope, may_be_slot, slot_word, split_slot

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
    flags = _flags(evidence)
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
            role = _role(key, record, tensors, flags)
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


def _role(
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
    if key.endswith(_TABLE_ENDS) and _is_table(key, tensors):
        return Role.TABLE
    if can_be_weight(record.dtype) or flags.get(key):
        return Role.WEIGHT
    return Role.OTHER


def _is_table(key: str, tensors: Mapping[str, TensorRecord]) -> bool:
    for suffix, other in (("-keys", "-values"), ("-values", "-keys")):
        if key.endswith(suffix):
            return key.removesuffix(suffix) + other in tensors
    return False


def _flags(evidence: Evidence) -> dict[str, bool]:
    """Give by key whether a graph lists a variable among its trainable ones."""
    graph = evidence.meta_graph
    if graph is None and evidence.saved_model is not None:
        graph = evidence.saved_model.meta_graph
    if graph is None or "trainable_variables" not in graph.collections:
        return {}
    trainable = {one.key for one in graph.collections["trainable_variables"]}
    known = {one.key for variables in graph.collections.values() for one in variables}
    return {key: key in trainable for key in known}
