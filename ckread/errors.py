"""Every error that a checkpoint, a path or an argument can cause.

A message reads `<file>: <where>: <what was found>, <what was expected>`, and is put
together from fields that say the same apart; the remedy, if there is one, is no part of
it, so that a terminal can give it a line of its own. Each class that has a natural
built-in parent inherits from it too, so `except FileNotFoundError` and `except KeyError`
work as a Python user expects.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, NewType, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "CheckpointError",
    "CheckpointNotFoundError",
    "ChecksumError",
    "CorruptCheckpointError",
    "ErrorKind",
    "MissingDependencyError",
    "MissingShardError",
    "NotACheckpointError",
    "TruncatedFileError",
    "UnsupportedFeatureError",
    "UsageError",
    "VariableNotFoundError",
]


# Text from files, as people read it. A name may hold any character: line ends that begin an
# error of its own, escape sequences, marks that turn the direction of writing.


SafeText = NewType("SafeText", str)
"""Text that a stream takes: what `safe_text` gives, or an encoder of JSON, CSV or Markdown.

No other text is written by `ckread.cli.output`, which type checkers see.
"""


def safe_text(text: str) -> SafeText:
    r"""Give a text from a file for display: what is not printable becomes an escape.

    Control and formatting characters cannot reach a terminal, and bytes that are
    not UTF-8 read `\x80`. A text that is safe stays as it is.
    """
    if text.isprintable():
        return text  # type: ignore[return-value]  # it is one; a call for each would cost more
    return SafeText("".join(map(_printable, text)))


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, kept as a surrogate
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


class TextLines(str):
    r"""Lines for people, each of them safe, so that no name in one can begin another.

    Made of lines and of other `TextLines`; a line end within a line reads `\n`. What is empty
    or None is left out.
    """

    __slots__ = ()

    def __new__(cls, *lines: str | None) -> Self:
        """Join the lines."""
        safe = (line if isinstance(line, TextLines) else safe_text(line) for line in lines if line)
        return super().__new__(cls, "\n".join(safe))

    @property
    def lines(self) -> list[str]:
        """The lines; none of no text."""
        return self.split("\n") if self else []

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the lines."""
        return type(self), tuple(self.lines)


_AT_COMMAND_LINE: ContextVar[bool] = ContextVar("at_command_line", default=False)


@contextmanager
def at_command_line() -> Iterator[None]:
    """Word what is told in here for the person who typed a command."""
    token = _AT_COMMAND_LINE.set(True)
    try:
        yield
    finally:
        _AT_COMMAND_LINE.reset(token)


def by(option: str, python: str) -> str:
    """Name a way to more: the option of a command, or what takes its place in Python.

    Pages, messages and remedies alike are worded by it, for the one who asked.
    """
    return option if _AT_COMMAND_LINE.get() else python


COPY_AGAIN = "Copy the file again from where it came."


class ErrorKind(StrEnum):
    """What went wrong, in a word that programs may decide by; each class has one of its own.

    Example:
        >>> try:
        ...     ckread.open("README.md")
        ... except ckread.CheckpointError as error:
        ...     print(error.kind, error.kind is ckread.errors.ErrorKind.NOT_A_CHECKPOINT)
        not-a-checkpoint True
    """

    FAILED = "failed"
    """The system refused: no permission, no memory, a disk that fails."""
    NOT_FOUND = "not-found"
    NOT_A_CHECKPOINT = "not-a-checkpoint"
    NO_VARIABLE = "no-variable"
    USAGE = "usage"
    CORRUPT = "corrupt"
    """Damaged, and none of the kinds below."""
    SLICES = "slices"
    """Slices of a partitioned tensor that do not fit together."""
    DUPLICATE = "duplicate"
    """Two members of an archive have one name: which one is meant cannot be told."""
    TRUNCATED = "truncated"
    TORN = "torn"
    """Parts without the index that its save writes last: being written, or cut short."""
    CHECKSUM = "checksum"
    MISSING_SHARD = "missing-shard"
    UNSUPPORTED = "unsupported"
    CHANGED = "changed"
    """Rewritten or deleted while it was read: a training run may be writing here."""
    SOMETHING_ELSE = "something-else"
    """A part of a checkpoint is another file by its bytes: a pointer, a web page."""
    VERSION = "version"
    """The writer of the file wants another version of its reader."""
    LEADS_OUT = "leads-out"
    """A link or dataset of an HDF5 file whose values lie in another file."""
    MISSING_DEPENDENCY = "missing-dependency"


class CheckpointError(Exception):
    """What cannot be read, found or understood, and what to do about it.

    Every error that ckread raises is one; each class is in `ckread.errors`. Its fields say
    apart what its message says in one line. It can be pickled whole. Message and remedy are
    printable, whatever a file calls its variables; the other fields are as they were found.

    Attributes:
        message: `name: place: found, expected …`, without a final stop, the remedy left out.
        kind: what went wrong, an `ErrorKind`: decide by this or the class, not by words.
        path: the file it is about, where there is one.
        offset: the byte in that file, where it is known.
        places: where in the file, from outside in: a tensor, a slice of it, bytes of that.
        found: what was found there.
        expected: what was expected in its place, where that can be said.
        remedy: what the user can do: a sentence, or lines of names or commands.
        own_remedy: the same, but None where it is what is said of every error of the class.

    Example:
        >>> try:
        ...     ckread.open("fixtures/digits_run/ckpt-11")
        ... except ckread.CheckpointError as error:
        ...     print(type(error).__name__, "-", error)
        ...     print(error.kind, error.path)
        CheckpointNotFoundError - fixtures/digits_run/ckpt-11: ...
        not-found fixtures/digits_run/ckpt-11
        >>> error = ckread.CheckpointError("3 bytes", path="a/b", place="footer", expected="48")
        >>> error.message, error.place
        ('a/b: footer: 3 bytes, expected 48', 'footer')
        >>> error.remedy, error.own_remedy
        (None, None)
        >>> error.told, error.detail
        ('3 bytes, expected 48', 'footer: 3 bytes, expected 48')
        >>> error.within("block 7", path="a/b").message
        'b: block 7: footer: 3 bytes, expected 48'
        >>> type(ckread.errors.UsageError.of(error)).__name__
        'UsageError'
    """

    _kind: ClassVar = ErrorKind.FAILED
    _remedy: ClassVar[str | None] = None

    def __init__(
        self,
        found: str,
        *,
        kind: ErrorKind | None = None,
        path: str | None = None,
        name: str | None = None,
        offset: int | None = None,
        place: str | tuple[str, ...] = (),
        expected: str | None = None,
        remedy: str | None = None,
    ) -> None:
        """Put the message together; `name` is what it calls the file, if not by its path."""
        self.kind: ErrorKind = kind or self._kind
        self.path = path
        self.offset = offset
        self.places: tuple[str, ...] = (place,) if isinstance(place, str) else place
        self.found = found
        self.expected = expected
        self.own_remedy: TextLines | None = TextLines(remedy) if remedy else None
        general = TextLines(self._remedy) if self._remedy else None
        self.remedy: TextLines | None = self.own_remedy or general
        self._name = path if name is None else name
        self.message: str = safe_text(f"{self._name}: {self.detail}" if self._name else self.detail)
        super().__init__(self.message)
        if self.remedy is not None:
            self.add_note(self.remedy)  # Python shows it below the message of a traceback

    @property
    def place(self) -> str | None:
        """The places in one line; None where it is about the whole file."""
        return ": ".join(self.places) or None

    @property
    def told(self) -> str:
        """What was found and expected, in one line."""
        return f"{self.found}, expected {self.expected}" if self.expected else self.found

    @property
    def detail(self) -> str:
        """The message without the name of the file."""
        return ": ".join((*self.places, self.told))

    def __str__(self) -> str:
        """Give the message alone; `KeyError` would quote it."""
        return self.message

    def within(
        self,
        place: str | None = None,
        *,
        path: str | None = None,
        **changed: Any,
    ) -> Self:
        """Give this error as told from further out: of a file, of a place around its own.

        Args:
            place: what its own place is in.
            path: the file, which the message then calls by its base name.
            **changed: other fields to give anew.
        """
        fields = self._fields()
        if place:
            fields["place"] = (place, *self.places)
        if path:
            fields |= {"path": path, "name": os.path.basename(path) or path}
        return type(self)(**(fields | changed))

    @classmethod
    def of(cls, error: CheckpointError) -> Self:
        """Give an error of this class that says what another does.

        A field that ends before it should, for one, is no file that does.
        """
        return cls(**(error._fields() | {"kind": None}))

    def _fields(self) -> dict[str, Any]:
        return {
            "found": self.found, "kind": self.kind, "path": self.path, "name": self._name,
            "offset": self.offset, "place": self.places, "expected": self.expected,
            "remedy": self.own_remedy,
        }  # fmt: skip

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by its fields, so that errors cross processes whole."""
        notes = list(getattr(self, "__notes__", ()))
        return _rebuild, (type(self), self._fields()), {"__notes__": notes} if notes else None


def _rebuild(kind: type[CheckpointError], fields: dict[str, Any]) -> CheckpointError:
    return kind(**fields)


# The path or the arguments are wrong.


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """Nothing is at this path; the remedy names what is near.

    Example:
        >>> try:
        ...     ckread.open("fixtures/digits_run/ckpt-11")
        ... except FileNotFoundError as error:
        ...     print(error.kind, error.path)
        not-found fixtures/digits_run/ckpt-11
    """

    _kind = ErrorKind.NOT_FOUND


class NotACheckpointError(CheckpointError, ValueError):
    """The file is something else; the message says what it looks like.

    Example:
        >>> try:
        ...     ckread.open("README.md")
        ... except ckread.errors.NotACheckpointError as error:
        ...     print(error)
        README.md: text, not a checkpoint
    """

    _kind = ErrorKind.NOT_A_CHECKPOINT


class VariableNotFoundError(CheckpointError, KeyError):
    """No variable of this name; the remedy lists the nearest names.

    Example:
        >>> try:
        ...     ckread.open("fixtures/digits_run")["conv1/kernal"]
        ... except KeyError as error:
        ...     print(error, error.remedy.lines[1])
        fixtures/digits_run/ckpt-10: no variable conv1/kernal   conv1/kernel
    """

    _kind = ErrorKind.NO_VARIABLE


class UsageError(CheckpointError, ValueError):
    """Arguments that do not fit together, or a slice that does not fit its variable.

    Example:
        >>> try:
        ...     ckread.open("fixtures/digits_run", reader="fast")
        ... except ckread.errors.UsageError as error:
        ...     print(error)
        no reader 'fast', expected one of auto, native, tensorflow
    """

    _kind = ErrorKind.USAGE


# The file is damaged, or parts of it are missing.


class CorruptCheckpointError(CheckpointError, ValueError):
    """Bytes that contradict the format.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     index = pathlib.Path("fixtures/tf115_saver/model.ckpt-20.index")
        ...     data = bytearray(index.read_bytes())
        ...     data[20] ^= 1
        ...     _ = pathlib.Path(folder, "a.index").write_bytes(data)
        ...     try:
        ...         ckread.open(f"{folder}/a")
        ...     except ckread.errors.CorruptCheckpointError as error:
        ...         print(error.kind, error.place)
        checksum block at byte 0
    """

    _kind = ErrorKind.CORRUPT
    _remedy = COPY_AGAIN


class TruncatedFileError(CorruptCheckpointError):
    """A file ends before the bytes that are wanted: a torn save or a partial copy.

    Example:
        >>> import pathlib, shutil, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     name, shard = "fixtures/tf115_saver/model.ckpt-20", "data-00000-of-00001"
        ...     data = pathlib.Path(f"{name}.{shard}").read_bytes()
        ...     _ = shutil.copy(f"{name}.index", f"{folder}/a.index")
        ...     _ = pathlib.Path(folder, f"a.{shard}").write_bytes(data[:10])
        ...     try:
        ...         ckread.open(f"{folder}/a")["conv1/bias"].numpy()
        ...     except ckread.errors.TruncatedFileError as error:
        ...         print(error.kind, "-", error.told)
        truncated - bytes 8 to 24 are wanted, the file ends at byte 10
    """

    _kind = ErrorKind.TRUNCATED
    _remedy = f"The file is incomplete: a torn save, or a copy that was cut short. {COPY_AGAIN}"


class ChecksumError(CorruptCheckpointError):
    """A stored CRC-32C (`expected`) that differs from the computed one (`found`).

    Example:
        >>> import pathlib, shutil, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     name, shard = "fixtures/tf115_saver/model.ckpt-20", "data-00000-of-00001"
        ...     data = pathlib.Path(f"{name}.{shard}").read_bytes()
        ...     _ = shutil.copy(f"{name}.index", f"{folder}/a.index")
        ...     _ = pathlib.Path(folder, f"a.{shard}").write_bytes(bytes(len(data)))
        ...     try:
        ...         ckread.open(f"{folder}/a")["conv1/bias"].numpy()
        ...     except ckread.errors.ChecksumError as error:
        ...         print(error.kind, "-", error.told)
        checksum - stored CRC-32C 0x398a04e4, computed 0x42709aea
    """

    _kind = ErrorKind.CHECKSUM

    @property
    def told(self) -> str:
        """Both checksums, the stored one first."""
        return f"{self.expected}, {self.found}" if self.expected else self.found


class MissingShardError(CheckpointError, FileNotFoundError):
    """A data shard that the index names is not there.

    Example:
        >>> import shutil, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = shutil.copy("fixtures/digits_run/ckpt-10.index", folder)
        ...     try:
        ...         next(iter(ckread.open(f"{folder}/ckpt-10").values())).numpy()
        ...     except ckread.errors.MissingShardError as error:
        ...         print(error.kind, "-", error.found)
        missing-shard - missing data shard (0 of 1), which holds the values
    """

    _kind = ErrorKind.MISSING_SHARD


# The file is sound, and cannot be read here.


class UnsupportedFeatureError(CheckpointError, NotImplementedError):
    """A feature or version of the format that this reader declines.

    Example:
        >>> try:
        ...     ckread.open("fixtures/partners/one.npy", reader="tensorflow")
        ... except ckread.errors.UnsupportedFeatureError as error:
        ...     print(error.found)
        a npy file, which TensorFlow's reader does not read
    """

    _kind = ErrorKind.UNSUPPORTED


class MissingDependencyError(CheckpointError, ImportError):
    """A package is needed that is not installed; the remedy says what to install.

    Example:
        >>> import sys
        >>> from unittest import mock
        >>> found = ckread.statistics("fixtures/digits_run", "conv1")
        >>> with mock.patch.dict(sys.modules, {"pandas": None}):
        ...     try:
        ...         found.to_pandas()
        ...     except ImportError as error:
        ...         print(error, "-", error.remedy)
        pandas is not installed - Install it: pip install 'ckread[pandas]'
    """

    _kind = ErrorKind.MISSING_DEPENDENCY
