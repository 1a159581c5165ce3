"""The order of a model: layers as they follow each other, kernel before bias.

A bundle keeps its keys sorted as bytes, so `_operations/10` stands before
`_operations/2`. What numbers the objects of the model is natural order of paths.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ckread.model.patterns import natural_key
from ckread.readers.contract import Format

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable

_LEAVES = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
_LEAF_RANK = {leaf: rank for rank, leaf in enumerate(_LEAVES)}
_OPTIMIZER_LIST = re.compile(r"(^|/)_?trainable_variables/")
_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_FILES_IN_MODEL_ORDER = (Format.LEGACY_HDF5, Format.KERAS_ARCHIVE, Format.KERAS_WEIGHTS)


def model_order(checkpoint: Checkpoint) -> list[Variable]:
    """Give all variables: parameters in the order of the model, then the rest.

    Of the rest, what lies in a scope comes first: the optimizer before a save counter.
    """
    listed = _listed_order(checkpoint)
    variables = sorted(checkpoint.values(), key=lambda variable: _key(variable, listed))
    return sorted(variables, key=_part)


def _part(variable: Variable) -> int:
    if variable.role.is_parameter:
        return 0
    return 1 if "/" in variable.name else 2


def _listed_order(checkpoint: Checkpoint) -> dict[str, int]:
    """Give the rank of names that the files list in model order: layers of Keras, `.meta`."""
    ranks: dict[str, int] = {}
    for layer in checkpoint.evidence.layers:
        ranks.setdefault(layer.name.rpartition("/")[2], len(ranks))
    meta_graph = checkpoint.evidence.meta_graph
    if meta_graph is not None:
        for name in _scopes(one.name for one in meta_graph.collections.get("variables", ())):
            ranks.setdefault(name, len(ranks))
    return ranks


def _scopes(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        yield name.removesuffix(":0").rpartition("/")[0]


def _key(variable: Variable, listed: dict[str, int]) -> tuple[int, str, int, str]:
    path = _model_path(variable)
    scope, _, leaf = path.rpartition("/")
    if leaf.isdecimal():  # a list of variables is in order itself
        scope, leaf = path, ""
    rank = _rank(variable.name, listed)
    order = "" if rank < len(listed) else natural_key(scope)
    last = variable.name.rpartition("/")[2]
    return rank, order, _LEAF_RANK.get(last, len(_LEAVES)), natural_key(leaf)


def _rank(name: str, listed: dict[str, int]) -> int:
    """Give the rank of the innermost listed part of a name, or of its whole scope."""
    scope = name.rpartition("/")[0]
    if not listed:
        return 0
    if scope in listed:
        return listed[scope]
    ranks = (listed[part] for part in reversed(scope.split("/")) if part in listed)
    return next(ranks, len(listed))


def _model_path(variable: Variable) -> str:
    """Choose, of the paths to a variable, the one through its model."""
    key = variable.key.removesuffix(_SUFFIX)
    if not variable.paths or not _OPTIMIZER_LIST.search(key):
        return key
    through_model = [path for path in variable.paths if not _OPTIMIZER_LIST.search(path)]
    return min(through_model, key=natural_key, default=key)
