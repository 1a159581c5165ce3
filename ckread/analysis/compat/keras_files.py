"""`load_weights` of Keras: by path, layer by layer in order, or by the names of layers.

A `.weights.h5` or `.keras` is read path by path: a layer takes its variables if the file
has as many at its path, each of its shape. A legacy `.h5` has lists of layers and of their
weights, which are walked side by side, or looked up by the layer's name.

Reference: keras/src/saving/saving_lib.py, keras/src/legacy/saving/legacy_h5_format.py,
tf_keras/src/saving/legacy/hdf5_format.py
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from ckread.analysis.compat.records import (
    Asserts,
    Code,
    Outcome,
    Raised,
    RestoreForecast,
    Stored,
    ValueForecast,
    Way,
)
from ckread.analysis.compat.restoring import left_over, shape_text
from ckread.analysis.compat.sameness import Sameness
from ckread.errors import TextLines, UsageError
from ckread.readers.contract import Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable
    from ckread.readers.keras.reader import KerasContents, KerasReader

_VARS = "vars"
_OPTIMIZER = "optimizer"
_METRICS = "metrics"
_LEGACY_OPTIMIZER = "optimizer_weights"
_LEGACY_TOP = "top_level_model_weights"
_RECURRENT = ("LSTM", "GRU", "CuDNNLSTM", "CuDNNGRU", "Bidirectional")
_NESTED = ("Model", "Sequential", "Functional", "TimeDistributed")


@dataclass(slots=True)
class _Work:
    """What is decided so far."""

    sameness: Sameness
    found: dict[str, ValueForecast] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    raises: list[Raised] = field(default_factory=list)
    assigned_before: int | None = None

    def put(
        self,
        variable: Variable,
        outcome: Outcome,
        saved: Variable | None = None,
        code: Code | None = None,
        reason: str = "",
    ) -> None:
        """Note what becomes of a variable."""
        if saved is not None:
            self.used.add(saved.key)
        fits = outcome is Outcome.RESTORED and saved is not None
        if fits and saved is not None and self.sameness.is_another(saved, variable):
            outcome, code = Outcome.OTHER, Code.OTHER_OBJECT
            reason = f"{saved.name} stands in its place there"
        source = None if saved is None else Stored.of(saved)
        here = Stored.of(variable)
        self.found[variable.key] = ValueForecast(here, outcome, source, code, reason)

    def stop(self, raised: Raised) -> None:
        """Note an exception; only what was assigned before the first one counts."""
        if not self.raises:
            self.assigned_before = sum(
                one.outcome in (Outcome.RESTORED, Outcome.OTHER) for one in self.found.values()
            )
        self.raises.append(raised)


def forecast_paths(
    saved: Checkpoint, target: Checkpoint, *, skip_mismatch: bool
) -> RestoreForecast:
    """Foretell `load_weights` of a `.weights.h5` or `.keras`."""
    there, here = _by_group(saved.values()), _by_group(target.values())
    work = _Work(Sameness(saved.values(), target.values()))
    failed: list[tuple[str, str]] = []
    for group, ours in here.items():
        older = group.replace("layers", "_layer_checkpoint_dependencies")  # of Keras 2.13
        theirs = there.get(group, there.get(older, {}))
        if group.split("/")[0] == _OPTIMIZER and len(theirs) != len(ours):
            word = f"{len(theirs)} variables of the optimizer there, {len(ours)} here"
            for variable in ours.values():
                work.put(variable, Outcome.KEPT, None, Code.SKIPPED, word)
            continue
        parent = group.rpartition("/")[0]
        lists = f"{parent}/layers/" if parent else "layers/"
        is_listed = not group.startswith(lists) and any(one.startswith(lists) for one in there)
        if len(theirs) != len(ours) and is_listed:
            reason = f"Keras looks for it under {lists[:-1]} too, by its place among layers"
            for variable in ours.values():
                work.put(variable, Outcome.UNFORESEEN, None, None, reason)
            continue
        problem = _take_group(work, group, ours, theirs, skip_mismatch=skip_mismatch)
        if problem:
            failed.append((group, problem))
    if failed and not skip_mismatch:
        group, problem = failed[0]
        layer = _layer_name(here[group])
        message = (
            f"A total of {len(failed)} objects could not be loaded. Example error message for "
            f"object {layer}: {problem}"
        )
        work.stop(Raised("ValueError", message, next(iter(here[group].values())).name))
        if not _is_of_keras3(target):  # Keras 2 stops at the first, in an order of its own
            work.assigned_before = None
    words = "by load_weights, by path"
    if skip_mismatch:
        words = "by load_weights(skip_mismatch=True), by path"
    return _forecast(saved, target, Way.LOAD_WEIGHTS, words, work)


def _is_of_keras3(target: Checkpoint) -> bool:
    """Tell whether a file is by Keras 3 for certain: it says so, or has the names of layers."""
    version = target.evidence.keras_version
    groups = cast("KerasReader", target.reader).contents.groups
    return version[:1] == "3" if version else any(group.name for group in groups.values())


def _take_group(
    work: _Work,
    group: str,
    ours: Mapping[str, Variable],
    theirs: Mapping[str, Variable],
    *,
    skip_mismatch: bool,
) -> str:
    """Decide on the variables of one layer; give what Keras says if it does not fit."""
    outcome = Outcome.KEPT if skip_mismatch else Outcome.RAISES
    layer = _layer_name(ours)
    if len(theirs) != len(ours):
        have = f"{len(theirs)} there" if theirs else "nothing there"
        reason = f"{group} has {len(ours)} variables here, {have}"
        code = Code.SKIPPED if skip_mismatch else Code.NO_SUCH_PATH
        for variable in ours.values():
            work.put(variable, outcome, None, code, reason)
        return (
            f"Layer '{layer}' expected {len(ours)} variables, but received {len(theirs)} "
            "variables during loading."
        )
    problem = ""
    for number, variable in ours.items():
        found = theirs.get(number)
        if problem:
            reason = f"{layer} is left after its first mismatch"
            work.put(variable, outcome, found, Code.SKIPPED, reason)
        elif found is None:
            problem = f"Unable to open object (object '{number}' doesn't exist)"
            reason = f"no {group}/{_VARS}/{number} there"
            work.put(variable, outcome, None, Code.NO_SUCH_PATH, reason)
        elif found.shape != variable.shape:
            problem = (
                "The shape of the target variable and the shape of the target value in "
                f"`variable.assign(value)` must match. variable.shape={variable.shape}, "
                f"Received: value.shape={found.shape}."
            )
            word = "skipped: " if skip_mismatch else ""
            reason = f"{word}{shape_text(found.shape)} there, {shape_text(variable.shape)} here"
            code = Code.SKIPPED if skip_mismatch else Code.SHAPE
            work.put(variable, outcome, found, code, reason)
        else:
            work.put(variable, Outcome.RESTORED, found)
    return problem


def _by_group(variables: Iterable[Variable]) -> dict[str, dict[str, Variable]]:
    """Give the variables of each layer by number, the layers by path."""
    groups: defaultdict[str, dict[str, Variable]] = defaultdict(dict)
    for variable in variables:
        group, _, number = variable.key.rpartition("/")
        if group == _VARS or group.endswith(f"/{_VARS}"):
            groups[group.removesuffix(_VARS).rstrip("/")][number] = variable
    return {
        group: dict(sorted(members.items(), key=lambda one: (len(one[0]), one[0])))
        for group, members in groups.items()
    }


def _layer_name(variables: Mapping[str, Variable]) -> str:
    first = next(iter(variables.values()))
    return first.name.rpartition("/")[0].rpartition("/")[2] or first.name


@dataclass(frozen=True, slots=True)
class Layers:
    """A legacy model: its layers with weights in order, and the weights of its own.

    Attributes:
        layers: of each layer, its weights; those without are there too.
        top: the weights of the model itself; None where the file has no list of them.
        version: of the Keras that wrote it.
        classes: the class of each layer, where it is known.
    """

    layers: Mapping[str, tuple[Variable, ...]]
    top: tuple[Variable, ...] | None
    version: str
    classes: Mapping[str, str]


def layers_of(checkpoint: Checkpoint) -> Layers:
    """Give the layers of a Keras file."""
    reader = cast("KerasReader", checkpoint.reader)
    version = checkpoint.evidence.keras_version or "1"
    classes = {layer.name: layer.class_name for layer in checkpoint.evidence.layers}
    by_key = {variable.key: variable for variable in checkpoint.values()}
    if checkpoint.format is Format.LEGACY_HDF5:
        layers: dict[str, tuple[Variable, ...]] = {}
        top: list[Variable] = []
        for key, _, layer in reader.contents.weights:
            parts = key.split("/")
            if parts[0] == _LEGACY_OPTIMIZER:
                continue
            variable = by_key.get(key) or by_key.get(reader.contents.repeats.get(key, ""))
            if variable is None:
                continue
            if layer:
                layers[layer] = (*layers.get(layer, ()), variable)
            elif _LEGACY_TOP in parts[:2]:
                top.append(variable)
        own = tuple(top) if reader.contents.has_top else None
        return Layers(layers, own, version, classes)
    return Layers(_keras3_layers(checkpoint, reader.contents), (), version, classes)


def _keras3_layers(
    checkpoint: Checkpoint, contents: KerasContents
) -> dict[str, tuple[Variable, ...]]:
    groups = _by_group(checkpoint.values())
    names = {path: group.name for path, group in contents.groups.items()}
    layers: dict[str, tuple[Variable, ...]] = {}
    for path, members in groups.items():
        parts = path.split("/")
        if parts[0] in (_OPTIMIZER, _METRICS):
            continue
        if len(parts) != 2 or parts[0] != "layers" or not names.get(path):
            raise _untold(checkpoint, f"{path} lies deeper than one layer")
        layers[names[path]] = tuple(members.values())
    order = [layer.name for layer in checkpoint.evidence.layers]
    if not set(layers) <= set(order) or len(set(order)) != len(order):
        raise _untold(checkpoint, "the order of the layers is not in the file")
    return {name: layers[name] for name in order if name in layers}


def _untold(checkpoint: Checkpoint, why: str) -> UsageError:
    found = f"what a legacy .h5 brings cannot be foretold: {why}"
    remedy = TextLines(
        "Let the model write a legacy file too: model.save_weights('target.h5') of",
        "tf_keras, or model.save('target.h5').",
    )
    return UsageError(found, path=checkpoint.path, remedy=remedy)


def forecast_in_order(
    saved: Checkpoint, target: Checkpoint, *, skip_mismatch: bool
) -> RestoreForecast:
    """Foretell `load_weights` of a legacy `.h5`: the layers side by side."""
    there, here = layers_of(saved), layers_of(target)
    work = _Work(Sameness(saved.values(), target.values()))
    names = list(there.layers)
    call = "by load_weights, in order"
    if skip_mismatch:
        call = "by load_weights(skip_mismatch=True), in order"
    if skip_mismatch and _is_keras2(here):
        message = (
            "When calling model.load_weights, skip_mismatch can only be set to True when by_name "
            "is True."
        )
        work.stop(Raised("ValueError", message))
        for variable in (one for layer in here.layers.values() for one in layer):
            reason = "Keras 2 takes skip_mismatch with by_name alone"
            work.put(variable, Outcome.KEPT, None, Code.SKIPPED, reason)
        _leave_top(work, here)
        return _forecast(saved, target, Way.H5_IN_ORDER, call, work)
    notes: tuple[str, ...] = ()
    if skip_mismatch and _is_up_to(here.version, 10):
        notes = (
            f"Keras {here.version} does not heed skip_mismatch here, Keras 3.11 is the first.",
        )
        skip_mismatch = False
    if len(there.layers) != len(here.layers):
        message = (
            "Layer count mismatch when loading weights from file. Model expected "
            f"{len(here.layers)} layers, found {len(names)} saved layers."
        )
        work.stop(Raised("ValueError", message))
        words = f"{len(names)} layers with weights there, {len(here.layers)} here"
        for variables in here.layers.values():
            for variable in variables:
                work.put(variable, Outcome.KEPT, None, Code.OTHER_OBJECT, words)
    else:
        for number, (name, layer) in enumerate(zip(names, here.layers, strict=True)):
            title = f"layer #{number} (named {layer}"
            ours, theirs = here.layers[layer], there.layers[name]
            if _converts(here, layer, ours, theirs, there.version):
                _leave_open(work, ours)
            elif len(ours) != len(theirs):
                message = (
                    f"Weight count mismatch for {title} in the current model, {name} in the "
                    f"save file). Layer expects {len(ours)} weight(s). Received {len(theirs)} "
                    "saved weight(s)"
                )
                _miscounted(work, ours, theirs, message, raises=True)
            else:
                _take_weights(work, ours, theirs, f"{title})", skip_mismatch=skip_mismatch)
    if there.top is not None and len(there.layers) == len(here.layers):
        skips = skip_mismatch and len(there.top) == len(here.top or ())
        _take_top(work, here.top or (), there.top, skip_mismatch=skips)
    _leave_top(work, here)
    if _is_keras2(here) and work.raises:
        work.assigned_before = _assigned_in_keras2(work)
    return _forecast(saved, target, Way.H5_IN_ORDER, call, work, notes)


def forecast_layer_names(
    saved: Checkpoint, target: Checkpoint, *, skip_mismatch: bool
) -> RestoreForecast:
    """Foretell `load_weights(by_name=True)` of a legacy `.h5`."""
    there, here = layers_of(saved), layers_of(target)
    work = _Work(Sameness(saved.values(), target.values()))
    for number, (name, theirs) in enumerate(there.layers.items()):
        ours = here.layers.get(name)
        if ours is None:
            continue
        title = f"layer #{number} (named {name})"
        if _converts(here, name, ours, theirs, there.version):
            _leave_open(work, ours)
        elif len(ours) != len(theirs):
            message = (
                f"Weight count mismatch for {title}. Layer expects {len(ours)} weight(s). "
                f"Received {len(theirs)} saved weight(s)"
            )
            _miscounted(work, ours, theirs, message, raises=not skip_mismatch)
        else:
            _take_weights(work, ours, theirs, title, skip_mismatch=skip_mismatch)
    for name, ours in here.layers.items():
        for variable in ours:
            if variable.key not in work.found:
                reason = f"no layer {name} there"
                work.put(variable, Outcome.KEPT, None, Code.NO_SUCH_PATH, reason)
    n_all = sum(map(len, here.layers.values()))
    if there.top is not None and _is_up_to(here.version, 7) and n_all != len(there.top):
        if not skip_mismatch:
            message = (
                "Weight count mismatch for top-level weights of model. Model expects "
                f"{n_all} top-level weight(s). Received {len(there.top)} saved top-level weight(s)"
            )
            work.stop(Raised("ValueError", message))
    elif there.top is not None:
        _take_top(work, here.top or (), there.top, skip_mismatch=skip_mismatch)
    _leave_top(work, here)
    if _is_keras2(here) and work.raises:
        work.assigned_before = 0
    words = "by_name=True, skip_mismatch=True" if skip_mismatch else "by_name=True"
    return _forecast(saved, target, Way.H5_BY_NAME, f"by load_weights({words})", work)


def _is_up_to(version: str, last: int) -> bool:
    """Tell whether this is a Keras 3 up to a minor version.

    By name, those up to 3.7 take all weights for those of the model itself; in order, those
    up to 3.10 do not heed `skip_mismatch`.
    """
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0]
    return major == "3" and minor.isdecimal() and int(minor) <= last


def _is_keras2(layers: Layers) -> bool:
    return not layers.version.startswith("3")


def _assigned_in_keras2(work: _Work) -> int:
    """Keras 2 looks at all layers first, then assigns one by one to the first other shape."""
    if any(one.is_count for one in work.raises):
        return 0
    n = 0
    for one in work.found.values():
        if one.outcome is Outcome.RAISES:
            break
        n += one.outcome in (Outcome.RESTORED, Outcome.OTHER)
    return n


def _miscounted(
    work: _Work,
    ours: tuple[Variable, ...],
    theirs: tuple[Variable, ...],
    message: str,
    *,
    raises: bool,
) -> None:
    """Note a layer that has another number of weights there."""
    reason = f"{len(theirs)} weights there, {len(ours)} here"
    outcome, code = (Outcome.RAISES, Code.OTHER_OBJECT) if raises else (Outcome.KEPT, Code.SKIPPED)
    if raises:
        first = ours[0].name if ours else None
        work.stop(Raised("ValueError", message, first, is_count=True))
    for variable in ours:
        work.put(variable, outcome, None, code, reason)


def _leave_open(work: _Work, ours: Iterable[Variable]) -> None:
    for variable in ours:
        reason = "Keras converts weights of this layer while loading"
        work.put(variable, Outcome.UNFORESEEN, None, None, reason)


def _take_weights(
    work: _Work,
    ours: tuple[Variable, ...],
    theirs: tuple[Variable, ...],
    title: str,
    *,
    skip_mismatch: bool,
) -> None:
    """Decide on the weights of a layer, one by one."""
    for variable, found in zip(ours, theirs, strict=True):
        shapes = f"{shape_text(found.shape)} there, {shape_text(variable.shape)} here"
        if found.shape == variable.shape:
            work.put(variable, Outcome.RESTORED, found)
        elif skip_mismatch:
            work.put(variable, Outcome.KEPT, found, Code.SKIPPED, f"skipped: {shapes}")
        else:
            message = (
                f"Shape mismatch in {title}for weight {variable.name}. Weight expects shape "
                f"{variable.shape}. Received saved weight with shape {found.shape}"
            )
            work.stop(Raised("ValueError", message, variable.name))
            work.put(variable, Outcome.RAISES, found, Code.SHAPE, shapes)


def _converts(
    here: Layers, layer: str, ours: tuple[Variable, ...], theirs: tuple[Variable, ...], version: str
) -> bool:
    """Tell whether Keras 2 may turn the saved weights of a layer into other ones."""
    if not _is_keras2(here):
        return False
    if version.partition(".")[0] == "1":
        return True
    kind = here.classes.get(layer, "")
    if len(ours) != len(
        theirs
    ):  # it deals them out to the layers of a nested model, from the first
        return kind in _NESTED or (not kind and 0 < len(ours) < len(theirs))
    shapes = [(a.shape, b.shape) for a, b in zip(ours, theirs, strict=True)]
    if all(a == b for a, b in shapes):
        return False
    if kind in _RECURRENT:
        return True
    is_transposed = any(len(b) == 4 and tuple(b[i] for i in (3, 2, 0, 1)) == a for a, b in shapes)
    may_be_recurrent = not kind or kind in _NESTED
    n_matrices = sum(len(a) == len(b) == 2 for a, b in shapes)
    return is_transposed or (may_be_recurrent and n_matrices >= 2 and len(shapes) >= 3)


def _take_top(
    work: _Work,
    ours: tuple[Variable, ...],
    theirs: tuple[Variable, ...],
    *,
    skip_mismatch: bool,
) -> None:
    """Decide on the weights of the model itself."""
    if len(ours) != len(theirs):
        message = (
            "Weight count mismatch for top-level weights when loading weights from file. Model "
            f"expects {len(ours)} top-level weight(s). Received {len(theirs)} saved top-level "
            "weight(s)"
        )
        _miscounted(work, ours, theirs, message, raises=not skip_mismatch)
    else:
        _take_weights(work, ours, theirs, "top-level model", skip_mismatch=skip_mismatch)


def _leave_top(work: _Work, here: Layers) -> None:
    """Note that the weights of the model itself stay, where loading does not come to them."""
    for variable in here.top or ():
        if variable.key not in work.found:
            reason = "the model's own weights are not loaded here"
            work.put(variable, Outcome.KEPT, None, Code.SKIPPED, reason)


def _forecast(
    saved: Checkpoint,
    target: Checkpoint,
    way: Way,
    call: str,
    work: _Work,
    notes: tuple[str, ...] = (),
) -> RestoreForecast:
    order = target.in_order()
    values = tuple(work.found[variable.key] for variable in order if variable.key in work.found)
    return RestoreForecast(
        saved=saved.path,
        target=target.path,
        way=way,
        call=call,
        values=values,
        left_over=left_over(saved, work.used),
        raises=tuple(work.raises),
        assigned_before=work.assigned_before if work.raises else None,
        asserts=Asserts(None, None),
        notes=notes,
    )
