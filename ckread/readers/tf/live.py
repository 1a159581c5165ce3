"""The objects of a program that runs, under the contract of a reader: nothing is written.

The object graph is TensorFlow's own: what a save would write of it, without the values.
A value is read when it is asked for. TensorFlow is imported already by whoever has the
objects.
"""

from __future__ import annotations

import math
from collections import deque
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ckread.errors import UsageError
from ckread.readers.contract import DataType, Format, TensorRecord, numpy_dtype
from ckread.readers.extent_reader import ExtentReader
from ckread.readers.graphs.object_graph import TrackableObjectGraph, parse_object_graph

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.contract import StoredFile

_VALUE = "VARIABLE_VALUE"


class LiveReader(ExtentReader):
    """The variables of a live program by the keys that a save would give them.

    Attributes:
        graph: the object graph that a save would write.
    """

    def __init__(self, target: Any) -> None:
        """Take the objects of a `tf.train.Checkpoint`, a trackable, or a dict of them."""
        super().__init__(f"live {type(target).__name__}", Format.TENSOR_BUNDLE)
        self._target, view = _view_of(target)  # a view has its root by a weak reference
        message = view.serialize_object_graph()[1]
        self.graph: TrackableObjectGraph = parse_object_graph(message.SerializeToString())
        self._variables = dict(_variables(self.graph, view))
        self._tensors = {key: _record(key, one) for key, one in self._variables.items()}

    def files(self) -> tuple[StoredFile, ...]:
        """Give none: nothing is stored."""
        return ()

    def _decode(self, key: str) -> NDArray[np.generic]:
        """Give the value that a variable has now."""
        import numpy as np

        self.check_open()
        variable = self._variables[key]
        value = variable.numpy() if hasattr(variable, "numpy") else np.asarray(variable.value)
        dtype = self._record(key).dtype
        if not dtype.is_plain:
            strings = np.empty(np.shape(value), object)
            strings[...] = value
            return strings
        return np.asarray(value).astype(numpy_dtype(dtype), copy=False)


def _view_of(target: Any) -> tuple[Any, Any]:
    """Give the root of the objects, and TensorFlow's view of what hangs together with it."""
    tensorflow = import_module("tensorflow")
    graph_view = import_module("tensorflow.python.checkpoint.graph_view")
    if isinstance(target, dict):
        try:
            target = tensorflow.train.Checkpoint(**target)
        except (TypeError, ValueError) as error:
            raise UsageError(f"a dict of what TensorFlow cannot track: {error}") from None
    if isinstance(target, tensorflow.train.Checkpoint):
        return target, target._saver._graph_view  # it knows what is attached to a root
    if not hasattr(target, "_trackable_children"):
        expected = "a tf.train.Checkpoint, a tf.Module, a Keras model or a dict of them"
        raise UsageError(f"expected a Checkpoint, a path or {expected}, found {target!r:.80}")
    return target, graph_view.ObjectGraphView(target)


def _variables(graph: TrackableObjectGraph, view: Any) -> Iterator[tuple[str, Any]]:
    """Yield the variables by key, going the way of the graph through the live objects."""
    found: dict[int, Any] = {0: view.root}
    queue = deque([0])
    while queue:
        node = queue.popleft()
        here = dict(view.list_children(found[node]))
        for child, name in graph.nodes[node].children:
            if child not in found and name in here:
                found[child] = here[name]
                queue.append(child)
    for node, one in enumerate(graph.nodes):
        for variable, word, slot in one.slot_variables:
            if node in found and variable in found and hasattr(found[node], "get_slot"):
                found.setdefault(slot, found[node].get_slot(found[variable], word))
    for node, one in enumerate(graph.nodes):
        for attribute in one.attributes:
            if attribute.name == _VALUE and hasattr(found.get(node), "dtype"):
                yield attribute.checkpoint_key, found[node]


def _record(key: str, variable: Any) -> TensorRecord:
    word = getattr(variable.dtype, "name", None) or str(variable.dtype)
    dtype = next((one for one in DataType if one == word), DataType.UNKNOWN)
    sizes = getattr(variable.shape, "as_list", lambda: list(variable.shape))()
    shape = tuple(-1 if size is None else int(size) for size in sizes)
    nbytes = max(0, math.prod(shape)) * dtype.itemsize
    return TensorRecord(key, dtype, shape, nbytes, None, None, None)
