"""How results show themselves: printed, in rich, in a notebook, as fields, in safe letters.

How a result looks is settled above, where nothing here may look. So whoever knows says it when
the package is imported (`shown_by`), and is asked when something is shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property
from importlib import import_module
from operator import attrgetter
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    NamedTuple,
    Protocol,
    Self,
    TypeVar,
    dataclass_transform,
    overload,
)

from ckread.errors import CheckpointError, MissingDependencyError
from ckread.errors import by as by
from ckread.errors import safe_text as safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


class Screen(Protocol):
    """What is shown of a result; rich prints it."""

    def text(self) -> str:
        """Give it as a terminal of 80 columns shows it, without colours."""
        ...

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        """Give it to rich."""
        ...

    def __rich_measure__(self, console: Any, options: Any) -> Any:
        """Give rich the cells that it takes."""
        ...


_showing: list[tuple[Callable[[object], Screen | None], Callable[[Any], str]]] = []


def shown_by(lay_out: Callable[[object], Screen | None], html: Callable[[Any], str]) -> None:
    """Register what lays a result out, or gives None, and what makes HTML of that."""
    _showing.append((lay_out, html))


class Displayed:
    """A checkpoint, a run or a result that `print`, rich and notebooks show as a page."""

    __slots__ = ()

    def __str__(self) -> str:
        """Give the page that a terminal of 80 columns shows, without colours."""
        screen = self._screen()
        return repr(self) if screen is None else screen.text()

    def __rich__(self) -> Any:
        """Give the page to rich: `rich.print`, `Console`, `Live`, `export_svg`."""
        screen = self._screen()
        return repr(self).replace("[", r"\[") if screen is None else screen

    def _repr_html_(self) -> str | None:
        """Give the page to a notebook; None, for the `repr`, where it cannot be made."""
        screen = self._screen()
        return None if screen is None else _showing[-1][1](screen)

    def _screen(self) -> Screen | None:
        """Lay it out; None where that cannot be done: its files are closed, damaged or gone."""
        try:
            return _showing[-1][0](self)
        except CheckpointError:
            return None


# A frozen dataclass for what the shortest commands make: `dataclasses` itself imports `inspect`
# and what that needs, a sixth of the time of `ckread info` on a small checkpoint.


@dataclass_transform(frozen_default=True)
class Frozen:
    """A record: the annotations of its class are its fields, their values there the defaults.

    Fields that `_aside` names are neither compared nor shown.
    """

    _fields: ClassVar[tuple[str, ...]] = ()
    _aside: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        cls._fields = tuple(cls.__annotations__)

    def __init__(self, *values: Any, **named: Any) -> None:
        given = dict(zip(self._fields, values, strict=False)) | named
        missing = [name for name in self._fields if name not in given | vars(type(self))]
        if missing or len(given) < len(values) + len(named) or not given.keys() <= {*self._fields}:
            called, wanted = f"{type(self).__name__}()", ", ".join(self._fields)
            raise TypeError(f"{called} takes each of these once: {wanted}; missing: {missing}")
        self.__dict__.update(given)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot assign to {name!r}: {type(self).__name__} is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"cannot delete {name!r}: {type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(tuple(self._compared().values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._compared().items())
        return f"{type(self).__name__}({fields})"

    def _compared(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._fields if name not in self._aside}

    def _replace(self, **changes: Any) -> Self:
        """Give the same record with other values in some fields."""
        return type(self)(**{name: getattr(self, name) for name in self._fields} | changes)

    __replace__ = _replace


# The fields of a result, declared once: for `to_dict`, for pandas and for pipes.
#
# A result says what each of its fields is called, what kind of thing it holds, and where it is
# taken from. `document` and `frame` are made from that; a view adds how a field looks on a screen.


Row = TypeVar("Row")


class Kind(StrEnum):
    """What a field holds; the value is the type of its column in pandas."""

    TEXT = "object"
    """Names and words; what is absent is None."""
    FIGURE = "float64"
    """Real figures; what is absent is NaN."""
    COUNT = "int64"
    """Whole numbers that are always there."""
    NUMBER = "Int64"
    """Whole numbers; what is absent is `pandas.NA`."""
    TRUTH = "boolean"
    """Yes, no, or not known: `pandas.NA`."""
    SHAPE = "shape"
    """Sizes of dimensions: a list in JSON, a tuple in a column of objects."""
    NESTED = "nested"
    """What only JSON can hold."""


class Field(NamedTuple, Generic[Row]):
    """One field of a result.

    Attributes:
        name: in JSON and pandas.
        kind: what it holds.
        give: takes it from a row; None for the attribute of this name.
        in_json: whether `to_dict` has it; otherwise it is a column alone.
    """

    name: str
    kind: Kind
    give: Callable[[Row], Any] | None = None
    in_json: bool = True

    @property
    def getter(self) -> Callable[[Row], Any]:
        """What takes it from a row as it is there."""
        return self.give or attrgetter(self.name)

    def of(self, row: Row) -> Any:
        """Give the value of a row in Python's own types: words for enums, lists for tuples."""
        value = self.give(row) if self.give else getattr(row, self.name)
        if value is None:
            return None
        if self.kind is Kind.TEXT:
            return str(value)
        return list(value) if self.kind is Kind.SHAPE else value


class Columns(Sequence[Row], Generic[Row]):
    """Very many rows of a result, as columns: a row is made when it is asked for, all at once."""

    @property
    def rows(self) -> Sequence[Row]:
        """The rows themselves."""
        raise NotImplementedError

    def column(self, name: str) -> Sequence[Any] | None:
        """Give an attribute of all rows, or a field; None where it is not among the columns."""
        raise NotImplementedError

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | Sequence[Row]:
        """Give a row, or some."""
        return self.rows[at]

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows."""
        return iter(self.rows)

    def __eq__(self, other: object) -> bool:
        """Tell whether other rows, as columns or not, are the same."""
        return isinstance(other, Sequence) and tuple(self.rows) == tuple(other)

    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the rows: the columns are those of open files."""
        return tuple, (tuple(self.rows),)


def column_of(
    rows: Iterable[Row], name: str, give: Callable[[Row], Any] | None = None
) -> list[Any]:
    """Give a field of all rows, which `give` takes from one; None for the attribute so called."""
    found = rows.column(name) if isinstance(rows, Columns) else None
    return list(map(give or attrgetter(name), rows) if found is None else found)


def is_there(value: object) -> bool:
    """Tell whether a value is not None."""
    return value is not None


def are_one(values: Sequence[Any]) -> bool:
    """Tell whether very many values are one and the same, as many columns are; 0 is not -0."""
    if not values or values[0] != values[-1] or values.count(values[0]) < len(values):
        return False
    types = {*map(type, values)}
    is_signed = types == {float} and values[0] == 0 and len({*map(repr, values)}) > 1
    return len(types) == 1 and not is_signed


def counted(values: Sequence[Any]) -> Counter[Any]:
    """Count how often there is which value, quickly where there is one."""
    return Counter({values[0]: len(values)} if are_one(values) else values)


def rows_where(rows: Sequence[Row], name: str, is_meant: Callable[[Any], bool]) -> list[Row]:
    """Give the rows of which a field is as it is meant."""
    values = column_of(rows, name)
    if are_one(values) and not is_meant(values[0]):
        return []
    return [rows[i] for i, value in enumerate(values) if is_meant(value)]


def in_order_of(rows: Sequence[Row], order: Sequence[int]) -> Sequence[Row]:
    """Give some rows by their places, columns where they are columns."""
    if not (isinstance(rows, Columns) and order):
        return [rows[i] for i in order]
    return rows if order == list(range(len(rows))) else _Chosen(rows, order)


class _Chosen(Columns[Row]):
    """Some rows of columns."""

    def __init__(self, all_rows: Columns[Row], order: Sequence[int]) -> None:
        self._all, self._order = all_rows, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, at: Any) -> Any:
        return _Chosen(self._all, self._order[at]) if isinstance(at, slice) else self.rows[at]

    @cached_property
    def rows(self) -> Sequence[Row]:
        rows = self._all.rows
        return [rows[i] for i in self._order]

    def column(self, name: str) -> Sequence[Any] | None:
        found = self._all.column(name)
        return None if found is None else list(map(found.__getitem__, self._order))


def named(fields: Iterable[Field[Row]]) -> dict[str, Field[Row]]:
    """Give fields by their names."""
    return {field.name: field for field in fields}


def document(fields: Iterable[Field[Row]], row: Row) -> dict[str, Any]:
    """Give the fields of a row for JSON, in their order."""
    return {field.name: field.of(row) for field in fields if field.in_json}


def frame(fields: Iterable[Field[Row]], rows: Iterable[Row], *, index: str | None = None) -> Any:
    """Give a `pandas.DataFrame` of rows, a column per field."""
    held = [field for field in fields if field.kind is not Kind.NESTED]
    cells = [{field.name: field.of(row) for field in held} for row in rows]
    return data_frame(columns_of(f for f in held if f.name != index), cells, index=index)


def columns_of(fields: Iterable[Field[Any]]) -> dict[str, str]:
    """Give the names of columns, and their types in pandas."""
    return {
        field.name: Kind.TEXT if field.kind is Kind.SHAPE else field.kind
        for field in fields
        if field.kind is not Kind.NESTED
    }


def data_frame(
    columns: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    *,
    index: str | None = None,
    labels: Sequence[Any] | None = None,
    dtype: str = "object",
) -> Any:
    """Give a `pandas.DataFrame`; without rows it has its columns all the same."""
    pandas = import_pandas()
    made_index = None
    if index is not None:
        found = [row[index] for row in rows] if labels is None else labels
        made_index = pandas.Index(found, dtype=dtype, name=index)

    def series(name: str, kind: str) -> Any:
        cells = [row.get(name) for row in rows]
        plain = [tuple(cell) if isinstance(cell, list) else cell for cell in cells]
        return pandas.Series(plain, dtype=str(kind), index=made_index)

    made = {name: series(name, kind) for name, kind in columns.items()}
    return pandas.DataFrame(made, index=made_index)


def import_pandas() -> Any:
    """Give pandas."""
    try:
        return import_module("pandas")
    except ImportError:
        remedy = "Install it: pip install 'ckread[pandas]'"
        raise MissingDependencyError("pandas is not installed", remedy=remedy) from None


# How a name from a file is spelled where people read it: printable, and one word in a pipe.


def safe_texts(texts: Sequence[str]) -> list[str]:
    """Give very many texts for display, as `safe_text` gives each."""
    return list(texts) if "".join(texts).isprintable() else list(map(safe_text, texts))


def safe_word(text: str) -> str:
    r"""Give a text from a file as one word for a pipe: a space reads `\x20`."""
    text = safe_text(text).replace(" ", "\\x20")
    return f"\\x23{text[1:]}" if text.startswith("#") else text or '""'


def is_spelled(name: str, text: str) -> bool:
    r"""Tell whether a text is how a name is displayed, `a\x20b`, and not the name itself."""
    return "\\" in text and text in (safe_text(name), safe_word(name))
