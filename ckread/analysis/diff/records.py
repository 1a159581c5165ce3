"""The result of a diff: frozen records, without numpy."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.errors import UsageError
from ckread.model.display import (
    Field,
    Kind,
    column_of,
    counted,
    document,
    frame,
    is_there,
    rows_where,
)
from ckread.model.evidence import Claim, Strength
from ckread.model.records import Records
from ckread.model.selection import bounded_match
from ckread.readers.contract import no_garbage_collection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ckread.analysis.diff.metrics import Metrics, Tolerance
    from ckread.model.role import Role
    from ckread.model.variable import Variable
    from ckread.readers.contract import DataType

    Scalar = int | float | bool


class DiffStatus(StrEnum):
    """What became of a variable; where several apply, the first in this order."""

    # Enum's own goes through Python, and statuses are counted for every variable.
    __hash__ = str.__hash__

    ADDED = "added"
    REMOVED = "removed"
    RESHAPED = "reshaped"
    RETYPED = "retyped"
    CHANGED = "changed"
    ROUNDING = "rounding"
    """Every difference is within `ulp` steps of the type at the variable's largest value."""
    CLOSE = "close"
    """Every difference is within `rtol` and `atol`."""
    RENAMED = "renamed"
    """The same values under another name."""
    IDENTICAL = "identical"


class PairedBy(StrEnum):
    """Why two variables are taken for the same one."""

    NAME = "name"
    RENAME = "rename"
    """A rule or a map that was given."""
    KEY = "key"
    """Same path in the object graph, role, word and shape."""
    ORDER = "order"
    """Same place among the layers of a class, whose numbers count on from another."""
    SCOPE = "scope"
    """Same name but for the first scopes that a side has before all its parameters."""
    OWNER = "owner"
    """Same slot of two variables that are paired."""
    CONTENT = "content"
    """Equal checksums."""
    VALUES = "values"
    """Equal values, perhaps in another order."""
    SHAPE = "shape"
    """Same shape and role, and the nearest name: a proposal."""
    AVERAGE_OF = "average-of"
    """A weight, and its average in a file that holds averages alone."""
    TRANSLATED = "translated"
    """Same name once each library's words for the same thing are one."""
    PART = "part"
    """Equal values, of which one side has those of several in one."""
    RULE = "rule"
    """The rule that explains the other renames."""


NEARLY = frozenset((DiffStatus.CLOSE, DiffStatus.ROUNDING))
"""What differs, but by no more than a tolerance that was given."""


SHOWN = (DiffStatus.CHANGED, *NEARLY)
"""What became of a scalar whose values are shown."""


def status_of_figures(
    is_same: bool | None,
    changed: int | None,
    close: int | None,
    steps: float | None,
    ulp: float,
) -> DiffStatus | None:
    """Tell what became of a pair of one name, type and shape.

    By whether its checksums agree, and by its metrics if there are any; `ulp` steps are rounding.
    """
    if changed:
        is_rounding = steps is not None and steps <= ulp
        return DiffStatus.ROUNDING if is_rounding else DiffStatus.CHANGED
    if changed is None and not is_same:
        return None if is_same is None else DiffStatus.CHANGED
    return DiffStatus.CLOSE if close else DiffStatus.IDENTICAL


def scalar_of(variable: Variable) -> int | float | bool | None:
    """Give the value of a scalar; None for anything else."""
    if variable.elements != 1 or variable.shape not in ((), (1,)):
        return None
    try:
        return variable.scalar()
    except UsageError:  # bfloat16 and its like
        return None


_DELIMITERS = "/|#,:;!@%~"


@dataclass(frozen=True, slots=True)
class RenameRule:
    r"""A substitution on names.

    Attributes:
        pattern: a regular expression for what is replaced.
        replacement: what takes its place, with groups as `\1`.
        is_global: whether every occurrence is replaced, not the first alone.
    """

    pattern: re.Pattern[str]
    replacement: str
    is_global: bool = False

    def apply(self, name: str) -> str:
        """Give the name under this rule."""
        with bounded_match(self.pattern.pattern, name):
            return self.pattern.sub(self.replacement, name, count=0 if self.is_global else 1)

    def __str__(self) -> str:
        """Write it as `--rename` takes it."""
        text = self.pattern.pattern + self.replacement
        mark = next((mark for mark in _DELIMITERS if mark not in text), "/")
        old, new = (
            part.replace(mark, "\\" + mark) for part in (self.pattern.pattern, self.replacement)
        )
        return f"s{mark}{old}{mark}{new}{mark}" + "g" * self.is_global


_EVIDENCE = {
    PairedBy.CONTENT: (Strength.STORED, "equal checksums"),
    PairedBy.VALUES: (Strength.STORED, "equal values"),
    PairedBy.KEY: (Strength.STORED, "equal path in the object graph, role and shape"),
    PairedBy.NAME: (Strength.NAMED, "equal names"),
    PairedBy.RENAME: (Strength.NAMED, "the rule or map of renames that was given"),
    PairedBy.SCOPE: (Strength.NAMED, "equal names below the first scopes of the sides"),
    PairedBy.AVERAGE_OF: (Strength.NAMED, "the name of the weight within that of its average"),
    PairedBy.OWNER: (Strength.DERIVED, "the same slot of two variables that are paired"),
    PairedBy.ORDER: (Strength.DERIVED, "the order of all layers of a class, shapes equal"),
    PairedBy.RULE: (Strength.DERIVED, "the rule of the other renames"),
    PairedBy.TRANSLATED: (Strength.DERIVED, "names that are equal in the words of one library"),
    PairedBy.PART: (Strength.STORED, "equal values, as parts of one tensor"),
    PairedBy.SHAPE: (Strength.DERIVED, "equal shape and role, nearest name"),
}
"""How well each way tells a pair, and in which words."""


def pair_claims(counts: Mapping[PairedBy, int]) -> Iterator[Claim]:
    """Give a claim for each way by which any pairs were found, strongest first."""
    for way, (strength, source) in _EVIDENCE.items():
        if counts.get(way):
            yield Claim("pairs", counts[way], strength, source)


class Side(NamedTuple):
    """A variable as one checkpoint has it.

    Example:
        >>> side = ckread.diff("fixtures/digits_run", "fixtures/digits_run", "conv1/kernel")[0].a
        >>> side.name, side.key[-9:], str(side.dtype), side.shape, list(side.to_dict())
        ('conv1/kernel', 'BLE_VALUE', 'float32', (3, 3, 1, 16), ['name', 'key', 'dtype', 'shape'])
        >>> with ckread.open("fixtures/digits_run") as checkpoint:
        ...     side == type(side).of(checkpoint["conv1/kernel"])
        True
    """

    name: str
    key: str
    dtype: DataType
    shape: tuple[int, ...]

    @classmethod
    def of(cls, variable: Variable) -> Side:
        """Take it from a variable."""
        return cls(variable.name, variable.key, variable.dtype, variable.shape)

    def to_dict(self) -> dict[str, Any]:
        """Give its JSON document."""
        return {
            "name": self.name,
            "key": self.key,
            "dtype": str(self.dtype),
            "shape": list(self.shape),
        }


class Part(NamedTuple):
    """What of a whole tensor another one is.

    Attributes:
        whole: the side that has it whole, `a` or `b`.
        axis: along which it is cut, in the order of the whole's axes.
        start: first index along that axis.
        stop: the one after the last.
    """

    whole: str
    axis: int
    start: int
    stop: int


class VariableDiff(NamedTuple):
    """What became of one variable.

    Example:
        >>> run = "fixtures/digits_run"
        >>> one = ckread.diff(f"{run}/ckpt-1", f"{run}/ckpt-10", "conv1/kernel")["conv1/kernel"]
        >>> one.name, str(one.status), str(one.role), one.shape, one.elements, one.nbytes
        ('conv1/kernel', 'changed', 'weight', (3, 3, 1, 16), 144, 576)
        >>> one.is_read
        True
        >>> str(one.paired_by), one.confidence, one.renamed_from, one.is_renumbered
        ('name', 1.0, None, False)
        >>> one.side is one.b, one.is_paired
        (True, True)
        >>> one.owner, one.slot, one.permutation, one.gates, one.part, one.scale, one.old, one.new
        (None, None, None, None, None, None, None, None)
        >>> one.a.dtype, one.is_codes, one.compared_as, round(one.metrics.relative_l2, 3)
        (<DataType.FLOAT32: 'float32'>, False, None, 0.219)

    Attributes:
        name: its name in the second checkpoint; in the first, where it was removed.
        status: what became of it; None where only its values, unread, could tell.
        role: what it is for.
        a: as the first checkpoint has it; None if it was added.
        b: as the second has it; None if it was removed.
        nbytes: its bytes, in the second checkpoint where it is there.
        owner: name of the variable that a slot or average belongs to.
        slot: the writer's word for a slot.
        paired_by: why the two sides are taken for the same variable.
        confidence: of a proposed pair, from 0 to 1; 1 where it is no proposal.
        metrics: how far it moved; None where values were not or cannot be compared.
            With `permutation` and another shape, after transposing.
        permutation: axes for which `numpy.transpose` of the first is the second.
        is_read: whether values of both sides were compared, not checksums alone.
        old: value of a changed scalar in the first checkpoint.
        new: and in the second.
        is_codes: whether integers stand against real numbers, which have no unit in common.
        scale: the variable whose values make real numbers of these, which then were compared.
        gates: where those of a recurrent layer are in another order: which block of the first
            each block of the second is.
        part: which part of the one the other is, where one side has several in one tensor.
    """

    name: str
    status: DiffStatus | None
    role: Role
    a: Side | None
    b: Side | None
    nbytes: int
    owner: str | None = None
    slot: str | None = None
    paired_by: PairedBy | None = None
    confidence: float | None = None
    metrics: Metrics | None = None
    permutation: tuple[int, ...] | None = None
    is_read: bool = False
    old: Scalar | None = None
    new: Scalar | None = None
    is_codes: bool = False
    scale: str | None = None
    gates: tuple[int, ...] | None = None
    part: Part | None = None

    @property
    def compared_as(self) -> str | None:
        """How integers were compared with real numbers: `dequantised`, or as `codes` not at all."""
        return None if not self.is_codes else "dequantised" if self.scale else "codes"

    @property
    def renamed_from(self) -> str | None:
        """Its name in the first checkpoint, if that is another."""
        if self.a is None or self.b is None or self.a.name == self.b.name:
            return None
        return self.a.name

    @property
    def is_renumbered(self) -> bool:
        """Whether its names differ in nothing but numbers that Keras gave."""
        return self.renamed_from is not None and is_renumbered(self.renamed_from, self.name)

    @property
    def is_paired(self) -> bool:
        """Whether both checkpoints have it."""
        return self.a is not None and self.b is not None

    @property
    def side(self) -> Side | None:
        """As the second checkpoint has it, or the first where it was removed."""
        return self.b or self.a

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, in the second checkpoint where it is there."""
        return self.side.shape if self.side else ()

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    def to_dict(self) -> dict[str, Any]:
        """Give its JSON document."""
        return document(DIFF_FIELDS, self)


def make_records(fields: Mapping[str, Iterable[Any] | None]) -> list[VariableDiff]:
    """Make records of their fields, one column each; those without have what is usual."""
    usual = VariableDiff._field_defaults
    given = ((name, fields.get(name)) for name in VariableDiff._fields)
    columns = (repeat(usual.get(name)) if one is None else one for name, one in given)
    with no_garbage_collection():
        return list(map(VariableDiff._make, zip(*columns, strict=False)))


def metric_of(variables: Iterable[VariableDiff], name: str) -> list[Any]:
    """Give a figure of all variables, None where nothing was measured."""
    return column_of(variables, name, lambda variable: getattr(variable.metrics, name, None))


def relative_move(l2: float | None, relative_l2: float | None) -> float | None:
    """Give `relative_l2`, infinite for a move from a norm of 0."""
    return math.inf if relative_l2 is None and l2 else relative_l2


def _figure(name: str, kind: Kind) -> Field[VariableDiff]:
    """Give the field of what was measured; absent where nothing was."""
    return Field(name, kind, lambda variable: getattr(variable.metrics, name, None))


def _first_changed(variable: VariableDiff) -> list[int] | None:
    index = variable.metrics.first_changed if variable.metrics else None
    return None if index is None else list(index)


DIFF_FIELDS: tuple[Field[VariableDiff], ...] = (
    Field("name", Kind.TEXT),
    Field("status", Kind.TEXT),
    Field("role", Kind.TEXT),
    Field("a", Kind.NESTED, lambda variable: variable.a and variable.a.to_dict()),
    Field("b", Kind.NESTED, lambda variable: variable.b and variable.b.to_dict()),
    Field("dtype", Kind.TEXT, lambda v: v.side and v.side.dtype, in_json=False),
    Field("shape", Kind.SHAPE, in_json=False),
    Field("elements", Kind.COUNT, in_json=False),
    Field("renamed_from", Kind.TEXT),
    Field("paired_by", Kind.TEXT),
    Field("confidence", Kind.FIGURE),
    Field("compared_as", Kind.TEXT),
    Field("scale", Kind.TEXT),
    Field("permutation", Kind.NESTED, lambda v: v.permutation and list(v.permutation)),
    Field("gates", Kind.NESTED, lambda v: v.gates and list(v.gates)),
    Field("part", Kind.NESTED, lambda v: v.part and v.part._asdict()),
    _figure("changed_elements", Kind.NUMBER),
    Field("first_changed", Kind.NESTED, _first_changed),
    _figure("max_abs", Kind.FIGURE),
    _figure("mean_abs", Kind.FIGURE),
    _figure("l2", Kind.FIGURE),
    _figure("relative_l2", Kind.FIGURE),
    _figure("cosine", Kind.FIGURE),
    _figure("sign_flips", Kind.NUMBER),
    _figure("exact_cast", Kind.TRUTH),
    _figure("close_elements", Kind.NUMBER),
    _figure("max_ulp", Kind.NUMBER),
    _figure("max_ulp_of_largest", Kind.FIGURE),
)
"""What is told of a variable of a diff: JSON, pandas and the pipe of `diff`."""


# What a diff of two libraries' files says as a whole.


@dataclass(frozen=True, slots=True)
class Conversion:
    """How much of a model was found again in another library's file.

    Attributes:
        variables: parameters of the first, each of which should be found.
        found: those that were.
        bit_equal: of these, equal bit for bit once turned.
        transposed: of these, with axes in another order.
        cast: the type that all values were cast to; None if they were not, or differently.
        is_exact_cast: whether every cast value is the nearest of that type.
        missing: names of the first that were not found.
        extra: parameters of the second that are none of the first.
    """

    variables: int
    found: int
    bit_equal: int
    transposed: int
    cast: str | None
    is_exact_cast: bool
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    @classmethod
    def told_by(cls, variables: Sequence[VariableDiff]) -> Conversion | None:
        """Sum up a diff of two libraries' files; None where no value tells that one is the other.

        Half of the variables have to be found, and one of them equal or exactly cast.
        """
        found = cls.of(variables)
        pairs = [v for v in variables if v.a and v.b and v.role.is_parameter]
        is_same = any(is_bit_equal(v) or is_exact_cast(v) for v in pairs if v.elements > 1)
        return found if is_same and 2 * found.found >= found.variables else None

    @classmethod
    def of(cls, variables: Sequence[VariableDiff]) -> Conversion:
        """Sum up a diff of two libraries' files."""
        model = [v for v in variables if v.role.is_parameter]
        paired = [v for v in model if v.a is not None and v.b is not None]
        casts = {(v.a.dtype, v.b.dtype) for v in paired if v.a and v.b and v.a.dtype != v.b.dtype}
        n_cast = sum(v.status is DiffStatus.RETYPED or _is_retyped(v) for v in paired)
        is_one_cast = len(casts) == 1 and 2 * n_cast > len(paired)
        return cls(
            variables=len({v.a.key for v in model if v.a is not None}),
            found=len({v.a.key for v in paired if v.a is not None}),
            bit_equal=sum(is_bit_equal(v) for v in paired),
            transposed=sum(v.permutation is not None for v in paired),
            cast=str(next(iter(casts))[1]) if is_one_cast else None,
            is_exact_cast=all(is_bit_equal(v) or is_exact_cast(v) for v in paired),
            missing=tuple(v.name for v in model if v.b is None),
            extra=tuple(v.name for v in model if v.a is None),
        )

    def to_dict(self) -> dict[str, Any]:
        """Give its JSON document."""
        return {
            "variables": self.variables,
            "found": self.found,
            "bit_equal": self.bit_equal,
            "transposed": self.transposed,
            "cast": self.cast,
            "exact_cast": self.is_exact_cast if self.cast else None,
            "missing": list(self.missing),
            "extra": list(self.extra),
        }


def _is_retyped(variable: VariableDiff) -> bool:
    return (
        variable.a is not None and variable.b is not None and variable.a.dtype != variable.b.dtype
    )


def is_bit_equal(variable: VariableDiff) -> bool:
    """Tell whether a pair holds the same bits, once turned."""
    metrics = variable.metrics
    return metrics is not None and not metrics.changed_elements and not _is_retyped(variable)


def is_exact_cast(variable: VariableDiff) -> bool:
    """Tell whether every value of one side is that of the other, cast."""
    return bool(variable.metrics and variable.metrics.exact_cast)


@dataclass(frozen=True, slots=True, repr=False)
class CheckpointDiff(Records[VariableDiff]):
    """What changed between two checkpoints; its records are the variables, by name.

    A name is that in the second checkpoint; of what was removed, that in the first.

    Attributes:
        a: path of the first.
        b: path of the second.
        index_only: whether checksums were compared, and no values read.
        tolerance: when two values counted as equal.
        variables: in the order of the second checkpoint's model, the removed ones last.
        rules: what explains renamed pairs, most important first.
        verified: whether the checksum of everything that was read was there and right;
            None where nothing was read.
        conversion: of two libraries' files, how much of the model was found again.

    Example:
        >>> run = "fixtures/digits_run"
        >>> found = ckread.diff(f"{run}/ckpt-2", f"{run}/ckpt-3", "conv*/**")
        >>> found
        <ckread.CheckpointDiff '.../ckpt-2', '.../ckpt-3': 2 changed, 2 identical>
        >>> found.to_pandas()["changed_elements"].to_dict()["conv2/bias"]
        32
        >>> found.a, found.b, found.index_only, found.verified, found.identical, found.equal
        ('fixtures/digits_run/ckpt-2', 'fixtures/digits_run/ckpt-3', False, True, False, False)
        >>> len(found.variables), found.renames, found.rules, found.conversion, found.tolerance.rtol
        (4, {}, (), None, 0.0)
        >>> found.conversion_map["conv1/kernel"], [str(claim.value) for claim in found.evidence]
        ('conv1/kernel', ['4'])
    """

    a: str
    b: str
    index_only: bool
    tolerance: Tolerance
    variables: Sequence[VariableDiff]
    rules: tuple[RenameRule, ...] = ()
    verified: bool | None = None
    conversion: Conversion | None = None

    def __repr__(self) -> str:
        """Show both paths and how many variables became what."""
        counts = ", ".join(f"{n} {status}" for status, n in self.summary.items() if n)
        return f"<ckread.CheckpointDiff {self.a!r}, {self.b!r}: {counts or 'no variables'}>"

    @property
    def _records(self) -> Sequence[VariableDiff]:
        return self.variables

    @property
    def _found_in(self) -> str:
        return f"{self.a}, {self.b}"

    @property
    def identical(self) -> bool | None:
        """Whether nothing differs; None where unread values could differ, and nothing else."""
        is_exact = not any(self.summary[status] for status in NEARLY)
        return self.equal if is_exact else False

    @property
    def equal(self) -> bool | None:
        """Whether nothing differs by more than the tolerance; None as for `identical`."""
        statuses = {*counted(column_of(self.variables, "status"))}
        alike = {DiffStatus.IDENTICAL, None, *NEARLY}
        if statuses - alike or any(map(is_there, column_of(self.variables, "renamed_from"))):
            return False
        return None if None in statuses else True

    @property
    def summary(self) -> dict[str, int]:
        """How many variables have each status."""
        counts = counted(column_of(self.variables, "status"))
        return {str(status): counts[status] for status in DiffStatus}

    @property
    def renames(self) -> dict[str, str]:
        """Names of the first checkpoint that became others in the second."""
        renamed = rows_where(self.variables, "renamed_from", is_there)
        return {v.renamed_from: v.name for v in renamed if v.renamed_from is not None}

    @property
    def conversion_map(self) -> dict[str, str | dict[str, object]]:
        """Names of the first and what they are in the second: a name, or a name with `axes`.

        Parts of one tensor are left out: a name stands for one.
        """
        return {
            v.a.name: {"name": v.name, "axes": list(v.permutation)} if v.permutation else v.name
            for v in self.variables
            if v.a is not None and v.b is not None and v.part is None
        }

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON document, without its schema line."""
        return {
            "a": self.a,
            "b": self.b,
            "identical": self.identical,
            "equal": self.equal,
            "index_only": self.index_only,
            "summary": self.summary,
            "conversion": self.conversion and self.conversion.to_dict(),
            "variables": [variable.to_dict() for variable in self.variables],
            "evidence": [claim.to_dict() for claim in self.evidence],
        }

    @property
    def evidence(self) -> tuple[Claim, ...]:
        """What tells the pairs: one claim for each way by which any were found, strongest first."""
        counts = counted(column_of(self.variables, "paired_by"))
        told = "names of the pairs it holds for"
        rules = (Claim("renaming", str(rule), Strength.DERIVED, told) for rule in self.rules)
        return (*pair_claims(counts), *rules)

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per variable, by name.

        Distances are float64, counts Int64, all absent where values were not compared.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        return frame(DIFF_FIELDS, self.variables, index="name")


def distance_moved(variables: Sequence[VariableDiff]) -> float | None:
    """Give ‖b − a‖ / ‖a‖ over several variables together; None where ‖a‖ is 0 or not known."""
    norms = zip(metric_of(variables, "l2_a"), metric_of(variables, "l2"), strict=True)
    known = [(l2_a, l2) for l2_a, l2 in norms if l2_a is not None]
    before = math.hypot(*(l2_a for l2_a, _ in known))
    after = math.hypot(*(l2 for _, l2 in known if l2 is not None))
    return after / before if before else None


_BASES = (
    "dense|einsum_dense|embedding|normalization|re_lu|leaky_re_lu|p_re_lu|elu|activation|"
    "(?:depthwise_|separable_)?conv[123]d(?:_transpose)?|"
    "(?:sync_|batch_|layer_|group_|unit_|spectral_|rms_)?(?:batch_)?normalization(?:_v[12])?|"
    "(?:conv_)?lstm(?:[123]d|_cell)?|gru(?:_cell)?|simple_rnn(?:_cell)?|rnn|bidirectional|"
    "time_distributed|multi_head_attention|group_query_attention|attention|additive_attention|"
    "sequential|model|functional|string_lookup|integer_lookup|text_vectorization|"
    "fully_connected|Conv|BatchNorm|Variable"
)
NUMBERED = re.compile(rf"({_BASES})(?:_([1-9]\d*))?")
"""A name that Keras or TensorFlow makes of a class: its word, and a number from the second on."""


class _AutoName(NamedTuple):
    """A name with the numbers of its numbered components apart.

    Attributes:
        stem: all up to the last numbered component, without the numbers.
        numbers: the numbers, 0 where a first one has none.
        rest: what follows.
    """

    stem: tuple[str, ...]
    numbers: tuple[int, ...]
    rest: tuple[str, ...]


def auto_name(name: str) -> _AutoName | None:
    """Take a name apart; None if no component of it is one that Keras numbers."""
    parts = name.split("/")
    found = [NUMBERED.fullmatch(part) for part in parts]
    if not any(found):
        return None
    last = max(i for i, match in enumerate(found) if match)
    stem = tuple(
        match[1] if match else part
        for match, part in zip(found[: last + 1], parts[: last + 1], strict=True)
    )
    numbers = tuple(int(match[2] or 0) for match in found if match)
    return _AutoName(stem, numbers, tuple(parts[last + 1 :]))


def is_renumbered(old: str, new: str) -> bool:
    """Tell whether two names differ in nothing but the numbers of numbered components."""
    a, b = auto_name(old), auto_name(new)
    return old != new and a is not None and b is not None and a[::2] == b[::2]
