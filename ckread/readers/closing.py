"""What is closed at the end of a `with` block."""

from __future__ import annotations

from typing import Self


class Closing:
    """Gives `with` to a class that has `close`."""

    __slots__ = ()

    def close(self) -> None:
        """Close it; twice does no harm."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Keep it open."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it, whatever happened."""
        self.close()
