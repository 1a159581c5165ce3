"""The second copy of every variable in a Keras 3 export.

`export()` makes the root list its variables twice, as `variables` and as
`_all_variables`, and each list is stored. Members are paired one to one; equal values
anywhere else, as of two untrained biases, are no alias.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.object_graph import ObjectGraph
    from ckread.readers.contract import TensorRecord

_Signature = tuple[object, ...]


def find_aliases(
    graph: ObjectGraph, full_names: Mapping[int, str], records: Mapping[int, TensorRecord]
) -> dict[int, int | None]:
    """Give the aliases by node id, with the node each repeats.

    The node is None where checksums are lacking and names do not decide.
    """
    lists = (graph.child(0, "variables"), graph.child(0, "_all_variables"))
    originals, copies = (
        [] if node is None else [item for item in graph.items(node).values() if item in records]
        for node in lists
    )
    first = set(originals)
    waiting: dict[_Signature, deque[int]] = {}
    for node in originals:
        waiting.setdefault(_signature(full_names[node], records[node]), deque()).append(node)
    alike = Counter({signature: len(nodes) for signature, nodes in waiting.items()})
    aliases: dict[int, int | None] = {}
    for node in copies:
        record = records[node]
        signature = _signature(full_names[node], record)
        if node not in first and waiting.get(signature):
            original = waiting[signature].popleft()
            told = record.crc32c is not None or alike[signature] == 1
            aliases[node] = original if told else None
    return aliases


def _signature(full_name: str, record: TensorRecord) -> _Signature:
    return full_name, record.dtype, record.shape, record.crc32c
