"""The entries of an index as they are stored, for who asks for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ckread.readers.messages import BundleEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.readers.bundle_layout import BundleLayout


class BundleEntries(Mapping[str, BundleEntry]):
    """The entries of an index by key, each made when it is asked for."""

    def __init__(self, layout: BundleLayout) -> None:
        self._layout = layout

    def __getitem__(self, key: str) -> BundleEntry:
        """Give the entry of a tensor."""
        return self._layout.entry(key)

    def __iter__(self) -> Iterator[str]:
        """Iterate over keys, in the order of the file."""
        return iter(self._layout.index.tensors)

    def __len__(self) -> int:
        """Count the tensors."""
        return len(self._layout.index.tensors)
