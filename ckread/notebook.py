"""What `print`, rich and a notebook show of a checkpoint, a run or a result: the command's page.

Each function imports the view that its kind of thing has, and no other. `ckread/__init__.py`
says which function is for which kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckread.analysis.audit.optimizer import OptimizerAudit, RunOptimizerAudit
    from ckread.analysis.check.findings import CheckReport
    from ckread.analysis.compat.records import RestoreForecast
    from ckread.analysis.diff.records import CheckpointDiff
    from ckread.analysis.drift.records import RunDrift
    from ckread.analysis.history.history import TrainingHistory
    from ckread.analysis.info import CheckpointSummary
    from ckread.analysis.loading.records import OnLoading
    from ckread.analysis.statistics.statistics import CheckpointStatistics, RunStatistics
    from ckread.analysis.track import RunTrack
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.run.run import Run
    from ckread.model.tree import VariableTree
    from ckread.views.terminal.page import Page


def html_of(page: Page) -> str:
    """Give a page as a notebook shows it."""
    from ckread.views.terminal.html import html_page

    return html_page(page)


def checkpoint_page(checkpoint: Checkpoint) -> Page:
    """Say what a checkpoint is; below it a notebook opens a listing."""
    from ckread.analysis.info import shown_tree, summarise
    from ckread.model.role import Role
    from ckread.views.info.page import info_page
    from ckread.views.listing import Listing, listing_page
    from ckread.views.terminal.table import HEAD_ROWS, MAX_ROWS
    from ckread.views.terminal.words import plural

    page = info_page(summarise(checkpoint), shown_tree(checkpoint))
    ordered = checkpoint.in_order()
    variables = [v for v in ordered if v.role is not Role.BOOKKEEPING]
    n, nbytes = len(variables), sum(variable.nbytes for variable in variables)
    head = variables[: n if n <= MAX_ROWS else HEAD_ROWS]
    listing = Listing(head, n, nbytes, n_hidden=len(checkpoint) - n)
    page.details = plural(n, "variable"), listing_page(listing)
    return page


def summary_page(summary: CheckpointSummary) -> Page:
    """Say what a checkpoint is."""
    from ckread.model.tree import build_tree
    from ckread.views.info.page import info_page

    return info_page(summary, summary.tree or build_tree([]))


def tree_page(tree: VariableTree) -> Page:
    """Draw a tree, or a part of it."""
    from ckread.model.display import safe_text
    from ckread.views import listing as view

    return view.tree_page(tree, safe_text(tree.path) or "all variables")


def run_page(run: Run) -> Page:
    """List the checkpoints of a run."""
    from ckread.analysis.audit.seams import find_seams
    from ckread.views.runs import runs_page

    return runs_page(run, seams=find_seams(run))


def statistics_page(result: CheckpointStatistics) -> Page:
    """Show the statistics of a checkpoint."""
    from ckread.views import statistics as view

    return view.statistics_page(result)


def evolution_page(result: RunStatistics) -> Page:
    """Show statistics along a run."""
    from ckread.views import statistics as view

    return view.evolution_page(result)


def diff_page(result: CheckpointDiff) -> Page:
    """Show what changed between two checkpoints."""
    from ckread.views.diff import page as view

    return view.diff_page(view.DiffView(result))


def drift_page(result: RunDrift) -> Page:
    """Show how the variables of a run moved."""
    from ckread.views.drift import page as view

    return view.drift_page(view.DriftView(result))


def track_page(result: RunTrack) -> Page:
    """Show numbers over a run."""
    from ckread.views import track as view

    return view.track_page(result)


def history_page(result: TrainingHistory) -> Page:
    """Show training curves."""
    from ckread.views import history as view

    return view.history_page(result)


def optimizer_page(result: OptimizerAudit) -> Page:
    """Show what an optimizer did in its last step."""
    from ckread.views import optimizer as view

    return view.optimizer_page(result)


def optimizer_run_page(result: RunOptimizerAudit) -> Page:
    """Show what an optimizer did along a run."""
    from ckread.views import optimizer as view

    return view.optimizer_run_page(result)


def check_page(report: CheckReport) -> Page:
    """Show what a check found."""
    from ckread.views import check as view

    return view.check_page(report)


def loads_page(found: OnLoading) -> Page:
    """Show what loading a file would do."""
    from ckread.views import loads as view

    return view.loads_page(found)


def compat_page(result: RestoreForecast) -> Page:
    """Show what a restore brings."""
    from ckread.views import compat as view

    return view.compat_page(view.CompatView(result))
