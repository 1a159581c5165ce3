"""Opening the checkpoints of a run: names are made once for all that are built alike.

Names and roles follow from keys, shapes, types and the object graph alone. So
checkpoints with the same ones, and a graph with the same checksum, share them:
to open another costs no more than to parse its index.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ckread.errors import CheckpointError, UsageError
from ckread.model.checkpoint import Checkpoint
from ckread.model.naming import OBJECT_GRAPH_KEY
from ckread.model.opening import ReaderChoice, open_checkpoint
from ckread.model.paths.location import shard_warnings
from ckread.model.role import Role
from ckread.readers.bundle.memo import IndexMemo
from ckread.readers.contract import Format, TensorColumns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckread.model.evidence import Evidence, Identity
    from ckread.model.run.entries import Place
    from ckread.readers.contract import TensorRecord

_STEP_NAMES = ("global_step", "step", "train_step")
_ITERATION_NAMES = ("iterations", "iteration", "iter")
_SAVE_COUNTER = "save_counter"


@dataclass(frozen=True)
class Structure:
    """What checkpoints that are built alike have in common.

    Attributes:
        number: which one, in the order in which they were met.
        records: of the first of them, by key.
        n_variables: how many there are, bookkeeping left out.
        elements: of all of these.
        identities: by key.
        evidence: besides the tensors.
        step_keys: the counters that tell the step, the best first.
        iterations_key: the counter of the optimizer.
        epoch_key: the counter of epochs.
    """

    number: int
    records: Mapping[str, TensorRecord]
    n_variables: int
    elements: int
    identities: Mapping[str, Identity]
    evidence: Evidence
    step_keys: tuple[str, ...]
    iterations_key: str | None
    epoch_key: str | None = None

    @cached_property
    def tensors(self) -> frozenset[tuple[str, tuple[int, ...], str]]:
        """Key, shape and type of each variable, bookkeeping left out."""
        return frozenset(
            (key, record.shape, str(record.dtype))
            for key, record in self.records.items()
            if self.identities[key].role is not Role.BOOKKEEPING
        )

    @cached_property
    def parameters(self) -> Counter[tuple[str, tuple[int, ...], str]]:
        """The parameters by last component, shape and type; by name all, where there are none."""
        found = Counter(
            (self.identities[key].name.rpartition("/")[2], shape, dtype)
            for key, shape, dtype in self.tensors
            if self.identities[key].role.is_parameter
        )
        return found or Counter(
            (self.identities[key].name, shape, dtype) for key, shape, dtype in self.tensors
        )


class RunOpener:
    """Opens checkpoints, and remembers how those that were opened are built."""

    def __init__(self, reader: str = "auto") -> None:
        self.reader = reader
        self._structures: dict[Any, Structure] = {}
        self._memo = IndexMemo()

    def open(self, place: Place) -> tuple[Checkpoint, Structure]:
        """Open a checkpoint of a run; an error says why it cannot be opened now."""
        if place.format is not Format.TENSOR_BUNDLE or self.reader == ReaderChoice.TENSORFLOW:
            checkpoint = open_checkpoint(place.path, reader=self.reader)
            return checkpoint, self._remember(checkpoint)
        from ckread.readers.bundle.reader import TensorBundle

        reader = TensorBundle(place.path, self._memo)
        known = self._structures.get(_signature(reader.tensors))
        if known is None:
            reader.close()
            checkpoint = open_checkpoint(place.path, reader=self.reader)
            return checkpoint, self._remember(checkpoint)
        checkpoint = Checkpoint(
            reader,
            known.identities,
            path=reader.path,
            evidence=known.evidence,
            notes=reader.notes,
            warnings=shard_warnings(reader),
        )
        return checkpoint, known

    def _remember(self, checkpoint: Checkpoint) -> Structure:
        signature = _signature(checkpoint.reader.tensors)
        known = self._structures.get(signature)
        if known is not None:
            return known
        numbers = checkpoint.of_role(Role.COUNTER)
        counters = {v.name: v.key for v in numbers if v.elements == 1 and v.nbytes}
        save_counter = [counters[_SAVE_COUNTER]] if _SAVE_COUNTER in counters else []
        tensors = checkpoint.reader.tensors
        kinds = {k: n for k, n in checkpoint.kinds.items() if k.role is not Role.BOOKKEEPING}
        structure = Structure(
            number=len(self._structures),
            records=tensors if isinstance(tensors, TensorColumns) else dict(tensors),
            n_variables=sum(kinds.values()),
            elements=sum(n * kind.elements for kind, n in kinds.items()),
            identities=_identities(checkpoint),
            evidence=checkpoint.evidence,
            step_keys=(*_named(counters, _STEP_NAMES), *save_counter),
            iterations_key=next(iter(_named(counters, _ITERATION_NAMES)), None),
            epoch_key=next(iter(_named(counters, ("epoch",))), None),
        )
        if structure.evidence.graph is None and OBJECT_GRAPH_KEY in checkpoint:
            signature = (signature, "without its graph")
        self._structures[signature] = structure
        return structure


def reopened(checkpoint: Checkpoint | None) -> Checkpoint | None:
    """Give an open one of the same index, whatever became of this one; None if it has no index."""
    from ckread.readers.bundle.reader import TensorBundle

    if checkpoint is None or not isinstance(checkpoint.reader, TensorBundle):
        return None
    return Checkpoint(
        checkpoint.reader.reopened(),
        _identities(checkpoint),
        path=checkpoint.path,
        evidence=checkpoint.evidence,
        notes=checkpoint.notes,
        warnings=checkpoint.warnings,
    )


def renamed(checkpoint: Checkpoint, names: Mapping[str, str]) -> Checkpoint:
    """Give a checkpoint whose variables are called what they are called in its run."""
    identities = {}
    for variable in checkpoint.values():
        owner = variable.owner and names.get(variable.owner, variable.owner)
        name = names.get(variable.name, variable.name)
        identities[variable.key] = variable.identity._replace(name=name, owner=owner)
    return Checkpoint(
        checkpoint.reader,
        identities,
        path=checkpoint.path,
        evidence=checkpoint.evidence,
        notes=checkpoint.notes,
        warnings=checkpoint.warnings,
    )


def _signature(tensors: Mapping[str, TensorRecord]) -> tuple[Any, ...]:
    graph = tensors.get(OBJECT_GRAPH_KEY)
    if isinstance(tensors, TensorColumns):
        return (graph and graph.crc32c, *tensors.structure())
    return (graph and graph.crc32c, *(record[:3] for record in tensors.values()))


def _identities(checkpoint: Checkpoint) -> Mapping[str, Identity]:
    columns = checkpoint.columns
    if columns is not None:
        return columns.identities
    return {variable.key: variable.identity for variable in checkpoint.values()}


def _named(counters: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Give the keys of counters whose last component is one of `names`, the best first."""
    found = []
    for name in names:
        same = [known for known in counters if known.rpartition("/")[2] == name]
        found += [counters[known] for known in sorted(same, key=lambda n: (n.count("/"), n))]
    return found


def read_counter(checkpoint: Checkpoint, key: str | None) -> int | None:
    """Give the value of a counter; None where it cannot be read cheaply, or at all."""
    if key is None or checkpoint.format is Format.V1_TABLE:
        return None
    try:
        value = checkpoint[key].scalar()
    except (CheckpointError, UsageError):
        return None
    return int(value) if isinstance(value, int) or value.is_integer() else None
