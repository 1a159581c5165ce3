"""Whether a saved value is that of the variable that receives it, or of another one.

Told by names, by content and by what the variables are; where nothing tells, a value
under another name is taken for a renamed one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from ckread.analysis.diff.matching import is_same_content
from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckread.model.variable import Variable

_LEAVES = frozenset(
    {
        "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", "embeddings",
        "recurrent_kernel", "depthwise_kernel", "pointwise_kernel", "learning_rate",
    }
)  # fmt: skip
"""Last components that mean something else in one layer."""
_NUMBERED = re.compile(r"(?P<stem>.*?[^\d_])(?:_(?P<number>\d{1,9}))?")
_EXCHANGED = {"m": "momentum", "v": "velocity", "a": "accumulator"}
"""Words of one slot in Keras 2 and Keras 3."""


class Sameness:
    """Compares the variables of a file with those of a program.

    Args:
        saved: the variables of the file.
        target: those of the program.
    """

    def __init__(self, saved: Iterable[Variable], target: Iterable[Variable]) -> None:
        self._saved = {variable.name: variable for variable in saved}
        self._target = {variable.name: variable for variable in target}
        self._known: dict[tuple[str, str], bool] = {}

    def is_another(self, saved: Variable, target: Variable) -> bool:
        """Tell whether the value of `saved` is not that of the variable `target`."""
        if saved.name == target.name:
            return False
        pair = saved.name, target.name
        if pair not in self._known:
            self._known[pair] = False  # owners that go in a circle
            self._known[pair] = self._decide(saved, target)
        return self._known[pair]

    def _decide(self, saved: Variable, target: Variable) -> bool:
        if is_same_content(saved, target):
            return False
        if Role.SLOT in (saved.role, target.role) or Role.AVERAGE in (saved.role, target.role):
            return self._is_another_slot(saved, target)
        if saved.role != target.role and saved.role.is_parameter != target.role.is_parameter:
            return True
        leaf, other = (one.name.rpartition("/")[2] for one in (saved, target))
        if leaf != other and {leaf, other} <= _LEAVES:
            return True
        ours, theirs = self._numbers
        first, second = ours.get(saved.name, saved.name), theirs.get(target.name, target.name)
        if first == second:
            return False
        return second in self._canonical_saved or first in self._canonical_target

    def _is_another_slot(self, saved: Variable, target: Variable) -> bool:
        """Compare slots by their owner and the writer's word."""
        if saved.role != target.role:
            return True
        words = [_EXCHANGED.get(one.slot or "", one.slot) for one in (saved, target)]
        if words[0] != words[1] or (saved.owner is None) != (target.owner is None):
            return True
        owner, other = self._saved.get(saved.owner or ""), self._target.get(target.owner or "")
        if owner is None or other is None:
            return saved.owner != target.owner
        return self.is_another(owner, other)

    @cached_property
    def _numbers(self) -> tuple[dict[str, str], dict[str, str]]:
        return _renumbered(self._saved), _renumbered(self._target)

    @cached_property
    def _canonical_saved(self) -> frozenset[str]:
        numbers = self._numbers[0]
        return frozenset(numbers.get(name, name) for name in self._saved)

    @cached_property
    def _canonical_target(self) -> frozenset[str]:
        numbers = self._numbers[1]
        return frozenset(numbers.get(name, name) for name in self._target)


def _renumbered(variables: Mapping[str, Variable]) -> dict[str, str]:
    """Give names with the numbers that Keras counts up in a process replaced by their rank.

    `dense_3/kernel` and `dense_4/kernel` become `dense#0/kernel` and `dense#1/kernel`, as
    `dense/kernel` and `dense_1/kernel` do.
    """
    numbers: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    parts = {name: list(_auto_parts(name)) for name in variables}
    for found in parts.values():
        for scope, stem, number in found:
            if stem is not None:
                numbers[scope, stem].add(number)
    ranks = {
        group: {number: rank for rank, number in enumerate(sorted(members))}
        for group, members in numbers.items()
    }
    renamed = {}
    for name, found in parts.items():
        if any(stem is not None for _, stem, _ in found):
            components = name.split("/")
            for at, (scope, stem, number) in enumerate(found):
                if stem is not None:
                    components[at] = f"{stem}#{ranks[scope, stem][number]}"
            renamed[name] = "/".join(components)
    return renamed


def _auto_parts(name: str) -> Iterable[tuple[str, str | None, int]]:
    """Give of each scope of a name what it lies in, its class and its number."""
    scope = ""
    for component in name.split("/")[:-1]:
        match = _NUMBERED.fullmatch(component)
        stem = match["stem"] if match else ""
        if match and stem in _CLASSES:
            yield scope, stem, int(match["number"] or 0)
            scope = f"{scope}/{stem}"
        else:
            yield scope, None, 0
            scope = f"{scope}/{component}"


_CLASSES = frozenset(
    {
        "activity_regularization", "add", "attention", "average", "batch_normalization",
        "bidirectional", "category_encoding", "concatenate", "conv1d", "conv1d_transpose",
        "conv2d", "conv2d_transpose", "conv3d", "conv3d_transpose", "conv_lstm1d", "conv_lstm2d",
        "conv_lstm3d", "dense", "depthwise_conv1d", "depthwise_conv2d", "einsum_dense",
        "embedding", "functional", "group_normalization", "group_query_attention", "gru",
        "gru_cell", "instance_normalization", "layer_normalization", "lstm", "lstm_cell", "model",
        "multi_head_attention", "normalization", "p_re_lu", "prelu", "rms_normalization", "rnn",
        "separable_conv1d", "separable_conv2d", "sequential", "simple_rnn", "simple_rnn_cell",
        "spectral_normalization", "stacked_rnn_cells", "time_distributed", "unit_normalization",
    }
)  # fmt: skip
"""Names that Keras gives layers of its own, counted up in a process."""
