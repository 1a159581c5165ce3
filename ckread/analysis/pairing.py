"""Pairs of variables of two checkpoints, and the work of finding them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.variable import Variable


class PairedBy(StrEnum):
    """Why two variables are taken for the same one."""

    NAME = "name"
    RENAME = "rename"
    """A rule or a map that was given."""
    KEY = "key"
    SCOPE = "scope"
    """Same name but for a first scope that one side has before all its parameters."""
    OWNER = "owner"
    """Same slot of two variables that are paired."""
    CONTENT = "content"
    """Equal checksums."""
    VALUES = "values"
    """Equal values, perhaps in another order."""
    SHAPE = "shape"
    """Same shape and role, and the nearest name: a proposal."""
    RULE = "rule"
    """The rule that explains the other renames."""


class Pair(NamedTuple):
    """Two variables that are taken for the same one.

    Attributes:
        a: that of the first checkpoint.
        b: that of the second.
        paired_by: why.
        confidence: from 0 to 1; below 1 for proposals only.
    """

    a: Variable
    b: Variable
    paired_by: PairedBy
    confidence: float = 1.0

    @property
    def is_renamed(self) -> bool:
        """Whether the names differ."""
        return self.a.name != self.b.name


@dataclass(slots=True)
class Pairing:
    """The work in hand: what is left of both sides by name, and the pairs so far."""

    a: dict[str, Variable]
    b: dict[str, Variable]
    pairs: list[Pair] = field(default_factory=list)
    partner: dict[str, str] = field(default_factory=dict)

    def take(
        self, a: Variable, b: Variable, paired_by: PairedBy, *, confidence: float = 1.0
    ) -> None:
        """Pair two variables that are both left."""
        del self.a[a.name], self.b[b.name]
        self.pairs.append(Pair(a, b, paired_by, confidence))
        self.partner[a.name] = b.name

    def take_by_name(self, names: Mapping[str, str], paired_by: PairedBy) -> None:
        """Pair what is left under these names (of a: of b)."""
        for a, b in names.items():
            if a in self.a and b in self.b:
                self.take(self.a[a], self.b[b], paired_by)
