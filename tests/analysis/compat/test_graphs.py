"""All pairs of object graphs, without model code: TensorFlow's bindings and ours are the same."""

from __future__ import annotations

import logging
import os
import random
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckread.errors import CheckpointError
from ckread.model.binding import bind
from ckread.model.evidence import ObjectGraph
from ckread.model.opening import open_checkpoint
from ckread.readers.graphs.object_graph import Attribute, Child, TrackableObject
from tests.places import FIXTURES, REAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.oracle, pytest.mark.slow]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    rebuilding = pytest.importorskip("tests.analysis.compat.rebuilding")
    programs = pytest.importorskip("tests.analysis.compat.programs")

tf = programs.tf

N_PAIRS = int(os.environ.get("CKREAD_COMPAT_PAIRS", "1500"))
"""Pairs of real graphs that are tried; 0 for all of them."""


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


def graphs() -> dict[str, tuple[ObjectGraph, Any]]:
    """Give the graphs that can be rebuilt, by prefix."""
    found: dict[str, tuple[ObjectGraph, Any]] = {}
    for folder in (FIXTURES, REAL):
        for index in sorted(folder.rglob("*.index")) if folder.exists() else ():
            prefix = str(index)[: -len(".index")]
            try:
                checkpoint = open_checkpoint(prefix)
            except CheckpointError:
                continue
            with checkpoint:
                graph = checkpoint.evidence.graph
                has_values = all(file.nbytes is not None for file in checkpoint.files())
                if graph is not None and has_values and rebuilding.can_be_rebuilt(checkpoint):
                    found[prefix] = graph, dict(checkpoint.reader.tensors)
    return found


def bits(value: Any) -> bytes:
    """Give the bits; of text, which is kept as objects or as bytes, the text."""
    is_text = str(getattr(value, "dtype", "object")) == "object"
    return repr(value).encode() if is_text else bytes(value.tobytes())


def disagreement(
    saved: str, there: tuple[ObjectGraph, Any], here: tuple[ObjectGraph, Any], values: Any
) -> str | None:
    """Restore one graph into another; say where TensorFlow does something else."""
    binding = bind(there[0], here[0])
    first = binding.first()
    keys = {}
    fits = True
    for target, source in first.items():
        if target < 0:
            continue
        one, other = there[0].variables.get(source), here[0].variables.get(target)
        if one is not None and other is not None:
            keys[target] = one
            a, b = there[1][one], here[1][other]
            fits &= a.shape == b.shape and a.dtype == b.dtype
    if binding.untold:
        return None  # it says that it cannot tell
    objects = rebuilding.rebuild(*here)
    try:
        live = rebuilding.restored_by_tensorflow(saved, objects[0])
    except Exception as error:
        is_foretold = not fits or binding.refusal is not None
        return None if is_foretold else f"raises {error!r:.200}"
    if not fits or binding.refusal is not None:
        return "raises nothing"
    plain = {source: at for source, at in binding.bound.items() if at >= 0}
    if live.keys() != binding.bound.keys():
        return "binds others"
    if any(live[source] != id(objects[target]) for source, target in plain.items()):
        return "binds other objects"
    for target, key in keys.items():
        if values(saved, key) != bits(objects[target].numpy()):
            return f"gives {key} another value"
    return None


def test_pairs_of_real_graphs() -> None:
    found = graphs()
    pairs = [(a, b) for a in found for b in found]
    assert len(pairs) > 100
    if N_PAIRS and len(pairs) > N_PAIRS:
        pairs = random.Random(17).sample(pairs, N_PAIRS)
    readers: dict[str, Any] = {}
    known: dict[tuple[str, str], bytes] = {}

    def values(prefix: str, key: str) -> bytes:
        if (prefix, key) not in known:
            if prefix not in readers:
                readers[prefix] = tf.train.load_checkpoint(prefix)
            known[prefix, key] = bits(readers[prefix].get_tensor(key))
        return known[prefix, key]

    wrong = [
        (a, b, told)
        for a, b in pairs
        if (told := disagreement(a, found[a], found[b], values)) is not None
    ]
    assert not wrong, f"{len(wrong)} of {len(pairs)}: {wrong[:3]}"


# Random graphs: shared objects, circles, names that exist on one side.

_NAMES = st.sampled_from(["a", "b", "c", "0", "1"])


@st.composite
def random_graphs(draw: st.DrawFn) -> ObjectGraph:
    n = draw(st.integers(1, 8))
    is_value = [False, *(draw(st.booleans()) for _ in range(n - 1))]
    nodes: list[tuple[dict[str, int], bool]] = []
    for node in range(n):
        children: dict[str, int] = {}
        if not is_value[node]:
            for name in draw(st.lists(_NAMES, max_size=4, unique=True)):
                children[name] = draw(st.integers(0, n - 1))
        nodes.append((children, is_value[node]))
    reached, todo = {0}, [0]
    while todo:
        for child in nodes[todo.pop()][0].values():
            if child not in reached:
                reached.add(child)
                todo.append(child)
    order = sorted(reached)
    number = {old: new for new, old in enumerate(order)}
    made = []
    for old in order:
        children, holds = nodes[old]
        key = f"v{number[old]}/.ATTRIBUTES/VARIABLE_VALUE"
        made.append(
            TrackableObject(
                tuple(Child(number[child], name) for name, child in sorted(children.items())),
                (Attribute("VARIABLE_VALUE", "", key),) if holds else (),
            )
        )
    return ObjectGraph(tuple(made))


@given(there=random_graphs(), here=random_graphs())
@settings(max_examples=60, deadline=None)
def test_random_graphs(
    tmp_path_factory: pytest.TempPathFactory, there: ObjectGraph, here: ObjectGraph
) -> None:
    from tensorflow.python.checkpoint.checkpoint import TrackableSaver
    from tensorflow.python.checkpoint.graph_view import ObjectGraphView

    folder: Path = tmp_path_factory.mktemp("random")

    def live(graph: ObjectGraph, offset: int) -> list[Any]:
        from tensorflow.python.trackable.autotrackable import AutoTrackable

        objects = [
            tf.Variable(float(offset + node)) if one.attributes else AutoTrackable()
            for node, one in enumerate(graph.nodes)
        ]
        for node, children in enumerate(graph.children):
            for child, name in children:
                objects[node]._track_trackable(objects[child], name, overwrite=True)
        return objects

    source = live(there, 100)
    prefix = str(folder / "saved")
    TrackableSaver(ObjectGraphView(source[0])).save(prefix)
    with open_checkpoint(prefix) as checkpoint:
        written = checkpoint.evidence.graph
        assert written is not None
        binding = bind(written, here)
        first = binding.first()
        saved = {
            node: checkpoint.reader.read(key).item() for node, key in written.variables.items()
        }
    objects = live(here, 0)
    bound = rebuilding.restored_by_tensorflow(prefix, objects[0])
    assert bound == {node: id(objects[target]) for node, target in binding.bound.items()}
    for node, one in enumerate(objects):
        if isinstance(one, tf.Variable):
            origin = first.get(node)
            expected = saved[origin] if origin in saved else float(node)
            assert one.numpy() == expected
