"""The number that a file name carries: a step, or an epoch where it says so."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from ckread.readers.contract import Format

if TYPE_CHECKING:
    from ckread.model.checkpoint import Checkpoint

_EXTENSIONS = (".weights.h5", ".weights.json", ".keras", ".h5", ".hdf5", ".ckpt")
_NUMBER = re.compile(
    r"(?:^|[-_.=]|(?P<epoch>epochs?[-_.=]?)|(?:steps?|iter|ckpt|cp|checkpoint)[-_.=]?)"
    r"(?P<number>\d{1,18})(?=$|[-_.])",
    re.IGNORECASE,
)
_DECIMAL = re.compile(r"\d+\.\d+")


class FileNumber(NamedTuple):
    """What a file name says.

    Attributes:
        step: its last whole number, if it does not say that it is an epoch.
        epoch: the number after the word epoch.
    """

    step: int | None = None
    epoch: int | None = None


def number_in_name(checkpoint: Checkpoint) -> FileNumber:
    """Give the number in the file name; a SavedModel's directory has a version, no step."""
    if checkpoint.format is Format.SAVED_MODEL:
        return FileNumber()
    return number_in(os.path.basename(checkpoint.path))


def number_in(name: str) -> FileNumber:
    """Give the last whole number of a base name that stands on its own."""
    for extension in _EXTENSIONS:
        name = name.removesuffix(extension)
    name = _DECIMAL.sub("~", name)
    found = list(_NUMBER.finditer(name))
    if not found:
        return FileNumber()
    number = int(found[-1]["number"])
    return FileNumber(epoch=number) if found[-1]["epoch"] else FileNumber(step=number)
