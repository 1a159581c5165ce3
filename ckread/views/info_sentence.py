"""The sentence of `info`: what a checkpoint is, for somebody who has never seen it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.role import Role
from ckread.readers.contract import Format
from ckread.views.quantities import plural, safe_text, size_text

if TYPE_CHECKING:
    from ckread.analysis.info import CheckpointSummary

_IN_WORDS = {
    Role.RANDOM: "random state",
    Role.METRIC: "metric variable",
    Role.TABLE: "lookup table tensor",
    Role.ITERATOR: "iterator state",
    Role.OTHER: "other variable",
}
_KERAS_FORMATS = (
    Format.KERAS_ARCHIVE,
    Format.KERAS_WEIGHTS,
    Format.KERAS_WEIGHTS_SHARDED,
    Format.LEGACY_HDF5,
)


def sentence_of(summary: CheckpointSummary) -> str:
    """Say in one sentence what a checkpoint is."""
    if not summary.parameters:
        return _without_parameters(summary)
    if _has_optimizer(summary):
        return f"{_subject(summary)}, {_training(summary)}."
    if summary.format is Format.SAVED_MODEL:
        purpose = ", for serving" if "serve" in summary.tags else ""
        return f"{_subject(summary)}, without optimizer{purpose}."
    if summary.keras is not None:
        return f"{_subject(summary)}, without optimizer state."
    n_variables = sum(total.variables for role, total in summary.roles.items() if role.is_parameter)
    parameters = plural(summary.parameters, "parameter")
    variables = plural(n_variables, "variable")
    return f"Weights only: {parameters} in {variables}, no optimizer state."


def _subject(summary: CheckpointSummary) -> str:
    parameters = plural(summary.parameters, "parameter")
    maker = summary.keras
    if maker is None:
        maker = "Keras" if summary.format in _KERAS_FORMATS else "TensorFlow"
    what = "model"
    if summary.format is Format.SAVED_MODEL:
        what = "export" if summary.keras == "Keras 3" else "SavedModel"
    return f"A {maker} {what} of {parameters}"


def _has_optimizer(summary: CheckpointSummary) -> bool:
    training = summary.training
    return (
        Role.SLOT in summary.roles
        or training.optimizer_kind is not None
        or training.iterations is not None
    )


def _training(summary: CheckpointSummary) -> str:
    training = summary.training
    kind = training.optimizer_kind
    saved = f"saved with {safe_text(kind)}" if kind else "saved with an unknown optimizer"
    if training.iterations is not None:
        return f"{saved} after {plural(training.iterations, 'iteration')}"
    if training.step is not None:
        return f"{saved} at step {training.step:,}"
    return saved


def _without_parameters(summary: CheckpointSummary) -> str:
    totals = {r: t for r, t in summary.roles.items() if r is not Role.BOOKKEEPING}
    if not totals:
        return "It holds no variable."
    n_variables = sum(total.variables for total in totals.values())
    nbytes = sum(total.nbytes for total in totals.values())
    kinds = ", ".join(
        plural(total.variables, _IN_WORDS.get(role) or str(role)) for role, total in totals.items()
    )
    return f"No weights: {plural(n_variables, 'variable')}, {size_text(nbytes)} ({kinds})."
