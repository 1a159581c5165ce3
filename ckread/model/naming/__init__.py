"""Checkpoint key → the name a person knows, and what the variable is for.

The evidence decides how: the object graph of an object-based checkpoint, the keys
alone where that cannot be read, the names of TensorFlow 1. Names depend on the
structure of a file, never on values, so that checkpoints of one run agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.naming.by_name import ATTRIBUTES, identify_keys, identify_names
from ckread.model.naming.objects import identify_objects
from ckread.model.naming.paths import unique_names as unique_names
from ckread.readers.contract import TensorColumns, no_garbage_collection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.evidence import Evidence, Identity
    from ckread.readers.contract import TensorRecord


OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The key of the object graph; a file that has it is object-based."""


def identify(tensors: Mapping[str, TensorRecord], evidence: Evidence) -> Mapping[str, Identity]:
    """Give the identity of every checkpoint key; names are unique in the file."""
    with no_garbage_collection():
        if evidence.graph is not None:
            if isinstance(tensors, TensorColumns) and evidence.saved_model is None:
                from ckread.model.naming.many_objects import identify_many_objects

                columns = identify_many_objects(tensors, evidence.graph)
                if columns is not None:
                    return columns
            return identify_objects(tensors, evidence.graph, evidence)
        if OBJECT_GRAPH_KEY in tensors or ATTRIBUTES in "\n".join(tensors):
            return identify_keys(tensors)
        if isinstance(tensors, TensorColumns):
            from ckread.model.naming.many import identify_many

            found = identify_many(tensors, evidence)
            if found is not None:
                return found
        return identify_names(tensors, evidence)
