"""The kinds of seams: what tells each, in words and figures, what it resembles, what to do.

That moments went on is told by the rule of their average: an element of Adam's velocity is
after t steps at least beta2^t of what it was, whatever the gradients were. In a new one many
are below that, unless t is so large that little of the old ones would be left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.audit.records import Seam
from ckread.analysis.findings import Code, Level
from ckread.model.evidence import Claim, Strength
from ckread.model.role import Role

if TYPE_CHECKING:
    from ckread.analysis.audit.sampling import Nearness
    from ckread.analysis.audit.states import State
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable

_SECOND_MOMENTS = ("velocity", "v", "Adam_1")
_SUMS = ("accumulator", "Adagrad")
"""Slots that only grow."""
_BETA_2 = 0.999
_LEFT = 0.2
"""Share of an old moment that must be left for it to be missed."""
_BELOW = 0.05
"""Share of elements that must be below the bound for a moment to be a new one."""


class Change(NamedTuple):
    """A counter of both neighbours."""

    name: str
    before: int
    after: int


def is_second_moment(variable: Variable) -> bool:
    """Tell whether a variable is a slot that sums or averages squares of gradients."""
    return variable.role is Role.SLOT and variable.slot in (*_SECOND_MOMENTS, *_SUMS)


_ALONE = "A resume that restores the model alone looks like this. To bring the optimizer with it:\n"


def seam_of(
    code: Code, a: State, b: State, title: str, brief: str, message: str,
    remedy: str | None, source: str, strength: Strength = Strength.STORED,
    level: Level = Level.WARNING,
) -> Seam:  # fmt: skip
    """Make a seam with the claim that it is there."""
    claim = Claim("seam", f"{code} at {b.entry.name}", strength, source)
    return Seam(code, level, a.entry, b.entry, title, brief, message, remedy, claim)


def _counter(b: State, change: Change) -> str:
    if b.unit == "iterations":
        return f"iterations of {change.name}" if len(b.counts) > 1 else "iterations"
    return f"the {b.unit}"


def _arrow(b: State, change: Change) -> str:
    return f"{_counter(b, change).removeprefix('the ')} {change.before:,} → {change.after:,}"


def _from_to(b: State, change: Change) -> str:
    return f"{_counter(b, change)} went from {change.before} to {change.after}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def began_anew(
    checkpoint: Checkpoint | None,
    a: State,
    b: State,
    change: Change,
    weights: Nearness | None,
    moments: Nearness | None,
) -> Seam:
    """Tell an optimizer that began anew from a counter that did."""
    went = _from_to(b, change)
    source, strength = f"{went}, stored", Strength.STORED
    on = ""
    if weights is not None and weights.cosine is not None:
        on = f"; the weights went on (cosine {_cosine(weights.cosine)})"
        source, strength = f"{went}; kernels compared: {weights.extent}", Strength.DERIVED
    is_adam = b.kind is not None and _is_adam(b.kind)
    if moments is not None:
        rule = ", by a beta2 of 0.999" if is_adam and not _beta_2(checkpoint) else ""
        source += f"; second moments compared: {moments.extent}{rule}"
    slot = _second_word(checkpoint)
    is_gone = moments is not None and moments.below > _BELOW
    if b.unit == "iterations" and (b.is_blank or (on and is_gone)):
        fell = "all slots are zero"
        if not b.is_blank and moments is not None:
            fell = f"{slot} fell to {_share(moments.ratio)} of its norm"
            if moments.ratio > _LEFT:
                fell = f"{slot} is below what {change.after} steps leave of it in "
                fell += f"{_share(moments.below)} of its elements"
        return seam_of(
            Code.OPTIMIZER_RESET, a, b, "the optimizer began anew",
            f"{_arrow(b, change)}{', the weights went on' if on else ''}: the optimizer began anew",
            _capital(f"{went}, {fell}{on}"), _ALONE + _restoring(checkpoint), source, strength,
        )  # fmt: skip
    is_on = moments is not None and not moments.below
    title, remedy = f"{_counter(b, change)} began anew", None
    told = _capital(f"{went}{on}")
    if on and is_on and moments is not None and (moments.cosine or 0) > 0.95:
        title += ", the moments went on"
        told = _capital(f"{went}; {slot} went on (cosine {_cosine(moments.cosine or 0)}){on}")
        if is_adam:
            remedy = (
                "Adam's correction for the first steps then acts a second time, and a schedule "
                "begins anew. Restore the iterations with the rest of the optimizer."
            )
    elif b.unit == "iterations" and b.n_slots:
        told += ". Whether the optimizer's moments went with it cannot be told from what is left"
        remedy = _ALONE + _restoring(checkpoint)
    elif b.unit == "save counter":
        remedy = "A program that was started again without restoring it counts so."
    brief = f"{_arrow(b, change)}{', the weights went on' if on else ''}"
    return seam_of(Code.ITERATIONS_RESET, a, b, title, brief, told, remedy, source, strength)


def _is_adam(kind: str) -> bool:
    return kind.lower().startswith(("adam", "nadam", "lamb")) and kind != "Adamax"


def _beta_2(checkpoint: Checkpoint | None) -> float | None:
    """Give what the model was compiled with, as far as the files tell."""
    compiled = checkpoint.evidence.compiled if checkpoint is not None else None
    settings = compiled.optimizer.settings if compiled and compiled.optimizer else {}
    found = settings.get("beta_2")
    return found if isinstance(found, float) else None


def share_left(checkpoint: Checkpoint, b: State, change: Change) -> float:
    """Give the share of an old second moment that is left at least; 0 where that tells nothing."""
    if b.kind == "Adagrad":
        return 1.0
    if b.kind is None or not _is_adam(b.kind):
        return 0.0
    left = (_beta_2(checkpoint) or _BETA_2) ** change.after
    return left if left > _LEFT else 0.0


def _second_word(checkpoint: Checkpoint | None) -> str:
    found = (
        (v for v in checkpoint.values() if is_second_moment(v)) if checkpoint is not None else ()
    )
    word = next((v.slot for v in found), None)
    return f"the optimizer's {'velocity' if word in _SECOND_MOMENTS else word or 'moments'}"


def _restoring(checkpoint: Checkpoint | None) -> str:
    """Give the call that brings the optimizer too, for the way it was saved."""
    if checkpoint is not None and checkpoint.path.endswith((".keras", ".h5", ".hdf5")):
        return "  model = keras.models.load_model(path)"
    if checkpoint is not None and checkpoint.evidence.graph is None:
        return "  tf.compat.v1.train.Saver().restore(session, path)"
    return "  tf.train.Checkpoint(model=model, optimizer=optimizer).restore(path)"


def other_model(a: State, b: State, change: Change, weights: Nearness) -> Seam:
    """Tell weights that have nothing in common with those before."""
    return seam_of(
        Code.OTHER_MODEL, a, b, "another model under the same names",
        f"{_arrow(b, change)}, and the weights are others",
        _capital(f"{_from_to(b, change)}, and the weights have little in common (cosine "
                 f"{_cosine(weights.cosine or 0)}), as where a training begins from new values"),
        "Save each training into a directory of its own: here the earlier one is being deleted "
        "or overwritten as the new one goes on.",
        f"kernels compared: {weights.extent}", Strength.DERIVED,
    )  # fmt: skip


def rollback(
    a: State, b: State, old: State, change: Change | None, weights: Nearness | None,
    far: float | None,
) -> Seam:  # fmt: skip
    """Tell weights of an earlier checkpoint: by their checksums, or by how near they are."""
    went = _from_to(b, change) if change else ""
    title = "went back to an earlier state"
    if weights is None or far is None:
        message = f"the weights are those of {old.entry.name}, by their checksums"
        told = _capital("; ".join(filter(None, [went, message])))
        brief = f"the weights of {old.entry.name} again"
        source, strength = "equal checksums of all weights", Strength.STORED
    else:
        stands = ""
        if change is not None and old.counts.get(change.name) == change.after:
            stands = f", where {old.entry.name} stands too"
        told = _capital(
            f"{went}{stands}. The weights are nearer to {old.entry.name} (moved "
            f"{_share(far)}) than to {a.entry.name} ({_share(weights.distance)}), and not equal "
            "to any, as where what lies between is trained twice"
        )
        brief = f"{_arrow(b, change) if change else ''}: back to near {old.entry.name}"
        source, strength = f"kernels compared: {weights.extent}", Strength.DERIVED
    remedy = f"A resume from {old.entry.name}, or one before it, looks like this."
    return seam_of(Code.ROLLBACK, a, b, title, brief, told, remedy, source, strength)


def trained_twice(a: State, b: State, change: Change) -> Seam:
    """Tell two checkpoints of one count whose weights and slots differ."""
    names = f"{a.entry.name} and {b.entry.name}"
    what = _counter(b, change).removeprefix("the ")
    return seam_of(
        Code.TRAINED_TWICE, a, b, "trained twice",
        f"{what} {change.after:,} a second time, with other values",
        f"Both stand at {what} {change.after} and hold different weights and slots: what leads "
        "there was trained twice",
        f"A resume from a checkpoint before {names} looks like this.",
        f"{what} and checksums, stored",
    )  # fmt: skip


def moments_reset(a: State, b: State, change: Change) -> Seam:
    """Tell slots that are all zero while the counters went on."""
    return seam_of(
        Code.MOMENTS_RESET, a, b, "the moments began anew",
        f"all {b.n_slots} slots are zero",
        _capital(f"{_from_to(b, change)}, and all {b.n_slots} slots are zero, which those of "
                 f"{a.entry.name} are not"),
        "A resume that made the optimizer anew and set its iterations looks like this.",
        "checksums of zeros, stored",
    )  # fmt: skip


def duplicate(a: State, b: State) -> Seam | None:
    """Tell a checkpoint in which everything is as in the one before; None if it is not."""
    if a.everything is None or a.everything != b.everything or not b.n_variables:
        return None
    return seam_of(
        Code.DUPLICATE, a, b, "identical", f"identical to {a.entry.name}",
        f"All {b.n_variables} variables have equal checksums: the same state saved twice",
        None, "equal checksums, stored", level=Level.NOTE,
    )  # fmt: skip


def other_optimizer(a: State, b: State) -> Seam | None:
    """Tell slots of another class; None where both are of one, or it is not known."""
    if a.kind is None or b.kind is None or a.kind == b.kind:
        return None
    if a.kind.split()[0] == b.kind.split()[0] and not (a.n_slots and b.n_slots):
        return None  # of slots that are made with the first step a variant is told
    return seam_of(
        Code.OTHER_OPTIMIZER, a, b, "another optimizer", f"{a.kind} → {b.kind}",
        f"{a.kind} before, {b.kind} after",
        "Slots that the new one does not share begin anew: lower the learning rate for its first "
        "steps, or keep the optimizer.",
        "names and lists of its variables",
    )  # fmt: skip


def slots_changed(a: State, b: State) -> Seam | None:
    """Tell slots that went or came; None where they did not."""
    if a.n_slots and not b.n_slots:
        return seam_of(
            Code.SLOTS_LOST, a, b, "the optimizer's slots are gone",
            f"{a.n_slots} slots before, none after",
            f"{a.n_slots} slots before, none after: a resume from here begins without them",
            "Save the optimizer too: tf.train.Checkpoint(model=model, optimizer=optimizer), or "
            "model.save(path).",
            "the variables of both",
        )  # fmt: skip
    if b.n_slots and not a.n_slots and a.counts and max(a.counts.values()) > 0:
        return seam_of(
            Code.SLOTS_CAME, a, b, "the optimizer's slots came",
            f"{b.n_slots} slots, none before",
            f"{b.n_slots} slots after, none before: the earlier ones hold none to go on with",
            None, "the variables of both", level=Level.NOTE,
        )  # fmt: skip
    if a.owners - b.owners and b.n_slots:
        lost = a.owners - b.owners
        return seam_of(
            Code.SLOTS_LOST, a, b, "slots are gone", f"{len(lost)} weights without slots",
            f"{len(lost)} weights that had slots have none any more, such as {min(lost)}",
            "Where they are frozen from here on, this is as it should be.",
            "the variables of both", level=Level.NOTE,
        )  # fmt: skip
    return None


def _share(value: float) -> str:
    return f"{value * 100:.3g} %"


def _cosine(value: float) -> str:
    return ">0.9999" if 0.9999 < value < 1 else f"{value:.4f}"
