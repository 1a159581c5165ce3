"""A store in memory that counts what is asked of it, and fails when it is told to."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from ckread.readers.sources import ranges, remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SCHEME = "counted://"


class CountedStore(MemoryFileSystem):  # type: ignore[misc]
    """Objects by path; asked for one, it may give what a fault makes of its bytes."""

    protocol = ("counted",)
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    asked: ClassVar[list[tuple[str, str, int]]] = []
    """What was asked for: kind of question, path, bytes given."""
    fault: ClassVar[Callable[[str, bytes], bytes] | None] = None
    tags: ClassVar[dict[str, str]] = {}

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped: str = MemoryFileSystem._strip_protocol(path.replace(SCHEME, "memory://"))
        return stripped

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        """Count a listing."""
        self.asked.append(("ls", path, 0))
        listed = super().ls(path, detail=True, **options)
        for info in listed:
            info["ETag"] = self.tags.get(info["name"], "")
        return listed if detail else [info["name"] for info in listed]

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        """Count a request for bytes."""
        path = self._strip_protocol(path)
        data: bytes = self.store[path].getvalue()[start:end]
        self.asked.append(("cat", path, len(data)))
        return type(self).fault(path, data) if type(self).fault else data  # type: ignore[misc]

    @classmethod
    def put(cls, path: str, data: bytes, written: float = 1795276800.0, tag: str = "") -> None:
        """Put an object where another may be."""
        fsspec.filesystem("counted").pipe_file(path, data)
        found = cls.store[path]
        found.created = found.modified = datetime.fromtimestamp(written, UTC)
        cls.tags[path] = tag


fsspec.register_implementation("counted", CountedStore, clobber=True)


def fill(folder: Path, *names: str) -> None:
    """Put what lies below folders into the store, under the same paths."""
    for name in names:
        for path in (folder / name).rglob("*"):
            if path.is_file():
                key = f"/{path.relative_to(folder.parent)}"
                CountedStore.put(key, path.read_bytes(), path.stat().st_mtime)


def forget() -> None:
    """Have nothing known of any address, as in a new process."""
    for known in (remote._listings, remote._single, remote._denied, remote._open):
        known.clear()
    ranges._kept.pieces.clear()
    ranges._kept.nbytes = 0
    CountedStore.asked.clear()


@contextmanager
def failing(fault: Callable[[str, bytes], bytes]) -> Iterator[None]:
    """Have a fault within."""
    CountedStore.fault = staticmethod(fault)
    try:
        yield
    finally:
        CountedStore.fault = None
