"""Results as tables for pandas: which columns each has, and what a row of it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckread.model.display import data_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckread.analysis.check.findings import Finding
    from ckread.analysis.diff.records import VariableDiff
    from ckread.analysis.drift.records import RunDrift
    from ckread.analysis.history import TrainingHistory
    from ckread.analysis.statistics.statistics import RunStatistics, VariableStatistics
    from ckread.analysis.track import RunTrack

_FIGURES = {
    "key": "object", "role": "object", "dtype": "object", "shape": "object",
    "measure": "object", "elements": "int64", "min": "float64", "max": "float64",
    "mean": "float64", "std": "float64", "l2": "float64", "zeros": "int64", "nan": "int64",
    "inf": "int64", **dict.fromkeys(("0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99"),
    "float64"),
}  # fmt: skip
_DIFF = {
    "status": "object", "role": "object", "dtype": "object", "shape": "object",
    "elements": "int64", "renamed_from": "object", "paired_by": "object",
    "confidence": "float64", "changed_elements": "Int64", "max_abs": "float64",
    "mean_abs": "float64", "l2": "float64", "relative_l2": "float64", "cosine": "float64",
    "sign_flips": "Int64", "exact_cast": "boolean",
}  # fmt: skip
_DRIFT = {
    "name": "object", "role": "object", "checkpoint": "object", "step": "Int64",
    "l2": "float64", "from_first": "float64", "from_previous": "float64",
    "cosine_to_first": "float64", "changed": "boolean",
}  # fmt: skip
_FINDING = dict.fromkeys(
    ("level", "code", "variable", "place", "message", "remedy"), "object"
)  # fmt: skip


def statistics_frame(variables: Iterable[VariableStatistics]) -> Any:
    """Give a row per variable, by name."""
    return data_frame(_FIGURES, list(map(_figures, variables)), index="name")


def run_statistics_frame(run: RunStatistics) -> Any:
    """Give a row per checkpoint and variable that was measured in it."""
    rows = [
        {"checkpoint": moment.path, "step": moment.step, **_figures(variable)}
        for moment in run.moments
        for variable in moment.variables.values()
        if variable.distribution
    ]
    return data_frame({"name": "object", "checkpoint": "object", "step": "int64", **_FIGURES}, rows)


def _figures(variable: VariableStatistics) -> dict[str, Any]:
    fields = variable.to_dict(1)
    return {**fields, **fields["quantiles"]}


def diff_frame(variables: Iterable[VariableDiff]) -> Any:
    """Give a row per variable, by name; dtype and shape where it is there, after before."""
    rows = []
    for variable in variables:
        fields = variable.to_dict()
        side = fields["b"] or fields["a"]
        known = {"dtype": side["dtype"], "shape": side["shape"], "elements": variable.elements}
        rows.append({**fields, **known})
    return data_frame(_DIFF, rows, index="name")


def drift_frame(drift: RunDrift) -> Any:
    """Give a row per variable and checkpoint."""
    rows = []
    for variable in (*drift.variables, *drift.causes):
        fields = variable.to_dict()
        arrays = [name for name in _DRIFT if isinstance(fields.get(name), list)]
        for at, entry in enumerate(drift.checkpoints):
            here = {name: fields[name][at] for name in arrays}
            where = {"checkpoint": entry.path, "step": entry.step}
            rows.append({"name": variable.name, "role": fields["role"], **where, **here})
    return data_frame(_DRIFT, rows)


def track_frame(track: RunTrack) -> Any:
    """Give a row per checkpoint, by step, and a column per value."""
    columns = {v.name: "Int64" if _is_whole(v.values) else "float64" for v in track.variables}
    n = len(track.checkpoints)
    rows = [{v.name: v.values[at] for v in track.variables} for at in range(n)]
    steps = [entry.step for entry in track.checkpoints]
    return data_frame(columns, rows, index="step", labels=steps, dtype="Int64")


def _is_whole(values: Sequence[Any]) -> bool:
    return all(value is None or isinstance(value, int) for value in values)


def history_frame(history: TrainingHistory) -> Any:
    """Give a row per epoch, by its number, a column per metric, and who holds it."""
    columns = {**dict.fromkeys(history.metrics, "float64"), "checkpoint": "object"}
    rows = [
        {
            **{name: values[at] for name, values in history.metrics.items()},
            "checkpoint": history.holders.kept.get(epoch),
        }
        for at, epoch in enumerate(history.epochs)
    ]
    return data_frame(columns, rows, index=history.unit, labels=history.epochs, dtype="int64")


def findings_frame(findings: Iterable[Finding]) -> Any:
    """Give a row per finding, errors first."""
    return data_frame(_FINDING, [finding.to_dict() for finding in findings])
