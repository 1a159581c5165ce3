"""What is closed at the end of a `with` block, and what is so for good: readers."""

from __future__ import annotations

from typing import Self

from ckread.errors import UsageError


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


class ClosingReader(Closing):
    """A reader of one checkpoint: it knows whether it was closed.

    Attributes:
        is_closed: whether `close` was called; values are then not read any more.
        is_tensorflow: whether TensorFlow reads the values.
    """

    path: str
    is_closed: bool = False
    is_tensorflow: bool = False

    def close(self) -> None:
        """Close it for good; what it lists stays."""
        self.is_closed = True

    def check_open(self) -> None:
        """See that values may be read.

        Raises:
            UsageError: the checkpoint was closed.
        """
        if self.is_closed:
            message = f"{self.path}: the checkpoint was closed, its values are not read any more"
            raise UsageError(message, path=self.path, remedy="Open it again, or close it later.")

    def verify_container(self) -> None:
        """Verify what one checksum covers for all tensors; nothing to do in most formats."""
