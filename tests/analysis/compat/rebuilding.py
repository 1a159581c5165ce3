"""Object graphs rebuilt as live objects, without model code, to be restored into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckread.model.binding import SlotManner, slot_manner
from ckread.model.evidence import VARIABLE_VALUE, ObjectGraph
from ckread.readers.contract import DataType
from tests.analysis.compat import programs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.checkpoint import Checkpoint
    from ckread.readers.contract import TensorRecord

tf: Any = programs.__dict__["tf"]
_STRANGE = (DataType.VARIANT, DataType.RESOURCE, DataType.UNKNOWN)
_TABLE, _ITERATOR = "table", "ITERATOR"
MAX_NODES = 700
MAX_ELEMENTS = 2_000_000


def can_be_rebuilt(checkpoint: Checkpoint) -> bool:
    """Tell whether a graph is made of plain variables, tables, iterators and plain objects only."""
    graph = checkpoint.evidence.graph
    if graph is None or len(graph) > MAX_NODES:
        return False
    records = checkpoint.reader.tensors
    elements = 0
    for node in graph.nodes:
        if node.registered_saver:
            return False
        if not node.attributes:
            continue
        names = [one.name for one in node.attributes]
        if names == [_TABLE] or names == [_ITERATOR]:
            continue
        if names != [VARIABLE_VALUE]:
            return False
        record = records.get(node.attributes[0].checkpoint_key)
        if record is None or record.dtype in _STRANGE:
            return False
        elements += record.nbytes // max(1, record.dtype.itemsize)
    return elements <= MAX_ELEMENTS


def rebuild(graph: ObjectGraph, records: Mapping[str, TensorRecord]) -> list[Any]:
    """Make the objects of a graph; all variables are zeros.

    What keeps slots, or refuses them, has the method by which TensorFlow asks for them.
    """
    from tensorflow.python.trackable.autotrackable import AutoTrackable

    class Making(AutoTrackable):  # type: ignore[misc]
        """As the optimizers of TensorFlow 1 and Keras's legacy ones."""

        def _create_or_restore_slot_variable(
            self, slot_variable_position: Any, slot_name: str, variable: Any, **_: Any
        ) -> Any:
            key = id(variable), slot_name
            slots = self.__dict__.setdefault("_made_slots", {})
            if key not in slots and slot_variable_position.is_simple_variable():
                [value] = slot_variable_position.value_tensors().values()
                slots[key] = tf.Variable(tf.zeros_like(value), trainable=False)
            return slots.get(key)

    class Refusing(AutoTrackable):  # type: ignore[misc]
        """As the optimizers of tf.keras since 2.11."""

        def _create_or_restore_slot_variable(self, **_: Any) -> Any:
            raise ValueError("no slots of legacy optimizers")

    kinds = {SlotManner.MAKES: Making, SlotManner.REFUSES: Refusing}
    objects: list[Any] = []
    for number, node in enumerate(graph.nodes):
        if node.attributes and node.attributes[0].name == _TABLE:
            key = node.attributes[0].checkpoint_key
            objects.append(_table(*(records[f"{key}-{part}"] for part in ("keys", "values"))))
        elif node.attributes and node.attributes[0].name == _ITERATOR:
            objects.append(iter(tf.data.Dataset.range(3)))
        elif node.attributes:
            record = records[node.attributes[0].checkpoint_key]
            zeros = tf.zeros(record.shape, tf.as_dtype(str(record.dtype)))
            objects.append(tf.Variable(zeros, trainable=False))
        else:
            objects.append(kinds.get(slot_manner(graph, number), AutoTrackable)())
    for at, children in enumerate(graph.children):
        for child, name in children:
            objects[at]._track_trackable(objects[child], name, overwrite=True)
    for at, one in enumerate(graph.nodes):
        for variable, word, slot in one.slot_variables:
            slots = objects[at].__dict__.setdefault("_made_slots", {})
            slots[id(objects[variable]), word] = objects[slot]
    return objects


def _table(keys: TensorRecord, values: TensorRecord) -> Any:
    dtypes = [tf.as_dtype(str(one.dtype)) for one in (keys, values)]
    tables = tf.lookup.experimental
    if len(keys.shape) == 2:  # a dense one keeps its buckets as they are
        return tables.DenseHashTable(*dtypes, default_value=-1, empty_key=-1, deleted_key=-2)
    return tables.MutableHashTable(*dtypes, tf.zeros(values.shape[1:], dtypes[1]))


def restored_by_tensorflow(prefix: str, root: Any) -> dict[int, int]:
    """Restore into live objects; give the identity of the object bound to each saved node."""
    from tensorflow.python.checkpoint.checkpoint import TrackableSaver
    from tensorflow.python.checkpoint.graph_view import ObjectGraphView

    status = TrackableSaver(ObjectGraphView(root)).restore(prefix)
    status.expect_partial()
    return {node: id(one) for node, one in status._checkpoint.object_by_proto_id.items()}
