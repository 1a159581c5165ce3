"""A checkpoint as a Mapping of lazy variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ckread.errors import VariableNotFoundError
from ckread.model.variable import Variable
from ckread.readers.closing import Closing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckread.model.evidence import Evidence
    from ckread.model.identity import Identity
    from ckread.readers.contract import CheckpointReader, Format, StoredFile

_N_NEAR = 5
_N_COMPARED = 2000
"""Names whose spelling is compared in full with one that is not there."""


class Checkpoint(Mapping[str, Variable], Closing):
    """The variables of one checkpoint by name; raw checkpoint keys find them too.

    Iteration and `len` go by name, one name per variable, in the order of the
    file. It holds every key of the file, bookkeeping included. A context manager.

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
            raise self._not_found(name)
        return variable

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
        """Close the files; values cannot be read any more."""
        self.reader.close()

    def get(self, name: str, default: Any = None) -> Any:
        """Give the variable of this name or key, else the default, without a search for others."""
        variable = self._find(name)
        return default if variable is None else variable

    def _find(self, name: object) -> Variable | None:
        if not isinstance(name, str):
            return None
        return self._by_name.get(name) or self._keys().get(name)

    def _keys(self) -> dict[str, Variable]:
        if self._by_key is None:
            self._by_key = {variable.key: variable for variable in self._by_name.values()}
        return self._by_key

    def _not_found(self, name: object) -> VariableNotFoundError:
        near = self._near(name) if isinstance(name, str) else []
        remedy = "Nearest names:\n" + "\n".join(f"  {known}" for known in near)
        message = f"{self.path}: no variable {name}"
        return VariableNotFoundError(message, path=self.path, remedy=remedy if near else None)

    def _near(self, name: str) -> list[str]:
        """Give up to five names that are spelt alike, then names that contain this one."""
        import difflib
        import heapq

        likely: Iterable[str] = self._by_name
        if len(self) > _N_COMPARED:
            # Comparing 100,000 names in full takes seconds.
            likely = heapq.nlargest(
                _N_COMPARED, self._by_name, key=lambda known: _shared(known, name)
            )
        near = difflib.get_close_matches(name, likely, n=_N_NEAR, cutoff=0.5)
        near += [known for known in self._by_name if name in known and known not in near]
        return near[:_N_NEAR]


def _shared(one: str, other: str) -> int:
    """Count the characters that two names share at both ends."""
    starts = os.path.commonprefix([one, other])  # noqa: RUF071 - characters are meant
    ends = os.path.commonprefix([one[::-1], other[::-1]])  # noqa: RUF071
    return len(starts) + len(ends)
