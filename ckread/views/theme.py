"""The palette: what each style is for, in the ANSI sixteen, so that the terminal's theme decides.

Every colour repeats a word or a sign, so nothing is lost without it.
"""

from __future__ import annotations

STYLES: dict[str, str] = {
    "title": "bold",  # what was read, scopes in a tree, the best row
    "label": "dim",  # column headings, labels of facts
    "muted": "dim",  # what repeats the row above, slots, guides, footers
    "spark": "cyan",  # drawn quantities
    "bar": "cyan",
    "accent": "cyan",  # the word `note`
    "good": "green",  # sound, identical, best
    "bad": "bold red",  # error, unsound, NaN, inf, ×
    "warning": "yellow",  # the word `warning`, the sign !, stale
    "added": "green",
    "removed": "red",
    "renamed": "magenta",
}
"""Theme name to rich style."""
