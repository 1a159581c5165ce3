"""The parameters of a checkpoint: of weights, hash tables or averages, and what tells it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.model.evidence import Claim, Strength
from ckread.model.role import Role, is_weight_word, role_by_word
from ckread.model.tree import Parameters, count_parameters
from ckread.readers.contract import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable

_PART = re.compile(r"(?:/part_\d+)?(?:_mht_\d+of\d+)?-values\Z")


_OF_ANYTHING = (Format.HDF5, Format.NPY, Format.NPZ)
"""Formats that hold arrays of any kind, data as well."""


class HashTable(NamedTuple):
    """An embedding that is kept as hash tables, in one part or several.

    Attributes:
        name: its name, without that of a part.
        rows: how many keys have a value.
        dimension: size of one value.
        parts: in how many tables it is kept.
        slots: the optimizer's words for the tables it keeps beside it.
    """

    name: str
    rows: int
    dimension: int
    parts: int
    slots: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of JSON documents."""
        return self._asdict()


def find_hash_tables(checkpoint: Checkpoint) -> tuple[HashTable, ...]:
    """Give the embeddings whose values are parameters of the model."""
    names = {name for name in checkpoint if name.endswith("-keys")}
    keyed = (f"{name.removesuffix('-keys')}-values" for name in names)
    likely = {name for name in keyed if name in checkpoint}
    found = [checkpoint[name] for name in checkpoint if name in likely] if likely else []
    values = [one for one in found if one.role is Role.WEIGHT and len(one.shape) == 2]
    words: dict[str, dict[str, None]] = {}
    for variable in checkpoint.of_role(Role.SLOT) if values else ():
        if variable.owner and variable.slot:
            words.setdefault(variable.owner, {})[variable.slot] = None
    parts: dict[str, list[Variable]] = {}
    for variable in values:
        parts.setdefault(_PART.sub("", variable.name), []).append(variable)
    return tuple(
        HashTable(
            name,
            sum(one.shape[0] for one in tables),
            tables[0].shape[1],
            len(tables),
            tuple(dict.fromkeys(word for one in tables for word in words.get(one.name, ()))),
        )
        for name, tables in parts.items()
    )


class Averaged(NamedTuple):
    """Parameters of which only the averages are in the file.

    Attributes:
        weights: elements of averages of weights.
        statistics: elements of averages of what is updated without gradient.
        words: what the averages are called: `ExponentialMovingAverage`.
    """

    weights: int
    statistics: int
    words: tuple[str, ...]


def find_averaged(checkpoint: Checkpoint) -> Averaged | None:
    """Give what averages alone tell of a model; None if it holds the weights themselves."""
    roles = {kind.role for kind in checkpoint.kinds}
    if Role.AVERAGE not in roles or any(role.is_parameter for role in roles):
        return None
    averages = checkpoint.of_role(Role.AVERAGE)
    sizes = {True: 0, False: 0}
    for one in averages:
        owner = one.owner or one.name.rpartition("/")[0]
        role = role_by_word(owner.rpartition("/")[2], one.dtype, one.shape)
        sizes[role is Role.STATISTIC] += one.elements
    words = (one.slot or one.name.rpartition("/")[2] for one in averages)
    return Averaged(sizes[False], sizes[True], tuple(dict.fromkeys(words)))


def count(checkpoint: Checkpoint, averaged: Averaged | None) -> Parameters:
    """Add the parameters up; averages count for the weights that are not there."""
    if averaged is not None:
        return Parameters(averaged.weights + averaged.statistics, None)
    return count_parameters(checkpoint.kinds)


def parameter_claims(checkpoint: Checkpoint, parameters: Parameters) -> Iterator[Claim]:
    """Yield the claims on parameters, on what is trained, and on state, with what told them."""
    if not parameters.total:
        return
    evidence = checkpoint.evidence
    by_role = {kind.role for kind in checkpoint.kinds}
    if not any(role.is_parameter for role in by_role):
        yield Claim("parameters", parameters.total, Strength.DERIVED, "averages of the weights")
        return
    has_slots = Role.SLOT in by_role
    is_listed = evidence.meta_graph is not None or evidence.saved_model is not None
    if evidence.graph is not None:
        how = Strength.STORED, "the object graph: variables that no optimizer holds as its own"
    elif evidence.layers or evidence.keras_version:
        how = Strength.STORED, "the layers of the Keras file"
    elif is_listed:
        how = Strength.STORED, "the collections of the graph"
    elif has_slots:
        how = Strength.NAMED, "the names: what optimizer state belongs to, and what is like it"
    elif checkpoint.format in _OF_ANYTHING and not _is_called_a_weight(checkpoint):
        how = Strength.DERIVED, "floating numbers: no name says that they are weights"
    else:
        how = Strength.NAMED, "the names: floating variables without another role"
    yield Claim("parameters", parameters.total, *how)
    yield _trainable_claim(checkpoint, parameters.trainable, has_slots=has_slots)
    kinds = checkpoint.kinds.items()
    state = sum(n * kind.elements for kind, n in kinds if kind.role is Role.STATE)
    if state:
        source = "names of known containers, or no optimizer that trains them"
        yield Claim("state", state, Strength.DERIVED, source)


def _is_called_a_weight(checkpoint: Checkpoint) -> bool:
    """Tell whether some array is called as frameworks call weights."""
    return any(is_weight_word(re.split(r"[/.]", name)[-1]) for name in checkpoint)


def _trainable_claim(checkpoint: Checkpoint, value: int | None, *, has_slots: bool) -> Claim:
    evidence = checkpoint.evidence
    if value is None:
        kinds = checkpoint.kinds.items()
        unknown = sum(n for kind, n in kinds if kind.role is Role.WEIGHT and kind.trainable is None)
        source = "told by slots of an optimizer, or flags of Keras's own layers"
        against = (f"the others alone: {unknown:,} of the weights are told by nothing",)
        return Claim("trainable_parameters", None, Strength.UNKNOWN, source, against)
    lists = "_trainable_variables/" in "\n".join(checkpoint.reader.tensors)
    if lists:
        source = "the list of what the optimizer trains"
    elif evidence.saved_model is not None or evidence.meta_graph is not None:
        source = "the lists of trainable variables in the graph"
    elif any(layer.trainable is not None for layer in evidence.layers):
        source = "the flags of the layers, and the optimizer's slots"
    elif has_slots:
        source = "the optimizer's slots"
        if any(k.role is Role.WEIGHT and k.trainable is False for k in checkpoint.kinds):
            source += ": what has none may be trained by one that keeps none"
            return Claim("trainable_parameters", value, Strength.DERIVED, source)
    else:
        source = "the variables: none of them is a weight"
    return Claim("trainable_parameters", value, Strength.STORED, source)
