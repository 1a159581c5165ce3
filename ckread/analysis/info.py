"""What a checkpoint is, summed up: the facts behind `ckread info`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckread.analysis.info_fields import summary_fields
from ckread.analysis.saved_time import find_saved_time
from ckread.analysis.training import TrainingState, read_training_state
from ckread.analysis.writer import find_keras, find_writer
from ckread.model.opening import opened
from ckread.model.role import Role
from ckread.model.totals import RoleTotal, count_parameters, total_by_role
from ckread.readers.contract import StoredFile

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable
    from ckread.readers.contract import Format
    from ckread.readers.keras_config import KerasLayer
    from ckread.readers.meta_graph import MetaGraph
    from ckread.readers.signatures import Signature

MAX_LOST_NAMES = 10
"""Names that a warning lists."""


@dataclass(frozen=True, slots=True, repr=False)
class CheckpointSummary:
    """What a checkpoint is; None where its files do not say.

    `print(checkpoint)` shows it as a page.

    Attributes:
        path: as the user would type it.
        format: the container.
        is_object_based: whether it carries the object graph of its program.
        writer: the program that wrote it, in words.
        keras: the generation of Keras that made the model, `Keras 3`.
        saved: when, in seconds since 1970, as the state file says.
        files: its files, absent shards included.
        training: step, counters, learning rate, optimizer.
        parameters: elements of weights and statistics.
        trainable_parameters: those that training moves by gradient.
        nbytes: bytes of all its tensors, bookkeeping included.
        roles: totals by role, in the order of `Role`; roles without variables absent.
        dtypes: number of variables by element type, the commonest first.
        tags: of a SavedModel.
        signatures: of a SavedModel.
        layers: of a Keras file, in model order.
        assets: file names in a SavedModel.
        meta_graph: what the `.meta` file of a TF 1 checkpoint tells.
        warnings: what is not as it should be, one or more sentences each.

    Example:
        >>> found = ckread.info("fixtures/digits_files/digits.keras")
        >>> found, found.writer, len(found.layers)
        (<ckread.CheckpointSummary '.../digits.keras': 38,474 parameters>, 'Keras 3.15.1', 9)
    """

    path: str
    format: Format
    is_object_based: bool
    writer: str | None
    keras: str | None
    saved: float | None
    files: tuple[StoredFile, ...]
    training: TrainingState
    parameters: int
    trainable_parameters: int | None
    nbytes: int
    roles: dict[Role, RoleTotal]
    dtypes: dict[str, int]
    tags: tuple[str, ...]
    signatures: tuple[Signature, ...]
    layers: tuple[KerasLayer, ...]
    assets: tuple[str, ...]
    meta_graph: MetaGraph | None
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        """Show path, format and how many parameters."""
        return f"<ckread.CheckpointSummary {self.path!r}: {self.parameters:,} parameters>"

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
        return summary_fields(self)


def info(checkpoint: Checkpoint | str | os.PathLike[str]) -> CheckpointSummary:
    """Sum a checkpoint up; of its values, only scalars are read.

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
        return summarise(source)


def summarise(checkpoint: Checkpoint) -> CheckpointSummary:
    """Sum an open checkpoint up."""
    variables = list(checkpoint.values())
    saved_model = checkpoint.evidence.saved_model
    training = read_training_state(checkpoint)
    roles = total_by_role(variables)
    parameters = count_parameters(variables)
    return CheckpointSummary(
        path=checkpoint.path,
        format=checkpoint.format,
        is_object_based=checkpoint.evidence.graph is not None or Role.BOOKKEEPING in roles,
        writer=find_writer(checkpoint),
        keras=find_keras(checkpoint),
        saved=find_saved_time(checkpoint),
        files=_files(checkpoint),
        training=training,
        parameters=parameters.total,
        trainable_parameters=parameters.trainable,
        nbytes=sum(total.nbytes for total in roles.values()),
        roles=roles,
        dtypes=_dtypes(variables),
        tags=saved_model.tags if saved_model else (),
        signatures=saved_model.signatures if saved_model else (),
        layers=checkpoint.evidence.layers,
        assets=saved_model.assets if saved_model else checkpoint.evidence.assets,
        meta_graph=checkpoint.evidence.meta_graph,
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
        f"{len(training.lost)} of {n_weights} weights will not come back. The optimizer trains "
        "them, but no layer of the saved model holds them, so Keras will leave them at their "
        "random start:",
        *names,
        "Layers kept in a Python list or dict are not saved. Make each one an attribute of the "
        "model, then save again.",
    ]
    return ("\n".join(lines),)


def _dtypes(variables: Iterable[Variable]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for variable in variables:
        if variable.role is not Role.BOOKKEEPING:
            dtype = str(variable.dtype)
            counts[dtype] = counts.get(dtype, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
