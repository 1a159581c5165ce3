"""What is at an address, and some bytes of it: `s3://`, `gs://`, `https://` and their like.

    entry_at(address)      what is there: a file and its identity, or a directory
    names_in(directory)    the names in a directory
    open_ranges(address)   a file that is open, by ranges

A store is asked by listing directories: one request tells of all the files of a checkpoint.
What a listing told is believed until `look_again`. Where nothing can be listed, as on a web
server, each file is asked for by itself.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    MissingDependencyError,
    UnsupportedFeatureError,
    UsageError,
)
from ckread.readers.contract import FileIdentity
from ckread.readers.sources import ranges
from ckread.readers.sources.failures import AccessDeniedError, failure, is_passing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeVar

    from ckread.readers.sources.ranges import Fetch, Span

    T = TypeVar("T")

_N_ATTEMPTS = 3
_PAUSE_SECONDS = 0.2
_N_OPEN = 64
_WHOLE_NBYTES = 32 << 20
"""Of a file that may come whole from a server that knows no ranges."""
_SECRET = re.compile(r"://[^/]*@|(?<=http)s?://[^?#]*[?#]")


class Entry(NamedTuple):
    """What is at an address; the identity is that of a file."""

    is_directory: bool
    identity: FileIdentity
    knows_ranges: bool = True


_lock = RLock()
_listings: dict[str, tuple[float, Mapping[str, Entry] | None]] = {}
_single: dict[str, tuple[float, Entry | None]] = {}
_denied: dict[str, CheckpointError] = {}
_open: dict[str, tuple[FileIdentity, ranges.Ranges]] = {}


def check_address(address: str) -> None:
    """Refuse an address that holds a secret: it would be shown wherever a path is.

    Raises:
        UsageError: it has a password, or a query.
    """
    match = _SECRET.search(address)
    if match is not None:
        what = "a user or password" if match[0].endswith("@") else "a query"
        remedy = "Leave it to the settings of the driver, or copy the checkpoint to this machine."
        scheme = address.partition("://")[0]
        raise UsageError(f"{scheme}:// with {what} in the address is not read", remedy=remedy)


def entry_at(address: str) -> Entry | None:
    """Give what is there, None if nothing is, or nothing that may be looked at."""
    directory, name = _parted(address)
    if not name:
        return Entry(True, FileIdentity("", 0, 0))
    with _lock:
        listing = _listing(directory)
        if listing is not None:
            return listing.get(name)
        if address.endswith("/"):
            return Entry(True, FileIdentity("", 0, 0))
        if address not in _single:
            _single[address] = time.monotonic(), _asked(address)
        return _single[address][1]


def names_in(directory: str) -> list[str]:
    """List a directory; nothing where that is not possible."""
    with _lock:
        return sorted(_listing(_whole(directory)) or ())


def can_list(directory: str) -> bool:
    """Tell whether there is a list of what a directory holds: a web server gives none."""
    with _lock:
        return _listing(_whole(directory)) is not None


def refusal(address: str) -> CheckpointError | None:
    """Give why something could not be looked at that may be there."""
    directory, _ = _parted(address)
    return _denied.get(address) or next(
        (error for path, error in _denied.items() if path.startswith(directory)), None
    )


def look_again(address: str, *, older_than: float = 0.0) -> None:
    """Forget what was told of the directory of a file, longer ago than so many seconds."""
    directory, _ = _parted(address)
    before = time.monotonic() - older_than
    with _lock:
        for known in (directory, _whole(address)):
            if known in _listings and _listings[known][0] <= before:
                del _listings[known]
        for one in [one for one in _single if one.startswith(directory)]:
            if _single[one][0] <= before:
                del _single[one]
                _denied.pop(one, None)


def open_ranges(address: str, *, in_blocks: bool) -> tuple[FileIdentity, ranges.Ranges]:
    """Give the identity of a file and its bytes, which all share that have it open.

    Raises:
        CheckpointNotFoundError: nothing is there.
        CheckpointError: it is a directory, or may not be read.
    """
    entry = entry_at(address)
    if entry is None:
        raise refusal(address) or CheckpointNotFoundError("no such file", path=address)
    if entry.is_directory:
        raise CheckpointError("a directory", expected="a file", path=address)
    identity = entry.identity
    if identity.nbytes < 0:
        raise _no_ranges(address, "the server does not tell how large the file is", "its size")
    if not entry.knows_ranges and identity.nbytes > _WHOLE_NBYTES:
        raise _no_ranges(address)
    with _lock:
        known, file = _open.pop(address, (None, None))
        if file is None or known != identity:
            fetch = _fetcher(address, identity)
            file = ranges.Ranges(identity.nbytes, fetch, in_blocks=in_blocks)
        while len(_open) >= _N_OPEN:
            del _open[next(iter(_open))]
        _open[address] = identity, file
    return identity, file


def begin_job() -> None:
    """Forget the values that this thread read until now."""
    ranges.begin_job()


def _fetcher(address: str, identity: FileIdentity) -> Fetch:
    def fetch(spans: Sequence[Span]) -> list[bytes | Exception]:
        system, path = _system(address)
        found: list[Any] = [None] * len(spans)
        if len(spans) > 1:
            with suppress(Exception):  # each is asked for alone, and tells why
                starts, stops = zip(*spans, strict=True)
                paths = [path] * len(spans)
                found = system.cat_ranges(paths, starts, stops, on_error="return")
        return [one(*span, data) for span, data in zip(spans, found, strict=True)]

    def one(start: int, stop: int, data: bytes | Exception | None) -> bytes | Exception:
        if start >= stop:
            return b""
        try:
            if isinstance(data, bytes):
                return exact(start, stop, data)
            system, path = _system(address)
            alone = _patiently(address, lambda: system.cat_file(path, start=start, end=stop))
            return exact(start, stop, alone)
        except CheckpointError as error:
            return error

    def exact(start: int, stop: int, data: bytes) -> bytes:
        if len(data) == stop - start:
            return data
        if len(data) == identity.nbytes:  # a web server that knows no ranges
            return data[start:stop]
        look_again(address)
        entry = entry_at(address)
        if entry is not None and entry.identity == identity:
            if len(data) > stop - start:
                raise _no_ranges(address)
            found = f"an answer of {len(data)} bytes, {stop - start} were asked for"
            remedy = "The connection was cut. Try again."
            raise CheckpointError(found, path=address, remedy=remedy)
        return data[: stop - start]  # replaced: whoever reads finds that it ends too early

    return fetch


def _no_ranges(
    address: str,
    found: str = "the server gives whole files only",
    expected: str = "ranges of bytes",
) -> CheckpointError:
    remedy = "Copy the checkpoint to this machine first, all of its files."
    return UnsupportedFeatureError(found, path=address, expected=expected, remedy=remedy)


def _parted(address: str) -> tuple[str, str]:
    """Give the directory and the name; of a root the name is empty."""
    start = address.rfind("://") + 3
    whole = _whole(address)
    at = whole.rfind("/", start)
    return (whole[:at], whole[at + 1 :]) if at >= 0 else (whole[:start], whole[start:])


def _whole(address: str) -> str:
    start = address.rfind("://") + 3
    return address[:start] + address[start:].rstrip("/")


def _system(address: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        found = "addresses need fsspec, which is not installed"
        remedy = "pip install 'ckread[remote]'"
        raise MissingDependencyError(found, path=address, remedy=remedy) from None
    try:
        system: tuple[Any, str] = url_to_fs(address)
    except ValueError:
        scheme = address.partition("://")[0]
        raise UnsupportedFeatureError(
            f"no driver of fsspec reads {scheme}://", path=address
        ) from None
    except Exception as error:
        raise failure(address, error) from None
    return system


def _patiently(address: str, ask: Callable[[], T]) -> T:
    """Ask, and ask again where that may help."""
    for left in reversed(range(_N_ATTEMPTS)):
        try:
            return ask()
        except Exception as error:
            if not left or not is_passing(error):
                raise failure(address, error) from None
            time.sleep(_PAUSE_SECONDS)
    raise AssertionError


def _listing(directory: str) -> Mapping[str, Entry] | None:
    """Give what a directory holds, None where that cannot be told."""
    if directory in _listings:
        return _listings[directory][1]
    system, path = _system(directory)
    found: dict[str, Entry] | None = {}
    is_web = directory.rpartition("::")[2].startswith(("http://", "https://"))
    if is_web:
        found = None
    else:
        try:
            system.invalidate_cache(path)
            listed = _patiently(directory, lambda: system.ls(path, detail=True))
            found = {
                name: _entry(info)
                for info in listed
                if info["name"].rstrip("/") != path.rstrip("/")
                and (name := info["name"].rstrip("/").rpartition("/")[2])
            }
        except (CheckpointNotFoundError, NotADirectoryError):
            found = {}
        except MissingDependencyError:
            raise
        except CheckpointError:  # then each file is asked for, and fails if all does
            found = None
    _listings[directory] = time.monotonic(), found
    return found


def _asked(address: str) -> Entry | None:
    """Ask for one file where its directory cannot be listed."""
    system, path = _system(address)
    try:
        system.invalidate_cache(path)
        return _entry(_patiently(address, lambda: system.info(path)))
    except CheckpointNotFoundError:
        return None
    except AccessDeniedError as error:
        _denied[address] = error  # some stores say so of what is not there
        return None


def _entry(info: Mapping[str, Any]) -> Entry:
    if info["type"] == "directory":
        return Entry(True, FileIdentity("", 0, 0))
    tags = (info.get(key) for key in ("ETag", "etag", "generation", "md5Hash", "blob_id", "oid"))
    tag = next((str(tag) for tag in tags if tag), "")
    times = (info.get(key) for key in ("mtime", "LastModified", "last_modified", "updated"))
    moment = next(filter(None, times), info.get("created"))
    nbytes = info.get("size")
    return Entry(
        False,
        FileIdentity(tag, -1 if nbytes is None else int(nbytes), _nanoseconds(moment)),
        bool(info.get("partial", True)),
    )


def _nanoseconds(moment: Any) -> int:
    """Give a moment in nanoseconds since 1970; 0 where nothing tells."""
    if isinstance(moment, str):
        from datetime import datetime

        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return 0
    seconds = moment.timestamp() if hasattr(moment, "timestamp") else moment
    return int(seconds * 1e9) if isinstance(seconds, int | float) else 0
