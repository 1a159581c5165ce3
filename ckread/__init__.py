"""Read TensorFlow checkpoints statically: what is in it, is it sound, what changed.

Public names are resolved when they are first used (PEP 562), so that importing
the package loads neither numpy nor anything else that is heavy. How a result looks
is registered here, since nothing below may know it, and likewise resolved when shown.
"""

from __future__ import annotations

import sys

if getattr(sys, "argv", [""])[0].rpartition("/")[2] in ("ckread", "-m"):
    # The program itself, not one that imports it: Ctrl-C ends it without a word while its
    # modules are still being loaded, until `cli.main` takes over. The module `signal` is one
    # of them. And what libraries warn of says nothing to a user.
    import _signal  # type: ignore[import-not-found]
    import warnings

    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ckread.model.display import shown_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckread.analysis.audit.optimizer import OptimizerAudit as OptimizerAudit
    from ckread.analysis.audit.optimizer import RunOptimizerAudit as RunOptimizerAudit
    from ckread.analysis.audit.optimizer import optimizer as optimizer
    from ckread.analysis.audit.optimizer import optimizer_of_run as optimizer_of_run
    from ckread.analysis.audit.seams import find_seams as seams
    from ckread.analysis.check.check import check as check
    from ckread.analysis.check.findings import CheckReport as CheckReport
    from ckread.analysis.compat.compat import compat as compat
    from ckread.analysis.compat.records import RestoreForecast as RestoreForecast
    from ckread.analysis.diff.diff import diff_checkpoints as diff
    from ckread.analysis.diff.records import CheckpointDiff as CheckpointDiff
    from ckread.analysis.drift.drift import drift as drift
    from ckread.analysis.drift.records import RunDrift as RunDrift
    from ckread.analysis.filters.filters import Filters as Filters
    from ckread.analysis.filters.filters import filters as filters
    from ckread.analysis.filters.responses import Responses as Responses
    from ckread.analysis.filters.responses import responses as responses
    from ckread.analysis.history.history import TrainingHistory as TrainingHistory
    from ckread.analysis.history.history import history as history
    from ckread.analysis.info import CheckpointSummary as CheckpointSummary
    from ckread.analysis.info import info as info
    from ckread.analysis.loading.loading import on_loading as loads
    from ckread.analysis.loading.records import OnLoading as OnLoading
    from ckread.analysis.statistics.statistics import CheckpointStatistics as CheckpointStatistics
    from ckread.analysis.statistics.statistics import RunStatistics as RunStatistics
    from ckread.analysis.statistics.statistics import statistics as statistics
    from ckread.analysis.statistics.statistics import statistics_of_run as statistics_of_run
    from ckread.analysis.track import RunTrack as RunTrack
    from ckread.analysis.track import track as track
    from ckread.errors import CheckpointError as CheckpointError
    from ckread.model.checkpoint import Checkpoint as Checkpoint
    from ckread.model.opening import open_checkpoint as open  # noqa: A004
    from ckread.model.run.run import Run as Run
    from ckread.model.run.run import open_run as open_run
    from ckread.model.tree import VariableTree as VariableTree
    from ckread.model.variable import Variable as Variable
    from ckread.plotting import plot_diff as plot_diff
    from ckread.plotting import plot_difference as plot_difference
    from ckread.plotting import plot_drift as plot_drift
    from ckread.plotting import plot_filters as plot_filters
    from ckread.plotting import plot_history as plot_history
    from ckread.plotting import plot_optimizer as plot_optimizer
    from ckread.plotting import plot_statistics as plot_statistics
    from ckread.plotting import plot_track as plot_track

__version__ = "0.2.0"

_HOMES = {
    "Checkpoint": ("model.checkpoint", "Checkpoint"),
    "CheckReport": ("analysis.check.findings", "CheckReport"),
    "CheckpointDiff": ("analysis.diff.records", "CheckpointDiff"),
    "CheckpointError": ("errors", "CheckpointError"),
    "CheckpointStatistics": ("analysis.statistics.statistics", "CheckpointStatistics"),
    "CheckpointSummary": ("analysis.info", "CheckpointSummary"),
    "Filters": ("analysis.filters.filters", "Filters"),
    "OnLoading": ("analysis.loading.records", "OnLoading"),
    "OptimizerAudit": ("analysis.audit.optimizer", "OptimizerAudit"),
    "Responses": ("analysis.filters.responses", "Responses"),
    "RestoreForecast": ("analysis.compat.records", "RestoreForecast"),
    "Run": ("model.run.run", "Run"),
    "RunDrift": ("analysis.drift.records", "RunDrift"),
    "RunOptimizerAudit": ("analysis.audit.optimizer", "RunOptimizerAudit"),
    "RunStatistics": ("analysis.statistics.statistics", "RunStatistics"),
    "RunTrack": ("analysis.track", "RunTrack"),
    "TrainingHistory": ("analysis.history.history", "TrainingHistory"),
    "Variable": ("model.variable", "Variable"),
    "VariableTree": ("model.tree", "VariableTree"),
    "check": ("analysis.check.check", "check"),
    "compat": ("analysis.compat.compat", "compat"),
    "diff": ("analysis.diff.diff", "diff_checkpoints"),
    "drift": ("analysis.drift.drift", "drift"),
    "filters": ("analysis.filters.filters", "filters"),
    "history": ("analysis.history.history", "history"),
    "info": ("analysis.info", "info"),
    "loads": ("analysis.loading.loading", "on_loading"),
    "open": ("model.opening", "open_checkpoint"),
    "open_run": ("model.run.run", "open_run"),
    "optimizer": ("analysis.audit.optimizer", "optimizer"),
    "optimizer_of_run": ("analysis.audit.optimizer", "optimizer_of_run"),
    "plot_diff": ("plotting", "plot_diff"),
    "plot_difference": ("plotting", "plot_difference"),
    "plot_drift": ("plotting", "plot_drift"),
    "plot_filters": ("plotting", "plot_filters"),
    "plot_history": ("plotting", "plot_history"),
    "plot_optimizer": ("plotting", "plot_optimizer"),
    "plot_statistics": ("plotting", "plot_statistics"),
    "plot_track": ("plotting", "plot_track"),
    "responses": ("analysis.filters.responses", "responses"),
    "seams": ("analysis.audit.seams", "find_seams"),
    "statistics": ("analysis.statistics.statistics", "statistics"),
    "statistics_of_run": ("analysis.statistics.statistics", "statistics_of_run"),
    "track": ("analysis.track", "track"),
}

_PAGES = {
    "CheckReport": "check_page",
    "RestoreForecast": "compat_page",
    "Checkpoint": "checkpoint_page",
    "CheckpointDiff": "diff_page",
    "CheckpointStatistics": "statistics_page",
    "CheckpointSummary": "summary_page",
    "OnLoading": "loads_page",
    "OptimizerAudit": "optimizer_page",
    "Run": "run_page",
    "RunDrift": "drift_page",
    "RunOptimizerAudit": "optimizer_run_page",
    "RunStatistics": "evolution_page",
    "RunTrack": "track_page",
    "TrainingHistory": "history_page",
    "VariableTree": "tree_page",
}
"""Public classes, and the function of `ckread.notebook` that lays each of them out."""

_SHOWN = {(f"ckread.{_HOMES[name][0]}", name): page for name, page in _PAGES.items()}


def _show(result: object) -> Any:
    """Lay a result out by its class; None for a kind that has no page."""
    kinds = ((kind.__module__, kind.__name__) for kind in type(result).__mro__)
    page = next((_SHOWN[kind] for kind in kinds if kind in _SHOWN), None)
    if page is None:
        return None
    lay_out: Callable[[object], Any] = getattr(import_module("ckread.notebook"), page)
    return lay_out(result)


def _html(page: Any) -> str:
    html: str = import_module("ckread.notebook").html_of(page)
    return html


shown_by(_show, _html)

__all__ = [
    "CheckReport",
    "Checkpoint",
    "CheckpointDiff",
    "CheckpointError",
    "CheckpointStatistics",
    "CheckpointSummary",
    "Filters",
    "OnLoading",
    "OptimizerAudit",
    "Responses",
    "RestoreForecast",
    "Run",
    "RunDrift",
    "RunOptimizerAudit",
    "RunStatistics",
    "RunTrack",
    "TrainingHistory",
    "Variable",
    "VariableTree",
    "__version__",
    "check",
    "compat",
    "diff",
    "drift",
    "filters",
    "history",
    "info",
    "loads",
    "open",
    "open_run",
    "optimizer",
    "optimizer_of_run",
    "plot_diff",
    "plot_difference",
    "plot_drift",
    "plot_filters",
    "plot_history",
    "plot_optimizer",
    "plot_statistics",
    "plot_track",
    "responses",
    "seams",
    "statistics",
    "statistics_of_run",
    "track",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(import_module(f"ckread.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*(name for name in globals() if name.startswith("__")), *_HOMES])
