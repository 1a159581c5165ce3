"""What a check gives: all that it found, errors first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckread.analysis.findings import FINDING_FIELDS, Code, Finding, Level
from ckread.model.display import frame
from ckread.model.records import Records

if TYPE_CHECKING:
    from ckread.analysis.loading.records import OnLoading
    from ckread.model.evidence import Claim


@dataclass(frozen=True, slots=True, repr=False)
class CheckReport(Records[Finding]):
    """Everything that a check found; its records are the findings, by their variables.

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
        >>> report.sound, [error.code for error in report.errors], report.damaged
        (True, [], frozenset())
        >>> report.n_tensors, report.n_verified, report.nbytes == report.nbytes_verified
        (44, 44, True)
        >>> report.n_blocks, report.n_shards, report.elements, report.is_listed, report.is_quick
        (1, 1, 115234, True, False)
        >>> report.has_checksums, [claim.claim for claim in report.evidence], report.on_loading
        (True, ['step'], None)
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
    def _records(self) -> tuple[Finding, ...]:
        return self.findings

    def _name_of(self, record: Finding) -> str | None:
        return record.variable

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
