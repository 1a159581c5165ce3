"""Names of weights that only an optimizer holds.

Keras 3 does not save layers that a subclassed model keeps in a list or dict. Their
trainable weights are in the file all the same, because the optimizer refers to them;
what they are called survives in the full names of their slots,
`<optimizer>/<model>_<layer>_<variable>_<slot>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.optimizers import Optimizer
    from ckread.model.slot import Slot
    from ckread.model.telling import Namer


def names_of_optimizer_only(
    namer: Namer, optimizers: Mapping[int, Optimizer], slots: Mapping[int, Slot]
) -> dict[int, str]:
    """Give names of the trainable variables that no path without an optimizer reaches."""
    silent = {
        node: index
        for optimizer in optimizers.values()
        for index, node in (optimizer.trainable or {}).items()
        if node not in namer.tree.reached
    }
    if not silent:
        return {}
    telling = _telling(namer, optimizers)
    slot_names: dict[int, list[str]] = {node: [] for node in silent}
    for slot, found in slots.items():
        if found.owner in silent:
            slot_names[found.owner].append(namer.full_names[slot])
    return {
        node: _name(namer.full_names[node], index, slot_names[node], telling)
        for node, index in silent.items()
    }


def _telling(namer: Namer, optimizers: Mapping[int, Optimizer]) -> set[object]:
    """Give the telling scopes of all trained variables, reached or not."""
    trained = {
        node for optimizer in optimizers.values() for node in (optimizer.trainable or {}).values()
    }
    return set(namer.telling_groups({n: namer.full_names[n].rpartition("/")[0] for n in trained}))


def _name(full_name: str, index: int, slot_names: list[str], telling: set[object]) -> str:
    scope, _, variable = full_name.rpartition("/")
    if scope in telling:
        return full_name
    layers = [layer for name in slot_names if (layer := _layer(name, scope, variable))]
    if layers:
        return f"{layers[0]}/{variable}"
    return "/".join(filter(None, ("_trainable_variables", str(index), variable)))


def _layer(slot_name: str, model: str, variable: str) -> str:
    """Give the layer in `<optimizer>/<model>_<layer>_<variable>_<slot>`, empty if not there."""
    own = slot_name.rpartition("/")[2]
    prefix = f"{model.replace('/', '_')}_"
    layer, separator, _ = own.removeprefix(prefix).rpartition(f"_{variable}_")
    return layer if separator and own.startswith(prefix) else ""
