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
from ckread.readers.keras_archive import UNNAMED, WEIGHTS
from ckread.readers.kinds import Kind
from ckread.readers.zip_members import ZipMembers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ckread.model.checkpoint import Checkpoint

_HDF5 = (Format.KERAS_WEIGHTS, Format.LEGACY_HDF5)


def is_archive(path: str) -> bool:
    """Tell whether a Keras archive is at a path."""
    try:
        return detect(path) is Kind.KERAS_ARCHIVE
    except CheckpointError:
        return False


def check_members(path: str, verify_weights: Callable[[], None] | None = None) -> list[Finding]:
    """Verify every member of an archive, whether its contents are of use or not.

    Args:
        path: of the archive.
        verify_weights: what verifies the member with the weights, and keeps what it found.
    """
    try:
        archive = ZipMembers(path)
    except CheckpointError as error:
        return [_finding(error, os.path.basename(path))]
    findings = []
    try:
        for name in archive.members:
            try:
                if name == WEIGHTS and verify_weights is not None:
                    verify_weights()
                else:
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
        if place.endswith(f"/{WEIGHTS}") and UNNAMED not in message:
            message += f"; {UNNAMED}"
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
