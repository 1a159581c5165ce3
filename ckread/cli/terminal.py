"""What the terminal is, and what the environment says of it: width, colour, encoding."""

from __future__ import annotations

import os
import sys
from typing import TextIO

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
