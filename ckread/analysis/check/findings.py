"""What a check finds: records with a level, a stable code, a place and a remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ckread.model.display import Displayed, Field, Kind, document, frame

if TYPE_CHECKING:
    from ckread.analysis.loading.records import OnLoading
    from ckread.model.evidence import Claim


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


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

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


@dataclass(frozen=True, slots=True, repr=False)
class CheckReport(Displayed):
    """Everything that a check found.

    Attributes:
        path: of the checkpoint.
        findings: errors first.
        n_tensors: tensors that the index lists.
        nbytes: bytes of their values.
        n_verified: tensors read whole, and right by their checksum where there is one.
        nbytes_verified: bytes of these.
        elements: numbers that were looked at.
        n_blocks: blocks of the index, where it has any.
        n_shards: data shards wanted.
        is_quick: whether values were left unread.
        has_checksums: whether the format keeps checksums of all values.
        step: what the step was found by, in words.
        is_listed: whether the index could be read, so that there is a listing.
        evidence: what told the step.
        on_loading: what a program that loads it would run; None where there is no graph and no
            configuration, or none that can be read.

    Example:
        >>> report = ckread.check("fixtures/digits_run/ckpt-10")
        >>> report
        <ckread.CheckReport 'fixtures/digits_run/ckpt-10': sound, 1 findings>
        >>> report.to_pandas()[["level", "code", "variable"]].values.tolist()
        [['warning', 'dead-units', 'conv1/kernel']]
    """

    path: str
    findings: tuple[Finding, ...]
    n_tensors: int = 0
    nbytes: int = 0
    n_verified: int = 0
    nbytes_verified: int = 0
    elements: int = 0
    n_blocks: int | None = None
    n_shards: int = 0
    is_quick: bool = False
    has_checksums: bool = True
    step: str | None = None
    is_listed: bool = True
    evidence: tuple[Claim, ...] = ()
    on_loading: OnLoading | None = None

    def __repr__(self) -> str:
        """Show path, verdict and number of findings."""
        word = {True: "sound", False: "unsound", None: "not known to be sound"}[self.sound]
        return f"<ckread.CheckReport {self.path!r}: {word}, {len(self.findings)} findings>"

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that make it unsound."""
        return tuple(finding for finding in self.findings if finding.level is Level.ERROR)

    @property
    def damaged(self) -> frozenset[str]:
        """Names of the variables of which something cannot be read, or not be trusted."""
        return frozenset(
            finding.variable
            for finding in self.errors
            if finding.variable is not None and finding.code is not Code.NOT_FINITE
        )

    @property
    def sound(self) -> bool | None:
        """Whether it is sound; None where values were not read and nothing else is wrong."""
        if self.errors:
            return False
        return None if self.is_quick else True

    def to_dict(self) -> dict[str, Any]:
        """Give the body of the `check` document."""
        loading = self.on_loading
        return {
            "path": self.path,
            "sound": self.sound,
            "findings": [finding.to_dict() for finding in self.findings],
            "verified": {"variables": self.n_verified, "nbytes": self.nbytes_verified},
            "evidence": [claim.to_dict() for claim in self.evidence],
            "on_loading": None if loading is None else [fact.to_dict() for fact in loading.facts],
        }

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per finding, errors first.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        return frame(FINDING_FIELDS, self.findings)


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Put errors first, then warnings, then notes; otherwise as they were found."""
    levels = list(Level)
    return tuple(sorted(findings, key=lambda finding: levels.index(finding.level)))
