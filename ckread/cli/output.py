"""Where results go: a terminal, a pipe or JSON on stdout; notes and errors on stderr."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from ckread.model.spelling import safe_text
from ckread.views.json_document import encode, schema
from ckread.views.terminal.page import STYLES, Lines, Page, Paper, Prose, Span, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ckread.errors import CheckpointError
    from ckread.views.terminal.page import Block


class Output:
    """The two streams of a command, and how they are to be written.

    Attributes:
        is_terminal: whether results are laid out for a screen; otherwise they are
            piped: whole, aligned, without colour.
        is_json: whether one JSON document is asked for.
        is_quiet: whether notes are left out.
        outlives_pipe: whether a file was asked for, which a reader that has gone must not
            keep from being written: `flush` then says at the end that it has gone.
        width: columns of the terminal.
    """

    def __init__(
        self,
        *,
        color: str = "auto",
        is_json: bool = False,
        is_quiet: bool = False,
        outlives_pipe: bool = False,
    ) -> None:
        self._stdout = _open_stream(sys.stdout)
        self._stderr = _open_stream(sys.stderr)
        forced = color == "always" or (color == "auto" and is_forced())
        self.is_json = is_json
        self.is_quiet = is_quiet
        self.outlives_pipe = outlives_pipe
        self._is_pipe_closed = False
        self.is_terminal = forced or is_tty(self._stdout)
        self.width = terminal_width()
        self._has_color = has_color(self._stdout, color)
        self._has_error_color = has_color(self._stderr, color)

    def render(self, page: Page) -> None:
        """Write a page of results."""
        if self.is_terminal:
            self.render_screen(page)
        else:
            self.lines(page.piped())

    def render_screen(self, page: Page) -> None:
        """Write a page as a screen shows it, in a pipe too: help."""
        paper = self._paper(self._stdout)
        if self._has_color:
            with self._outliving():
                _write_coloured(page, self._stdout, paper)
        else:
            self.lines(map(plain, page.lines(paper)))

    def lines(self, lines: Iterable[str]) -> None:
        """Write plain lines of results."""
        with self._outliving():
            self._stdout.writelines(f"{line}\n" for line in lines)

    def json(self, command: str, document: Mapping[str, Any]) -> None:
        """Write the JSON document of a command."""
        with self._outliving():
            self._stdout.write(f"{encode({'schema': schema(command), **document})}\n")

    def json_pieces(self, pieces: Iterable[str]) -> None:
        """Write a JSON document that comes encoded, in pieces."""
        with self._outliving():
            self._stdout.writelines(pieces)
            self._stdout.write("\n")

    def note(self, text: str) -> None:
        """Say on stderr what a reader of the results should know."""
        self._say("note", "accent", text)

    def warning(self, text: str) -> None:
        """Say on stderr what is not right."""
        self._say("warning", "warning", text)

    def wrote(self, text: str) -> None:
        """Say on stderr what file was written."""
        if not self.is_quiet:
            self._tell(Prose(safe_text(text), is_record=True))

    def error(self, error: CheckpointError) -> None:
        """Report an error: in words on stderr, under --json as a document on stdout."""
        if self.is_json:
            fields = {
                "type": type(error).__name__,
                "message": error.message,
                "remedy": error.remedy,
            }
            self.json("error", {"error": fields})
            return
        stop = "" if error.message.endswith((".", "?", "!")) else "."
        message = Prose(Span("error", "bad"), f": {safe_text(error.message)}{stop}", is_record=True)
        remedy = [
            Prose(safe_text(line), is_record=True) if not line.startswith(" ") else _kept(line)
            for line in (error.remedy or "").split("\n")
            if line
        ]
        self._tell(message, *remedy)

    def flush(self) -> None:
        """Hand everything to the operating system.

        Raises:
            BrokenPipeError: nobody reads it any more, by now or since long.
        """
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
            self._write_told(Page(blocks))

    def _write_told(self, page: Page) -> None:
        if not is_tty(self._stderr):
            self._stderr.writelines(f"{line}\n" for line in page.piped())
        elif self._has_error_color:
            _write_coloured(page, self._stderr, self._paper(self._stderr))
        else:
            paper = self._paper(self._stderr)
            self._stderr.writelines(f"{plain(line)}\n" for line in page.lines(paper))

    def _paper(self, stream: TextIO) -> Paper:
        encoding = "ascii" if is_c_locale() else getattr(stream, "encoding", None)
        return Paper(self.width, encoding or "utf-8")


def _kept(line: str) -> Lines:
    """Give a line of names or commands as it stands, to be copied."""
    return Lines([(Span(safe_text(line)),)])


def _write_coloured(page: Page, stream: TextIO, paper: Paper) -> None:
    """Write a page in the colours that rich gives its styles.

    By way of the styles alone: `rich.console` takes longer to import than a
    checkpoint to read.
    """
    from rich.color import ColorSystem
    from rich.style import Style

    codes = {
        name: Style.parse(style).render("\0", color_system=ColorSystem.STANDARD).split("\0")
        for name, style in STYLES.items()
    }
    none = ("", "")
    spelled: dict[Span, str] = {}
    for line in page.lines(paper):
        for span in line:
            if span not in spelled:
                before, after = codes.get(span.style, none)
                spelled[span] = f"{before}{span.text}{after}"
        stream.write("".join([spelled[span] for span in line]) + "\n")


def _open_stream(stream: TextIO | None) -> TextIO:
    """Give a stream that takes any text; a closed one swallows it."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace", newline="\n")
    return stream


# What the terminal is, and what the environment says of it: width, colour, encoding.

DEFAULT_WIDTH = 80


def terminal_width() -> int:
    """Give the columns of the terminal: $COLUMNS, what the terminal says, or 80."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and 0 < int(columns) < 10_000:
        return int(columns)
    for descriptor in (1, 2, 0):
        try:
            columns_there = os.get_terminal_size(descriptor).columns
        except (OSError, ValueError):
            continue
        if columns_there:
            return columns_there
    return DEFAULT_WIDTH


def is_tty(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal; a closed one is none."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def is_forced() -> bool:
    """Tell whether the environment asks for colour in a pipe too."""
    return bool(os.environ.get("FORCE_COLOR")) and not os.environ.get("NO_COLOR")


def has_color(stream: TextIO, color: str) -> bool:
    """Tell whether a stream gets colour, by the option `--color`, else by the environment."""
    if color != "auto":
        return color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if is_forced():
        return True
    return is_tty(stream) and os.environ.get("TERM", "") not in ("dumb", "unknown")


def is_c_locale() -> bool:
    """Tell whether the user set the C locale; Python then writes UTF-8 all the same."""
    if os.environ.get("PYTHONUTF8") or os.environ.get("PYTHONIOENCODING"):
        return False
    named = os.environ.get("LC_ALL") or os.environ.get("LANG")
    return bool(sys.flags.utf8_mode) and named in ("C", "POSIX")
