"""The roles of variables that an object graph leads to, slots and aliases aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckread.model.machinery import is_machinery
from ckread.model.role import Role
from ckread.model.role_rules import can_be_weight, is_whole, role_by_word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.telling import Namer
    from ckread.readers.contract import TensorRecord

_METRICS = frozenset({"metrics", "_metrics", "_compile_metrics", "_tracked_metrics"})
_ADAPTED = frozenset({"mean", "variance", "adapt_mean", "adapt_variance", "count"})
_MOVING = frozenset({"hidden", "_hidden", "average"})


class _Held(NamedTuple):
    """The variables of one holder: their local names, and whether weights can be among them."""

    names: frozenset[str]
    has_weights: bool


_NOTHING = _Held(frozenset(), has_weights=False)


class ObjectRoles:
    """Tells the roles of the variables of one graph."""

    def __init__(self, namer: Namer, records: Mapping[int, TensorRecord]) -> None:
        self._namer = namer
        self._records = records
        self._held: dict[int | str, _Held] = {}

    def in_model(self, node: int) -> Role:
        """Give the role of a variable that no optimizer holds as its own."""
        tree, record = self._namer.tree, self._records[node]
        local, word = self._words(node)
        steps = tree.steps(node) or ()
        beside = self._beside(node)
        if not _METRICS.isdisjoint(steps[:-1]) or _is_metric(beside.names, local, record):
            return Role.METRIC
        role = self._by_words(node)
        if role is not None:
            return role
        if _is_statistic(beside.names, {local, word}):
            return Role.STATISTIC
        if can_be_weight(record.dtype):
            return Role.WEIGHT
        in_layer = any(is_machinery(step) for step in steps[:-2])
        if is_whole(record.dtype) and (in_layer or (tree.parent[node] and beside.has_weights)):
            return Role.WEIGHT if record.shape else Role.STATISTIC
        return Role.OTHER

    def in_optimizer(self, node: int, *, is_held: bool) -> Role:
        """Give the role of a variable of an optimizer that is neither a slot nor a weight.

        Args:
            node: its node id.
            is_held: whether the optimizer refers to it by a name, not only in a list.
        """
        record = self._records[node]
        role = self._by_words(node)
        if role is not None:
            return role
        is_number = record.shape == () and can_be_weight(record.dtype)
        return Role.HYPERPARAMETER if is_held and is_number else Role.OTHER

    def _by_words(self, node: int) -> Role | None:
        dtype, shape = self._records[node].dtype, self._records[node].shape
        local, word = self._words(node)
        return role_by_word(word, dtype, shape) or role_by_word(local, dtype, shape)

    def _words(self, node: int) -> tuple[str, str]:
        """Give the local name, and the last component of the full name."""
        full_name = self._namer.full_names[node]
        return self._namer.tree.name.get(node, ""), full_name.rpartition("/")[2]

    def _beside(self, node: int) -> _Held:
        """Give what the holder of a variable holds.

        Items of a list are beside those whose full names have the same scope.
        """
        tree = self._namer.tree
        parent = tree.parent.get(node, -1)
        if parent < 0:
            return _NOTHING
        is_item = tree.name[node].isdecimal()
        holder = self._namer.full_names[node].rpartition("/")[0] if is_item else parent
        found = self._held.get(holder)
        if found is None:
            found = self._held[holder] = self._all_of(holder)
        return found

    def _all_of(self, holder: int | str) -> _Held:
        if isinstance(holder, str):
            held = dict(self._namer.scopes.get(holder, {}))
        else:
            held = {name: child for child, name in self._namer.graph.children[holder]}
        nodes = {name: node for name, node in held.items() if node in self._records}
        has_weights = any(can_be_weight(self._records[node].dtype) for node in nodes.values())
        return _Held(frozenset(nodes), has_weights)


def _is_metric(names: frozenset[str], local: str, record: TensorRecord) -> bool:
    """Tell a running mean by its two variables: Keras's, or Sonnet's."""
    if local not in names or len(names) != 2:
        return False
    return (record.shape == () and names == {"total", "count"}) or names == {"sum", "count"}


def _is_statistic(names: frozenset[str], words: set[str]) -> bool:
    """Tell Keras's Normalization and Sonnet's moving averages by what lies beside."""
    if words & _MOVING and names & {"_counter", "counter"}:
        return True
    if "count" not in names or not words & _ADAPTED:
        return False
    return {"mean", "variance"} <= names or {"adapt_mean", "adapt_variance"} <= names
