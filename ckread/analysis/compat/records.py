"""What a restore would do, value by value: the result of every way of restoring."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.model.display import Field, Kind, document, frame
from ckread.model.records import Records

if TYPE_CHECKING:
    from ckread.model.evidence import Claim
    from ckread.model.variable import Variable


class Way(StrEnum):
    """How a file is loaded into a program."""

    CHECKPOINT = "checkpoint"
    """`tf.train.Checkpoint.restore`."""
    SAVER = "saver"
    """`tf.compat.v1.train.Saver.restore`."""
    INIT_FROM_CHECKPOINT = "init_from_checkpoint"
    """`tf.compat.v1.train.init_from_checkpoint`."""
    WARM_START = "warm_start"
    """`tf.compat.v1.train.warm_start`, as Estimators call it."""
    LOAD_WEIGHTS = "load_weights"
    """`load_weights` of a `.weights.h5` or `.keras`, by path."""
    H5_BY_NAME = "h5-by-name"
    """`load_weights(by_name=True)` of a legacy `.h5`."""
    H5_IN_ORDER = "h5-in-order"
    """`load_weights` of a legacy `.h5`, layer by layer."""


class Outcome(StrEnum):
    """What becomes of one value."""

    RESTORED = "restored"
    """It comes back."""
    OTHER = "other"
    """It receives the value of another variable."""
    KEPT = "kept"
    """It keeps its initial value."""
    RAISES = "raises"
    """It makes the call raise."""
    DEFERRED = "deferred"
    """It comes when the object that it belongs to makes its variables."""
    UNFORESEEN = "unforeseen"
    """The files do not tell."""


class Code(StrEnum):
    """Why a value does not simply come back."""

    OTHER_OBJECT = "other-object"
    NO_SUCH_PATH = "no-such-path"
    OTHER_DTYPE = "other-dtype"
    SHAPE = "shape"
    SLOT_REFUSED = "slot-refused"
    SHADOWED = "shadowed"
    SKIPPED = "skipped"
    REGISTERED_SAVER = "registered-saver"


class Stored(NamedTuple):
    """A value of one side.

    Attributes:
        name: what ckread calls it there.
        key: the checkpoint key; None where the program has yet to make the variable.
        dtype: element type.
        shape: size of each dimension.
        role: what it is for: `weight`, `slot`, `counter` …
    """

    name: str
    key: str | None
    dtype: str
    shape: tuple[int, ...]
    role: str = ""

    @classmethod
    def of(cls, variable: Variable) -> Stored:
        """Give what is kept of a variable."""
        role = str(variable.role)
        return cls(variable.name, variable.key, str(variable.dtype), variable.shape, role)

    def to_dict(self) -> dict[str, Any]:
        """Give the fields by name."""
        return document(STORED_FIELDS, self)


STORED_FIELDS: tuple[Field[Stored], ...] = (
    Field("name", Kind.TEXT),
    Field("key", Kind.TEXT),
    Field("dtype", Kind.TEXT),
    Field("shape", Kind.SHAPE),
)
"""What is told of a value of one side."""


@dataclass(frozen=True, slots=True)
class ValueForecast:
    """What becomes of one value of the program.

    Example:
        >>> run = "fixtures/digits_run"
        >>> one = ckread.compat(f"{run}/ckpt-9", f"{run}/ckpt-10")["conv1/kernel"]
        >>> one.name, str(one.outcome), one.code, one.reason, one.path
        ('conv1/kernel', 'restored', None, '', 'optimizer/_trainable_variables/0')
        >>> one.target.name, one.target.shape, one.saved.dtype, list(one.to_dict())[:2]
        ('conv1/kernel', (3, 3, 1, 16), 'float32', ['name', 'key'])

    Attributes:
        target: the value here.
        outcome: what becomes of it.
        saved: the value there that reaches it, or would; None if none does.
        code: why it does not simply come back.
        reason: the same in words, with the place where the two part.
        path: the local names that lead to it in the saved graph, where that binds.
    """

    target: Stored
    outcome: Outcome
    saved: Stored | None = None
    code: Code | None = None
    reason: str = ""
    path: str | None = None

    @property
    def name(self) -> str:
        """What the value is called here."""
        return self.target.name

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of `ckread.compat/1`."""
        return document(VALUE_FIELDS, self)


VALUE_FIELDS: tuple[Field[ValueForecast], ...] = (
    Field("name", Kind.TEXT),
    Field("key", Kind.TEXT, lambda one: one.target.key),
    Field("dtype", Kind.TEXT, lambda one: one.target.dtype),
    Field("shape", Kind.SHAPE, lambda one: one.target.shape),
    Field("outcome", Kind.TEXT),
    Field("code", Kind.TEXT),
    Field("reason", Kind.TEXT, lambda one: one.reason or None),
    Field("saved", Kind.NESTED, lambda one: one.saved and one.saved.to_dict()),
    Field("saved_name", Kind.TEXT, lambda one: one.saved and one.saved.name, in_json=False),
    Field("path", Kind.TEXT),
)
"""What is told of a value of the program, in JSON and in pandas."""


class Raised(NamedTuple):
    """An exception that is foretold.

    Attributes:
        type: its class: `ValueError`, `NotFoundError` …
        message: how TensorFlow or Keras words it.
        value: name of the value here that causes it, where one does.
        is_shape: whether it is for another shape.
        is_count: whether it is for another number of weights in a layer.
    """

    type: str
    message: str
    value: str | None = None
    is_shape: bool = False
    is_count: bool = False


class Asserts(NamedTuple):
    """Which assertions of the status object pass; None where they are not foretold."""

    assert_consumed: bool | None
    assert_existing_objects_matched: bool | None


UNTOLD = Asserts(None, None)
"""There is no status to ask, or an exception comes first."""


class Shift(NamedTuple):
    """The first layer that stands at another place of the model's list here.

    Attributes:
        name: of the layer.
        there: its place in the saved graph: `model/_operations/2`.
        here: its place in the program's.
        by: how many places later everything after it stands; None where that differs.
    """

    name: str
    there: str
    here: str
    by: int | None


class Rule(NamedTuple):
    """Values of one scope that receive those of another.

    Attributes:
        source: the scope there.
        target: the scope here.
        values: how many.
    """

    source: str
    target: str
    values: int


class Cure(NamedTuple):
    """What brings values that do not come back.

    Attributes:
        way: what is done, in words.
        brings: how many values then come back.
        of: of how many.
        command: the command line that shows it or writes its code; None if there is none.
        code: the call to write in the program; None if the command gives it.
    """

    way: str
    brings: int
    of: int
    command: str | None = None
    code: str | None = None


@dataclass(frozen=True)
class RestoreForecast(Records[ValueForecast]):
    """What becomes of every value of a program when a file is restored into it, by name.

    Example:
        >>> found = ckread.compat("fixtures/digits_run/ckpt-9", "fixtures/digits_run/ckpt-10")
        >>> found.complete, found.counts["restored"], found.asserts.assert_consumed
        (True, 43, True)
        >>> found.saved, found.target, str(found.way), found.is_name_based
        ('fixtures/digits_run/ckpt-9', 'fixtures/digits_run/ckpt-10', 'checkpoint', False)
        >>> found.program
        'the program that wrote fixtures/digits_run/ckpt-10'
        >>> found.call, found.raises, found.assigned_before, found.rules, found.cures
        ('by tf.train.Checkpoint.restore', (), None, (), ())
        >>> found.left_over, len(found.renames), found.shift, found.optimizers, found.rates
        ((), 43, None, ('Adam', 'Adam'), None)
        >>> found.python[-1]
        'checkpoint.restore("fixtures/digits_run/ckpt-9")'
        >>> found.notes, [str(claim.claim) for claim in found.evidence]
        ((), ['way'])

    Attributes:
        saved: path of what is restored.
        target: path of what the program wrote, or what the live program is.
        way: how it is restored.
        call: the call in words.
        values: every value of the program, in the order of its model.
        left_over: values of the file that find no place.
        raises: exceptions that are foretold, the one that is raised first.
        assigned_before: how many values are assigned before the first exception; None
            without one, or where that is not certain.
        asserts: which assertions of `tf.train.Checkpoint` pass.
        rules: what receives the values of another scope.
        cures: what brings the rest.
        renames: names there and the names here that they are, as far as something tells.
        shift: the first layer that stands at another place, where that is why.
        optimizers: the optimizer's class there and here, where both are known.
        rates: the learning rate there and here, where the restore replaces one that the
            program set itself.
        python: lines of Python that bring what can be brought, ready to run.
        notes: what else a reader should know, one sentence each.
        evidence: what told the way, whose value it is, and the pairs of `renames`.
        is_name_based: whether the file has names and no objects.
    """

    saved: str
    target: str
    way: Way
    call: str
    values: tuple[ValueForecast, ...]
    left_over: tuple[Stored, ...] = ()
    raises: tuple[Raised, ...] = ()
    assigned_before: int | None = None
    asserts: Asserts = UNTOLD
    rules: tuple[Rule, ...] = ()
    cures: tuple[Cure, ...] = ()
    renames: tuple[tuple[Stored, Stored], ...] = ()
    shift: Shift | None = None
    optimizers: tuple[str, str] | None = None
    rates: tuple[float, float] | None = None
    python: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    evidence: tuple[Claim, ...] = ()
    is_name_based: bool = False

    @property
    def program(self) -> str:
        """What the target is, in words."""
        is_live = self.target.startswith("live ")
        return f"the {self.target}" if is_live else f"the program that wrote {self.target}"

    @property
    def complete(self) -> bool:
        """Whether every value of the program comes back, and nothing is raised."""
        return not self.raises and all(v.outcome is Outcome.RESTORED for v in self.values)

    @property
    def counts(self) -> dict[str, int]:
        """How many values have each outcome; and how many of the file find no place."""
        counts = {str(outcome): 0 for outcome in Outcome}
        for value in self.values:
            counts[str(value.outcome)] += 1
        return {**counts, "left_over": len(self.left_over)}

    @property
    def _records(self) -> tuple[ValueForecast, ...]:
        return self.values

    @property
    def _found_in(self) -> str:
        return self.target

    def __repr__(self) -> str:
        """Show what goes where, and how many come back."""
        count = f"{self.counts['restored']} of {len(self)} values"
        return f"<ckread.RestoreForecast {self.saved!r} into {self.target!r}: {count}>"

    def to_dict(self) -> dict[str, Any]:
        """Give the body of `ckread.compat/1`."""
        return {
            "saved": self.saved,
            "target": self.target,
            "way": str(self.way),
            "complete": self.complete,
            "counts": self.counts,
            "values": [value.to_dict() for value in self.values],
            "left_over": [value.to_dict() for value in self.left_over],
            "raises": [
                {"type": one.type, "message": one.message, "value": one.value}
                for one in self.raises
            ],
            "assigned_before": self.assigned_before,
            "asserts": self.asserts._asdict(),
            "rules": [{"from": r.source, "to": r.target, "values": r.values} for r in self.rules],
            "cures": [cure._asdict() for cure in self.cures],
            "evidence": [claim.to_dict() for claim in self.evidence],
        }

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per value of the program, by name.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        return frame(VALUE_FIELDS, self.values, index="name")
