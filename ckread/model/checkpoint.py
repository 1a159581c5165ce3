"""A checkpoint as a Mapping of lazy variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ckread.errors import VariableNotFoundError
from ckread.model.display import Displayed, frame
from ckread.model.naming import OBJECT_GRAPH_KEY
from ckread.model.selection import not_found
from ckread.model.variable import VARIABLE_FIELDS, Variable
from ckread.readers.contract import Closing, few, no_garbage_collection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckread.model.evidence import Evidence, Identity
    from ckread.model.tree import VariableTree
    from ckread.readers.contract import CheckpointReader, Format, StoredFile


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
        with no_garbage_collection():
            self._by_name = {
                identities[key].name: Variable(record, identities[key], reader)
                for key, record in reader.tensors.items()
            }
        self._by_key: dict[str, Variable] | None = None

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
        """Close it; a name that was not found is told with what names were lost by."""
        super().__exit__(*exception)
        error = exception[1] if len(exception) > 1 else None
        if isinstance(error, VariableNotFoundError) and self._explained(error) is not error:
            raise self._explained(error) from None

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

    def __contains__(self, name: object) -> bool:
        """Tell whether a name or a checkpoint key is there."""
        return self._find(name) is not None

    def __repr__(self) -> str:
        """Show path and number of variables."""
        return f"<ckread.Checkpoint {self.path!r}: {len(self)} variables>"

    def close(self) -> None:
        """Close the files. Names and shapes stay; reading values raises `UsageError`."""
        self.reader.close()

    def tree(self, patterns: str | Sequence[str] = (), *, folds: bool = False) -> VariableTree:
        """Give the variables as a tree of scopes with totals, in the order of the model.

        Args:
            patterns: which variables; all if empty.
            folds: whether slots, averages and aliases of one kind become one node.

        Raises:
            VariableNotFoundError: a pattern means no variable.
        """
        from ckread.model.selection import model_order, select
        from ckread.model.tree import build_tree

        ordered = model_order(self.values(), self.evidence)
        return build_tree(select(ordered, patterns), folds=folds)

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

    def get(self, name: str, default: Any = None) -> Any:
        """Give the variable of this name or key, else the default, without a search for others."""
        variable = self._find(name)
        return default if variable is None else variable

    def _find(self, name: object) -> Variable | None:
        if not isinstance(name, str):
            return None
        if name in self._by_name:
            return self._by_name[name]
        if self._by_key is None:
            self._by_key = {variable.key: variable for variable in self._by_name.values()}
        return self._by_key.get(name)
