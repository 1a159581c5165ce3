"""Where a training stood when a checkpoint was saved: steps, learning rate, optimizer.

Only scalars are read, without numpy; what cannot be read is None.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ckread.analysis.optimizers import OptimizerState, agreed, read_optimizers
from ckread.errors import CheckpointError
from ckread.model.binding import bind
from ckread.model.claim import Claim, Strength
from ckread.model.evidence import ObjectGraph
from ckread.model.optimizers import find_optimizers
from ckread.model.paths.scanning import read_name
from ckread.model.role import Role
from ckread.model.steps import NameNumbers, Series
from ckread.readers.contract import Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable


_STEPS = ("global_step", "step", "train_step")
_POWERS = {"beta1_power": 0.9, "beta2_power": 0.999}
"""Scalars of TensorFlow 1's Adam, and the betas it has unless told otherwise."""


@dataclass(frozen=True, slots=True)
class TrainingState:
    """What a checkpoint says about the training that saved it; None where it does not.

    Attributes:
        step: the global step, else the save counter, else the number in the file name.
        step_source: where the step was found, in words.
        epoch: an `epoch` variable, else the epoch in the file name.
        iterations: of the optimizer; None where several differ.
        iterations_source: what told them where no counter did, in words.
        learning_rate: as `iterations`; None with a schedule too, which is not saved.
        save_counter: how often `tf.train.Checkpoint` had saved.
        optimizer_kind: its class, such as `Adam` or `SGD with momentum`; those of all
            optimizers, with `and`, where there are several.
        optimizer_name: the path that its variables' names begin with.
        optimizers: all of them, each with its own iterations and learning rate.
        schedule: class of the schedule that gives the learning rate.
        loss: names of the losses the model was compiled with.
        metrics: names of the metrics, likewise.
        lost: names of weights that only the optimizer holds: Keras will not restore them.
        warnings: where file name, step and counters disagree, one sentence each.
        claims: on step and epoch, with what told them.
    """

    step: int | None = None
    step_source: str | None = None
    epoch: int | None = None
    iterations: int | None = None
    iterations_source: str | None = None
    learning_rate: float | None = None
    save_counter: int | None = None
    optimizer_kind: str | None = None
    optimizer_name: str | None = None
    optimizers: tuple[OptimizerState, ...] = ()
    schedule: str | None = None
    loss: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = field(default=(), compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Give the fields by name."""
        fields = asdict(replace(self, claims=(), optimizers=()))
        del fields["claims"]
        return fields | {"optimizers": tuple(one.to_dict() for one in self.optimizers)}


def read_training_state(checkpoint: Checkpoint) -> TrainingState:
    """Read the counters and the learning rate of a checkpoint."""
    numbers = checkpoint.of_role(Role.COUNTER, Role.HYPERPARAMETER)
    scalars = [variable for variable in numbers if variable.elements == 1]
    optimizers = read_optimizers(checkpoint, scalars, _value)
    iterations = agreed(one.iterations for one in optimizers)
    compiled = checkpoint.evidence.compiled
    global_step = _outermost(scalars, _STEPS)
    counter = _outermost(scalars, ("save_counter",))
    epoch = _integer(_outermost(scalars, ("epoch",)))
    is_named = checkpoint.format is not Format.SAVED_MODEL  # whose directory has a version
    number, series = read_name(checkpoint.path) if is_named else (NameNumbers(), Series((), ()))
    kinds = sorted({one.kind for one in optimizers if one.kind is not None})
    named = [one.name for one in optimizers if one.name and one.iterations is not None]
    done, source = None if iterations is None else int(iterations), None
    if global_step is None and all(one.iterations is None for one in optimizers):
        done, source = _iterations_by_power(checkpoint)
    state = TrainingState(
        epoch=number.epoch if epoch is None else epoch,
        iterations=done,
        iterations_source=source,
        learning_rate=agreed(one.learning_rate for one in optimizers),
        save_counter=_integer(counter),
        optimizer_kind=" and ".join(kinds) or None,
        optimizer_name=named[0] if named else None,
        optimizers=optimizers,
        schedule=next((one.schedule for one in optimizers if one.schedule), None),
        loss=compiled.loss if compiled is not None else (),
        metrics=compiled.metrics if compiled is not None else (),
        lost=find_lost(checkpoint),
    )
    told = _with_step(state, global_step, number)
    return replace(told, claims=tuple(_claims(told, series, is_epoch_stored=epoch is not None)))


def _iterations_by_power(checkpoint: Checkpoint) -> tuple[int | None, str | None]:
    """Tell the iterations of TensorFlow 1's Adam by the powers of its betas, where they agree.

    They begin as beta itself and are multiplied by it at each step: 0.999 ** (iterations + 1).
    That the betas are the usual ones is told by both powers giving one number.
    """
    powers = {_word(v): _value(v) for v in checkpoint.of_word(*_POWERS)}
    found = []
    for word, beta in _POWERS.items():
        power = powers.get(word)
        if power is None or not 0 <= power < 1:
            return None, None
        # In float32 the first has sunk to zero after 830 steps, and tells no more then.
        found.append(math.log(power) / math.log(beta) - 1 if power > 1e-37 else math.inf)
    by_first, by_second = found
    least = 750 if by_first == math.inf else by_first
    is_one = by_first == math.inf or abs(by_second - by_first) <= 0.5 + 1e-3 * by_first
    if by_second == math.inf or not is_one or by_second < least - 1:
        return None, None
    return round(by_second), "beta2_power"


def find_lost(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Give the names of weights that an optimizer trains and no model in the file holds.

    They are what a restore into the same objects leaves if its optimizers hold nothing.
    """
    graph = checkpoint.evidence.graph
    if graph is None:
        return ()
    suspects = {
        variable.key: variable.name
        for variable in checkpoint.of_role(Role.WEIGHT)
        if "_trainable_variables/" in variable.key and not variable.paths
    }
    if not suspects:
        return ()
    optimizers = find_optimizers(graph, graph.variables)
    holds_a_model = 0 not in optimizers and any(
        child not in optimizers and child not in graph.variables for child, _ in graph.children[0]
    )
    if not holds_a_model:
        return ()
    alone = [
        one._replace(children=()) if node in optimizers else one
        for node, one in enumerate(graph.nodes)
    ]
    bound = bind(graph, ObjectGraph(tuple(alone))).bound
    lost = [key for node, key in graph.variables.items() if key in suspects and node not in bound]
    return tuple(suspects[key] for key in lost)


def _with_step(
    state: TrainingState, global_step: Variable | None, number: NameNumbers
) -> TrainingState:
    """Choose the step by its sources in order, and say where the file name disagrees."""
    stored = _integer(global_step)
    # A `Checkpoint` made anew for each save counts every save as its first.
    saves = state.save_counter
    is_first = saves in (0, 1) and number.step not in (None, saves)
    sources = [
        (stored, global_step.name if global_step is not None else ""),
        (None if is_first else saves, "save counter"),
        (number.step, "file name"),
    ]
    known = [(value, source) for value, source in sources if value is not None]
    if not known:
        return state
    step = known[0][0]
    source = " and ".join(source for value, source in reversed(known) if value == step)
    counters = {step, state.save_counter, state.iterations, state.epoch}
    warnings: tuple[str, ...] = ()
    if number.step is not None and number.step not in counters:
        what = known[0][1] if stored is not None else "the save counter"
        warnings = (f"The file name says {number.step}, but {what} is {step}.",)
    return replace(state, step=step, step_source=source, warnings=warnings)


def _claims(state: TrainingState, series: Series, *, is_epoch_stored: bool) -> Iterator[Claim]:
    """Yield the claims on step and epoch, with what told them."""
    in_name = series.source or "file name"
    if state.step is None:
        untold = "no counter in the file, and no number of its name counts"
        yield Claim("step", None, Strength.UNKNOWN, untold, series.against)
    else:
        against = series.against
        if state.save_counter not in (None, state.step):
            against = (f"{state.save_counter}: counts the saves of one process", *against)
        is_named = state.step_source == "file name"
        strength = Strength.NAMED if is_named else Strength.STORED
        source = in_name if is_named else state.step_source or ""
        yield Claim("step", state.step, strength, source, against)
    if state.iterations_source is not None:
        yield Claim("iterations", state.iterations, Strength.DERIVED, state.iterations_source)
    if state.epoch is not None:
        strength = Strength.STORED if is_epoch_stored else Strength.NAMED
        told = "variable epoch" if is_epoch_stored else in_name
        yield Claim("epoch", state.epoch, strength, told)


def _outermost(variables: Iterable[Variable], words: tuple[str, ...]) -> Variable | None:
    """Give the variable of the first of these words that is there, the least deep."""
    found = [variable for variable in variables if _word(variable) in words]
    return min(found, key=lambda v: (words.index(_word(v)), v.name.count("/")), default=None)


def _word(variable: Variable) -> str:
    return variable.name.rpartition("/")[2]


def _integer(variable: Variable | None) -> int | None:
    value = _value(variable)
    return int(value) if value is not None else None


def _value(variable: Variable | None) -> int | float | None:
    """Read a scalar; None where its bytes are missing or damaged."""
    if variable is None:
        return None
    try:
        return variable.scalar()
    except CheckpointError:
        return None
