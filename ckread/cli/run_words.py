"""The words of commands over a run: leading ones that resolve on disk are its paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.errors import CheckpointError
from ckread.model.run import open_run
from ckread.model.run_paths import find_places

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ckread.cli.output import Output
    from ckread.model.run import Run


def open_run_words(
    words: Sequence[str], arguments: argparse.Namespace, output: Output
) -> tuple[Run, list[str]]:
    """Open the run that the leading words name; the words after them are patterns.

    Raises:
        CheckpointError: the first word leads to no checkpoint.
    """
    n_paths = 1
    while n_paths < len(words) and _is_path(words[n_paths]):
        n_paths += 1
    run = open_run(list(words[:n_paths]), reader=arguments.reader)
    for note in run.notes:
        output.note(note)
    return run, [*words[n_paths:], *getattr(arguments, "pattern_options", [])]


def _is_path(word: str) -> bool:
    try:
        return bool(find_places([word]).found)
    except CheckpointError:
        return False
