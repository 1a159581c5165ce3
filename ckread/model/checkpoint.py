"""A checkpoint as a Mapping of lazy variables."""

from __future__ import annotations

import os
from collections.abc import ItemsView, Mapping, ValuesView
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ckread.errors import (
    CheckpointError,
    CorruptCheckpointError,
    MissingShardError,
    VariableNotFoundError,
)
from ckread.model.display import Displayed, frame
from ckread.model.naming import OBJECT_GRAPH_KEY
from ckread.model.selection import not_found
from ckread.model.variable import VARIABLE_FIELDS, Variable, kinds_of
from ckread.readers.contract import Closing, TensorColumns, few, no_garbage_collection
from ckread.readers.files import changed, let_settle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckread.model.columns.variables import VariableColumns
    from ckread.model.evidence import Evidence, Identity
    from ckread.model.role import Role
    from ckread.model.tree import VariableTree
    from ckread.model.variable import VariableKind
    from ckread.readers.contract import CheckpointReader, Format, StoredFile


Default = TypeVar("Default")


class Checkpoint(Displayed, Mapping[str, Variable], Closing):
    """The variables of one checkpoint by name; raw checkpoint keys find them too.

    Iteration and `len` go by name, one name per variable, in the order of the
    file. It holds every key of the file, bookkeeping included. A context manager;
    made by `ckread.open`.

    Example:
        >>> checkpoint = ckread.open("fixtures/digits_run/ckpt-10")
        >>> checkpoint
        <ckread.Checkpoint 'fixtures/digits_run/ckpt-10': 44 variables>
        >>> checkpoint["conv1/kernel"].shape
        (3, 3, 1, 16)
        >>> [name for name in checkpoint if name.startswith("logits")]
        ['logits/kernel', 'logits/bias']
        >>> "conv1/kernal" in checkpoint
        False
        >>> checkpoint.close()
        >>> checkpoint = ckread.open("fixtures/digits_run/ckpt-10")
        >>> str(checkpoint.format), len(checkpoint.files()), checkpoint.notes
        ('tensor_bundle', 2, ())
        >>> [variable.name for variable in checkpoint.in_order()[:2]]
        ['conv1/kernel', 'conv1/bias']
        >>> checkpoint.get("conv1/kernal"), checkpoint.of_key("conv1/kernal"), checkpoint.warnings
        (None, None, ())
        >>> len(checkpoint.of_role("weight")), len(checkpoint.of_word("bias"))
        (12, 4)
        >>> len(checkpoint.items()), len(checkpoint.kinds), checkpoint.columns
        (44, 21, None)
        >>> checkpoint.close()

    Attributes:
        path: the prefix, file or directory, as the user would type it.
        evidence: what the files tell besides the tensors.
        notes: what had to be decided while it was opened, one sentence each: the
            latest of several checkpoints, a stale state file, a shard's other name.
        warnings: what keeps names, roles or values from being right, likewise.
    """

    def __init__(
        self,
        reader: CheckpointReader,
        identities: Mapping[str, Identity],
        *,
        path: str,
        evidence: Evidence,
        notes: tuple[str, ...] = (),
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.path = path
        self.evidence = evidence
        self.notes = notes
        self.warnings = warnings
        self.reader = reader
        self._columns = columns_of(reader, identities)
        self._by_name: Mapping[str, Variable]
        if self._columns is not None:
            self._by_name = self._columns
        else:
            with no_garbage_collection():
                self._by_name = {
                    identities[key].name: Variable(record, identities[key], reader)
                    for key, record in reader.tensors.items()
                }
        self._by_key: dict[str, Variable] | None = None
        self._kinds: Mapping[VariableKind, int] | None = None

    @property
    def format(self) -> Format:
        """The container the checkpoint is kept in."""
        return self.reader.format

    def files(self) -> tuple[StoredFile, ...]:
        """Give its files, absent shards included."""
        return self.reader.files()

    def __getitem__(self, name: str) -> Variable:
        """Give the variable of this name, or of this checkpoint key.

        Raises:
            VariableNotFoundError: there is none; the remedy lists the nearest names.
        """
        variable = self._find(name)
        if variable is None:
            raise self._explained(not_found(name, self._by_name, self.path))
        return variable

    def __exit__(self, *exception: object) -> None:
        """Close it; an error about it is told with what it comes of.

        Damage is none where a training rewrote or deleted the files meanwhile, and a name that
        was not found is told with what names were lost by.
        """
        super().__exit__(*exception)
        error = exception[1] if len(exception) > 1 else None
        if isinstance(error, CorruptCheckpointError | MissingShardError) and self._is_own(error):
            let_settle(file.path for file in self.files())
            if self.reader.has_changed():
                raise changed(self.path) from None
        if isinstance(error, VariableNotFoundError) and self._explained(error) is not error:
            raise self._explained(error) from None

    def _is_own(self, error: CheckpointError) -> bool:
        return error.path is not None and error.path.startswith(self.path)

    def _explained(self, error: VariableNotFoundError) -> VariableNotFoundError:
        """Say first that names are keys here, where the object graph that has them is lost."""
        is_known = self.evidence.graph is not None or OBJECT_GRAPH_KEY not in self.reader.tensors
        if is_known or error.places:
            return error
        shards = [file for file in self.files() if file.is_shard]
        missing = [os.path.basename(file.path) for file in shards if file.nbytes is None]
        lost = f"{few(missing, 3)} is missing" if missing else self.warnings[0].rstrip(".")
        return error.within(f"{lost}. Variables go by their keys here")

    def __iter__(self) -> Iterator[str]:
        """Iterate over names, in the order of the file."""
        return iter(self._by_name)

    def __len__(self) -> int:
        """Count the variables."""
        return len(self._by_name)

    def values(self) -> ValuesView[Variable]:
        """Give the variables, in the order of the file."""
        return self._by_name.values()

    def items(self) -> ItemsView[str, Variable]:
        """Give names and variables, likewise."""
        return self._by_name.items()

    def __contains__(self, name: object) -> bool:
        """Tell whether a name or a checkpoint key is there."""
        return self._find(name) is not None

    def __repr__(self) -> str:
        """Show path and number of variables."""
        return f"<ckread.Checkpoint {self.path!r}: {len(self)} variables>"

    def close(self) -> None:
        """Close the files. Names and shapes stay; reading values raises `UsageError`."""
        self.reader.close()

    @property
    def columns(self) -> VariableColumns | None:
        """The variables as columns, where there are very many of them."""
        return self._columns

    @property
    def kinds(self) -> Mapping[VariableKind, int]:
        """How many variables agree in role, training, type, shape and bytes, for each kind."""
        if self._kinds is None:
            columns = self._columns
            self._kinds = kinds_of(self.values()) if columns is None else columns.kinds
        return self._kinds

    def of_key(self, key: str) -> Variable | None:
        """Give the variable that is stored under a key; None if there is none."""
        if self._columns is not None:
            return self._columns.of_key(key)
        if self._by_key is None:
            self._by_key = {variable.key: variable for variable in self._by_name.values()}
        return self._by_key.get(key)

    def of_role(self, *roles: Role) -> list[Variable]:
        """Give the variables of some roles, in the order of the file."""
        if self._columns is None:
            return [variable for variable in self.values() if variable.role in roles]
        return self._columns.some(self._columns.of_role(roles))

    def of_word(self, *words: str) -> list[Variable]:
        """Give the variables whose names end in one of some components, likewise."""
        if self._columns is None:
            return [v for v in self.values() if v.name.rpartition("/")[2] in words]
        return self._columns.some(self._columns.of_word(words))

    def in_order(self) -> list[Variable]:
        """Give all variables in the order of the model."""
        if self._columns is not None:
            return self._columns.some(self._columns.order(self.evidence))
        from ckread.model.selection import model_order

        return model_order(self.values(), self.evidence)

    def tree(
        self,
        patterns: str | Sequence[str] = (),
        *,
        folds: bool = False,
        bookkeeping: bool = True,
    ) -> VariableTree:
        """Give the variables as a tree of scopes with totals, in the order of the model.

        Args:
            patterns: which variables; all if empty.
            folds: whether slots, averages and aliases of one kind become one node.
            bookkeeping: whether what belongs to the format itself is in it.

        Raises:
            VariableNotFoundError: a pattern means no variable.
        """
        from ckread.model.role import Role
        from ckread.model.selection import select
        from ckread.model.tree import FOLDED, build_tree

        columns = self._columns
        if columns is not None and not (folds and columns.of_role(FOLDED).size):
            from ckread.model.columns.tree import ColumnTree

            places = columns.select(columns.order(self.evidence), patterns)
            if not bookkeeping:
                places = places[~columns.have_role((Role.BOOKKEEPING,))[places]]
            return ColumnTree(columns, places).root() if places.size else build_tree([])
        chosen = select(self.in_order(), patterns)
        if not bookkeeping:
            chosen = [variable for variable in chosen if variable.role is not Role.BOOKKEEPING]
        return build_tree(chosen, folds=folds)

    def to_dict(self) -> dict[str, Any]:
        """Give the body of the `ls` document: path, format, and every variable."""
        variables = [variable.to_dict() for variable in self.values()]
        return {"path": self.path, "format": str(self.format), "variables": variables}

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per variable, by name.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        return frame(VARIABLE_FIELDS, self.values(), index="name")

    @overload
    def get(self, name: str) -> Variable | None: ...
    @overload
    def get(self, name: str, default: Default) -> Variable | Default: ...
    def get(self, name: str, default: Any = None) -> Any:
        """Give the variable of this name or key, else the default, without a search for others."""
        variable = self._find(name)
        return default if variable is None else variable

    def _ipython_key_completions_(self) -> list[str]:
        """Give what a notebook offers after `checkpoint["`."""
        return list(self)

    def _find(self, name: object) -> Variable | None:
        if not isinstance(name, str):
            return None
        if name in self._by_name:
            return self._by_name[name]
        return self.of_key(name)


def columns_of(
    reader: CheckpointReader, identities: Mapping[str, Identity]
) -> VariableColumns | None:
    """Give the variables of a checkpoint as columns; None where the reader has none."""
    if not isinstance(reader.tensors, TensorColumns):
        return None
    from ckread.model.columns.variables import IdentityColumns, VariableColumns

    if not isinstance(identities, IdentityColumns):
        try:
            identities = IdentityColumns.of(reader.tensors.keys_in_order, identities)
        except ValueError:  # a name of hundreds of components, or with a NUL
            return None
    return VariableColumns(reader.tensors, identities, reader)
