"""The section *why* of a screen: every claim, what told it, and what was not believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.display import safe_text
from ckread.model.evidence import Strength
from ckread.views.terminal.page import Lines, Page, PipedOnly, Prose, Span, TerminalOnly
from ckread.views.terminal.words import value_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckread.model.evidence import Claim
    from ckread.views.terminal.page import Block

_ORDER = list(Strength)
_MAX_AGAINST = 6
"""Reasons that are told of one claim."""


def with_why(page: Page, claims: Iterable[Claim]) -> Page:
    """Give a page with the section below it, strongest claims first.

    A pipe gets the same as comments, so that its records stay what they are.
    """
    ordered = sorted(claims, key=lambda claim: _ORDER.index(claim.strength))
    if not ordered:
        return page
    title = Lines([(Span("why", "label"),)])
    piped = []
    for claim in ordered:
        against = "".join(f"; not {doubt}" for doubt in claim.against)
        value = "unknown" if claim.value is None else claim.value
        told = f"why {claim.claim}: {value} ({claim.strength}): {claim.source}{against}"
        piped.append(Prose(safe_text(told)))
    return Page(*page.sections, [TerminalOnly(title, *_told(ordered)), PipedOnly(*piped)])


def _told(claims: Sequence[Claim]) -> list[Block]:
    """Give a line per claim, its name in a column of its own, and a line per doubt."""
    cells = max(len(_name(claim)) for claim in claims) + 2
    blocks: list[Block] = []
    for claim in claims:
        label = Span(_name(claim).ljust(cells), "label")
        if claim.strength is Strength.UNKNOWN:
            said = f"unknown: {claim.source}"
        else:
            value = claim.value
            said = f"{value if isinstance(value, str) else value_text(value)}: {claim.source}"
        blocks.append(Prose(label, safe_text(said), indent=cells))
        doubts = [Span(safe_text(f"not {doubt}"), "muted") for doubt in claim.against]
        blocks += [Prose(" " * cells, doubt, indent=cells) for doubt in doubts[:_MAX_AGAINST]]
    return blocks


def _name(claim: Claim) -> str:
    return safe_text(claim.claim.replace("_", " "))
