"""What the state file of a directory says of each checkpoint in it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from ckread.errors import CheckpointError
from ckread.model.run.entries import RunState
from ckread.readers.files import STATE_FILE_NAME
from ckread.readers.state import read_state


@dataclass(frozen=True, slots=True)
class StateMarks:
    """A state file, by base names: the directory may have been moved since.

    Attributes:
        latest: base name of the latest checkpoint; None without a state file.
        names: base names of all that it names, in its order.
        times: when they were saved, seconds since 1970, where it says so.
        notes: why it cannot be read.
    """

    latest: str | None = None
    names: tuple[str, ...] = ()
    times: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def state_of(self, name: str) -> RunState | None:
        """Give what it says of the checkpoint of a base name, which is on disk."""
        if self.latest is None:
            return None
        if name == self.latest:
            return RunState.LATEST
        return RunState.KEPT if name in self.names else RunState.UNTRACKED


def read_marks(directory: str) -> StateMarks:
    """Read the state file of a directory, if there is one that can be read."""
    path = os.path.join(directory, STATE_FILE_NAME)
    if not os.path.isfile(path):
        return StateMarks()
    try:
        state = read_state(path)
    except CheckpointError as error:
        return StateMarks(notes=(f"The state file cannot be read: {error.message}.",))
    names = [_base(path) for path in state.all_model_checkpoint_paths]
    times = state.all_model_checkpoint_timestamps
    dated = dict(zip(names, times, strict=True)) if len(names) == len(times) else {}
    latest = _base(state.model_checkpoint_path)
    return StateMarks(latest, tuple(dict.fromkeys([*names, *([latest] if latest else [])])), dated)


def _base(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]
