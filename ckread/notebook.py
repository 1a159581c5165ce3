"""What `print` and a notebook show of a checkpoint, a run or a result: the command's own page.

Above all layers, like `ckread/__init__.py`: results are shown by the views, and know
nothing of them. `Displayed` imports this module by its name when something is shown,
and here the view is imported that this kind of thing has, and no other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ckread.errors import CheckpointError
from ckread.views.terminal.page import Page, Paper, plain

if TYPE_CHECKING:
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.tree import VariableTree

_TEXT_COLUMNS = 80


def text_of(shown: Any) -> str | None:
    """Give the page of a checkpoint, a run or a result as a terminal shows it.

    None where it cannot be made: its files are closed, damaged or gone.
    """
    try:
        return "\n".join(map(plain, _page(shown).lines(Paper(_TEXT_COLUMNS))))
    except CheckpointError:
        return None


def html_of(shown: Any) -> str | None:
    """Give it as HTML, self-contained, escaped, and of bounded length; None likewise."""
    from ckread.views.terminal.html import html_page

    try:
        page = _page(shown)
    except CheckpointError:
        return None
    return html_page(page, details=page.details if isinstance(page, _CheckpointPage) else None)


def _page(shown: Any) -> Page:
    """Lay out whatever it is; the classes are known by name, so that none is imported."""
    kinds = (kind.__name__ for kind in type(shown).__mro__)
    page: Page = next(_PAGES[kind] for kind in kinds if kind in _PAGES)(shown)
    return page


class _CheckpointPage(Page):
    """What a checkpoint is, and a listing that a notebook opens below it.

    Attributes:
        details: the heading of the listing, and its first rows.
    """

    def __init__(self, page: Page, details: tuple[str, Page]) -> None:
        super().__init__(*page.sections)
        self.details = details


def _checkpoint(checkpoint: Checkpoint) -> Page:
    from ckread.analysis.info import summarise
    from ckread.model.ordering import model_order
    from ckread.model.role import Role
    from ckread.model.tree import build_tree
    from ckread.views.info.page import info_page
    from ckread.views.listing import Listing, listing_page
    from ckread.views.terminal.html import HEAD_ROWS, MAX_ROWS
    from ckread.views.terminal.words import plural

    ordered = model_order(checkpoint.values(), checkpoint.evidence)
    variables = [v for v in ordered if v.role is not Role.BOOKKEEPING]
    page = info_page(summarise(checkpoint), build_tree(variables, folds=True))
    n, nbytes = len(variables), sum(variable.nbytes for variable in variables)
    head = variables[: n if n <= MAX_ROWS else HEAD_ROWS]
    listing = Listing(head, n, nbytes, n_hidden=len(checkpoint) - n)
    return _CheckpointPage(page, (plural(n, "variable"), listing_page(listing)))


def _tree(tree: VariableTree) -> Page:
    from ckread.model.spelling import safe_text
    from ckread.views.tree import tree_page

    return tree_page(tree, safe_text(tree.path) or "all variables")


def _by(module: str, function: str, view: str | None = None) -> Any:
    """Give what lays a result out with a function of the views."""

    def lay_out(result: Any) -> Any:
        views = import_module(f"ckread.views.{module}")
        shown = result if view is None else getattr(views, view)(result)
        return getattr(views, function)(shown)

    return lay_out


_PAGES: dict[str, Any] = {
    "Checkpoint": _checkpoint,
    "VariableTree": _tree,
    "Run": _by("runs", "runs_page"),
    "CheckpointStatistics": _by("statistics", "statistics_page"),
    "RunStatistics": _by("statistics", "evolution_page"),
    "CheckpointDiff": _by("diff.page", "diff_page", "DiffView"),
    "RunDrift": _by("drift.page", "drift_page", "DriftView"),
    "RunTrack": _by("track", "track_page"),
    "TrainingHistory": _by("history", "history_page"),
    "CheckReport": _by("check", "check_page"),
    "RestoreForecast": _by("compat", "compat_page", "CompatView"),
}
