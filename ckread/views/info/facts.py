"""The facts of `info`: a label and a line each; what a file does not hold is left out."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from ckread.model.display import by, safe_text
from ckread.model.evidence import Strength
from ckread.model.role import BATCH_NORM, Role
from ckread.readers.contract import Format, few
from ckread.views.listing import shared_in_words
from ckread.views.terminal.page import Prose, Span
from ckread.views.terminal.words import float_text, move_in_words, plural, size_text, time_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckread.analysis.info import CheckpointSummary
    from ckread.analysis.parameters import HashTable
    from ckread.analysis.training import Masks, TrainingState
    from ckread.model.tree import VariableTree
    from ckread.readers.contract import StoredFile
    from ckread.readers.graphs.meta_graph import MetaGraph


LABEL_CELLS = 12
_MAX_WORDS = 4
_MAX_TEXTS = 8
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
    Format.SAFETENSORS: "safetensors",
    Format.NPY: "numpy array (.npy)",
    Format.NPZ: "numpy arrays (.npz)",
    Format.PYTORCH: "PyTorch archive",
}
_BUNDLES = (Format.TENSOR_BUNDLE, Format.V1_TABLE)


def facts_of(summary: CheckpointSummary, tree: VariableTree) -> list[Prose]:
    """Give the facts as blocks, labels in a column of their own."""
    training = summary.training
    when = None if summary.saved is None else time_text(summary.saved)[:-3]
    by = None if summary.writer is None else f"by {safe_text(summary.writer)}"
    when_file = None
    if when is None and summary.file_time is not None:
        when_file = f"file of {time_text(summary.file_time)[:-3]}"
    texts = list(summary.metadata.items())
    tags = f"tags: {' '.join(map(safe_text, summary.tags))}" if summary.tags else None
    based = f", {'object' if summary.is_object_based else 'name'}-based"
    if summary.format is Format.SAVED_MODEL:
        based += " variables"
    elif summary.format not in _BUNDLES:
        based = ""
    dtypes = [
        f"{dtype} ({plural(n, 'variable') if i == 0 else f'{n:,}'})"
        for i, (dtype, n) in enumerate(summary.dtypes.items())
    ]
    step = "not recorded" if summary.format in _BUNDLES else ""

    def number(known: int | None, differing: Sequence[str], untold: str) -> str:
        told = f"unknown: {safe_text(', '.join(differing))}" if differing else untold
        return told if known is None else f"{known:,}"

    metric = "metrics" if len(training.metrics) > 1 else "metric"
    compiled = [
        f"{word} {', '.join(map(safe_text, names))}"
        for word, names in (("loss", training.loss), (metric, training.metrics))
        if names
    ]
    facts = [
        ("format", _FORMATS[summary.format] + based),
        ("files", ", ".join(_files(summary.files))),
        ("saved", ", ".join(filter(None, (when, by, tags, when_file)))),
        (
            "metadata",
            ", ".join(f"{safe_text(k)}: {safe_text(v[:200])}" for k, v in texts[:_MAX_TEXTS]),
        ),
        ("step", number(training.step, training.differing, step)),
        ("epoch", number(training.epoch, training.differing_epochs, "")),
        ("training", _training(training)),
        ("compiled", ", ".join(compiled)),
        ("parameters", _parameters(summary, tree)),
        ("averages", _averages(summary)),
        ("tables", "; ".join(map(_table, summary.hash_tables))),
        ("state", _state(summary, tree) if Role.STATE in summary.roles else ""),
        ("masks", _masks(summary.masks)),
        ("dtypes", ", ".join(dtypes)),
        ("shared", "; ".join(shared_in_words(summary.shared))),
        *graph_facts(summary.meta_graph),
        ("assets", ", ".join(map(safe_text, summary.assets))),
    ]
    return [
        Prose(
            Span(label.ljust(LABEL_CELLS), "label"), text, Span(_by(summary, label), "muted"),
            indent=LABEL_CELLS, is_record=True,
        )
        for label, text in facts
        if text
    ]  # fmt: skip


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


def _by(summary: CheckpointSummary, label: str) -> str:
    """Say in a few words what told a fact, where the file does not hold it as it is."""
    training, by = summary.training, ""
    differing: tuple[str, ...] = ()
    if label == "step" and training.step_source:
        by, differing = f" by {safe_text(training.step_source)}", training.differing
    elif label == "epoch" and training.epoch is not None:
        is_named = any(c.claim == label and c.strength is Strength.NAMED for c in training.claims)
        by, differing = " by file name" if is_named else "", training.differing_epochs
    return f"{by}; {safe_text(', '.join(differing))}" if differing else by


def _parameters(summary: CheckpointSummary, tree: VariableTree) -> str:
    """Tell trainable from frozen weights and from statistics, in exact numbers."""
    if not summary.parameters:
        return ""
    averaged = summary.averaged
    if averaged is not None:
        told = f"{summary.parameters:,} by their averages: {averaged.weights:,} in weights"
        return f"{told}, {averaged.statistics:,} in statistics" if averaged.statistics else told
    weights = summary.roles[Role.WEIGHT].elements if Role.WEIGHT in summary.roles else 0
    statistics = summary.parameters - weights
    trainable = summary.trainable_parameters
    if trainable is None:
        parts = [f"{weights:,} in weights"]
    else:
        parts = [f"{trainable:,} trainable"]
        if trainable < weights:
            parts.append(f"{weights - trainable:,} {_NOT_TRAINED[_how_trained(summary)]}")
    if statistics:
        names = {one.name.rpartition("/")[2] for one in tree.of_role(Role.STATISTIC)}
        kind = "batch-norm statistics" if names <= BATCH_NORM else "statistics"
        parts.append(f"{statistics:,} {kind if statistics > 1 else kind.removesuffix('s')}")
    text = ", ".join(parts)
    in_tables = sum(table.rows * table.dimension for table in summary.hash_tables)
    if in_tables:
        tables = plural(len(summary.hash_tables), "hash table")
        text += f" ({in_tables:,} of them in {tables})"
    return text if trainable is not None else f"{text}; trainable: unknown ({_why(summary, tree)})"


_NOT_TRAINED = {Strength.STORED: "not trained", Strength.DERIVED: "without slots"}


def _how_trained(summary: CheckpointSummary) -> Strength:
    """Say how it is told what is trained: by flags and lists, or by slots alone."""
    claims = (one for one in summary.evidence if one.claim == "trainable_parameters")
    return next((one.strength for one in claims), Strength.STORED)


def _training(training: TrainingState) -> str:
    """Say how far the optimizer came, or each of several."""
    if len(training.optimizers) > 1:
        if all(one.iterations is None for one in training.optimizers):
            return ""
        told = []
        for one in training.optimizers:
            said = f"{safe_text(one.name)}: {safe_text(one.kind or 'unknown optimizer')}"
            if one.iterations is not None:
                said += f" after {plural(one.iterations, 'iteration')}"
            if one.learning_rate is not None:
                said += f" at learning rate {float_text(one.learning_rate)}"
            told.append(said)
        return "; ".join(told)
    iterations, rate = training.iterations, training.learning_rate
    by = f" by {training.iterations_source}" if training.iterations_source else ""
    facts = [
        None if iterations is None else plural(iterations, "iteration") + by,
        None if rate is None else f"learning rate {float_text(rate)}",
        training.schedule and f"learning rate by {safe_text(training.schedule)}",
    ]
    return ", ".join(filter(None, facts))


def _averages(summary: CheckpointSummary) -> str:
    if summary.averages_apart is not None:
        n, far = summary.roles[Role.AVERAGE].variables, summary.averages_apart
        apart = f"{move_in_words(far)} from" if far else "equal to"
        return f"{n:,}, {apart} their weights"
    if summary.averaged is None:
        return ""
    words = ", ".join(map(safe_text, summary.averaged.words))
    return f"{summary.roles[Role.AVERAGE].variables:,}, {words}"


def _table(table: HashTable) -> str:
    parts = f" in {table.parts:,} parts" if table.parts > 1 else ""
    beside = f", with {' and '.join(map(safe_text, table.slots))}" if table.slots else ""
    return f"{safe_text(table.name)}, {table.rows:,} rows × {table.dimension:,}{parts}{beside}"


def _state(summary: CheckpointSummary, tree: VariableTree) -> str:
    """Say what is kept beside the model: where, or as what."""
    found = tree.of_role(Role.STATE)
    if not found:
        return ""
    elements = plural(sum(variable.elements for variable in found), "element")
    scopes = {variable.name.partition("/")[0] for variable in found}
    words = Counter(variable.name.rpartition("/")[2] for variable in found)
    own = [c for c in tree.children if c.path in scopes and c.n_variables == len(found)]
    if len(scopes) == len(own) == 1 and all("/" in variable.name for variable in found):
        where = f"in {safe_text(own[0].path)}/**"
    else:
        shown = [plural(n, safe_text(word)) for word, n in words.most_common()]
        where = f"in {few(shown, _MAX_WORDS)}"
    is_trained = Role.SLOT in summary.roles or summary.trainable_parameters is not None
    return f"{elements} {where}, {'which no optimizer trains' if is_trained else 'by the names'}"


def _masks(masks: Masks | None) -> str:
    """Say what pruning masks leave out, and whether it was set to 0."""
    if masks is None:
        return ""
    if masks.left_out is None:
        how = by("ckread stats --role state", "ckread.statistics(path, roles='state')")
        return f"{masks.variables:,}, not read here: {how} counts their zeros"
    told = f"leave out {masks.left_out:,} of {plural(masks.elements, 'element')}"
    if not masks.left_out:
        return told
    if masks.not_zero in (0, masks.left_out):
        return f"{told}; the weights under them are {'not ' if masks.not_zero else ''}0"
    return f"{told}; {masks.not_zero:,} of the weights under them are not 0"


def _why(summary: CheckpointSummary, tree: VariableTree) -> str:
    if Role.SLOT not in summary.roles and summary.training.optimizer_kind is None:
        is_bare = Role.HYPERPARAMETER not in summary.roles and summary.training.iterations is None
        return "no optimizer in the file" if is_bare else "no slots in the file"
    weights = tree.of_role(Role.WEIGHT)
    unknown = sum(weight.trainable is None for weight in weights)
    if unknown == len(weights):
        return "the file does not say"
    return f"nothing tells of {unknown:,} of {len(weights):,} weights"


# The sentence of `info`: what a checkpoint is, for somebody who has never seen it.

_IN_WORDS = {
    Role.STATE: "state variable",
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

_MAKERS = (
    dict.fromkeys(_KERAS_FORMATS, "Keras")
    | dict.fromkeys((Format.TENSOR_BUNDLE, Format.V1_TABLE, Format.SAVED_MODEL), "TensorFlow")
    | {Format.PYTORCH: "PyTorch"}
)


def sentence_of(summary: CheckpointSummary) -> str:
    """Say in one sentence what a checkpoint is."""
    if not summary.parameters:
        return _without_parameters(summary)
    parameters = plural(summary.parameters, "parameter")
    training = summary.training
    if summary.averaged is not None:
        when = "" if training.step is None else f", at step {training.step:,}"
        return f"Averages of {parameters}{when}; the weights themselves are not here."
    state = summary.roles.get(Role.STATE)
    beside = f", beside {size_text(state.nbytes)} of state" if state is not None else ""
    kind, iterations = training.optimizer_kind, training.iterations
    has_optimizer = Role.SLOT in summary.roles or kind is not None or iterations is not None
    is_export = summary.format is Format.SAVED_MODEL
    if not has_optimizer and not is_export and summary.keras is None:
        totals = [total for role, total in summary.roles.items() if role.is_parameter]
        variables = plural(sum(total.variables for total in totals), "variable")
        if Role.AVERAGE in summary.roles:
            if summary.averages_apart is None:
                return f"Weights of {parameters} and averages of them, no optimizer state."
            far = summary.averages_apart
            apart = f"{move_in_words(far)} apart" if far else "equal to them"
            return f"Weights of {parameters} and their averages, {apart}, without optimizer."
        if any(
            c.claim == "parameters" and c.strength is Strength.DERIVED for c in summary.evidence
        ):
            arrays = plural(summary.n_variables, "array")
            return f"{arrays}, {parameters} if those of floating numbers are weights{beside}."
        settings = summary.roles.get(Role.HYPERPARAMETER)
        if settings is not None:
            kept = plural(settings.variables, "hyperparameter")
            return f"Weights of {parameters} in {variables}, and {kept}; no slots{beside}."
        return f"Weights only: {parameters} in {variables}, no optimizer state{beside}."
    maker = summary.keras
    if maker is None:
        maker = _MAKERS.get(summary.format, "")
    what = "model"
    if is_export:
        what = "export" if summary.keras == "Keras 3" else "SavedModel"
    subject = f"A {f'{maker} ' if maker else ''}{what} of {parameters}"
    if kind and iterations is None and Role.SLOT not in summary.roles:
        return f"{subject}, compiled with {safe_text(kind)}, without optimizer state."
    if has_optimizer:
        told = f"{subject}, saved with {safe_text(kind) if kind else 'an unknown optimizer'}"
        if iterations is not None:
            return f"{told} after {plural(iterations, 'iteration')}{beside}."
        when = f" at step {training.step:,}" if training.step is not None else ""
        return f"{told}{when}{beside}."
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
    saver = []
    if graph.saver is not None:
        kept, hours = graph.saver.max_to_keep, graph.saver.keep_every_n_hours
        per_device = ", a file per device" if graph.saver.is_sharded else ""
        saver.append(f"writes {graph.saver.version}{per_device}")
        saver.append(f"keeps the last {kept:,}" if kept else "keeps all")
        if 0 < hours < _NEVER_FOR_GOOD:
            saver.append(f"one every {hours:g} hours for good")
    return [
        ("saver", ", ".join(saver)),
        ("initial", ", ".join(initial)),
        ("slices", ", ".join(parts)),
    ]
