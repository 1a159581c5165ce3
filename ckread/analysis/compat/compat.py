"""Will it come back: the forecast of a restore, by the way that the two formats mean."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ckread.analysis.compat.by_name import (
    check_names,
    forecast_init,
    forecast_names,
    forecast_saver,
    forecast_warm_start,
)
from ckread.analysis.compat.code import with_code
from ckread.analysis.compat.cures import with_cures
from ckread.analysis.compat.keras_files import (
    forecast_in_order,
    forecast_layer_names,
    forecast_paths,
)
from ckread.analysis.compat.records import Outcome, Way
from ckread.analysis.compat.restoring import forecast_restore
from ckread.analysis.training import read_training_state
from ckread.errors import CheckpointError, UsageError, by
from ckread.model.evidence import Claim, Strength
from ckread.model.naming import OBJECT_GRAPH_KEY
from ckread.model.opening import opened, shared_graphs
from ckread.model.role import Role
from ckread.readers.contract import Format, no_garbage_collection

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from ckread.analysis.compat.records import RestoreForecast
    from ckread.model.checkpoint import Checkpoint

_KERAS3 = (Format.KERAS_ARCHIVE, Format.KERAS_WEIGHTS, Format.KERAS_WEIGHTS_SHARDED)
_OBJECTS, _NAMES, _PATHS, _LISTS = (
    "an object-based checkpoint", "a name-based checkpoint",
    "a .keras, .weights.h5 or .weights.json file", "a legacy .h5",
)  # fmt: skip

_WAYS: dict[tuple[str, str], tuple[Way, ...]] = {
    (_OBJECTS, _OBJECTS): (Way.CHECKPOINT,),
    (_NAMES, _OBJECTS): (Way.CHECKPOINT,),
    (_NAMES, _NAMES): (Way.SAVER, Way.INIT_FROM_CHECKPOINT, Way.WARM_START),
    (_OBJECTS, _NAMES): (Way.SAVER, Way.WARM_START),
    (_PATHS, _PATHS): (Way.LOAD_WEIGHTS,),
    (_LISTS, _LISTS): (Way.H5_IN_ORDER, Way.H5_BY_NAME),
    (_LISTS, _PATHS): (Way.H5_IN_ORDER, Way.H5_BY_NAME),
}
"""How a file of one kind can be loaded into a program that writes another; the usual way first."""


def compat(
    saved: Checkpoint | str | os.PathLike[str],
    target: Any,
    patterns: str | Iterable[str] = (),
    *,
    way: str | None = None,
    skip_mismatch: bool = False,
    names: Mapping[str, str] | None = None,
    vars_to_warm_start: str | Sequence[str] | None = None,
) -> RestoreForecast:
    """Foretell which values of a program a restore brings back, and which it does not.

    Nothing is restored, no value is read but a learning rate, and TensorFlow is not needed
    unless the target is a live program.

    Args:
        saved: the checkpoint to be restored, or its path.
        target: the program: any checkpoint that it wrote, or its path; or a live
            `tf.train.Checkpoint`, `tf.Module`, Keras model or dict of trackables, of which
            nothing is changed.
        patterns: only values that one of these matches, on either side; what the restore
            does as a whole is foretold all the same.
        way: `checkpoint`, `saver`, `init_from_checkpoint`, `warm_start`, `load_weights`,
            `h5-by-name` or `h5-in-order`; None for what the two formats mean.
        skip_mismatch: as `load_weights` takes it.
        names: for `saver` the `var_list`, for `init_from_checkpoint` the assignment map:
            names or scopes in the file to those of the program; for `warm_start` its
            `var_name_to_prev_var_name` the other way round. Otherwise names that are known
            to be the same variable, for the code that brings the rest.
        vars_to_warm_start: as `warm_start` takes it: a regular expression for trainable
            variables, or a list of them for all; None for every trainable one.

    Raises:
        UsageError: there is no such way between these formats.
        VariableNotFoundError: a pattern means no value of either side.
        CheckpointError: a checkpoint cannot be opened or read.

    Example:
        >>> found = ckread.compat("fixtures/digits_run/ckpt-9", "fixtures/digits_run/ckpt-10")
        >>> found.complete, found.counts["restored"], found.asserts.assert_consumed
        (True, 43, True)
    """
    with ExitStack() as stack:
        stack.enter_context(no_garbage_collection())  # 10,000 objects, of which none is garbage
        with shared_graphs():
            there = stack.enter_context(opened(saved))
            here = stack.enter_context(opened(target))
        chosen = choose_way(there, here, way)
        takes_names = chosen in (Way.SAVER, Way.INIT_FROM_CHECKPOINT, Way.WARM_START)
        result = forecast(
            there,
            here,
            chosen,
            skip_mismatch=skip_mismatch,
            names=names if takes_names else None,
            vars_to_warm_start=vars_to_warm_start,
        )
        told = Strength.STORED, "the formats of both sides"
        if way:
            told = Strength.NAMED, "as asked"
        result = replace(result, evidence=(Claim("way", str(chosen), *told),))
        command = command_line(result, way=way, skip_mismatch=skip_mismatch)
        result = _with_training(result, there, here)
        result = with_cures(result, there, here, command, names)
        return narrowed(with_code(result, there, here), patterns)


def command_line(result: RestoreForecast, *, way: str | None, skip_mismatch: bool) -> str:
    """Give the command line that makes a forecast."""
    words = ["ckread", "compat", result.saved, result.target]
    if way is not None:
        words += ["--as", way]
    if skip_mismatch:
        words.append("--skip-mismatch")
    return shlex.join(words)


def _with_training(
    result: RestoreForecast, saved: Checkpoint, target: Checkpoint
) -> RestoreForecast:
    """Add what becomes of the optimizer: its class, and the learning rate that is replaced.

    Where the program has trained longer than the file, its rate is one that training set.
    """
    roles = {value.target.role for value in result.values}
    if Role.SLOT not in roles and Role.HYPERPARAMETER not in roles:
        return result
    there, here = read_training_state(saved), read_training_state(target)
    if there.optimizer_kind and here.optimizer_kind:
        result = replace(result, optimizers=(there.optimizer_kind, here.optimizer_kind))
    ours, theirs = there.learning_rate, here.learning_rate
    is_younger = (here.iterations or 0) < (there.iterations or 0)
    if ours is None or theirs is None or ours == theirs or not is_younger:
        return result
    comes_back = any(
        value.outcome is Outcome.RESTORED and value.name.rpartition("/")[2] == "learning_rate"
        for value in result.values
    )
    return replace(result, rates=(ours, theirs)) if comes_back else result


def kind_of(checkpoint: Checkpoint) -> str:
    """Name the kind of a checkpoint, as far as restoring goes.

    Raises:
        CheckpointError: it has an object graph that cannot be read.
    """
    if checkpoint.evidence.graph is None and OBJECT_GRAPH_KEY in checkpoint.reader.tensors:
        why = "the object graph cannot be read, and what a restore does follows from it"
        path = checkpoint.path
        check = by(f"ckread check {shlex.quote(path)}", f"ckread.check({path!r})")
        remedy = f"{check} says what is damaged or missing."
        try:
            checkpoint.reader.read_strings(OBJECT_GRAPH_KEY)
        except CheckpointError as error:  # it is gone, or damaged: a kind of its own
            why = f"{why}: {error.message}"
            raise type(error)(why, kind=error.kind, path=path, remedy=remedy) from None
        raise CheckpointError(why, path=path, remedy=remedy)
    if checkpoint.format in _KERAS3:
        return _PATHS
    if checkpoint.format is Format.LEGACY_HDF5:
        return _LISTS
    return _NAMES if checkpoint.evidence.graph is None else _OBJECTS


def choose_way(saved: Checkpoint, target: Checkpoint, way: str | None = None) -> Way:
    """Give the way of restoring that is asked for, or that the two formats mean.

    Raises:
        UsageError: there is no such way between them.
    """
    kinds = kind_of(saved), kind_of(target)
    ways = _WAYS.get(kinds, ())
    between = f"{kinds[0]} into a program that wrote {kinds[1]}"
    if not ways:
        message = f"{saved.path} → {target.path}: {between}: no call of TensorFlow or Keras does it"
        remedy = f"{by('ckread diff', 'ckread.diff()')} compares what the two hold."
        if target.path.startswith("live ") and kinds[0] in (_PATHS, _LISTS):
            remedy = "Let the model write such a file, model.save_weights(…), and name that."
        raise UsageError(message, remedy=remedy)
    if way is None:
        return ways[0]
    if way not in tuple(Way):
        raise UsageError(f"no way {way!r} of restoring, expected one of {', '.join(Way)}")
    if way not in ways:
        remedy = f"Between these two: {' or '.join(ways)}."
        raise UsageError(f"{way}: not for {between}", remedy=remedy)
    return Way(way)


def forecast(
    saved: Checkpoint,
    target: Checkpoint,
    way: Way,
    *,
    skip_mismatch: bool,
    names: Mapping[str, str] | None,
    vars_to_warm_start: str | Sequence[str] | None,
) -> RestoreForecast:
    """Foretell one way of restoring.

    Raises:
        UsageError: it takes no such settings.
    """
    if skip_mismatch and way not in (Way.LOAD_WEIGHTS, Way.H5_BY_NAME, Way.H5_IN_ORDER):
        raise UsageError(f"skip_mismatch: {way} takes none, only load_weights does")
    if vars_to_warm_start is not None and way is not Way.WARM_START:
        raise UsageError(f"vars_to_warm_start: {way} takes none, only warm_start does")
    if names is not None:
        check_names(names)
    if way is Way.WARM_START:
        chosen = ".*" if vars_to_warm_start is None else vars_to_warm_start
        return forecast_warm_start(saved, target, names, chosen)
    if way is Way.CHECKPOINT:
        if saved.evidence.graph is None:
            return forecast_names(saved, target)
        return forecast_restore(saved, target)
    if way is Way.SAVER:
        return forecast_saver(saved, target, names)
    if way is Way.INIT_FROM_CHECKPOINT:
        return forecast_init(saved, target, names)
    if way is Way.LOAD_WEIGHTS:
        return forecast_paths(saved, target, skip_mismatch=skip_mismatch)
    if way is Way.H5_BY_NAME:
        return forecast_layer_names(saved, target, skip_mismatch=skip_mismatch)
    return forecast_in_order(saved, target, skip_mismatch=skip_mismatch)


def narrowed(result: RestoreForecast, patterns: str | Iterable[str]) -> RestoreForecast:
    """Give only the values that a pattern means.

    Raises:
        VariableNotFoundError: a pattern means none of either side.
    """
    from ckread.model.selection import compile_patterns

    texts = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    if not texts:
        return result
    names = [(one.name,) for some in (result.values, result.left_over) for one in some]
    is_meant = compile_patterns(texts, names)
    return replace(
        result,
        values=tuple(one for one in result.values if is_meant((one.name,))),
        left_over=tuple(one for one in result.left_over if is_meant((one.name,))),
        cures=(),
    )
