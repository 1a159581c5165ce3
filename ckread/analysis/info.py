"""What a checkpoint is, summed up: the facts behind `ckread info`."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.analysis.checksums import Shared, find_shared_in
from ckread.analysis.parameters import (
    Averaged,
    HashTable,
    count,
    find_averaged,
    find_hash_tables,
    parameter_claims,
)
from ckread.analysis.training import (
    Masks,
    TrainingState,
    averages_apart,
    find_masks,
    optimizer_claims,
    read_training_state,
)
from ckread.errors import CheckpointError, TextLines
from ckread.model.display import Frozen, Kind, data_frame
from ckread.model.opening import opened
from ckread.model.records import Records
from ckread.model.role import Role
from ckread.model.tree import RoleTotal, total_by_role
from ckread.readers.contract import Format, StoredFile
from ckread.readers.files import STATE_FILE_NAME, is_file, written_time
from ckread.readers.state import known_time, read_state

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.evidence import Claim
    from ckread.model.tree import VariableTree
    from ckread.readers.graphs.meta_graph import MetaGraph, Signature, TensorInfo
    from ckread.readers.keras.config import KerasLayer


MAX_LOST_NAMES = 10
"""Names that a warning lists."""


class Fact(NamedTuple):
    """One fact of a summary.

    Example:
        >>> ckread.info("fixtures/digits_run")["parameters"]
        Fact(name='parameters', value=38474)

    Attributes:
        name: of the field in the JSON document.
        value: as it stands there: text, a number, a list, a dict; None where nothing tells.
    """

    name: str
    value: Any


class CheckpointSummary(Frozen, Records[Fact]):
    """What a checkpoint is; None where its files do not say.

    Its records are the fields of its JSON document, by name, and all that they come of are
    attributes: `summary.training.learning_rate`.

    Attributes:
        path: as the user would type it.
        format: the container.
        is_object_based: whether it carries the object graph of its program.
        writer: the program that wrote it, in words.
        keras: the generation of Keras that made the model, `Keras 3`.
        saved: when, in seconds since 1970, as the state file or the file itself says.
        file_time: when its first file was changed last, likewise; copying changes it too.
        files: its files, absent shards included.
        training: step, counters, learning rate, optimizer.
        parameters: elements of weights and statistics.
        trainable_parameters: those that training moves by gradient.
        nbytes: bytes of all its tensors, bookkeeping included.
        roles: totals by role, in the order of `Role`; roles without variables absent.
        dtypes: number of variables by element type, the commonest first.
        tags: of a SavedModel.
        metadata: texts that its writer put into a safetensors file, by name.
        signatures: of a SavedModel.
        layers: of a Keras file, in model order.
        assets: file names in a SavedModel.
        meta_graph: what the `.meta` file of a TF 1 checkpoint tells.
        hash_tables: embeddings kept as hash tables; their values are parameters.
        averaged: what averages tell of the parameters, where the weights are not there.
        averages_apart: ‖averages − weights‖ / ‖weights‖, where both are there and small.
        shared: variables in several places of the model, and equal contents; of none where
            there are very many.
        masks: what pruning masks leave out of the weights they lie beside.
        evidence: what told the claims, one each.
        warnings: what is not as it should be, one or more sentences each.
        tree: the variables in model order, as a page draws them; it is not pickled.

    Example:
        >>> found = ckread.info("fixtures/digits_files/digits.keras")
        >>> found, found.writer, len(found.layers)
        (<ckread.CheckpointSummary '.../digits.keras': 38,474 parameters>, 'Keras 3.15.1', 9)
        >>> str(found.format), found.keras, found.is_object_based, len(found.files)
        ('keras_archive', 'Keras 3', False, 1)
        >>> found.n_variables
        16
        >>> found.trainable_parameters, found.non_trainable_parameters, found.nbytes
        (38378, 96, 153896)
        >>> [str(role) for role in found.roles], found.dtypes
        (['weight', 'statistic'], {'float32': 16})
        >>> found.saved is None, found.file_time is None, found.tags, found.metadata
        (False, False, (), {})
        >>> found.signatures
        ()
        >>> found.assets, found.meta_graph, found.hash_tables, found.averaged, found.averages_apart
        ((), None, (), None, None)
        >>> found.shared.tied, found.masks, found.warnings, len(found.evidence)
        ({}, None, (), 4)
    """

    path: str
    format: Format
    is_object_based: bool
    writer: str | None
    keras: str | None
    saved: float | None
    file_time: float | None
    files: tuple[StoredFile, ...]
    training: TrainingState
    parameters: int
    trainable_parameters: int | None
    nbytes: int
    roles: dict[Role, RoleTotal]
    dtypes: dict[str, int]
    tags: tuple[str, ...]
    metadata: dict[str, str]
    signatures: tuple[Signature, ...]
    layers: tuple[KerasLayer, ...]
    assets: tuple[str, ...]
    meta_graph: MetaGraph | None
    hash_tables: tuple[HashTable, ...]
    averaged: Averaged | None
    averages_apart: float | None
    shared: Shared
    masks: Masks | None
    evidence: tuple[Claim, ...]
    warnings: tuple[str, ...]
    tree: VariableTree | None = None

    _aside = frozenset({"tree"})

    def __repr__(self) -> str:
        """Show path, format and how many parameters."""
        return f"<ckread.CheckpointSummary {self.path!r}: {self.parameters:,} parameters>"

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the facts; variables would take their reader along."""
        return {**self.__dict__, "tree": None}

    @property
    def _records(self) -> tuple[Fact, ...]:
        return tuple(Fact(name, value) for name, value in self.to_dict().items())

    @property
    def n_variables(self) -> int:
        """How many variables there are, bookkeeping included."""
        return sum(total.variables for total in self.roles.values())

    @property
    def non_trainable_parameters(self) -> int | None:
        """Parameters that training does not move by gradient."""
        if self.trainable_parameters is None:
            return None
        return self.parameters - self.trainable_parameters

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of the JSON document."""
        training = self.training
        optimizer = {"kind": training.optimizer_kind, "name": training.optimizer_name}
        return {
            "path": self.path,
            "format": self.format,
            "writer": self.writer,
            "saved": self.saved,
            "file_time": self.file_time,
            "files": [file.path for file in self.files],
            "shards": [
                {"file": file.path, "nbytes": file.nbytes, "present": file.nbytes is not None}
                for file in self.files
                if file.is_shard
            ],
            "step": training.step,
            "epoch": training.epoch,
            "iterations": training.iterations,
            "learning_rate": training.learning_rate,
            "save_counter": training.save_counter,
            "optimizer": optimizer if {*optimizer.values()} != {None} else None,
            "optimizers": [one.to_dict() for one in training.optimizers],
            "learning_rate_schedule": training.schedule,
            "loss": training.loss,
            "metrics": training.metrics,
            "n_variables": self.n_variables,
            "parameters": self.parameters,
            "trainable_parameters": self.trainable_parameters,
            "non_trainable_parameters": self.non_trainable_parameters,
            "nbytes": self.nbytes,
            "roles": {role: total.to_dict() for role, total in self.roles.items()},
            "dtypes": self.dtypes,
            "tags": self.tags,
            "metadata": dict(self.metadata),
            "signatures": [
                {
                    "name": signature.name,
                    "inputs": _tensor_fields(signature.inputs),
                    "outputs": _tensor_fields(signature.outputs),
                }
                for signature in self.signatures
            ],
            "layers": [
                {
                    "name": layer.name,
                    "class": layer.class_name,
                    "parameters": layer.parameters,
                    "shape": layer.shape,
                }
                for layer in self.layers
            ],
            "assets": self.assets,
            "hash_tables": [table.to_dict() for table in self.hash_tables],
            "averages_apart": self.averages_apart,
            "masks": None if self.masks is None else self.masks.to_dict(),
            "shared": {"tied": self.shared.tied, "equal": self.shared.equal},
            "evidence": [claim.to_dict() for claim in self.evidence],
            "warnings": self.warnings,
        }

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per fact, by name; values are Python's own.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        rows = [fact._asdict() for fact in self]
        return data_frame({"value": Kind.TEXT}, rows, index="name")


def _tensor_fields(tensors: Iterable[TensorInfo]) -> list[dict[str, Any]]:
    return [{"name": one.name, "dtype": one.dtype, "shape": one.shape} for one in tensors]


def info(checkpoint: Checkpoint | str | os.PathLike[str]) -> CheckpointSummary:
    """Sum a checkpoint up; of its values, only scalars are read, and small masks and averages.

    Args:
        checkpoint: an open checkpoint, or a path.

    Raises:
        CheckpointError: the path cannot be opened.

    Example:
        >>> found = ckread.info("fixtures/digits_run/ckpt-10")
        >>> found.parameters, found.training.step, round(found.training.learning_rate, 6)
        (38474, 10, 0.000695)
    """
    with opened(checkpoint) as source:
        return summarise(source)._replace(tree=shown_tree(source))


def shown_tree(checkpoint: Checkpoint, *, folds: bool = True) -> VariableTree:
    """Give the variables as a page draws them: in model order, bookkeeping left out."""
    return checkpoint.tree(folds=folds, bookkeeping=False)


def summarise(checkpoint: Checkpoint) -> CheckpointSummary:
    """Sum an open checkpoint up."""
    saved_model = checkpoint.evidence.saved_model
    training = read_training_state(checkpoint)
    roles = total_by_role(checkpoint.kinds)
    averaged = find_averaged(checkpoint)
    parameters = count(checkpoint, averaged)
    keras = find_keras(checkpoint)
    dtypes: Counter[str] = Counter()
    for kind, n in checkpoint.kinds.items():
        if kind.role is not Role.BOOKKEEPING:
            dtypes[str(kind.dtype)] += n
    return CheckpointSummary(
        path=checkpoint.path,
        format=checkpoint.format,
        is_object_based=checkpoint.evidence.graph is not None or Role.BOOKKEEPING in roles,
        writer=find_writer(checkpoint, keras),
        keras=keras,
        saved=find_saved_time(checkpoint),
        file_time=_file_time(checkpoint),
        files=_files(checkpoint),
        training=training,
        parameters=parameters.total,
        trainable_parameters=parameters.trainable,
        nbytes=sum(total.nbytes for total in roles.values()),
        roles=roles,
        dtypes=dict(dtypes.most_common()),
        tags=saved_model.tags if saved_model else (),
        metadata=dict(checkpoint.evidence.metadata),
        signatures=saved_model.signatures if saved_model else (),
        layers=checkpoint.evidence.layers,
        assets=saved_model.assets if saved_model else checkpoint.evidence.assets,
        meta_graph=checkpoint.evidence.meta_graph,
        hash_tables=find_hash_tables(checkpoint),
        averaged=averaged,
        averages_apart=averages_apart(checkpoint),
        shared=find_shared_in(checkpoint),
        masks=find_masks(checkpoint),
        evidence=(
            *training.claims,
            *optimizer_claims(checkpoint, training.optimizers),
            *parameter_claims(checkpoint, parameters),
        ),
        warnings=(*checkpoint.warnings, *training.warnings, *_lost_warnings(training, roles)),
    )


def _files(checkpoint: Checkpoint) -> tuple[StoredFile, ...]:
    """Give the files, `saved_model.pb` in place of the index of its variables."""
    files = checkpoint.files()
    saved_model = checkpoint.evidence.saved_model
    if saved_model is None or any(file.path == saved_model.path for file in files):
        return files
    shards = [file for file in files if file.is_shard]
    return (StoredFile(saved_model.path, saved_model.nbytes, is_shard=False), *shards)


def _lost_warnings(training: TrainingState, roles: dict[Role, RoleTotal]) -> tuple[str, ...]:
    """Say which weights Keras will not restore, their names on lines of their own."""
    if not training.lost:
        return ()
    n_weights = roles[Role.WEIGHT].variables if Role.WEIGHT in roles else len(training.lost)
    names = [f"  {name}" for name in training.lost[:MAX_LOST_NAMES]]
    if len(training.lost) > MAX_LOST_NAMES:
        names.append(f"  and {len(training.lost) - MAX_LOST_NAMES} more")
    lines = [
        f"{len(training.lost)} of {n_weights} weights come back only into an optimizer that is "
        "built already. It trains them, and no layer of the saved model holds them; else they "
        "stay at their random start:",
        *names,
        "Layers kept in a Python list or dict look like this, and parts that were not given to "
        "the checkpoint. Make each an attribute of what is saved, then save again.",
    ]
    return (TextLines(*lines),)


# When a checkpoint was saved, as the `checkpoint` state file beside it says, or itself.
#
# The times of the files tell less: copying and cloning change them.

_FORMATS = (Format.TENSOR_BUNDLE, Format.V1_TABLE)


def find_saved_time(checkpoint: Checkpoint) -> float | None:
    """Give the time of saving in seconds since 1970; None if no file tells."""
    if checkpoint.format not in _FORMATS:
        return checkpoint.evidence.saved
    directory, base = os.path.split(checkpoint.path)
    path = os.path.join(directory, STATE_FILE_NAME)
    if not is_file(path):
        return None
    try:
        state = read_state(path)
    except CheckpointError:  # opening has said so, where it mattered
        return None
    times = zip(
        state.all_model_checkpoint_paths, state.all_model_checkpoint_timestamps, strict=False
    )
    found = [time for prefix, time in times if prefix.replace("\\", "/").rpartition("/")[2] == base]
    return known_time(found[-1]) if found else None


def _file_time(checkpoint: Checkpoint) -> float | None:
    try:
        return known_time(written_time(checkpoint.files()[0].path))
    except IndexError:
        return None


# Which program wrote a checkpoint, as far as its files tell.
#
# A SavedModel and a `.meta` file record TensorFlow's version, a Keras file that of
# Keras. A bundle records none; the names in its object graph tell the generation.

_KERAS_3 = frozenset({"_operations", "_functional", "_call_has_context_arg"})
_KERAS_3_TOGETHER = (
    frozenset({"_trainable_variables", "_variables"}),  # an optimizer
    frozenset({"_all_variables", "_misc_assets"}),  # an export
)
_KERAS_2 = "keras_api"
_KERAS_2_LAYER = "layer_with_weights-"


def find_writer(checkpoint: Checkpoint, keras: str | None) -> str | None:
    """Name the program and, where it is recorded, its version; None if nothing tells.

    `keras` is the generation of Keras, by `find_keras`.
    """
    evidence = checkpoint.evidence
    graph = evidence.saved_model or evidence.meta_graph
    if graph is not None and graph.tensorflow_version:
        return f"TensorFlow {graph.tensorflow_version}"
    version = evidence.keras_version
    if version:
        return f"Keras {version}"
    is_object_based = any(kind.role is Role.BOOKKEEPING for kind in checkpoint.kinds)
    if evidence.graph is None and not is_object_based:
        return None
    # TensorFlow 1.8 and later wrote graphs too; they had no such flag yet.
    is_new = (
        evidence.graph is not None and evidence.graph.nodes[0].has_checkpoint_values is not None
    )
    program = "TensorFlow 2" if is_new or keras == "Keras 3" else "TensorFlow"
    return f"{program} with {keras}" if keras else program


def find_keras(checkpoint: Checkpoint) -> str | None:
    """Name the generation of Keras that a model was made with, `Keras 3`; None if none."""
    version = checkpoint.evidence.keras_version
    if version:
        return f"Keras {version.partition('.')[0]}"
    graph = checkpoint.evidence.graph
    is_keras_2 = False
    for names in graph.by_local_names if graph is not None else ():
        if names & _KERAS_3 or any(together <= names for together in _KERAS_3_TOGETHER):
            return "Keras 3"
        is_keras_2 |= _KERAS_2 in names or any(name.startswith(_KERAS_2_LAYER) for name in names)
    return "Keras 2" if is_keras_2 else None
