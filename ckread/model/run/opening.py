"""Opening the checkpoints of a run: names are made once for all that are built alike.

Names and roles follow from keys, shapes, types and the object graph alone. So
checkpoints with the same ones, and a graph with the same checksum, share them:
to open another costs no more than to parse its index.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ckread.errors import CheckpointError, UsageError
from ckread.model.checkpoint import Checkpoint
from ckread.model.naming import OBJECT_GRAPH_KEY
from ckread.model.opening import ReaderChoice, open_bundle, open_checkpoint
from ckread.model.paths.location import shard_warnings
from ckread.model.role import Role, outermost
from ckread.model.variable import Variable, decode_number, is_number
from ckread.readers.bundle.memo import IndexMemo
from ckread.readers.contract import Format, TensorColumns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckread.model.evidence import Evidence, Identity
    from ckread.model.run.entries import Place
    from ckread.readers.contract import CheckpointReader, StoredFile, TensorRecord

Number = int | float | bool

_STEP_NAMES = ("global_step", "step", "train_step")
_ITERATION_NAMES = ("iterations", "iteration", "iter")
_SAVE_COUNTER = "save_counter"
_NUMBERS = {
    *_STEP_NAMES, *_ITERATION_NAMES, _SAVE_COUNTER, "epoch", "learning_rate", "lr", "beta1_power",
    "beta2_power",
}  # fmt: skip
"""Last components of the scalars that tell of a training; each is read once, for all who ask."""


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
        step_keys: the counters that tell the step, the best first; several where they must agree.
        iterations_keys: the counters of the optimizers, those that only wrap one left out.
        epoch_keys: the counters of epochs.
        number_keys: all scalars that tell where a training stood, learning rates too.
    """

    number: int
    records: Mapping[str, TensorRecord]
    n_variables: int
    elements: int
    identities: Mapping[str, Identity]
    evidence: Evidence
    step_keys: tuple[tuple[str, ...], ...]
    iterations_keys: tuple[str, ...]
    epoch_keys: tuple[str, ...] = ()
    number_keys: tuple[str, ...] = ()

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
        numbers: of the training, by key, that were read when the run was listed.
        files: of the checkpoint, as they were when it was opened; empty where that is past.
    """

    reader: CheckpointReader
    structure: Structure
    path: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    numbers: Mapping[str, Number] = MappingProxyType({})
    files: tuple[StoredFile, ...] = ()

    @classmethod
    def of(cls, checkpoint: Checkpoint, structure: Structure) -> Self:
        """Take it from a checkpoint."""
        told = checkpoint.path, checkpoint.notes, checkpoint.warnings
        return cls(checkpoint.reader, structure, *told, files=checkpoint.files())

    def checkpoint(self) -> Checkpoint:
        """Make its variables."""
        _, known, path, notes, warnings, *_ = self
        evidence = known.evidence
        return Checkpoint(
            self.reader, known.identities, path=path, evidence=evidence, notes=notes,
            warnings=warnings,
        )  # fmt: skip

    def variables(self) -> Iterable[Variable]:
        """Make all variables, in the order of the file, and no mapping of them."""
        reader, identities = self.reader, self.structure.identities
        if isinstance(reader.tensors, TensorColumns):
            return self.checkpoint().values()
        return (Variable(record, identities[key], reader) for key, record in reader.tensors.items())

    def variable(self, key: str) -> Variable:
        """Make one variable."""
        return Variable(self.reader.tensors[key], self.structure.identities[key], self.reader)

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
        self._sound: set[tuple[int, tuple[int | None, ...]]] = set()
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
            checkpoint = open_bundle(reader)
            return Opened.of(checkpoint, self._remember(checkpoint))
        files = reader.files()
        # In files of one size the tensors of alike indexes lie alike.
        lies = id(getattr(reader.tensors, "original", reader)), tuple(f.nbytes for f in files)
        warnings = () if lies in self._sound else shard_warnings(reader)
        if not warnings and hasattr(reader.tensors, "original"):
            self._sound.add(lies)
        return Opened(reader, known, reader.path, reader.notes, warnings, files=files)

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
        scalars = [
            v
            for v in checkpoint.of_role(Role.COUNTER, Role.HYPERPARAMETER)
            if v.elements == 1 and v.nbytes
        ]
        # One with a slot's word counts for one parameter alone.
        counters = {v.name: v.key for v in scalars if v.role is Role.COUNTER and not v.slot}
        tensors = checkpoint.reader.tensors
        kinds = {k: n for k, n in checkpoint.kinds.items() if k.role is not Role.BOOKKEEPING}
        structure = Structure(
            number=len(self._structures),
            records=tensors if isinstance(tensors, TensorColumns) else dict(tensors),
            n_variables=sum(kinds.values()),
            elements=sum(n * kind.elements for kind, n in kinds.items()),
            identities=_identities(checkpoint),
            evidence=checkpoint.evidence,
            step_keys=(*_keys(counters, _STEP_NAMES), *_keys(counters, (_SAVE_COUNTER,))),
            iterations_keys=tuple(chain(*_keys(_innermost(counters), _ITERATION_NAMES))),
            epoch_keys=next(iter(_keys(counters, ("epoch",))), ()),
            number_keys=tuple(
                v.key
                for v in scalars
                if v.name.rpartition("/")[2] in _NUMBERS and is_number(v.dtype)
            ),
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


def _innermost(counters: Mapping[str, str]) -> dict[str, str]:
    """Leave out the counters of what wraps another that counts: of a loss scale, the outer one."""
    scopes = {name: name.rpartition("/")[0] for name in counters}
    return {
        name: counters[name]
        for name, scope in scopes.items()
        if not any(scope and other.startswith(f"{scope}/") for other in scopes.values())
    }


def _keys(counters: Mapping[str, str], names: Iterable[str]) -> list[tuple[str, ...]]:
    """Give the keys of counters whose last component is one of `names`, the best first."""
    return [tuple(counters[name] for name in same) for same in outermost(counters, names)]


def read_numbers(opened: Opened) -> dict[str, Number]:
    """Give the numbers of its training, those that can be read, cheaply, by key."""
    numbers: dict[str, Number] = {}
    reader, structure = opened.reader, opened.structure
    for key in structure.number_keys if reader.format is not Format.V1_TABLE else ():
        try:
            data = reader.read_bytes(key)
        except (CheckpointError, UsageError):
            continue
        numbers[key] = decode_number(data, structure.records[key].dtype)
    return numbers


def as_counter(number: Number | None) -> int | None:
    """Give the value of a counter; None where it is none."""
    return None if number is None or not float(number).is_integer() else int(number)
