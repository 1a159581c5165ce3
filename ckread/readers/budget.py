"""What the parser of a foreign structure is given: so many bytes, items, levels, seconds of CPU.

The limits are facts of formats and stand beside them. Here is what is said where a file asks for
more, in one form: file, place, what was found, what was expected at most, what can be done.
"""

from __future__ import annotations

from typing import Any

from ckread.errors import CheckpointError, CorruptCheckpointError

REMEDY = "It is damaged or made to do harm; if a program does write such files, ask for more room."


def over(
    most: float,
    unit: str,
    found: float | None = None,
    *,
    what: str = "",
    error: type[CheckpointError] = CorruptCheckpointError,
    **where: Any,
) -> CheckpointError:
    """Give the error of a file that asks for more than `most` of a unit.

    Without `found` nobody counted further. `what` is what asks, `where` the fields of the error.
    """
    told = f"{what}: " if what else ""
    if found is None:
        return error(f"{told}more than {most:,} {unit}", **{"remedy": REMEDY, **where})
    fields = {"remedy": REMEDY, "expected": f"at most {most:,}", **where}
    return error(f"{told}{found:,} {unit}", **fields)


class Budget:
    """So much of a unit, from which is drawn before memory or time is taken."""

    def __init__(self, most: int, unit: str, **where: Any) -> None:
        self._most, self._unit, self._where = most, unit, where
        self._left = most

    def take(self, n: int = 1) -> None:
        """Draw from it.

        Raises:
            CheckpointError: so much is not left.
        """
        self._left -= n
        if self._left < 0:
            raise over(self._most, self._unit, **self._where)
