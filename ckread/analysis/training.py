"""Where a training stood when a checkpoint was saved: steps, optimizers, masks and averages.

Only scalars and a few plain numbers are read, without numpy; what cannot be read is None.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.errors import CheckpointError
from ckread.model.display import Frozen
from ckread.model.evidence import Claim, ObjectGraph, Strength
from ckread.model.optimizers import (
    class_of_object,
    classes_of_slots,
    find_optimizers,
    is_class_word,
    with_variant,
)
from ckread.model.paths.scanning import read_name
from ckread.model.role import MAX_RIVALS, Role, outermost
from ckread.model.steps import NameNumbers, Series
from ckread.model.variable import is_number, read_numbers
from ckread.readers.contract import Format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.optimizers import Optimizer
    from ckread.model.variable import Variable

    Reader = Callable[[Variable | None], int | float | None]


STEPS = ("global_step", "step", "train_step")
POWERS = {"beta1_power": 0.9, "beta2_power": 0.999}
"""Scalars of TensorFlow 1's Adam, and the betas it has unless told otherwise."""
_POWER = re.compile(rf"({'|'.join(POWERS)})(_\d+)?")


class TrainingState(Frozen):
    """What a checkpoint says about the training that saved it; None where it does not.

    Example:
        >>> state = ckread.info("fixtures/digits_run").training
        >>> state.step, state.step_source, state.epoch, state.save_counter
        (10, 'file name and save counter', None, 10)
        >>> state.lost, state.warnings, state.differing, state.differing_epochs
        ((), (), (), ())
        >>> state.iterations, state.iterations_source, round(state.learning_rate, 5), state.schedule
        (900, None, 0.00069, None)
        >>> state.optimizer_kind, state.optimizer_name, len(state.optimizers)
        ('Adam', 'optimizer', 1)
        >>> state.loss, state.metrics
        ((), ())
        >>> [claim.claim for claim in state.claims]
        ['step']

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
        differing: the counters that tell other steps, neither of which is above the other.
        differing_epochs: those that tell other epochs, likewise.
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
    claims: tuple[Claim, ...] = ()
    differing: tuple[str, ...] = ()
    differing_epochs: tuple[str, ...] = ()

    _aside = frozenset({"claims", "differing", "differing_epochs"})

    def to_dict(self) -> dict[str, Any]:
        """Give the fields by name."""
        return self._compared() | {"optimizers": tuple(one.to_dict() for one in self.optimizers)}


def read_training_state(checkpoint: Checkpoint) -> TrainingState:
    """Read the counters and the learning rate of a checkpoint."""
    numbers = checkpoint.of_role(Role.COUNTER, Role.HYPERPARAMETER)
    scalars = [variable for variable in numbers if variable.elements == 1]
    optimizers = read_optimizers(checkpoint, scalars, _value)
    iterations = agreed(one.iterations for one in optimizers)
    compiled = checkpoint.evidence.compiled
    counted = Counted.of(counters_of(scalars, STEPS))
    counter = Counted.of(counters_of(scalars, ("save_counter",)))
    epochs = Counted.of(counters_of(scalars, ("epoch",)))
    is_named = checkpoint.format is not Format.SAVED_MODEL  # whose directory has a version
    number, series = read_name(checkpoint.path) if is_named else (NameNumbers(), Series((), ()))
    kinds = sorted({one.kind for one in optimizers if one.kind is not None})
    named = [one.name for one in optimizers if one.name and one.iterations is not None]
    done, source = None if iterations is None else int(iterations), None
    if not counted.names and all(one.iterations is None for one in optimizers):
        done, source = iterations_by_power(numbers)
    state = TrainingState(
        epoch=number.epoch if epochs.value is None else epochs.value,
        iterations=done,
        iterations_source=source,
        learning_rate=agreed(one.learning_rate for one in optimizers),
        save_counter=counter.value,
        optimizer_kind=" and ".join(kinds) or None,
        optimizer_name=named[0] if named else None,
        optimizers=optimizers,
        schedule=next((one.schedule for one in optimizers if one.schedule), None),
        loss=compiled.loss if compiled is not None else (),
        metrics=compiled.metrics if compiled is not None else (),
        lost=find_lost(checkpoint),
        differing=counted.differing if counted.names else counter.differing,
        differing_epochs=epochs.differing,
    )
    told = _with_step(state, counted, number)
    claims = tuple(_claims(told, series, is_epoch_stored=epochs.value is not None))
    return told._replace(claims=claims)


def iterations_by_power(
    variables: Iterable[Variable], read: Reader | None = None
) -> tuple[int | None, str | None]:
    """Tell the iterations of TensorFlow 1's Adam by the powers of its betas, where they agree.

    They begin as beta itself and are multiplied by it at each step: 0.999 ** (iterations + 1).
    That the betas are the usual ones is told by both powers giving one number. Of several
    optimizers, those of a GAN, one number is told only where all made as many.
    """
    pairs: dict[str, dict[str, int | float | None]] = {}
    for variable in variables:
        if found := _POWER.fullmatch(_word(variable)):
            whose = f"{_parent(variable)}{found[2] or ''}"
            pairs.setdefault(whose, {})[found[1]] = (read or _value)(variable)
    done = agreed(map(_iterations_of, pairs.values()))
    return (None, None) if done is None else (int(done), "beta2_power")


def is_power(name: str) -> bool:
    """Tell whether a variable of a name is a power of one of Adam's betas, of any optimizer."""
    return _POWER.fullmatch(name.rpartition("/")[2]) is not None


def _iterations_of(powers: Mapping[str, int | float | None]) -> int | None:
    """Tell the iterations by the two powers of one optimizer; None where they do not agree."""
    found = []
    for word, beta in POWERS.items():
        power = powers.get(word)
        if power is None or not 0 <= power < 1:
            return None
        # In float32 the first has sunk to zero after 830 steps, and tells no more then.
        found.append(math.log(power) / math.log(beta) - 1 if power > 1e-37 else math.inf)
    by_first, by_second = found
    least = 750 if by_first == math.inf else by_first
    is_one = by_first == math.inf or abs(by_second - by_first) <= 0.5 + 1e-3 * by_first
    if by_second == math.inf or not is_one or by_second < least - 1:
        return None
    return round(by_second)


def find_lost(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Give the names of weights that an optimizer trains and no model in the file holds.

    They are what a restore into the same objects leaves if its optimizers hold nothing.
    """
    graph = checkpoint.evidence.graph
    if graph is None or "_trainable_variables/" not in "\n".join(checkpoint.reader.tensors):
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
    from ckread.model.binding import bind

    alone = [
        one._replace(children=()) if node in optimizers else one
        for node, one in enumerate(graph.nodes)
    ]
    bound = bind(graph, ObjectGraph(tuple(alone))).bound
    lost = [key for node, key in graph.variables.items() if key in suspects and node not in bound]
    return tuple(suspects[key] for key in lost)


def _with_step(state: TrainingState, counted: Counted, number: NameNumbers) -> TrainingState:
    """Choose the step by its sources in order, and say where the file name disagrees."""
    stored = counted.value
    # A `Checkpoint` made anew for each save counts every save as its first.
    saves = state.save_counter
    is_first = saves in (0, 1) and number.step not in (None, saves)
    sources = [
        (stored, " and ".join(counted.names[:MAX_RIVALS])),
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
    return state._replace(step=step, step_source=source, warnings=warnings)


def _claims(state: TrainingState, series: Series, *, is_epoch_stored: bool) -> Iterator[Claim]:
    """Yield the claims on step and epoch, with what told them."""
    in_name = series.source or "file name"

    def rivals(told: Sequence[str]) -> str:
        return f"{', '.join(told)}: neither is above the other" if told else ""

    differing = rivals(state.differing)
    if state.step is None:
        untold = differing or "no counter in the file, and no number of its name counts"
        yield Claim("step", None, Strength.UNKNOWN, untold, series.against)
    else:
        against = (*filter(None, [differing]), *series.against)
        if state.save_counter not in (None, state.step):
            against = (f"{state.save_counter}: counts the saves of one process", *against)
        is_named = state.step_source == "file name"
        strength = Strength.NAMED if is_named else Strength.STORED
        source = in_name if is_named else state.step_source or ""
        yield Claim("step", state.step, strength, source, against)
    if state.iterations_source is not None:
        yield Claim("iterations", state.iterations, Strength.DERIVED, state.iterations_source)
    others = rivals(state.differing_epochs)
    if state.epoch is not None:
        strength = Strength.STORED if is_epoch_stored else Strength.NAMED
        told = "variable epoch" if is_epoch_stored else in_name
        yield Claim("epoch", state.epoch, strength, told, tuple(filter(None, [others])))
    elif others:
        yield Claim("epoch", None, Strength.UNKNOWN, others)


class Counted(NamedTuple):
    """What one or several counters of one word say together.

    Attributes:
        names: theirs.
        value: what all of them count; None where they differ, or none can be read.
        differing: `a/step is 4`, of each, where they differ.
    """

    names: tuple[str, ...] = ()
    value: int | None = None
    differing: tuple[str, ...] = ()

    @classmethod
    def of(cls, variables: Sequence[Variable]) -> Counted:
        """Read them."""
        values = [_integer(variable) for variable in variables]
        names = tuple(variable.name for variable in variables)
        if len(set(values)) == 1:
            return cls(names, values[0])
        shown = ["unreadable" if value is None else str(value) for value in values]
        told = [f"{name} is {value}" for name, value in zip(names, shown, strict=True)]
        return cls(names, None, tuple(told[:MAX_RIVALS]))


def counters_of(variables: Iterable[Variable], words: tuple[str, ...]) -> list[Variable]:
    """Give the variables of the first of these words that is there, none above the others."""
    found = {variable.name: variable for variable in variables if not variable.slot}
    return [found[name] for name in next(iter(outermost(found, words)), ())]


def _word(variable: Variable) -> str:
    return variable.name.rpartition("/")[2]


def _integer(variable: Variable | None) -> int | None:
    value = _value(variable)
    return int(value) if value is not None and math.isfinite(value) else None


def _value(variable: Variable | None) -> int | float | None:
    """Read a scalar; None where its bytes are missing or damaged."""
    if variable is None:
        return None
    try:
        return variable.scalar()
    except CheckpointError:
        return None


# The optimizers, of which there may be several, an actor's and a critic's.

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
    kinds: dict[str, str | None] = {}  # of the optimizer objects of the graph, by path
    graph = checkpoint.evidence.graph
    if graph is not None:
        for one in find_optimizers(graph, graph.variables).values():
            place = _path(graph, one, checkpoint)
            if place is not None and (one.inner is None or graph.nodes[one.node].slot_variables):
                kinds[place] = class_of_object(graph, one) or kinds.get(place)
    counted = {_parent(v): v for v in scalars if _word(v) in _ITERATIONS}
    rated = {_parent(v): v for v in scalars if _word(v) in _RATES}
    own = (path for path in counted if path in rated or _is_of_optimizer(path, checkpoint))
    paths = dict.fromkeys((*kinds, *own))
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
        is_told = iterations is not None and math.isfinite(iterations)
        done = int(iterations or 0) if is_told else None
        states.append(OptimizerState(path, kind, done, read(rate), None))
    states = states or _by_parameter(scalars, read)
    return _with_config(checkpoint, states)


def _by_parameter(scalars: Iterable[Variable], read: Reader) -> list[OptimizerState]:
    """Give the optimizers of PyTorch, which counts the steps of each parameter alone."""
    steps: dict[str, list[Variable]] = {}
    for variable in scalars:
        if variable.slot == "step":
            steps.setdefault(variable.name.rpartition("state/")[0].rstrip("/"), []).append(variable)
    done = {path: agreed(map(read, (each[0], each[-1]))) for path, each in steps.items()}
    return [
        OptimizerState(path, None, None if count is None else int(count))
        for path, count in done.items()
    ]


_OPTIMIZER = re.compile(r"(?:\A|_|\b)opt(?:im(?:izer)?)?(?:\b|_|\d|\Z)|optimizer", re.IGNORECASE)


def _is_of_optimizer(path: str, checkpoint: Checkpoint) -> bool:
    """Tell by the name of a scope, or a slot below it, that its iterations are an optimizer's."""
    word = path.rpartition("/")[2]
    if is_class_word(word) or _OPTIMIZER.search(word):
        return True
    return bool(path) and any(
        slot.name.startswith(f"{path}/") for slot in checkpoint.of_role(Role.SLOT)
    )


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


def _parent(variable: Variable) -> str:
    return variable.name.rpartition("/")[0]


def agreed(values: Iterable[float | None]) -> float | None:
    """Give the value of all optimizers; None if they differ, or one has none."""
    different = set(values)
    return different.pop() if len(different) == 1 else None


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
            scalars = (v for v in checkpoint.of_word(*_RATES) if v.elements == 1)
            stored = next((v for v in scalars if _value(v) == one.learning_rate), None)
            source = "what the model was compiled with" if stored is None else "variable "
            source += "" if stored is None else _word(stored)
            yield Claim(f"learning_rate{name}", one.learning_rate, Strength.STORED, source)
        elif one.schedule is not None:
            source = f"{one.schedule} gives it, and is not saved with its step"
            yield Claim(f"learning_rate{name}", None, Strength.UNKNOWN, source)


# What is told of masks and averages from their values, where these are few.

MAX_NBYTES = 1 << 20
"""Bytes of values that are read for one figure."""
_MASK = re.compile(r"(?:.*_)?masks?(?:_\d+)?")


class Masks(NamedTuple):
    """Masks of zeros and ones that lie beside weights of their shape, as pruning keeps them.

    Attributes:
        variables: how many.
        elements: of all of them.
        left_out: how many of these are 0; None where they are not read.
        not_zero: weights that a mask leaves out and that are not 0; None likewise.
    """

    variables: int
    elements: int
    left_out: int | None = None
    not_zero: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of JSON documents."""
        return self._asdict()


def find_masks(checkpoint: Checkpoint) -> Masks | None:
    """Give the masks, each beside the one weight of its shape; None if there are none."""
    states = (v for v in checkpoint.of_role(Role.STATE) if v.shape)
    masks = [v for v in states if _MASK.fullmatch(_word(v))]
    weights = checkpoint.of_role(Role.WEIGHT) if masks else []
    pairs = []
    for mask in masks:
        scope = mask.name[: mask.name.rfind("/") + 1]
        alike = [one for one in weights if one.shape == mask.shape and one.name.startswith(scope)]
        if len(alike) != 1:
            return None
        pairs.append((mask, alike[0]))
    if not pairs:
        return None
    found = Masks(len(pairs), sum(mask.elements for mask, _ in pairs))
    if not _are_few(one for pair in pairs for one in pair):
        return found
    left_out = not_zero = 0
    try:
        for mask, weight in pairs:
            kept = read_numbers(mask)
            if not set(kept) <= {0, 1}:
                return None
            left_out += kept.count(0)
            values = zip(kept, read_numbers(weight), strict=True)
            not_zero += sum(1 for is_kept, value in values if not is_kept and value)
    except CheckpointError:  # `check` says what ails them
        return found
    return found._replace(left_out=left_out, not_zero=not_zero)


def averages_apart(checkpoint: Checkpoint) -> float | None:
    """Give ‖averages − weights‖ / ‖weights‖; None where nothing tells, or it is not read."""
    averages = checkpoint.of_role(Role.AVERAGE)
    found = ((checkpoint.get(one.owner or ""), one) for one in averages)
    pairs = [
        (w if w is not None and w.role.is_parameter and w.name == one.owner else None, one)
        for w, one in found
    ]
    owners = {average.owner for average in averages}
    if not pairs or len(owners) < len(pairs):  # several averages of one weight
        return None
    distances, norms = [], []
    known = [(weight, one) for weight, one in pairs if weight and weight.shape == one.shape]
    if len(known) < len(pairs) or not _are_few(one for pair in known for one in pair):
        return None
    try:
        for weight, average in known:
            values = read_numbers(weight)
            distances.append(math.dist(values, read_numbers(average)))
            norms.append(math.hypot(*values))
    except CheckpointError:
        return None
    distance, norm = math.hypot(*distances), math.hypot(*norms)
    return distance / norm if norm and math.isfinite(distance) and math.isfinite(norm) else None


def _are_few(variables: Iterable[Variable]) -> bool:
    """Tell whether values may be read here: few, plain, each with a checksum."""
    some = list(variables)
    is_plain = all(is_number(v.dtype) and v.crc32c is not None for v in some)
    # A narrow type has as many numbers to go through as a wide one.
    return is_plain and sum(max(4, v.dtype.itemsize) * v.elements for v in some) <= MAX_NBYTES
