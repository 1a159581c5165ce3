"""Identities of the keys of an object-based checkpoint, from its object graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.identity import Identity
from ckread.model.key_based import role_by_attribute
from ckread.model.machinery import key_path, public
from ckread.model.object_file import ObjectFile
from ckread.model.optimizer_only import names_of_optimizer_only
from ckread.model.other_paths import OtherPaths
from ckread.model.role import Role
from ckread.model.trainability import find_trainable
from ckread.model.unique_names import unique_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.evidence import Evidence
    from ckread.model.object_graph import ObjectGraph
    from ckread.readers.contract import TensorRecord


def identify_objects(
    tensors: Mapping[str, TensorRecord], graph: ObjectGraph, evidence: Evidence
) -> dict[str, Identity]:
    """Give the identity of every key of an object-based checkpoint."""
    file = ObjectFile(tensors, graph, evidence.saved_model)
    nodes = {record.key: node for node, record in file.records.items()}
    names = _names(file, nodes, tensors)
    weights = [node for node, role in file.roles.items() if role is Role.WEIGHT]
    trainable = find_trainable(
        file.namer, weights, file.optimizers, slots=file.slots, flags=file.flags
    )
    paths = OtherPaths(file.namer)
    return {
        key: _identity(file, nodes[key], names, trainable, paths)
        if key in nodes
        else Identity(names[key], role_by_attribute(key))
        for key in tensors
    }


def _names(
    file: ObjectFile, nodes: Mapping[str, int], tensors: Mapping[str, TensorRecord]
) -> dict[str, str]:
    """Name every key: slots last, because they carry the names of their owners."""
    own = _own_names(file)
    first, owned = {}, {}
    for key in tensors:
        node = nodes.get(key, -1)
        slot = file.slots.get(node)
        if slot is not None:
            owned[key] = slot
        else:
            first[key] = own.get(node) or key_path(key)
    names = unique_names(first)
    prefixes = {node: _prefix(file, node) for node in file.optimizers}
    wanted = {}
    for key, slot in owned.items():
        owner = file.records[slot.owner].key
        wanted[key] = f"{prefixes[slot.optimizer]}{names.get(owner, owner)}/{slot.word}"
    return names | unique_names(wanted, names.values())


def _own_names(file: ObjectFile) -> dict[int, str]:
    """Give names by node id to all variables that do not carry the name of another."""
    namer, reached = file.namer, file.namer.tree.reached
    free = [
        node
        for node, role in file.roles.items()
        if node in reached
        and role is not Role.ALIAS
        and node not in file.slots
        and (role.is_parameter or node not in file.held)
    ]
    names = namer.name(free)
    names |= names_of_optimizer_only(namer, file.optimizers, file.slots)
    for node, (optimizer, local_name) in file.held.items():
        names.setdefault(node, _prefix(file, optimizer) + public(local_name))
    for node in file.records:
        if node not in names and node not in file.slots and (path := namer.spell(node)):
            names[node] = path
    return names


def _prefix(file: ObjectFile, optimizer: int) -> str:
    """Give what the names of an optimizer's variables begin with."""
    return "".join(f"{step}/" for step in file.namer.path(optimizer) or ())


def _identity(
    file: ObjectFile,
    node: int,
    names: Mapping[str, str],
    trainable: Mapping[int, bool],
    paths: OtherPaths,
) -> Identity:
    key, role = file.records[node].key, file.roles[node]
    slot = file.slots.get(node)
    if slot is not None:
        owner = names[file.records[slot.owner].key]
        return Identity(names[key], role, None, owner, slot.word)
    if role.is_parameter:
        told = False if role is Role.STATISTIC else trainable.get(node)
        return Identity(names[key], role, told, None, None, paths.of(node, key_path(key)))
    if role is Role.ALIAS:
        original = file.aliases[node]
        owner_key = None if original is None else file.records[original].key
        return Identity(names[key], role, None, names[owner_key] if owner_key else None)
    return Identity(names[key], role)
