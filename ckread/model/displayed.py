"""What shows itself: as the lines of a terminal where it is printed, as HTML in a notebook.

How it looks is settled in the views, which neither model nor analysis may import. So
the module that joins them is named here, and imported when something is shown.
"""

from __future__ import annotations

from importlib import import_module

_JOINS = "ckread.notebook"


class Displayed:
    """A checkpoint, a run or a result that `print` and notebooks show as a page."""

    __slots__ = ()

    def __str__(self) -> str:
        """Give the page that a terminal of 80 columns shows, without colours."""
        text: str | None = import_module(_JOINS).text_of(self)
        return repr(self) if text is None else text

    def _repr_html_(self) -> str | None:
        """Give the page to a notebook; None, for the `repr`, where it cannot be made."""
        html: str | None = import_module(_JOINS).html_of(self)
        return html
