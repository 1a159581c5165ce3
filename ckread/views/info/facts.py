"""The facts of `info`: a label and a line each; what a file does not hold is left out."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from ckread.model.role import Role
from ckread.model.spelling import safe_text
from ckread.readers.contract import Format
from ckread.views.terminal.page import Prose, Span
from ckread.views.terminal.words import float_text, plural, size_text, time_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.analysis.info import CheckpointSummary
    from ckread.model.tree import VariableTree
    from ckread.readers.contract import StoredFile
    from ckread.readers.graphs.meta_graph import MetaGraph


LABEL_CELLS = 12
MAX_FILES = 3
"""Files that are named one by one."""

_FORMATS = {
    Format.TENSOR_BUNDLE: "TensorFlow checkpoint (V2)",
    Format.V1_TABLE: "TensorFlow checkpoint (V1)",
    Format.SAVED_MODEL: "SavedModel",
    Format.KERAS_ARCHIVE: "Keras archive (.keras)",
    Format.KERAS_WEIGHTS: "Keras weights (.weights.h5)",
    Format.KERAS_WEIGHTS_SHARDED: "Keras weights in shards (.weights.json)",
    Format.LEGACY_HDF5: "Keras HDF5, legacy (.h5)",
    Format.HDF5: "HDF5 file, not of Keras",
}
_BUNDLES = (Format.TENSOR_BUNDLE, Format.V1_TABLE)
_BATCH_NORM = ("moving_mean", "moving_variance")


def facts_of(summary: CheckpointSummary, tree: VariableTree) -> list[Prose]:
    """Give the facts as blocks, labels in a column of their own."""
    training = summary.training
    when = None if summary.saved is None else time_text(summary.saved)[:-3]
    by = None if summary.writer is None else f"by {safe_text(summary.writer)}"
    tags = f"tags: {' '.join(map(safe_text, summary.tags))}" if summary.tags else None
    iterations, rate = training.iterations, training.learning_rate
    done = None if iterations is None else plural(iterations, "iteration")
    if done and training.iterations_source:
        done += f" by {training.iterations_source}"
    at_rate = None if rate is None else f"learning rate {float_text(rate)}"
    based = f", {'object' if summary.is_object_based else 'name'}-based"
    if summary.format is Format.SAVED_MODEL:
        based += " variables"
    elif summary.format not in _BUNDLES:
        based = ""
    dtypes = [
        f"{dtype} ({plural(n, 'variable') if i == 0 else f'{n:,}'})"
        for i, (dtype, n) in enumerate(summary.dtypes.items())
    ]
    facts = [
        ("format", _FORMATS[summary.format] + based),
        ("files", ", ".join(_files(summary.files))),
        ("saved", ", ".join(filter(None, (when, by, tags)))),
        ("step", _step(summary)),
        ("epoch", "" if training.epoch is None else f"{training.epoch:,}"),
        ("training", ", ".join(filter(None, (done, at_rate)))),
        ("parameters", _parameters(summary, tree)),
        ("dtypes", ", ".join(dtypes)),
        *graph_facts(summary.meta_graph),
        ("assets", ", ".join(map(safe_text, summary.assets))),
    ]
    return [
        Prose(Span(label.ljust(LABEL_CELLS), "label"), text, indent=LABEL_CELLS, is_record=True)
        for label, text in facts
        if text
    ]


def _files(files: tuple[StoredFile, ...]) -> Iterator[str]:
    """Give the files by name, data shards together."""
    shards = [file for file in files if file.is_shard]
    named = (
        files if len(shards) == len(files) <= MAX_FILES else [f for f in files if not f.is_shard]
    )
    for file in named:
        size = "missing" if file.nbytes is None else size_text(file.nbytes)
        yield f"{safe_text(os.path.basename(file.path))} {size}"
    if not shards or len(named) == len(files):
        return
    present = [file.nbytes for file in shards if file.nbytes is not None]
    size = f" {size_text(sum(present))}" if present else ""
    if len(present) == len(shards):
        yield f"{plural(len(shards), 'data shard')}{size}"
    else:
        yield f"{len(present)} of {len(shards):,} data shards{size}"


def _step(summary: CheckpointSummary) -> str:
    step, source = summary.training.step, summary.training.step_source
    if step is None:
        return "not recorded" if summary.format in _BUNDLES else ""
    return f"{step:,} by {safe_text(source)}" if source else f"{step:,}"


def _parameters(summary: CheckpointSummary, tree: VariableTree) -> str:
    """Tell trainable from frozen weights and from statistics, in exact numbers."""
    if not summary.parameters:
        return ""
    weights = summary.roles[Role.WEIGHT].elements if Role.WEIGHT in summary.roles else 0
    statistics = summary.parameters - weights
    trainable = summary.trainable_parameters
    if trainable is None:
        parts = [f"{weights:,} in weights"]
    else:
        parts = [f"{trainable:,} trainable"]
        if trainable < weights:
            parts.append(f"{weights - trainable:,} frozen")
    if statistics:
        names = {
            node.variable.name.rpartition("/")[2]
            for node, _ in tree.walk()
            if node.variable is not None and node.variable.role is Role.STATISTIC
        }
        kind = "batch-norm statistics" if names <= set(_BATCH_NORM) else "statistics"
        parts.append(f"{statistics:,} {kind}")
    text = ", ".join(parts)
    if trainable is not None:
        return text
    has_optimizer = Role.SLOT in summary.roles or summary.training.optimizer_kind is not None
    why = "the file does not say" if has_optimizer else "no optimizer in the file"
    return f"{text}; trainable: unknown ({why})"


# The sentence of `info`: what a checkpoint is, for somebody who has never seen it.

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
    parameters = plural(summary.parameters, "parameter")
    training = summary.training
    kind, iterations = training.optimizer_kind, training.iterations
    has_optimizer = Role.SLOT in summary.roles or kind is not None or iterations is not None
    is_export = summary.format is Format.SAVED_MODEL
    if not has_optimizer and not is_export and summary.keras is None:
        totals = [total for role, total in summary.roles.items() if role.is_parameter]
        variables = plural(sum(total.variables for total in totals), "variable")
        return f"Weights only: {parameters} in {variables}, no optimizer state."
    maker = summary.keras
    if maker is None:
        maker = "Keras" if summary.format in _KERAS_FORMATS else "TensorFlow"
    what = "model"
    if is_export:
        what = "export" if summary.keras == "Keras 3" else "SavedModel"
    subject = f"A {maker} {what} of {parameters}"
    if has_optimizer:
        told = f"{subject}, saved with {safe_text(kind) if kind else 'an unknown optimizer'}"
        if iterations is not None:
            return f"{told} after {plural(iterations, 'iteration')}."
        return f"{told} at step {training.step:,}." if training.step is not None else f"{told}."
    if is_export:
        purpose = ", for serving" if "serve" in summary.tags else ""
        return f"{subject}, without optimizer{purpose}."
    return f"{subject}, without optimizer state."


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


# What `info` says of a TF 1 graph: its saver, initial values and partitioned variables.

_NEVER_FOR_GOOD = 10_000
"""Hours that TensorFlow's saver waits by default before it keeps one for good."""
_MAX_PARTITIONED = 3


def graph_facts(graph: MetaGraph | None) -> list[tuple[str, str]]:
    """Give label and text of what a `.meta` file tells; texts may be empty."""
    if graph is None:
        return []
    known = graph.collections
    variables = known.get("trainable_variables") or known.get("variables", ())
    begun = Counter(one.initializer for one in variables if one.initializer)
    initial = [
        f"{safe_text(kind)} ({plural(n, 'variable') if i == 0 else f'{n:,}'})"
        for i, (kind, n) in enumerate(begun.most_common())
    ]
    slices = Counter(one.partition.full_name for one in variables if one.partition is not None)
    parts = [f"{safe_text(name)} in {n:,}" for name, n in slices.items()]
    if len(parts) > _MAX_PARTITIONED:
        parts[_MAX_PARTITIONED:] = [f"{len(parts) - _MAX_PARTITIONED:,} more"]
    return [
        ("saver", ", ".join(_saver(graph))),
        ("initial", ", ".join(initial)),
        ("slices", ", ".join(parts)),
    ]


def _saver(graph: MetaGraph) -> Iterator[str]:
    saver = graph.saver
    if saver is None:
        return
    yield f"writes {saver.version}" + (", a file per device" if saver.is_sharded else "")
    yield f"keeps the last {saver.max_to_keep:,}" if saver.max_to_keep else "keeps all"
    if 0 < saver.keep_every_n_hours < _NEVER_FOR_GOOD:
        yield f"one every {saver.keep_every_n_hours:g} hours for good"
