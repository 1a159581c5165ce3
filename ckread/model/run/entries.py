"""The checkpoints of a run as they are listed, before any is opened again."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ckread.model.display import Field, Kind, document

if TYPE_CHECKING:
    from ckread.errors import CheckpointError
    from ckread.model.claim import Claim


class RunState(StrEnum):
    """What the state file of a directory says of a checkpoint."""

    LATEST = "latest"
    """Named as the one to restore."""
    KEPT = "kept"
    """Named among those that are kept."""
    UNTRACKED = "untracked"
    """On disk, and not named."""
    STALE = "stale"
    """Named, and not on disk."""


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One checkpoint of a run.

    Attributes:
        path: its prefix, file or directory.
        step: of training; None where neither content nor name tell.
        epoch: of training, by a counter in the file, else by its name; None otherwise.
        numbers: of the name, those that order it among its siblings.
        time: when it was saved, seconds since 1970, by the state file or else by
            the file itself; None for one that is not there.
        nbytes: of all its files; None for one that is not there.
        state: what the state file says; None where there is none.
        iterations: of its optimizer; None where it has none.
        variables: how many it holds, bookkeeping left out.
        elements: of these variables.
        is_dated_by_state: whether `time` is the state file's.
        is_epoch_stored: whether `epoch` is that of a counter.
    """

    path: str
    step: int | None
    time: float | None = None
    nbytes: int | None = None
    state: RunState | None = None
    iterations: int | None = None
    variables: int = 0
    elements: int = 0
    is_dated_by_state: bool = False
    epoch: int | None = None
    numbers: tuple[int, ...] = ()
    is_epoch_stored: bool = False

    @property
    def name(self) -> str:
        """Its base name."""
        return base_name(self.path)

    @property
    def count(self) -> int | None:
        """Its step, else its epoch; what its place in the training is shown by."""
        return self.epoch if self.step is None else self.step

    @property
    def unit(self) -> str:
        """What `count` counts: `step` or `epoch`."""
        return "epoch" if self.step is None and self.epoch is not None else "step"

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of a checkpoint in JSON documents."""
        return document(ENTRY_FIELDS, self)


ENTRY_FIELDS: tuple[Field[RunEntry], ...] = (
    Field("path", Kind.TEXT),
    Field("step", Kind.NUMBER),
    Field("epoch", Kind.NUMBER),
    Field("numbers", Kind.SHAPE),
    Field("time", Kind.FIGURE),
    Field("nbytes", Kind.NUMBER),
    Field("state", Kind.TEXT),
    Field("iterations", Kind.NUMBER),
    Field("variables", Kind.COUNT),
    Field("elements", Kind.COUNT),
)
"""What is told of a checkpoint of a run: JSON, pandas and the pipe of `runs`."""


@dataclass(frozen=True, slots=True)
class SkippedCheckpoint:
    """A checkpoint that was found and cannot be opened.

    Attributes:
        path: its prefix, file or directory.
        error: why; not shown by `repr`.
    """

    path: str
    error: CheckpointError = field(repr=False)


@dataclass(frozen=True, slots=True)
class RunGroup:
    """Checkpoints of one model, in order of step.

    Attributes:
        entries: of the checkpoints.
        model: equal for groups of the same model that was saved under another name, or
            in another format: their parameters have the same leaf names, shapes and types.
        titles: what orders them is called: `step`, `epoch`, or words of their names.
        claims: of their steps and of the latest, with what told them.
    """

    entries: tuple[RunEntry, ...]
    model: int = 0
    titles: tuple[str, ...] = ("step",)
    claims: tuple[Claim, ...] = ()

    @property
    def latest(self) -> RunEntry:
        """The last of them."""
        return self.entries[-1]


def base_name(path: str) -> str:
    """Give the last component of a path, also where it ends in a separator."""
    return os.path.basename(path.rstrip(os.sep)) or path
