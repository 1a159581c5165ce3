"""Checking what Keras files keep instead of a checksum per tensor.

The CRC-32 of a zip archive covers a member whole, so that damage to the weights is found
and the variable is not. HDF5 keeps no checksum of plain values: damage to them cannot be
told at all, which a report must say.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.analysis.check_layout import RECOPY
from ckread.analysis.findings import Code, Finding, Level
from ckread.errors import CheckpointError
from ckread.readers.contract import Format
from ckread.readers.detection import detect
from ckread.readers.keras_archive import WEIGHTS
from ckread.readers.kinds import Kind
from ckread.readers.zip_members import ZipMembers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.model.checkpoint import Checkpoint

_UNNAMED = "it covers all variables, so which of them is damaged cannot be told"
_HDF5 = (Format.KERAS_WEIGHTS, Format.LEGACY_HDF5)


def is_archive(path: str) -> bool:
    """Tell whether a Keras archive is at a path."""
    try:
        return detect(path) is Kind.KERAS_ARCHIVE
    except CheckpointError:
        return False


def check_members(path: str) -> list[Finding]:
    """Verify every member of an archive, whether its contents are of use or not."""
    try:
        archive = ZipMembers(path)
    except CheckpointError as error:
        return [_finding(error, os.path.basename(path))]
    findings = []
    try:
        for name in archive.members:
            try:
                archive.verify(name)
            except CheckpointError as error:
                findings.append(_finding(error, f"{archive.name}/{name}"))
    finally:
        archive.close()
    return findings


def _finding(error: CheckpointError, place: str | None) -> Finding:
    message = error.message
    if place is not None:
        message = message.removeprefix(f"{place.partition('/')[0]}: ")
        message += f"; {_UNNAMED}" if place.endswith(f"/{WEIGHTS}") else ""
    return Finding(Level.ERROR, Code.MEMBER, None, place, message, error.remedy or RECOPY)


def are_weights_damaged(findings: Sequence[Finding]) -> bool:
    """Tell whether it is the member with the values that is damaged."""
    return any((finding.place or "").endswith(f"/{WEIGHTS}") for finding in findings)


def check_unchecked(checkpoint: Checkpoint) -> list[Finding]:
    """Say so where values have no checksum that could have been compared."""
    if checkpoint.format not in _HDF5:
        return []
    bare = [variable for variable in checkpoint.values() if variable.extents() is not None]
    if not bare:
        return []
    of = "" if len(bare) == len(checkpoint) else f"{len(bare)} of "
    message = (
        f"HDF5 keeps no checksum of {of}{len(checkpoint)} tensors: "
        "a changed byte in their values cannot be told"
    )
    return [Finding(Level.NOTE, Code.NO_CHECKSUM, None, None, message)]
