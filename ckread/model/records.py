"""Answers as what hands expect: a sequence of records, and the same records by name."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from ckread.model.display import Displayed
from ckread.model.selection import not_found

if TYPE_CHECKING:
    from collections.abc import Iterator


Record = TypeVar("Record")
Default = TypeVar("Default")
_NAME = attrgetter("name")


class Records(Displayed, Generic[Record]):
    """An answer: a sequence of its records, and a mapping of the same records by name.

    `len(answer)`, iteration, `answer[0]`, `answer[-1]` and `answer[2:5]` go by position, in the
    order in which the answer is shown; `answer[name]` gives the record of a name, the first
    where several have it, `name in answer` tells whether there is one, and `answer.get(name)`
    gives None where there is none. `keys()` lists the names and `items()` pairs them with
    their records. What the records are called by is said of each answer: variables by their
    names, mostly. An answer is true, also one without records.

    Example:
        >>> found = ckread.statistics("fixtures/digits_run", "conv1")
        >>> len(found), found[0].name, found[-1] is found["conv1/bias"]
        (2, 'conv1/kernel', True)
        >>> found.index(found[1]), found.count(found[1]), found.keys()
        (1, 1, ['conv1/kernel', 'conv1/bias'])
        >>> [record.name for record in found], "conv2/bias" in found, found.get("conv2/bias")
        (['conv1/kernel', 'conv1/bias'], False, None)
    """

    __slots__ = ()

    @property
    @abstractmethod
    def _records(self) -> Sequence[Record]:
        """The records in order."""

    @property
    def _found_in(self) -> str:
        """Where they are from, for errors: its `path`, or what stands for one."""
        path: str = getattr(self, "path", "")
        return path

    def _name_of(self, record: Record) -> str | None:
        """Give what a record is called by; None if by nothing."""
        name: str = _NAME(record)
        return name

    def _find(self, name: str) -> Record | None:
        """Give the first record of a name; None if there is none."""
        return next((one for one in self._records if self._name_of(one) == name), None)

    def __len__(self) -> int:
        """Count the records."""
        return len(self._records)

    def __bool__(self) -> bool:
        """Be true: an answer without records is an answer too."""
        return True

    def __iter__(self) -> Iterator[Record]:
        """Iterate over the records."""
        return iter(self._records)

    @overload
    def __getitem__(self, index: int | str) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Record, ...]: ...
    def __getitem__(self, index: int | str | slice) -> Record | tuple[Record, ...]:
        """Give a record by its name or its position, or several by a slice of positions.

        Raises:
            VariableNotFoundError: there is none of this name; the remedy lists the nearest.
            IndexError: there are not so many.
        """
        if isinstance(index, slice):
            return tuple(self._records[index])
        if not isinstance(index, str):
            return self._records[index]
        record = self._find(index)
        if record is None:
            raise not_found(index, self.keys(), self._found_in)
        return record

    def __contains__(self, name: object) -> bool:
        """Tell whether a record has this name, or is this one."""
        if isinstance(name, str):
            return self._find(name) is not None
        return name in self._records

    def index(self, record: Record) -> int:
        """Give the position of a record.

        Raises:
            ValueError: it is not there.
        """
        return self._records.index(record)

    def count(self, record: Record) -> int:
        """Count the records that equal one."""
        return self._records.count(record)

    @overload
    def get(self, name: str) -> Record | None: ...
    @overload
    def get(self, name: str, default: Default) -> Record | Default: ...
    def get(self, name: str, default: Default | None = None) -> Record | Default | None:
        """Give the record of a name; the default if there is none."""
        record = self._find(name)
        return default if record is None else record

    def keys(self) -> list[str]:
        """List the names of the records, each once."""
        named = map(self._name_of, self._records)
        return list(dict.fromkeys(name for name in named if name is not None))

    def items(self) -> list[tuple[str, Record]]:
        """Pair names with their records, each name once."""
        found: dict[str, Record] = {}
        for record in self._records:
            name = self._name_of(record)
            if name is not None:
                found.setdefault(name, record)
        return list(found.items())

    def _ipython_key_completions_(self) -> list[str]:
        """Give what a notebook offers after `answer["`."""
        return self.keys()


# Registered and no subclass: to type checkers a `Sequence` holds no names.
Sequence.register(Records)  # type: ignore[type-abstract]
