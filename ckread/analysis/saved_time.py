"""When a checkpoint was saved, as the `checkpoint` state file beside it says, or itself.

The times of the files tell nothing: copying and cloning change them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.errors import CheckpointError
from ckread.readers.contract import Format
from ckread.readers.state import STATE_FILE_NAME, read_state

if TYPE_CHECKING:
    from ckread.model.checkpoint import Checkpoint

_FORMATS = (Format.TENSOR_BUNDLE, Format.V1_TABLE)


def find_saved_time(checkpoint: Checkpoint) -> float | None:
    """Give the time of saving in seconds since 1970; None if no file tells."""
    if checkpoint.format not in _FORMATS:
        return checkpoint.evidence.saved
    directory, base = os.path.split(checkpoint.path)
    path = os.path.join(directory, STATE_FILE_NAME)
    if not os.path.isfile(path):
        return None
    try:
        state = read_state(path)
    except CheckpointError:  # opening has said so, where it mattered
        return None
    times = zip(
        state.all_model_checkpoint_paths, state.all_model_checkpoint_timestamps, strict=False
    )
    found = [time for prefix, time in times if _base(prefix) == base]
    return found[-1] if found and 0 < found[-1] < 1e11 else None


def _base(prefix: str) -> str:
    return prefix.replace("\\", "/").rpartition("/")[2]
