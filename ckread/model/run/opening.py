"""Opening the checkpoints of a run: names are made once for all that are built alike.

Names and roles follow from keys, shapes, types and the object graph alone. So
checkpoints with the same ones, and a graph with the same checksum, share them:
to open another costs no more than to parse its index.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ckread.errors import CheckpointError, UsageError
from ckread.model.checkpoint import Checkpoint
from ckread.model.naming import OBJECT_GRAPH_KEY
from ckread.model.opening import ReaderChoice, open_checkpoint
from ckread.model.paths.location import shard_warnings
from ckread.model.role import Role
from ckread.model.variable import Variable, decode_number, is_number
from ckread.readers.bundle.memo import IndexMemo
from ckread.readers.contract import Format, TensorColumns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckread.model.evidence import Evidence, Identity
    from ckread.model.run.entries import Place
    from ckread.readers.contract import CheckpointReader, TensorRecord

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
    def keys_by_name(self) -> dict[str, str]:
        """The key of each variable."""
        return {identity.name: key for key, identity in self.identities.items()}

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


class Opened(NamedTuple):
    """A checkpoint that was opened, before its variables are made.

    Attributes:
        reader: of its files.
        structure: how it is built.
        path: as the user would type it.
        notes: what had to be decided.
        warnings: what keeps names, roles or values from being right.
    """

    reader: CheckpointReader
    structure: Structure
    path: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, checkpoint: Checkpoint, structure: Structure) -> Self:
        """Take it from a checkpoint."""
        told = checkpoint.path, checkpoint.notes, checkpoint.warnings
        return cls(checkpoint.reader, structure, *told)

    def checkpoint(self) -> Checkpoint:
        """Make its variables."""
        _, known, path, notes, warnings = self
        evidence = known.evidence
        return Checkpoint(
            self.reader, known.identities, path=path, evidence=evidence, notes=notes,
            warnings=warnings,
        )  # fmt: skip

    def variable(self, name: str, key: str) -> Variable | None:
        """Make one variable, found by its name or else by its key."""
        structure = self.structure
        found = structure.keys_by_name.get(name, key)
        if found not in structure.identities:
            return None
        return Variable(self.reader.tensors[found], structure.identities[found], self.reader)

    def renamed(self, names: Mapping[str, str]) -> Opened:
        """Call its variables what they are called in its run."""
        identities = {
            key: identity._replace(
                name=names.get(identity.name, identity.name),
                owner=identity.owner and names.get(identity.owner, identity.owner),
            )
            for key, identity in self.structure.identities.items()
        }
        return self._replace(structure=replace(self.structure, identities=identities))

    def again(self) -> Opened | None:
        """Give another of the same index, whatever became of this one; None if it has no index."""
        from ckread.readers.bundle.reader import TensorBundle

        if not isinstance(self.reader, TensorBundle):
            return None
        return self._replace(reader=self.reader.reopened())


class RunOpener:
    """Opens checkpoints, and remembers how those that were opened are built."""

    def __init__(self, reader: str = "auto") -> None:
        self.reader = reader
        self._structures: dict[Any, Structure] = {}
        self._alike: dict[tuple[int, int | None], Structure] = {}
        self._memo = IndexMemo()

    def open(self, place: Place) -> Opened:
        """Open a checkpoint of a run; an error says why it cannot be opened now."""
        if place.format is not Format.TENSOR_BUNDLE or self.reader == ReaderChoice.TENSORFLOW:
            checkpoint = open_checkpoint(place.path, reader=self.reader)
            return Opened.of(checkpoint, self._remember(checkpoint))
        from ckread.readers.bundle.reader import TensorBundle

        reader = TensorBundle(place.path, self._memo)
        known = self._known(reader.tensors)
        if known is None:
            reader.close()
            checkpoint = open_checkpoint(place.path, reader=self.reader)
            return Opened.of(checkpoint, self._remember(checkpoint))
        return Opened(reader, known, reader.path, reader.notes, shard_warnings(reader))

    def _known(self, tensors: Mapping[str, TensorRecord]) -> Structure | None:
        """Give the structure of a listing; of one that is like another without going through it."""
        original = getattr(tensors, "original", None)
        if original is None:
            return self._structures.get(_signature(tensors))
        graph = tensors.get(OBJECT_GRAPH_KEY)
        key = id(original), graph and graph.crc32c
        if key not in self._alike:
            known = self._structures.get(_signature(tensors))
            if known is None:
                return None
            self._alike[key] = known
        return self._alike[key]

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


def read_counter(opened: Opened, key: str | None) -> int | None:
    """Give the value of a counter; None where it cannot be read cheaply, or at all."""
    if key is None or opened.reader.format is Format.V1_TABLE:
        return None
    dtype = opened.reader.tensors[key].dtype
    if not is_number(dtype):
        return None
    try:
        value = decode_number(opened.reader.read_bytes(key), dtype)
    except (CheckpointError, UsageError):
        return None
    return int(value) if isinstance(value, int) or value.is_integer() else None
