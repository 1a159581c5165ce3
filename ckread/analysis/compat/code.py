"""The calls that bring what a restore leaves, as Python that runs as it stands."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.compat.records import Way
from ckread.model.role import Role
from ckread.readers.contract import Format, few

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ckread.analysis.compat.records import Cure, RestoreForecast, Stored
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.evidence import ObjectGraph

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_KERAS3 = frozenset({"_operations", "call_signature_parameters", "_losses_override"})
_PARAMETERS = (Role.WEIGHT, Role.STATISTIC)
_COUNTER = "save_counter"
_WHOLE = "model_weights/"
"""Where a legacy file of a whole model keeps its weights."""


class _Piece(NamedTuple):
    """One value that the code brings: how it is addressed here, and its key there."""

    here: Stored
    address: object
    key: str


def with_code(result: RestoreForecast, saved: Checkpoint, target: Checkpoint) -> RestoreForecast:
    """Add the code that brings what can be brought."""
    return replace(result, python=tuple(_code(result, saved, target)))


def _code(result: RestoreForecast, saved: Checkpoint, target: Checkpoint) -> Iterator[str]:
    plain = next((cure for cure in result.cures if cure.code), None)
    by_name = max((cure.brings for cure in result.cures if cure.command), default=0)
    is_enough = plain is not None and plain.brings >= by_name
    if result.way is Way.CHECKPOINT and (result.complete or is_enough):
        yield from _restore(result, plain)
        return
    if result.way in (Way.SAVER, Way.INIT_FROM_CHECKPOINT, Way.WARM_START):
        yield from _saver(result, saved)
    elif target.evidence.graph is not None:
        yield from _objects(result, saved, target.evidence.graph)
    else:
        yield from _keras(result, saved, target)


def _restore(result: RestoreForecast, cure: Cure | None) -> Iterator[str]:
    if cure is None or cure.code is None:
        yield f"# {_line(result.saved)}: all {len(result.values)} values come back as it is."
        yield f"checkpoint.restore({_quoted(result.saved)})"
        return
    yield f"# {_line(result.saved)}: {cure.brings} of {cure.of} values come back with this root."
    yield "import tensorflow as tf"
    yield ""
    yield f"checkpoint = {cure.code}"
    yield f"checkpoint.restore({_quoted(result.saved)})"


def _line(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _head(
    result: RestoreForecast, what: str, pieces: Sequence[_Piece], of: Sequence[Stored], noun: str
) -> Iterator[str]:
    """Say what the code brings and what not."""
    brought = {piece.here.key for piece in pieces}
    fitting = {here.key for _, here in result.renames} - brought
    lacking = [_line(one.name) for one in of if one.key not in brought and one.key not in fitting]
    others = [_line(one.name) for one in of if one.key in fitting]
    told = f"{_line(result.saved)} into {what}: {len(pieces)} of its {len(of)} {noun}."
    yield from _comment(told)
    if lacking:
        yield from _comment(f"Not brought, nothing there fits: {few(lacking, 12)}.")
    if others:
        yield from _comment(f"Not brought by this, restore() brings: {few(others, 12)}.")


def _comment(text: str) -> Iterator[str]:
    return (f"# {line}" for line in textwrap.wrap(text, 86, break_long_words=False))


def _table(name: str, entries: Iterable[tuple[object, object]]) -> Iterator[str]:
    yield f"{name} = {{"
    for key, value in entries:
        yield f"    {_quoted(key)}: {_quoted(value)},"
    yield "}"


def _quoted(value: object) -> str:
    if isinstance(value, str):
        text = ascii(value)
        return f'"{text[1:-1]}"' if '"' not in text and "\\" not in text else text
    if isinstance(value, tuple):
        inner = ", ".join(map(_quoted, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


# Into a program of objects.


def _objects(result: RestoreForecast, saved: Checkpoint, graph: ObjectGraph) -> Iterator[str]:
    pairs = [(a, b) for a, b in result.renames if a.key is not None and b.key is not None]
    holder = _keras_model(graph)
    here = [one.target for one in result.values if one.target.key is not None]
    if holder is not None:
        parameters = [one for one in here if one.role in _PARAMETERS]
        names = {key: graph.full_names[node] for node, key in graph.variables.items()}
        inside = {graph.variables.get(node) for node in graph.walk(holder[0])}
        is_unique = len({names.get(one.key or "") for one in parameters}) == len(parameters)
        is_alone = all(b.role in _PARAMETERS or b.name == _COUNTER for _, b in pairs)
        is_whole = is_alone and all(one.key in inside for one in parameters)
        if parameters and is_unique and is_whole:
            pieces = [
                _Piece(b, names[b.key or ""], a.key or "")
                for a, b in pairs
                if b.role in _PARAMETERS
            ]
            yield from _into_keras(result, pieces, parameters, holder[1])
            return
    ways = _ways(graph)
    paths = {key: ways[node] for node, key in graph.variables.items() if node in ways}
    slots = {
        graph.variables[slot]: (ways[optimizer], ways[variable], word)
        for optimizer, node in enumerate(graph.nodes)
        for variable, word, slot in node.slot_variables
        if slot in graph.variables and optimizer in ways and variable in ways
    }
    pieces = [
        _Piece(b, paths.get(b.key or "") or slots[b.key or ""], a.key or "")
        for a, b in pairs
        if (b.key in paths or b.key in slots) and b.name != _COUNTER
    ]
    within = [one for one in here if one.name != _COUNTER]
    is_model = holder is not None and holder[0] == 0
    beside = set(slots) - set(paths)
    yield from _into_objects(result, pieces, within, beside, is_model=is_model)


def _keras_model(graph: ObjectGraph) -> tuple[int, str] | None:
    """Give the one Keras 3 model that the root is or holds, and what it is called."""
    if {name for _, name in graph.children[0]} >= _KERAS3:
        return 0, "model"
    found = [
        (child, name)
        for child, name in graph.children[0]
        if len(_KERAS3 & {word for _, word in graph.children[child]}) > 1
    ]
    return found[0] if len(found) == 1 else None


def _into_keras(
    result: RestoreForecast, pieces: Sequence[_Piece], of: Sequence[Stored], model: str
) -> Iterator[str]:
    yield from _head(result, f"`{model}`, by name", pieces, of, "weights")
    yield "import tensorflow as tf"
    yield ""
    is_plain = all(piece.key.endswith(_VALUE) for piece in pieces)
    entries = [
        (piece.address, piece.key.removesuffix(_VALUE) if is_plain else piece.key)
        for piece in pieces
    ]
    yield from _table("saved", entries)
    key = f'key + "{_VALUE}"' if is_plain else "key"
    yield f"reader = tf.train.load_checkpoint({_quoted(result.saved)})"
    yield f"weights = {{weight.path: weight for weight in {model}.weights}}"
    yield "for name, key in saved.items():"
    yield f"    value = reader.get_tensor({key})"
    yield "    weights[name].assign(value)"


def _ways(graph: ObjectGraph) -> dict[int, tuple[str, ...]]:
    """Give of each object the local names that lead to it from the root."""
    ways: dict[int, tuple[str, ...]] = {0: ()}
    for node in graph.walk():
        for child, name in graph.children[node]:
            if child not in ways:
                ways[child] = (*ways[node], name)
    return ways


def _into_objects(
    result: RestoreForecast,
    pieces: Sequence[_Piece],
    of: Sequence[Stored],
    slots: set[str],
    *,
    is_model: bool,
) -> Iterator[str]:
    what = "`root`, the object that the program saves, by its objects"
    if is_model:
        what = "`root`, the model, and what `checkpoint` attaches to it, by its objects"
    yield from _head(result, what, pieces, of, "values")
    plain = [(piece.address, piece.key) for piece in pieces if piece.here.key not in slots]
    beside = [(piece.address, piece.key) for piece in pieces if piece.here.key in slots]
    yield "import tensorflow as tf"
    yield ""
    yield ""
    yield "def find(path):"
    yield "    found = root"
    yield "    for name in path:"
    yield "        children = tf.train.TrackableView.children(found)"
    if is_model:  # what a checkpoint attaches to it is no child of it
        yield "        found = children[name] if name in children else getattr(checkpoint, name)"
    else:
        yield "        found = children[name]"
    yield "    return found"
    yield ""
    yield ""
    yield from _table("saved", plain)
    yield f"reader = tf.train.load_checkpoint({_quoted(result.saved)})"
    yield "for path, key in saved.items():"
    yield "    find(path).assign(reader.get_tensor(key))"
    if beside:
        yield ""
        yield from _table("slots", beside)
        yield "for (optimizer, variable, word), key in slots.items():"
        yield "    slot = find(optimizer).get_slot(find(variable), word)"
        yield "    slot.assign(reader.get_tensor(key))"


# Into a graph of TensorFlow 1.


def _saver(result: RestoreForecast, saved: Checkpoint) -> Iterator[str]:
    pieces = [_Piece(b, b.key, a.key or "") for a, b in result.renames if b.key]
    of = [one.target for one in result.values]
    yield from _head(result, "the graph, in `session`", pieces, of, "variables")
    if not pieces:
        return
    yield "import tensorflow as tf"
    yield ""
    yield from _table("saved", [(piece.key, piece.address) for piece in pieces])
    yield "variables = {v.op.name: v for v in tf.compat.v1.global_variables()}"
    if saved.evidence.graph is None:
        yield "names = {key: variables[name] for key, name in saved.items()}"
        yield f"tf.compat.v1.train.Saver(names).restore(session, {_quoted(result.saved)})"
        return
    yield f"reader = tf.train.load_checkpoint({_quoted(result.saved)})"
    yield "for key, name in saved.items():"
    yield "    variables[name].load(reader.get_tensor(key), session)"


# Into a Keras model, from a Keras file.


def _keras(result: RestoreForecast, saved: Checkpoint, target: Checkpoint) -> Iterator[str]:
    """Write the values into a file of the model's own, which it then loads."""
    is_legacy = target.format is Format.LEGACY_HDF5
    is_keras3 = (target.evidence.keras_version or "").startswith("3")
    is_whole = is_legacy and (
        is_keras3 or any(key.startswith(_WHOLE) for key in target.reader.tensors)
    )
    of = [one.target for one in result.values]
    pieces = [
        _Piece(b, b.key if b.key.startswith(_WHOLE) or not is_whole else _WHOLE + b.key, a.key)
        for a, b in result.renames
        if a.key and b.key
    ]
    yield from _head(result, "`model`, by way of a file of its own", pieces, of, "values")
    if not pieces:
        return
    is_archive = saved.format is Format.KERAS_ARCHIVE
    is_sharded = saved.format is Format.KERAS_WEIGHTS_SHARDED
    modules = {"os", "tempfile", *(("io", "zipfile") if is_archive else ())}
    yield from (f"import {name}" for name in sorted(modules))
    yield ""
    if is_sharded:
        yield "import ckread"
    yield "import h5py"
    yield ""
    yield from _table("saved", [(piece.address, piece.key) for piece in pieces])
    source = f"h5py.File({_quoted(result.saved)})"
    if is_archive:
        yield f"with zipfile.ZipFile({_quoted(result.saved)}) as archive:"
        yield '    data = io.BytesIO(archive.read("model.weights.h5"))'
        source = "h5py.File(data)"
    if is_sharded:
        source = f"ckread.open({_quoted(result.saved)})"
    yield "with tempfile.TemporaryDirectory() as folder:"
    yield f'    path = os.path.join(folder, "{"model" if is_legacy else "model.weights"}.h5")'
    yield f"    model.{'save' if is_whole else 'save_weights'}(path)"
    yield f'    with {source} as there, h5py.File(path, "r+") as here:'
    yield "        for key, name in saved.items():"
    yield f"            here[key][...] = there[name]{'.numpy()' if is_sharded else '[()]'}"
    yield "    model.load_weights(path)"
