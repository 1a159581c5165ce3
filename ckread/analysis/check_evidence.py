"""Checking what lies beside the values: the graphs that names, roles and signatures are from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.analysis.check_layout import RECOPY, is_damage
from ckread.analysis.findings import Code, Finding, Level
from ckread.errors import CheckpointError
from ckread.model.location import META_SUFFIX, SAVED_MODEL_FILES
from ckread.model.shards import shard_warnings
from ckread.readers.contract import Format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ckread.model.checkpoint import Checkpoint


def check_evidence(checkpoint: Checkpoint) -> list[Finding]:
    """Give what kept names and roles from being right; of shards more is told elsewhere."""
    damaged = list(_damaged_files(checkpoint))
    told = {*shard_warnings(checkpoint.reader)}
    return damaged + [
        Finding(Level.WARNING, Code.EVIDENCE, None, None, warning.rstrip("."))
        for warning in checkpoint.warnings
        if warning not in told and not any(warning.startswith(f.message) for f in damaged)
    ]


def _damaged_files(checkpoint: Checkpoint) -> Iterator[Finding]:
    """Give damage to a `saved_model.pb` or `.meta`: without it the model cannot be loaded."""
    evidence = checkpoint.evidence
    if checkpoint.format is Format.SAVED_MODEL and evidence.saved_model is None:
        from ckread.readers.saved_model import read_saved_model

        yield from _damage(os.path.join(checkpoint.path, SAVED_MODEL_FILES[0]), read_saved_model)
    elif checkpoint.format is not Format.SAVED_MODEL and evidence.meta_graph is None:
        from ckread.readers.meta_graph import read_meta_graph

        yield from _damage(f"{checkpoint.path}{META_SUFFIX}", read_meta_graph)


def _damage(path: str, read: Callable[[str], object]) -> Iterator[Finding]:
    if not os.path.isfile(path):
        return
    try:
        read(path)
    except CheckpointError as error:
        if is_damage(error):
            place = os.path.basename(path)
            remedy = error.remedy or RECOPY
            yield Finding(Level.ERROR, Code.FILE, None, place, error.message, remedy)
