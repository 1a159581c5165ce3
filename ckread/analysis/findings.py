"""One thing that a check or an audit finds: a level, a stable code, a place and a remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ckread.model.display import Field, Kind, document


class Level(StrEnum):
    """How bad a finding is; the order is that of reports."""

    ERROR = "error"
    """Damaged, missing, out of bounds, overlapping, or not finite: the checkpoint is unsound."""
    WARNING = "warning"
    """Sound, and probably not what was wanted."""
    NOTE = "note"
    """Worth knowing."""


class Code(StrEnum):
    """What kind of finding; scripts may build on these words."""

    NO_INDEX = "no-index"
    INDEX = "index"
    INDEX_BLOCK = "index-block"
    FILE = "file-damaged"
    SOMETHING_ELSE = "something-else"
    VERSION = "version"
    ENTRY = "entry"
    SLICES = "slices"
    OVERLAP = "tensor-overlap"
    BOUNDS = "tensor-bounds"
    GAP = "gap"
    UNREADABLE = "unreadable"
    SHARD_MISSING = "shard-missing"
    SHARD_SHORT = "shard-short"
    SHARD_LONG = "shard-long"
    SHARD_OTHER = "shard-other"
    SHARD_MIXED = "shard-mixed"
    CHECKSUM = "tensor-checksum"
    DAMAGED = "tensor-damaged"
    MEMBER = "archive-member"
    AMBIGUOUS = "ambiguous-member"
    NO_CHECKSUM = "no-checksum"
    NOT_FINITE = "not-finite"
    CONSTANT = "constant"
    EXPLODING = "exploding"
    ZERO_VARIANCE = "zero-variance"
    NEVER_TRAINED = "never-trained"
    NOT_TRAINED = "untrained-copy"
    AS_INITIALISED = "as-initialised"
    DEAD_UNITS = "dead-units"
    MOMENTS_RESET = "moments-reset"
    STEP = "step"
    LOST = "lost"
    VOCABULARY = "vocabulary"
    STATE_STALE = "state-stale"
    STATE_FILE = "state-file"
    LEFTOVERS = "leftovers"
    NEWER = "newer-torn"
    EVIDENCE = "evidence"
    TENSORFLOW = "tensorflow"

    # Between two checkpoints of a run, of which `MOMENTS_RESET` too may be told.
    OPTIMIZER_RESET = "optimizer-reset"
    ITERATIONS_RESET = "iterations-reset"
    SLOTS_LOST = "slots-lost"
    SLOTS_CAME = "slots-came"
    RATE_JUMP = "rate-jump"
    OTHER_OPTIMIZER = "other-optimizer"
    OTHER_MODEL = "other-model"
    ROLLBACK = "rollback"
    TRAINED_TWICE = "trained-twice"
    DUPLICATE = "duplicate"

    # Of the last update, as `ckread optimizer` recomputes it.
    UPDATE_HUGE = "update-huge"
    UPDATE_LOST = "update-lost"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Example:
        >>> one = ckread.check("fixtures/digits_run/ckpt-10")[0]
        >>> str(one.level), str(one.code), one.variable, one.place, one.is_all
        ('warning', 'dead-units', 'conv1/kernel', None, False)
        >>> one.message[:50]
        '1 of 16 units (index 1) has not received a gradien'
        >>> one.remedy is None, list(one.to_dict())[:2]
        (True, ['level', 'code'])

    Attributes:
        level: how bad it is.
        code: what kind it is.
        variable: name of the variable, or its key where names are not known; None
            for a file.
        place: file and bytes, or file alone.
        message: what was found and expected, without a final stop.
        remedy: what to do: whole sentences; commands on lines that begin with spaces.
        is_all: whether it is so of every element of the variable; not in the document.
    """

    level: Level
    code: Code
    variable: str | None
    place: str | None
    message: str
    remedy: str | None = None
    is_all: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of a finding in the `check` document."""
        return document(FINDING_FIELDS, self)


FINDING_FIELDS: tuple[Field[Finding], ...] = tuple(
    Field(name, Kind.TEXT) for name in ("level", "code", "variable", "place", "message", "remedy")
)
"""What is told of a finding: JSON, pandas and the pipe of `check`."""
