"""The sentences around a table of statistics: what is wrong, what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.role import Role
from ckread.views.folding import Prose
from ckread.views.page import Span
from ckread.views.quantities import count_text, plural, safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.distribution import Distribution
    from ckread.analysis.statistics import CheckpointStatistics, VariableStatistics
    from ckread.views.page import Block

_MAX_ERRORS = 8
_ROLE_WORDS = {
    Role.ALIAS: ("alias", "aliases"),
    Role.SLOT: ("optimizer slot", "optimizer slots"),
    Role.RANDOM: ("random state", "random states"),
    Role.OTHER: ("other variable", "other variables"),
}
"""A role as a noun, one and several, where the role's name and an s are not."""


def verdict(statistics: CheckpointStatistics) -> list[Block]:
    """Say what could not be read, and what is not finite; nothing if all is well."""
    verdicts: list[Block] = []
    noun = _noun(statistics.variables)
    total = len(statistics.variables)
    if statistics.damaged:
        n = len(statistics.damaged)
        text = f" {n} of {plural(total, noun)} could not be read."
        verdicts += [Prose(Span("damaged:", "bad"), text), *error_lines(statistics.damaged)]
    bad = [v for v in statistics.measured if v.distribution and _n_not_finite(v.distribution)]
    if bad:
        n_whole = sum(v.distribution.nan == v.distribution.elements for v in bad if v.distribution)
        verb = "is" if n_whole == 1 else "are"
        whole = f"{n_whole} of {plural(total, noun)} {verb} all NaN"
        n_part = len(bad) - n_whole
        part = f"{n_part} of {plural(total, noun)} {'has' if n_part == 1 else 'have'} NaN or Inf"
        said = " and ".join([whole] * bool(n_whole) + [part] * bool(n_part))
        verdicts.append(Prose(Span("not finite:", "bad"), f" {said}."))
    return verdicts


def error_lines(damaged: Sequence[VariableStatistics]) -> list[Block]:
    """Give what was wrong, once for all variables of which it says the same."""
    names: dict[str, list[str]] = {}
    for variable in damaged:
        names.setdefault(str(variable.error), []).append(safe_text(variable.name))
    shown = list(names.items())[:_MAX_ERRORS]
    lines = [f"  {_some(found)}: {safe_text(message)}" for message, found in shown]
    if len(names) > len(shown):
        lines.append(f"  and {len(names) - len(shown)} more (--json lists all)")
    return [Prose(line, indent=4) for line in lines]


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _n_not_finite(distribution: Distribution) -> int:
    return distribution.nan + distribution.infinite


def _noun(variables: Sequence[VariableStatistics]) -> str:
    return "weight" if all(v.role.is_parameter for v in variables) else "variable"


def footer(statistics: CheckpointStatistics, n_shown: int) -> str:
    """Say what was measured and checked, and which roles were left out."""
    measured = [v.distribution for v in statistics.measured if v.distribution]
    n_elements = sum(distribution.elements for distribution in measured)
    n_all = len(statistics.variables)
    shown = "" if n_shown == n_all else f"{count_text(n_shown)} of "
    noun = _noun(statistics.variables)
    parts = [
        f"{shown}{plural(n_all, noun)}",
        plural(n_elements, "element"),
        "" if any(map(_n_not_finite, measured)) else "all finite",
        _checked(statistics),
    ]
    sentence = ", ".join(part for part in parts if part) + "."
    roles = [
        _counted_role(role, n)
        for role, n in statistics.left_out.items()
        if role is not Role.BOOKKEEPING
    ]
    return f"{sentence} Left out: {', '.join(roles)} (--role all)." if roles else sentence


def _counted_role(role: Role, n: int) -> str:
    one, several = _ROLE_WORDS.get(role, (str(role), f"{role}s"))
    return plural(n, one, nouns=several)


def _checked(statistics: CheckpointStatistics) -> str:
    if not statistics.has_checksums:
        return "no checksums in this format"
    return "the other checksums right" if statistics.damaged else "checksums right"
