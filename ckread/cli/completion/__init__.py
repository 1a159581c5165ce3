"""Completion for bash, zsh and fish: commands, options, paths, variable names.

    $ ckread completion bash -- 'ckread ls digits_run/ckpt-1'
    files
    digits_run/ckpt-1
    digits_run/ckpt-10

Without LINE it writes a script, which asks ckread at each TAB with the command line up
to the cursor as LINE: it need not be made again when ckread changes. Names go up to
the next `/`, as paths do. Shells quote what they insert; names that are not printable
come in the form in which ckread shows them, and are understood so.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ckread.errors import CheckpointError, SafeText, safe_text

if TYPE_CHECKING:
    import argparse

    from ckread.cli.arguments import Parser
    from ckread.cli.completion.candidates import Candidate
    from ckread.cli.completion.shells import TypedLine
    from ckread.cli.output import Output

EXAMPLES = (
    ('eval "$(ckread completion bash)"', "in ~/.bashrc"),
    ('eval "$(ckread completion zsh)"', "in ~/.zshrc, after compinit"),
    ("ckread completion fish | source", "in ~/.config/fish/config.fish"),
)

_SPECIAL = re.compile(r"[^\w/.,:@%+=-]", re.ASCII)
_SPECIAL_IN_QUOTES = re.compile(r'[$`"\\]')
_DEFAULT_BREAKS = " \t\n\"'@><=;|&(:"


def add_arguments(parser: Parser) -> None:
    """Add the options of `completion`: it has none of its own."""


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Write the script, or what may stand at the end of a line."""
    shell = arguments.shell
    script = None
    answers = None
    if arguments.line is None:
        from ckread.cli.completion.shells import SCRIPTS

        script = SCRIPTS[shell]
    else:
        answers = _answers(shell, arguments.line)
    if output.is_json:
        output.json("completion", {"shell": shell, "script": script, "answer": answers})
    else:
        lines = script.splitlines() if script is not None else answers or []
        output.answers(SafeText("\t".join(map(safe_text, line.split("\t")))) for line in lines)
    return 0


def _answers(shell: str, line: str) -> list[str]:
    """Give the lines that the script of a shell expects; none where nothing is known."""
    from ckread.cli.completion.candidates import Candidate, Kind, candidates, file_paths
    from ckread.cli.completion.shells import parse_line

    breaks = os.environ.get("CKREAD_WORDBREAKS", _DEFAULT_BREAKS) if shell == "bash" else ""
    typed = parse_line(line, breaks=breaks, is_fish=shell == "fish")
    if not typed.words:
        return []
    try:
        if typed.is_redirection:
            found = [Candidate(path, kind=Kind.PATH) for path in file_paths(typed.current)]
        else:
            found = candidates(typed.words[1:], typed.current)
    except CheckpointError:
        return []
    if shell == "bash":
        return _for_bash(found, typed)
    if shell == "zsh":
        kept = typed.current.rfind("/") + 1
        return [f"{candidate.text[kept:]}\t{candidate.meaning}" for candidate in found]
    return [f"{candidate.text}\t{candidate.meaning}" for candidate in found]


def _for_bash(found: list[Candidate], typed: TypedLine) -> list[str]:
    """Say first whether bash is to quote them, as it does file names, then the candidates.

    Bash leaves `$` alone, a backquote in a word that has one, and a leading `~`: it takes
    them for the user's own. And it says of a name that it is a directory, if one is called
    so. Such are quoted here.
    """
    from ckread.cli.completion.candidates import Kind

    texts = [candidate.text[typed.kept :] for candidate in found]
    names = [candidate.text for candidate in found if candidate.kind is Kind.NAME]
    is_own = any("$" in candidate.text or "`" in candidate.text for candidate in found)
    if is_own or any(name.startswith("~") or os.path.isdir(name) for name in names):
        if typed.open_quote == "'":
            return ["words", *(text.replace("'", "'\\''") for text in texts)]
        special = _SPECIAL_IN_QUOTES if typed.open_quote else _SPECIAL
        return ["words", *(special.sub(r"\\\g<0>", text) for text in texts)]
    if all(candidate.kind is Kind.WORD for candidate in found):
        return ["words", *texts]
    # Bash adds the slash of a directory itself.
    slashes = ["/" if candidate.kind is Kind.PATH else "" for candidate in found]
    return ["files", *map(str.removesuffix, texts, slashes)]
