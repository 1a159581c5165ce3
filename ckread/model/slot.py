"""A slot variable's relations, and what they are told by."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.object_graph import ObjectGraph

_AVERAGES = frozenset({"average", "model_variables_moving_average"})

Shape = tuple[int, ...]


class Slot(NamedTuple):
    """A slot's relations.

    Attributes:
        optimizer: node id of the optimizer that keeps it.
        owner: node id of its weight.
        word: the writer's word for it: `momentum`, `m`, `accumulator`.
        is_average: whether it is a shadow copy of the weight.
    """

    optimizer: int
    owner: int
    word: str
    is_average: bool = False


class SlotClues(NamedTuple):
    """What slots are told by.

    Attributes:
        graph: the trackable objects.
        full_names: of each variable node, what its program called it.
        shapes: of each variable node that is stored.
    """

    graph: ObjectGraph
    full_names: Mapping[int, str]
    shapes: Mapping[int, Shape]

    def last(self, node: int) -> str:
        """Give the last component of a full name."""
        return self.full_names[node].rpartition("/")[2]

    def word(self, node: int, owner: int) -> str:
        """Give what follows the weight's own name in a slot's full name, if it is there."""
        _, separator, word = self.full_names[node].rpartition(f"_{self.last(owner)}_")
        return word if separator else ""

    def stem(self, node: int, word: str) -> str:
        """Give a slot's full name without its word."""
        return self.full_names[node].removesuffix(f"_{word}")

    def fits(self, node: int, owner: int) -> bool:
        """Tell whether this is a value per element, row or column, or a placeholder."""
        shape, weight = self.shapes[node], self.shapes[owner]
        return shape in ((), weight, weight[:-1], (*weight[:-2], *weight[-1:]))


def is_average(word: str) -> bool:
    """Tell whether an optimizer calls shadow copies of weights so."""
    return word in _AVERAGES
