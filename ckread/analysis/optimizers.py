"""The optimizers of a checkpoint: of which class each is, and where each stood.

A checkpoint may hold several, an actor's and a critic's, with steps and rates of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.model.claim import Claim, Strength
from ckread.model.optimizers import (
    class_of_object,
    classes_of_slots,
    find_optimizers,
    with_variant,
)
from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.evidence import ObjectGraph
    from ckread.model.optimizers import Optimizer
    from ckread.model.variable import Variable

    Reader = Callable[[Variable | None], int | float | None]

_ITERATIONS = ("iterations", "iter", "iteration")
_RATES = ("learning_rate", "lr")


class OptimizerState(NamedTuple):
    """One optimizer; None where the files do not say.

    Attributes:
        name: the path that its variables' names begin with; empty in TensorFlow 1.
        kind: its class: `Adam`, `SGD with momentum`.
        iterations: how many steps it made.
        learning_rate: that of the next step; None with a schedule, which is not saved.
        schedule: class of the schedule that gives the rate.
    """

    name: str
    kind: str | None = None
    iterations: int | None = None
    learning_rate: float | None = None
    schedule: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of JSON documents."""
        return self._asdict()


def read_optimizers(
    checkpoint: Checkpoint, scalars: Sequence[Variable], read: Reader
) -> tuple[OptimizerState, ...]:
    """Give the optimizers, in the order of the file; those that only wrap another are left out.

    `scalars` are counters and hyperparameters, which `read` reads.
    """
    kinds = _kinds(checkpoint)
    counted = {_parent(v): v for v in scalars if _word(v) in _ITERATIONS}
    rated = {_parent(v): v for v in scalars if _word(v) in _RATES}
    paths = dict.fromkeys((*kinds, *(path for path in counted if path or not kinds)))
    if not paths and rated:
        paths = dict.fromkeys(rated)
    inner = [path for path in paths if not any(other.startswith(f"{path}/") for other in paths)]
    told, words = checkpoint.evidence.optimizer_class, set()
    if not inner or (len(inner) == 1 and not kinds.get(inner[0])):
        told = told or classes_of_slots(checkpoint.of_role(Role.SLOT))
        words = {v.slot for v in checkpoint.of_role(Role.SLOT, Role.AVERAGE) if v.slot}
    if not inner and (told or checkpoint.evidence.compiled):
        inner = [""]
    states = []
    for path in inner:
        around = [path, *(other for other in counted if path.startswith(f"{other}/"))]
        steps = next((counted[one] for one in around if one in counted), None)
        rate = rated.get(path) or (rated.get("") if len(inner) == 1 else None)
        kind = kinds.get(path) or (with_variant(told, words) if len(inner) == 1 else None)
        iterations = read(steps)
        states.append(
            OptimizerState(
                path, kind, None if iterations is None else int(iterations), read(rate), None
            )
        )
    return _with_config(checkpoint, states)


def _kinds(checkpoint: Checkpoint) -> dict[str, str | None]:
    """Give the optimizer objects of the graph by path, with the class of each."""
    graph = checkpoint.evidence.graph
    if graph is None:
        return {}
    found: dict[str, str | None] = {}
    for one in find_optimizers(graph, graph.variables).values():
        path = _path(graph, one, checkpoint)
        has_slots = bool(graph.nodes[one.node].slot_variables)
        if path is not None and (one.inner is None or has_slots):
            found[path] = class_of_object(graph, one) or found.get(path)
    return found


def _path(graph: ObjectGraph, one: Optimizer, checkpoint: Checkpoint) -> str | None:
    """Give what the names of an optimizer's variables begin with; None if it stores none."""
    for child, _ in graph.children[one.node]:
        variable = checkpoint.of_key(graph.variables.get(child, ""))
        if variable is not None and variable.role is not Role.WEIGHT:
            return _parent(variable)
    slots = [slot for _, _, slot in graph.nodes[one.node].slot_variables]
    for node in (*slots, *one.variables.values()):
        variable = checkpoint.of_key(graph.variables.get(node, ""))
        if variable is not None and variable.owner is not None:
            return variable.name.removesuffix(f"{variable.owner}/{variable.slot}").rstrip("/")
    return None


def _with_config(
    checkpoint: Checkpoint, states: list[OptimizerState]
) -> tuple[OptimizerState, ...]:
    """Complete the one optimizer by what the model was compiled with."""
    compiled = checkpoint.evidence.compiled
    if compiled is None or len(states) != 1:
        return tuple(states)
    from ckread.readers.keras.config import innermost

    config = innermost(compiled.optimizer)
    if config is None:
        return tuple(states)
    [one] = states
    rate = config.settings.get("learning_rate", config.settings.get("lr"))
    schedule = rate.get("class_name") if isinstance(rate, dict) else None
    if one.learning_rate is None and isinstance(rate, (int, float)) and rate is not True:
        one = one._replace(learning_rate=float(rate))
    if isinstance(schedule, str):
        one = one._replace(schedule=schedule.rpartition(">")[2])
    return (one._replace(kind=checkpoint.evidence.optimizer_class or one.kind),)


def _word(variable: Variable) -> str:
    return variable.name.rpartition("/")[2]


def _parent(variable: Variable) -> str:
    return variable.name.rpartition("/")[0]


def agreed(values: Iterable[float | None]) -> float | None:
    """Give the value of all optimizers; None if they differ, or one has none."""
    different = set(values)
    return different.pop() if len(different) == 1 else None


# What told it.


def optimizer_claims(checkpoint: Checkpoint, states: Sequence[OptimizerState]) -> Iterable[Claim]:
    """Yield the claims on class and learning rate, with what told them."""
    evidence = checkpoint.evidence
    for one in states:
        name = f" of {one.name}" if len(states) > 1 and one.name else ""
        if evidence.optimizer_class is not None:
            strength, source = Strength.STORED, "what the model was compiled with"
        elif evidence.graph is not None and one.kind is not None:
            strength, source = Strength.STORED, "names and lists of its variables in the graph"
        elif one.kind is not None:
            strength, source = Strength.NAMED, "the names of its slots"
        else:
            strength, source = Strength.UNKNOWN, "told by a configuration, or slots of known names"
        yield Claim(f"optimizer{name}", one.kind, strength, source)
        if one.learning_rate is not None:
            stored = any(v.elements == 1 for v in checkpoint.of_word(*_RATES))
            source = "variable learning_rate" if stored else "what the model was compiled with"
            yield Claim(f"learning_rate{name}", one.learning_rate, Strength.STORED, source)
        elif one.schedule is not None:
            source = f"{one.schedule} gives it, and is not saved with its step"
            yield Claim(f"learning_rate{name}", None, Strength.UNKNOWN, source)
