"""The roles of variables that an object graph leads to without an optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.machinery import is_machinery
from ckread.model.role import Role
from ckread.model.role_rules import can_be_weight, is_whole, role_by_word

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ckread.model.telling import Namer
    from ckread.readers.contract import TensorRecord

_METRICS = frozenset({"metrics", "_metrics", "_compile_metrics", "_tracked_metrics"})
_ADAPTED = frozenset({"mean", "variance", "adapt_mean", "adapt_variance", "count"})


def role_in_model(namer: Namer, node: int, records: Mapping[int, TensorRecord]) -> Role:
    """Give the role of a variable that no optimizer holds as its own."""
    record, local = records[node], namer.tree.name[node]
    steps = namer.tree.steps(node) or ()
    siblings = _siblings(namer, node)
    if not _METRICS.isdisjoint(steps[:-1]) or _is_metric(siblings, local, record):
        return Role.METRIC
    word = namer.full_names[node].rpartition("/")[2]
    dtype, shape = record.dtype, record.shape
    role = role_by_word(word, dtype, shape) or role_by_word(local, dtype, shape)
    if role is not None:
        return role
    if _is_statistic(siblings, local, word):
        return Role.STATISTIC
    if can_be_weight(dtype):
        return Role.WEIGHT
    if is_whole(dtype) and _is_of_layer(namer, node, steps, siblings, records):
        return Role.WEIGHT if shape else Role.STATISTIC
    return Role.OTHER


def _siblings(namer: Namer, node: int) -> Mapping[str, int]:
    """Give the variables that the holder of a variable holds, by local name.

    Items of a list have none but those of the same scope, by the end of the full name.
    """
    parent = namer.tree.parent.get(node, -1)
    if parent < 0:
        return {}
    if namer.tree.name[node].isdecimal():
        return namer.scopes.get(namer.full_names[node].rpartition("/")[0], {})
    return {
        name: child for child, name in namer.graph.children[parent] if child in namer.full_names
    }


def _is_metric(siblings: Collection[str], local: str, record: TensorRecord) -> bool:
    """Tell a running mean by its two variables: Keras's, or Sonnet's."""
    names = set(siblings)
    if local not in names:
        return False
    return (record.shape == () and names == {"total", "count"}) or names == {"sum", "count"}


def _is_statistic(siblings: Collection[str], local: str, word: str) -> bool:
    """Tell Keras's Normalization and Sonnet's moving averages by what lies beside."""
    if {"_counter", "counter"} & set(siblings) and {local, word} & {"_hidden", "hidden", "average"}:
        return True
    names = set(siblings)
    adapted = {"mean", "variance"} <= names or {"adapt_mean", "adapt_variance"} <= names
    return adapted and "count" in names and bool({local, word} & _ADAPTED)


def _is_of_layer(
    namer: Namer,
    node: int,
    steps: tuple[str, ...],
    siblings: Mapping[str, int],
    records: Mapping[int, TensorRecord],
) -> bool:
    """Tell whether Keras holds a whole-numbered variable, or a holder of weights does."""
    if any(is_machinery(step) for step in steps[:-2]):
        return True
    return namer.tree.parent[node] != 0 and any(
        sibling in records and can_be_weight(records[sibling].dtype)
        for sibling in siblings.values()
    )


def role_in_optimizer(namer: Namer, node: int, record: TensorRecord, *, is_held: bool) -> Role:
    """Give the role of a variable of an optimizer that is neither a slot nor a weight.

    Args:
        namer: knows its names.
        node: its node id.
        record: its tensor.
        is_held: whether the optimizer refers to it by a name, not only in a list.
    """
    words = (namer.tree.name.get(node, ""), namer.full_names[node].rpartition("/")[2])
    for word in words:
        role = role_by_word(word, record.dtype, record.shape)
        if role is not None:
            return role
    is_number = record.shape == () and can_be_weight(record.dtype)
    return Role.HYPERPARAMETER if is_held and is_number else Role.OTHER
