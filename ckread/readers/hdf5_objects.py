"""The objects of an HDF5 file, as listed by either of the two ways to read one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ckread.readers.dtypes import DataType


class Dataset(NamedTuple):
    """One dataset, as listed.

    Attributes:
        path: where it lies in the file, without the leading slash.
        dtype: element type.
        shape: its shape.
        nbytes: bytes it takes in the file.
        offset: first byte in the window, where its elements lie plainly; else None.
        big_endian: whether multi-byte elements are in network order.
        address: what two paths of one dataset share.
    """

    path: str
    dtype: DataType
    shape: tuple[int, ...]
    nbytes: int
    offset: int | None
    big_endian: bool
    address: int


def path_order(path: str) -> list[tuple[int, int, str]]:
    """Sort key: components in order, numbers by value, `vars/2` before `vars/10`."""
    return [
        (0, int(part), "") if part.isdecimal() and len(part) < 10 else (1, 0, part)
        for part in path.split("/")
    ]
