"""What is said of a checkpoint beyond its bytes, and what told it.

A step, a role, a pair, the latest of a run: each is claimed by one rule in one place, from
evidence in order of strength. Where nothing tells, the value is None and `source` says what
would tell; a default is no evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Strength(StrEnum):
    """How well a claim is told, strongest first."""

    STORED = "stored"
    """Read from the content of the checkpoint's own files."""
    NAMED = "named"
    """Told by the name of a file or of a variable."""
    DERIVED = "derived"
    """Concluded from several things: saved times, neighbours, shapes, sums."""
    UNKNOWN = "unknown"
    """Nothing tells; no value."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim with its evidence.

    Attributes:
        claim: what is claimed, in the words of the JSON field: "step", "latest", "optimizer".
        value: the claimed value; None exactly where the strength is `unknown`.
        strength: how well it is told.
        source: what told it, or for what is unknown what would: "file name, after `ckpt-`".
        against: what was seen and not believed, each with its reason.
    """

    claim: str
    value: str | float | bool | None
    strength: Strength
    source: str
    against: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the entry of `evidence` in JSON documents."""
        return {
            "claim": self.claim,
            "value": self.value,
            "strength": self.strength.value,
            "from": self.source,
            "against": list(self.against),
        }
