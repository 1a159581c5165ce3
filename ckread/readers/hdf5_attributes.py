"""The text attributes of HDF5 objects, and the names of the file as text.

Keras keeps names of layers and weights and a whole model's configuration in
attributes, as bytes or text, of fixed or variable length, by the version of h5py.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.errors import MissingDependencyError

if TYPE_CHECKING:
    from types import ModuleType

MAX_NBYTES = 64 << 20
MAX_ELEMENTS = 1 << 20


class AttributeTooLargeError(Exception):
    """An attribute larger than any that a writer makes; never leaves the readers."""


class UnverifiedTextError(Exception):
    """A text that may claim any size once it is read; never leaves the readers."""


class _Holder(NamedTuple):
    """What h5py's AttributeManager asks of an object."""

    id: Any


def h5py_module() -> ModuleType:
    """Import h5py.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import h5py
    except ImportError:
        message = "h5py is not installed, and this is an HDF5 file"
        raise MissingDependencyError(message, remedy="Install it: pip install h5py") from None
    module: ModuleType = h5py
    return module


def read_text(item: Any, name: str, *, is_sound: bool) -> str | list[str] | None:
    """Give a text attribute of an open object, or a list of texts; None without one.

    Args:
        item: the object.
        name: the attribute.
        is_sound: whether its texts are known to be where it says. If not, those of
            variable length are not read: HDF5 takes whatever memory they claim.

    Raises:
        AttributeTooLargeError: nothing of it has been read.
        UnverifiedTextError: likewise.
    """
    h5py = h5py_module()
    key = name.encode()
    if not h5py.h5a.exists(item, key):
        return None
    attribute = h5py.h5a.open(item, key)
    if attribute.shape is None:  # a null dataspace, whatever the type
        return None
    n_elements = math.prod(attribute.shape)
    text = h5py.check_string_dtype(attribute.dtype)
    if text is None:
        return None if n_elements else []  # unread: HDF5 crashes on some types that damage makes
    nbytes = n_elements * attribute.dtype.itemsize
    if n_elements > MAX_ELEMENTS or nbytes > MAX_NBYTES:
        found = f"{n_elements} elements in {nbytes} bytes"
        raise AttributeTooLargeError(f"{found}, expected at most {MAX_ELEMENTS} in {MAX_NBYTES}")
    if text.length is None and n_elements and not is_sound:
        raise UnverifiedTextError
    return _text(h5py.AttributeManager(_Holder(item))[name])


def _text(value: Any) -> str | list[str] | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return decode(value)
    if hasattr(value, "ravel"):
        texts = [_text(item) for item in value.ravel().tolist()]
        return [text for text in texts if isinstance(text, str)]
    return None


def decode(name: bytes) -> str:
    """Give a name of the file as text; bytes that are not UTF-8 are escaped."""
    return name.decode(errors="surrogateescape")


def encode(path: str) -> bytes:
    """Give the bytes of a name that `decode` gave."""
    return path.encode(errors="surrogateescape")
