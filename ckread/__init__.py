"""Read TensorFlow checkpoints statically: what is in it, is it sound, what changed.

Public names are resolved when they are first used (PEP 562), so that importing
the package loads neither numpy nor anything else that is heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ckread.analysis.check import check as check
    from ckread.analysis.diff import diff_checkpoints as diff
    from ckread.analysis.diff_records import CheckpointDiff as CheckpointDiff
    from ckread.analysis.drift import drift as drift
    from ckread.analysis.findings import CheckReport as CheckReport
    from ckread.analysis.history import history as history
    from ckread.analysis.statistics import statistics as statistics
    from ckread.analysis.track import track as track
    from ckread.model.checkpoint import Checkpoint as Checkpoint
    from ckread.model.opening import open_checkpoint as open  # noqa: A004
    from ckread.model.run import Run as Run
    from ckread.model.run import open_run as open_run
    from ckread.model.variable import Variable as Variable

__version__ = "0.1.0"

_HOMES = {
    "open": ("ckread.model.opening", "open_checkpoint"),
    "Checkpoint": ("ckread.model.checkpoint", "Checkpoint"),
    "CheckReport": ("ckread.analysis.findings", "CheckReport"),
    "CheckpointDiff": ("ckread.analysis.diff_records", "CheckpointDiff"),
    "Run": ("ckread.model.run", "Run"),
    "Variable": ("ckread.model.variable", "Variable"),
    "check": ("ckread.analysis.check", "check"),
    "diff": ("ckread.analysis.diff", "diff_checkpoints"),
    "drift": ("ckread.analysis.drift", "drift"),
    "history": ("ckread.analysis.history", "history"),
    "open_run": ("ckread.model.run", "open_run"),
    "statistics": ("ckread.analysis.statistics", "statistics"),
    "track": ("ckread.analysis.track", "track"),
}

__all__ = [
    "CheckReport",
    "Checkpoint",
    "CheckpointDiff",
    "Run",
    "Variable",
    "__version__",
    "check",
    "diff",
    "drift",
    "history",
    "open",
    "open_run",
    "statistics",
    "track",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
