"""Identities of object-based keys alone, where the object graph is absent or damaged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ckread.model.identity import Identity
from ckread.model.machinery import key_path, unescape
from ckread.model.role import Role
from ckread.model.role_rules import can_be_weight, role_by_word
from ckread.model.unique_names import unique_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.readers.contract import TensorRecord

ATTRIBUTES = "/.ATTRIBUTES/"
"""Stands between the path of an object and the attribute that is stored."""

_SLOT = "/.OPTIMIZER_SLOT/"
_METRIC = re.compile(r"(^|/)(keras_api/metrics|_metrics|_compile_metrics)/")


def identify_keys(tensors: Mapping[str, TensorRecord]) -> dict[str, Identity]:
    """Give the identity of every key, from the keys, types and shapes alone."""
    trained = _trained_shapes(tensors)
    drafts = {key: _draft(key, record, tensors, trained) for key, record in tensors.items()}
    names = unique_names({key: draft.name for key, draft in drafts.items()})
    return {
        key: draft._replace(name=names[key], owner=names.get(draft.owner or ""))
        for key, draft in drafts.items()
    }


def _trained_shapes(tensors: Mapping[str, TensorRecord]) -> dict[str, set[tuple[int, ...]]]:
    """Give the shapes that each Keras 3 optimizer trains, by the path of the optimizer."""
    shapes: dict[str, set[tuple[int, ...]]] = {}
    for key, record in tensors.items():
        optimizer, in_list, _ = key.rpartition("_trainable_variables/")
        if in_list:
            shapes.setdefault(optimizer, set()).add(record.shape)
    return shapes


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
    return Identity(key_path(key), _role(path, record, trained))


def _role(path: str, record: TensorRecord, trained: Mapping[str, set[tuple[int, ...]]]) -> Role:
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
