"""Where results go: a terminal, a pipe or JSON on stdout; notes and errors on stderr."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Self, TextIO, cast

from ckread.errors import SafeText, TextLines, safe_text
from ckread.views.terminal.page import Lines, Page, Paper, Prose, Span, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Protocol

    from rich.progress import Progress

    from ckread.cli.terminal import Screen
    from ckread.errors import CheckpointError
    from ckread.model.evidence import Claim
    from ckread.views.terminal.page import Block

    class SafeStream(Protocol):
        """A stream that takes no text but such as is safe: type checkers see a raw one."""

        def write(self, text: SafeText, /) -> object:
            """Write it."""

        def writelines(self, lines: Iterable[SafeText], /) -> object:
            """Write some, line ends and all."""

        def flush(self) -> None:
            """Hand it to the operating system."""

        def isatty(self) -> bool:
            """Tell whether it is a terminal."""
            ...

    class Answer(Protocol):
        """What an analysis of a checkpoint or a run gives."""

        @property
        def notes(self) -> Sequence[str]:
            """What was left out and why, one sentence each."""
            ...

        @property
        def evidence(self) -> Sequence[Claim]:
            """What told its claims."""
            ...

        def to_dict(self) -> dict[str, Any]:
            """Give the body of its JSON document."""
            ...


class Output:
    """The two streams of a command, and how they are to be written.

    On a terminal results are laid out for a screen, otherwise piped: whole, aligned, without
    colour. Where a file was asked for, a reader that has gone does not keep it from being written
    (`outlives_pipe`): `flush` then says at the end that it has gone. Of a command that answers by
    its exit code, `-q` leaves no page (`is_silent`); a document that was asked for is written.
    """

    def __init__(
        self,
        *,
        color: str = "auto",
        is_json: bool = False,
        is_quiet: bool = False,
        is_silent: bool = False,
        pages: bool = True,
        tells_why: bool = False,
        outlives_pipe: bool = False,
        markup: str = "",
    ) -> None:
        self._stdout: SafeStream = _open_stream(sys.stdout)
        self._stderr: SafeStream = _open_stream(sys.stderr)
        self._color = color
        self._pages = pages
        self._tells_why = tells_why
        self._is_silent = is_silent
        self._is_forced = color == "always" or (color == "auto" and is_forced())
        self.is_json = is_json
        self.is_quiet = is_quiet
        self.outlives_pipe = outlives_pipe
        self.markup = markup
        self._is_pipe_closed = False
        self._has_document = False
        self.is_terminal: bool = self._is_forced or is_tty(self._stdout)

    def render(self, page: Page, claims: Iterable[Claim] = ()) -> None:
        """Write a page of results, and what told its claims where that is asked for."""
        if self._is_silent:
            return
        if self._tells_why:
            from ckread.views.why import with_why

            page = with_why(page, claims)
        if self.markup:
            from ckread.views.tables import as_csv, as_markdown

            self.answers((as_csv if self.markup == "csv" else as_markdown)(page))
        elif self.is_terminal:
            self._show(page, pages=self._pages)
        else:
            self.lines(page.piped())

    def render_screen(self, page: Page) -> None:
        """Write a page as a screen shows it, in a pipe too: help."""
        if self.is_terminal:
            self._show(page, pages=False)
        else:
            # As shutil tells it, which loads three compressors for that.
            columns = os.environ.get("COLUMNS", "")
            width = int(columns) if columns.isdecimal() and 0 < len(columns) < 5 else 0
            self.lines(map(plain, page.lines(Paper(width or 80))))

    def _show(self, page: Page, *, pages: bool) -> None:
        with self._outliving():
            self._stdout.flush()
            self._screen(self._stdout, forced=self._is_forced, pages=pages).write(page)

    def _screen(self, stream: SafeStream, *, forced: bool = False, pages: bool = False) -> Screen:
        from ckread.cli.terminal import Screen

        if is_c_locale() and hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="ascii")
        # Of blocks rich is given no text but what `Block.__rich_console__` has made safe.
        return Screen(cast("TextIO", stream), color=self._color, forced=forced, pages=pages)

    @property
    def draws_progress(self) -> bool:
        """Whether a bar is drawn: on a terminal, unless notes are not wanted."""
        return not self.is_quiet and is_tty(self._stderr)

    def progress(self, done: int, total_nbytes: int, since: float) -> Progress:
        """Draw a bar on stderr."""
        from ckread.cli.terminal import progress_of

        return progress_of(done, total_nbytes, since, self._screen(self._stderr))

    def lines(self, lines: Iterable[str]) -> None:
        """Write plain lines of results, each of them one whatever it holds."""
        some: list[str] = []
        with self._outliving():
            try:
                rest = iter(lines)
                while True:
                    some.extend(islice(rest, _AT_ONCE))
                    if len(some) < _AT_ONCE:
                        break
                    self._stdout.write(_as_text(some))
                    some.clear()
            finally:  # what came before an error is written
                self._stdout.write(_as_text(some))

    def answers(self, lines: Iterable[SafeText]) -> None:
        """Write lines as they are: names for a shell, which are its own files', or tables."""
        with self._outliving():
            self._stdout.writelines(SafeText(f"{line}\n") for line in lines)

    def answer(self, command: str, result: Answer, page: Callable[[], Page]) -> None:
        """Warn of what a result leaves out; write it as JSON, or as a page and what told it."""
        for note in result.notes:
            self.warning(note)
        if self.is_json:
            self.json(command, result.to_dict())
        else:
            self.render(page(), result.evidence)

    def json(self, command: str, document: Mapping[str, Any]) -> None:
        """Write the JSON document of a command."""
        self._has_document = True
        with self._outliving():
            from ckread.views.json_document import encode, schema

            self._stdout.write(encode({"schema": schema(command), **document}))
            self._stdout.write(_END)

    def json_pieces(self, pieces: Iterable[SafeText]) -> None:
        """Write a JSON document that comes encoded, in pieces."""
        self._has_document = True
        with self._outliving():
            self._stdout.writelines(pieces)
            self._stdout.write(_END)

    def ask(self, question: str) -> bool:
        """Ask on stderr, and tell whether the answer is yes."""
        self._stderr.write(safe_text(question))
        self._stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def note(self, text: str) -> None:
        """Say on stderr what a reader of the results should know."""
        self._say("note", "accent", text)

    def warning(self, text: str) -> None:
        """Say on stderr what is not right."""
        self._say("warning", "warning", text)

    def wrote(self, path: str, what: str) -> None:
        """Say on stderr what file was written, and what it holds; a terminal links it."""
        if not self.is_quiet:
            from pathlib import Path

            file = Span(safe_text(path), link=Path(path).absolute().as_uri())
            self._tell(Prose("wrote ", file, f": {safe_text(what)}", is_record=True))

    def error(self, error: CheckpointError) -> None:
        """Report an error: in words on stderr, under --json as the document on stdout.

        Where there is a document already, as of a picture that cannot be drawn, in words too: a
        second one would make the first unreadable.
        """
        if self.is_json and not self._has_document:
            fields = {
                "type": type(error).__name__,
                "message": error.message,
                "remedy": error.remedy,
            }
            self.json("error", {"error": fields})
            return
        stop = "" if error.message.endswith((".", "?", "!")) else "."
        message = Prose(Span("error", "bad"), f": {error.message}{stop}", is_record=True)
        remedy = [
            Lines([(Span(line),)]) if line.startswith(" ") else Prose(line, is_record=True)
            for line in TextLines(error.remedy).lines
        ]
        self._tell(message, *remedy)

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._stdout.flush()
        self._stderr.flush()
        if self._is_pipe_closed:
            raise BrokenPipeError

    @contextmanager
    def _outliving(self) -> Iterator[None]:
        """Go on, where a file is still to be written, although nobody reads the output."""
        try:
            yield
        except BrokenPipeError:
            if not self.outlives_pipe:
                raise
            self._is_pipe_closed = True

    def _say(self, word: str, style: str, text: str) -> None:
        if not self.is_quiet:
            self._tell(Prose(Span(word, style), f": {safe_text(text)}", is_record=True))

    def _tell(self, *blocks: Block) -> None:
        with self._outliving():
            self._stdout.flush()
        with self._outliving():
            page = Page(blocks)
            if is_tty(self._stderr):
                self._screen(self._stderr).write(page)
            else:
                self._stderr.write(_as_text([*page.piped()]))


_AT_ONCE = 1024
"""Lines that are written together."""
_END = SafeText("\n")


def _as_text(lines: Sequence[str]) -> SafeText:
    if not "".join(lines).isprintable():
        lines = list(map(safe_text, lines))
    return SafeText("\n".join((*lines, "")))


def _open_stream(stream: TextIO | None) -> TextIO:
    """Give a stream that takes any text; a closed one swallows it."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace", newline="\n")
    return stream


def is_tty(stream: SafeStream) -> bool:
    """Tell whether a stream is a terminal; a closed one is none."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def is_forced() -> bool:
    """Tell whether the environment asks for colour in a pipe too."""
    return bool(os.environ.get("FORCE_COLOR")) and not os.environ.get("NO_COLOR")


def is_c_locale() -> bool:
    """Tell whether the user set the C locale; Python then writes UTF-8 all the same."""
    if os.environ.get("PYTHONUTF8") or os.environ.get("PYTHONIOENCODING"):
        return False
    named = os.environ.get("LC_ALL") or os.environ.get("LANG")
    return bool(sys.flags.utf8_mode) and named in ("C", "POSIX")


_AFTER_SECONDS = 1.0
_EVERY_SECONDS = 0.1


class ProgressBar:
    """A line on stderr, only on a terminal and only once a second has passed; gone when done.

    A context manager; calling it with a number of bytes advances it.
    """

    def __init__(self, total_nbytes: int | Callable[[], int], output: Output) -> None:
        """Give the number of bytes, or what tells it once the line is wanted."""
        self._total = total_nbytes
        self._output = output
        self._done = 0
        self._start = self._drawn = time.monotonic()
        self._bar: Progress | None = None
        self._is_wanted = True

    def __enter__(self) -> Self:
        """Start the clock."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the line away."""
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, nbytes: int) -> None:
        """Advance by a number of bytes."""
        self._done += nbytes
        now = time.monotonic()
        waited = now - self._start >= _AFTER_SECONDS and now - self._drawn >= _EVERY_SECONDS
        if self._is_wanted and waited:
            self._drawn = now
            if self._bar is None and self._output.draws_progress:
                total = self._total if isinstance(self._total, int) else self._total()
                self._bar = self._output.progress(self._done, max(1, total), since=self._start)
            self._is_wanted = self._bar is not None
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], completed=self._done, refresh=True)
