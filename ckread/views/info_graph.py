"""What `info` says of a TF 1 graph: its saver, initial values and partitioned variables."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ckread.views.quantities import plural, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.readers.meta_graph import MetaGraph
    from ckread.readers.variable_defs import VariableDef

_NEVER_FOR_GOOD = 10_000
"""Hours that TensorFlow's saver waits by default before it keeps one for good."""
_MAX_PARTITIONED = 3


def graph_facts(graph: MetaGraph | None) -> list[tuple[str, str]]:
    """Give label and text of what a `.meta` file tells; texts may be empty."""
    if graph is None:
        return []
    return [
        ("saver", ", ".join(_saver(graph))),
        ("initial", ", ".join(_initialisers(graph))),
        ("slices", ", ".join(_partitioned(graph))),
    ]


def _saver(graph: MetaGraph) -> Iterator[str]:
    saver = graph.saver
    if saver is None:
        return
    yield f"writes {saver.version}" + (", a file per device" if saver.is_sharded else "")
    yield f"keeps the last {saver.max_to_keep:,}" if saver.max_to_keep else "keeps all"
    if 0 < saver.keep_every_n_hours < _NEVER_FOR_GOOD:
        yield f"one every {saver.keep_every_n_hours:g} hours for good"


def _initialisers(graph: MetaGraph) -> Iterator[str]:
    """Count the trained variables by what they began as."""
    kinds = Counter(one.initializer for one in _variables(graph) if one.initializer)
    for i, (kind, n_variables) in enumerate(kinds.most_common()):
        count = f"{n_variables:,}" if i else plural(n_variables, "variable")
        yield f"{safe_text(kind)} ({count})"


def _partitioned(graph: MetaGraph) -> Iterator[str]:
    slices = Counter(
        one.partition.full_name for one in _variables(graph) if one.partition is not None
    )
    for name, n_slices in list(slices.items())[:_MAX_PARTITIONED]:
        yield f"{safe_text(name)} in {n_slices:,}"
    if len(slices) > _MAX_PARTITIONED:
        yield f"{len(slices) - _MAX_PARTITIONED:,} more"


def _variables(graph: MetaGraph) -> tuple[VariableDef, ...]:
    return graph.collections.get("trainable_variables") or graph.collections.get("variables", ())
