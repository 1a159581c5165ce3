"""What an optimizer did to the weights of a checkpoint: the last update, signal, dead elements.

A checkpoint with Adam's moments knows more of its training than a log: from momentum and
velocity the last step follows to the last digits (see `updates`), and where both are 0 no
gradient has ever come. Compare like with like: biases and gammas are small, or near 1, so
their ratios lie ten times above and below those of kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.analysis.audit.rules import (
    BEGIN_ABOVE_ZERO,
    Hyperparameter,
    forgets,
    hyperparameters,
    read_states,
    rule_of,
)
from ckread.analysis.audit.sampling import head_array
from ckread.analysis.checksums import is_blank
from ckread.analysis.training import OptimizerState, optimizer_claims
from ckread.analysis.workers import Work
from ckread.errors import CheckpointError, UsageError
from ckread.model.checkpoint import Checkpoint
from ckread.model.display import Field, Kind, columns_of, data_frame, document, frame
from ckread.model.opening import open_checkpoint
from ckread.model.optimizers import classes_of_slots
from ckread.model.records import Records
from ckread.model.role import Role
from ckread.model.selection import select
from ckread.readers.contract import few

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor

    from ckread.analysis.audit.records import Seam
    from ckread.analysis.audit.rules import Rule
    from ckread.analysis.audit.updates import Tally
    from ckread.analysis.training import TrainingState
    from ckread.model.evidence import Claim
    from ckread.model.run.entries import RunEntry
    from ckread.model.run.run import PathLike, Run
    from ckread.model.variable import Variable


_BLANK = "no step was made, no gradient came, or the slots were reset"
_SAMPLED = 64
"""Kernels of which a check looks at the last update, at most."""


@dataclass(frozen=True, slots=True)
class UsedOptimizer:
    """One optimizer of a checkpoint.

    Example:
        >>> one = ckread.optimizer("fixtures/digits_run").optimizers[0]
        >>> one.name, one.kind, one.iterations, one.reason, list(one.hyperparameters)[:3]
        ('optimizer', 'Adam', 900, None, ['learning_rate', 'beta_1', 'beta_2'])
        >>> one.to_dict()["recomputed"], one.forgets
        (True, False)

    Attributes:
        name: the path that its variables' names begin with; empty in TensorFlow 1.
        kind: its class, with its variant: `Adam with AMSGrad`.
        iterations: how many steps it made.
        hyperparameters: by name; the source of each says how well it is told.
        reason: why its last update cannot be recomputed; None where it can.
        forgets: whether a gradient long past may have left nothing in its slots.
    """

    name: str
    kind: str | None
    iterations: int | None
    hyperparameters: dict[str, Hyperparameter]
    reason: str | None
    forgets: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of an optimizer in the `optimizer` document."""
        return {
            "name": self.name,
            "kind": self.kind,
            "iterations": self.iterations,
            "hyperparameters": {
                name: {"value": one.value, "source": one.source}
                for name, one in self.hyperparameters.items()
            },
            "recomputed": self.reason is None,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class WeightUpdate:
    """What the slots of one weight tell of its training.

    Example:
        >>> one = ckread.optimizer("fixtures/digits_run")["conv1/kernel"]
        >>> one.name, one.shape, one.elements, one.optimizer, one.is_kernel
        ('conv1/kernel', (3, 3, 1, 16), 144, 'optimizer', True)
        >>> [round(x, 5) for x in (one.update_ratio, one.update_l2, one.weight_l2, one.signal)]
        [0.00103, 0.00163, 1.579, 0.1751]
        >>> one.without_gradient, one.rows_without_gradient, one.at_epsilon, round(one.largest_v, 6)
        (9, None, 0, 0.065285)
        >>> round(one.step, 5), list(one.to_dict())[:2]
        (0.00537, ['name', 'shape'])

    Attributes:
        name: of the weight.
        shape: of it.
        elements: of this shape.
        optimizer: name of the optimizer that moves it.
        update_l2: norm of the last update; None where it cannot be recomputed, or is not finite.
        weight_l2: norm of the weight.
        signal: median of |m| / √v as stored: the smaller, the less gradients agree.
        without_gradient: elements that no gradient has reached, by their slots.
        rows_without_gradient: rows of an embedding likewise; None of other weights.
        at_epsilon: elements whose √v is not above epsilon.
        step: median of how far one unit of Adam's momentum moves an element.
        largest_v: the largest second moment.
    """

    name: str
    shape: tuple[int, ...]
    elements: int
    optimizer: str
    update_l2: float | None
    weight_l2: float
    signal: float | None
    without_gradient: int | None
    rows_without_gradient: int | None
    at_epsilon: int | None
    step: float | None
    largest_v: float | None

    @property
    def update_ratio(self) -> float | None:
        """Norm of the last update over that of the weight; None where that is not told."""
        if not math.isfinite(self.weight_l2):
            return None
        if not self.update_l2 or not self.weight_l2:
            return 0.0 if self.update_l2 == 0 else None
        return self.update_l2 / self.weight_l2

    @property
    def is_kernel(self) -> bool:
        """Whether it is no vector: ratios of kernels compare with those of kernels."""
        return len(self.shape) > 1

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of a weight in the `optimizer` document."""
        return document(UPDATE_FIELDS, self)


UPDATE_FIELDS: tuple[Field[WeightUpdate], ...] = (
    Field("name", Kind.TEXT),
    Field("shape", Kind.SHAPE),
    Field("elements", Kind.COUNT),
    Field("optimizer", Kind.TEXT),
    Field("update_ratio", Kind.FIGURE),
    Field("update_l2", Kind.FIGURE),
    Field("weight_l2", Kind.FIGURE),
    Field("signal", Kind.FIGURE),
    Field("without_gradient", Kind.NUMBER),
    Field("rows_without_gradient", Kind.NUMBER),
    Field("at_epsilon", Kind.NUMBER),
    Field("step", Kind.FIGURE),
    Field("largest_v", Kind.FIGURE),
)
"""What is told of the optimizer of a weight: JSON, pandas and the pipe of `optimizer`."""


@dataclass(frozen=True, slots=True, repr=False)
class OptimizerAudit(Records[WeightUpdate]):
    """What the optimizers of a checkpoint did; its records are the weights, by name.

    Attributes:
        path: of the checkpoint.
        optimizers: those that keep slots, or of which else something is told.
        weights: those that have slots, in the order of the model.
        notes: what could not be read, one sentence each.
        evidence: what told class and learning rate.

    Example:
        >>> found = ckread.optimizer("fixtures/digits_run/ckpt-10")
        >>> found
        <ckread.OptimizerAudit 'fixtures/digits_run/ckpt-10': Adam, 12 weights>
        >>> round(found["hidden/kernel"].update_ratio, 5)
        0.00146
        >>> found.optimizers[0].hyperparameters["beta_1"]
        Hyperparameter(value=0.9, source='default')
        >>> found.notes, [claim.claim for claim in found.evidence], round(found.update_ratio, 5)
        ((), ['optimizer', 'learning_rate'], 0.00123)
    """

    path: str
    optimizers: tuple[UsedOptimizer, ...]
    weights: tuple[WeightUpdate, ...]
    notes: tuple[str, ...] = ()
    evidence: tuple[Claim, ...] = ()

    def __repr__(self) -> str:
        """Show path, classes and number of weights."""
        kinds = " and ".join(sorted({one.kind or "unknown" for one in self.optimizers})) or "none"
        return f"<ckread.OptimizerAudit {self.path!r}: {kinds}, {len(self.weights)} weights>"

    @property
    def _records(self) -> tuple[WeightUpdate, ...]:
        return self.weights

    @property
    def update_ratio(self) -> float | None:
        """Norm of the last update of all weights over that of the weights."""
        told = (w for w in self.weights if w.update_l2 is not None)
        known = [w for w in told if math.isfinite(w.weight_l2)]
        whole = math.hypot(*(w.weight_l2 for w in known))
        return math.hypot(*(w.update_l2 or 0.0 for w in known)) / whole if whole else None

    def to_dict(self) -> dict[str, Any]:
        """Give the body of the `optimizer` document."""
        return {
            "path": self.path,
            "optimizers": [one.to_dict() for one in self.optimizers],
            "update_ratio": self.update_ratio,
            "weights": [weight.to_dict() for weight in self.weights],
            "notes": list(self.notes),
            "evidence": [claim.to_dict() for claim in self.evidence],
        }

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per weight, by name.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        return frame(UPDATE_FIELDS, self.weights, index="name")


class WeightOverRun(NamedTuple):
    """What the slots of one weight tell along a run.

    Example:
        >>> found = ckread.optimizer_of_run("fixtures/digits_run", "conv1/kernel")
        >>> [one.without_gradient for one in found["conv1/kernel"].updates if one][-2:]
        [9, 9]

    Attributes:
        name: of the weight.
        updates: of each checkpoint, along `checkpoints`; None where nothing is told.
    """

    name: str
    updates: tuple[WeightUpdate | None, ...]


@dataclass(frozen=True, slots=True, repr=False)
class RunOptimizerAudit(Records[WeightOverRun]):
    """What the optimizers of a run did; its records are the weights, by name.

    Attributes:
        path: of the run.
        checkpoints: in order of step.
        audits: of each of them.
        notes: what was left out and why, one sentence each.
        evidence: what told the steps, the latest, and the seams.
        seams: where the run did not simply go on.

    Example:
        >>> found = ckread.optimizer_of_run("fixtures/digits_run", "conv1/kernel")
        >>> [None if r is None else round(r, 4) for r in found.ratios()["conv1/kernel"]][2:6]
        [0.0, 0.0062, 0.0032, 0.003]
        >>> len(found.audits), found.checkpoints[0].step, found.notes, found.seams
        (10, 1, (), ())
        >>> len(found.evidence)
        2
    """

    path: str
    checkpoints: tuple[RunEntry, ...]
    audits: tuple[OptimizerAudit, ...]
    notes: tuple[str, ...] = ()
    evidence: tuple[Claim, ...] = ()
    seams: tuple[Seam, ...] = ()

    def __repr__(self) -> str:
        """Show path and how many checkpoints."""
        return f"<ckread.RunOptimizerAudit {self.path!r}: {len(self.checkpoints)} checkpoints>"

    @property
    def _records(self) -> tuple[WeightOverRun, ...]:
        names = {w.name: None for audit in reversed(self.audits) for w in audit.weights}
        found = [{w.name: w for w in audit.weights} for audit in self.audits]
        return tuple(WeightOverRun(name, tuple(one.get(name) for one in found)) for name in names)

    def ratios(self) -> dict[str, tuple[float | None, ...]]:
        """Give the relative size of the last update of each weight, along the checkpoints."""
        return {
            name: tuple(one.update_ratio if one else None for one in along) for name, along in self
        }

    def to_dict(self) -> dict[str, Any]:
        """Give the body of the `optimizer --every` document."""
        return {
            "path": self.path,
            "checkpoints": [
                {"path": entry.path, "step": entry.step, "epoch": entry.epoch, "time": entry.time,
                 "optimizers": [one.to_dict() for one in audit.optimizers],
                 "update_ratio": audit.update_ratio,
                 "weights": [weight.to_dict() for weight in audit.weights]}
                for entry, audit in zip(self.checkpoints, self.audits, strict=True)
            ],
            "notes": list(self.notes),
            "evidence": [claim.to_dict() for claim in self.evidence],
            "seams": [seam.to_dict() for seam in self.seams],
        }  # fmt: skip

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per weight and checkpoint.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        columns = {"checkpoint": Kind.TEXT, "step": Kind.NUMBER, **columns_of(UPDATE_FIELDS)}
        rows = [
            {"checkpoint": entry.path, "step": entry.step, **weight.to_dict()}
            for entry, audit in zip(self.checkpoints, self.audits, strict=True)
            for weight in audit.weights
        ]
        return data_frame(columns, rows)


def optimizer(
    target: Checkpoint | str | os.PathLike[str],
    patterns: str | Sequence[str] = (),
    *,
    n_jobs: int | None = 1,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> OptimizerAudit:
    """Tell what the optimizer of a checkpoint did to each weight in its last step.

    Recomputed for Adam, AdamW, AMSGrad, Adamax, Lion (its size), momentum, and RMSprop with
    momentum; of others the slots tell what no gradient has reached. Checksums are verified.

    Args:
        target: an open checkpoint, or a path.
        patterns: which weights, one pattern or several; all if empty.
        n_jobs: processes to use; None for as many as are worth it.
        executor: where to work instead.
        progress: called with the number of bytes whenever some have been read.

    Raises:
        CheckpointError: it cannot be opened, or no slot of it can be read.
        VariableNotFoundError: a pattern means no weight.
        UsageError: nothing in it is known as an optimizer's, or no slots.

    Example:
        >>> found = ckread.optimizer("fixtures/digits_run/ckpt-10", "conv1")
        >>> [(weight.name, weight.without_gradient) for weight in found.weights]
        [('conv1/kernel', 9), ('conv1/bias', 1)]
    """
    work = Work(n_jobs, executor, progress)
    if isinstance(target, Checkpoint):
        return _audit(target, patterns, work)
    with open_checkpoint(target) as checkpoint:
        return _audit(checkpoint, patterns, work)


def optimizer_of_run(
    run: Run | PathLike | Iterable[PathLike],
    patterns: str | Sequence[str] = (),
    *,
    n_jobs: int | None = 1,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> RunOptimizerAudit:
    """Tell the same in every checkpoint of a run; one without an optimizer is left out.

    Args:
        run: its checkpoints, or what `open_run` takes.
        patterns: which weights, one pattern or several; all if empty.
        n_jobs: processes to use; None for as many as are worth it.
        executor: where to work instead.
        progress: called with the number of bytes whenever some have been read.

    Raises:
        CheckpointError: there is no such run, or no checkpoint of it can be read.
        VariableNotFoundError: a pattern means no weight.
        UsageError: no checkpoint holds anything of an optimizer.

    Example:
        >>> ckread.optimizer_of_run("fixtures/digits_run")
        <ckread.RunOptimizerAudit 'fixtures/digits_run': 10 checkpoints>
    """
    from ckread.analysis.audit.seams import find_seams  # no checkpoint alone has a seam
    from ckread.model.run.run import as_run

    run = as_run(run)
    entries, audits, notes = [], [], []
    error: CheckpointError | None = None
    for index, found in run.opened():
        entry = run.entries[index]
        try:
            if isinstance(found, CheckpointError):
                raise found
            with found:
                audits.append(_audit(found, patterns, Work(n_jobs, executor, progress)))
        except CheckpointError as problem:
            error = problem
            notes.append(f"{entry.name} was left out: {problem.message}.")
        else:
            entries.append(entry)
    if error is not None and not audits:
        raise error
    seams = find_seams(run)
    claims = (*run.claims, *(seam.claim for seam in seams))
    return RunOptimizerAudit(run.path, tuple(entries), tuple(audits), tuple(notes), claims, seams)


def owners_of_slots(checkpoint: Checkpoint) -> dict[str, list[Variable]]:
    """Give the slots of each weight that has some of its shape."""
    found: dict[str, list[Variable]] = {}
    for slot in checkpoint.values():
        owner = checkpoint.get(slot.owner) if slot.role is Role.SLOT and slot.owner else None
        if owner is not None and owner.shape == slot.shape and slot.elements:
            found.setdefault(owner.name, []).append(slot)
    return found


def _audit(checkpoint: Checkpoint, patterns: str | Sequence[str], work: Work) -> OptimizerAudit:
    """Read weights and slots, and make the figures."""
    slots = owners_of_slots(checkpoint)
    states = read_states(checkpoint)
    if not slots and not any(one.kind for one in states):
        if kept := checkpoint.of_role(Role.SLOT):
            why = "and nothing tells of which weights they are"
            why = "none of the shape of its weight" if any(v.owner for v in kept) else why
            raise UsageError(f"{checkpoint.path} holds {len(kept)} slots, {why}")
        remedy = (
            "Files that keep one: tf.train.Checkpoint(model=model, optimizer=optimizer), "
            "model.save() of a compiled model"
        )
        scopes = {one.name for one in states}
        rest = [v.name for v in checkpoint.of_role(Role.COUNTER, Role.HYPERPARAMETER)
                if v.role is not Role.COUNTER or v.name.rpartition("/")[0] in scopes]  # fmt: skip
        bare = f"nothing in {checkpoint.path} is known as an optimizer's"
        if rest:
            bare = f"{checkpoint.path} holds no slots, only {few(rest, 3)}"
        raise UsageError(bare, remedy=remedy)
    states = states or (OptimizerState(""),)
    ordered = checkpoint.in_order()
    weights = [variable for variable in ordered if variable.name in slots]
    if patterns:
        weights = select(weights, patterns)
    told = {one.name: (one, *hyperparameters(checkpoint, one)) for one in states}
    reasons: dict[str, str | None] = {}
    many: list[tuple[Rule, Variable, Sequence[Variable]]] = []
    names: list[str] = []
    for weight in weights:
        mine = slots[weight.name]
        one, settings, rate = told[_optimizer_of(mine[0], states)]
        if one.kind is not None and " and " in one.kind:  # the slots say which of them it is
            one = one._replace(kind=classes_of_slots(mine))
            settings, rate = hyperparameters(checkpoint, one)
        rule, reason = rule_of(checkpoint, one, settings, rate, mine)
        reasons.setdefault(one.name, reason)
        many.append((rule, weight, mine))
        names.append(one.name)
    for name, (one, settings, rate) in told.items():
        if name not in reasons:
            reasons[name] = rule_of(checkpoint, one, settings, rate, ())[1]
    rows: dict[int, WeightUpdate] = {}
    notes = []
    error: CheckpointError | None = None
    if many:
        from ckread.analysis.audit.updates import tallies

        for i, found in tallies(many, work):
            if isinstance(found, CheckpointError):
                error = found
                notes.append(f"{many[i][1].name} was left out: {found.message}.")
            else:
                rows[i] = _row(*many[i], found, names[i])
    if error is not None and not rows:
        raise error
    used = []
    for name, (one, settings, _) in told.items():
        mine_at = [at for at in rows if names[at] == name]
        unread = (slot for owner in slots.keys() - {rows[at].name for at in rows}
                  for slot in slots[owner] if _optimizer_of(slot, states) == name)  # fmt: skip
        is_short = forgets(one.kind, settings, one.iterations)
        are_new = all(rows[at].without_gradient == rows[at].elements for at in mine_at)
        if mine_at and are_new and all(map(_may_be_new, unread)):
            reasons[name] = reasons[name] or _BLANK + ", or what came has faded" * is_short
            rows |= {at: replace(rows[at], update_l2=None) for at in mine_at}
        used.append(
            UsedOptimizer(name, one.kind, one.iterations, settings, reasons[name], is_short)
        )
    return OptimizerAudit(
        checkpoint.path,
        tuple(used),
        tuple(rows[i] for i in sorted(rows)),
        tuple(notes),
        tuple(optimizer_claims(checkpoint, states)),
    )  # fmt: skip


def keepers(checkpoint: Checkpoint, state: TrainingState) -> Callable[[Variable], UsedOptimizer]:
    """Give what tells the optimizer that keeps a slot."""
    states = read_states(checkpoint, state) or (OptimizerState(""),)
    told = {}
    for one in states:
        settings, _ = hyperparameters(checkpoint, one)
        is_short = forgets(one.kind, settings, one.iterations)
        told[one.name] = UsedOptimizer(one.name, one.kind, one.iterations, settings, None, is_short)
    return lambda slot: told[_optimizer_of(slot, states)]


class SampledUpdate(NamedTuple):
    """The last update of a kernel, by its first numbers.

    Attributes:
        name: of the kernel.
        n_read: numbers that were looked at.
        ratio: the norm of their update over their own.
        lost: share of those with an update whose float32 is the same without it.
    """

    name: str
    n_read: int
    ratio: float
    lost: float


def sample_updates(
    checkpoint: Checkpoint, state: TrainingState | None = None
) -> list[SampledUpdate]:
    """Recompute the last update of kernels by their first numbers, as cheaply as a check may.

    Nothing of kernels whose update is not told, or that no gradient has reached.
    """
    import numpy as np

    from ckread.analysis.audit.updates import last_update

    states = read_states(checkpoint, state)
    told = {one.name: (one, *hyperparameters(checkpoint, one)) for one in states}
    slots = owners_of_slots(checkpoint) if told else {}
    names = [name for name in slots if len(checkpoint[name].shape) > 1]
    found = []
    for name in names[:: math.ceil(len(names) / _SAMPLED) or 1]:
        mine = slots[name]
        one, settings, rate = told[_optimizer_of(mine[0], states)]
        rule, reason = rule_of(checkpoint, one, settings, rate, mine)
        if reason is not None:
            continue
        try:
            numbers = [head_array(v) for v in (checkpoint[name], *mine)]
        except (CheckpointError, UsageError):
            continue
        weight, *parts = numbers
        with np.errstate(all="ignore"):
            move = last_update(rule, weight, parts) if weight.size else None
            if move is None or not move.any() or not np.isfinite(move).all() or not weight.any():
                continue
            moved = move != 0
            lost = (weight - move).astype(np.float32) == weight.astype(np.float32)
            ratio = float(np.linalg.norm(move) / np.linalg.norm(weight))
        found.append(SampledUpdate(name, weight.size, ratio, float(lost[moved].mean())))
    return found


def _optimizer_of(slot: Variable, states: Sequence[OptimizerState]) -> str:
    """Give the name of the optimizer that keeps a slot: the longest that its name begins with."""
    fitting = [one.name for one in states if slot.name.startswith(f"{one.name}/")]
    return max(fitting, key=len) if fitting else states[0].name


def _may_be_new(slot: Variable) -> bool:
    """Tell without reading whether a slot may be as it began."""
    return slot.slot in BEGIN_ABOVE_ZERO or is_blank(slot)


def _row(
    rule: Rule, weight: Variable, slots: Sequence[Variable], found: Tally, optimizer_name: str
) -> WeightUpdate:
    from ckread.analysis.audit.updates import median, untouched_rows

    is_embedding = weight.name.rpartition("/")[2] in ("embeddings", "embedding", "table")
    rows = None
    if is_embedding and len(weight.shape) == 2 and found.untouched and "m" in rule.words:
        rows = untouched_rows(slots)
    has_second = not math.isnan(found.largest_v)
    return WeightUpdate(
        weight.name,
        weight.shape,
        weight.elements,
        optimizer_name,
        math.sqrt(found.update) if math.isfinite(found.update) else None,
        math.sqrt(found.weight),
        median(found.signals),
        found.untouched,
        rows,
        found.at_epsilon if has_second else None,
        median(found.steps),
        found.largest_v if has_second else None,
    )
