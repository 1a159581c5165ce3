"""Which values of a program a restore brings back, and what brings the rest.

    $ ckread compat pretrained/ckpt-1 mine/ckpt-1
    pretrained/ckpt-1 → mine/ckpt-1  by tf.train.Checkpoint.restore
    3 of 11 values come back; 8 keep their initial values, and restore() does not
    say so.

      value                 from
    ! extra/kernel          –     model/_operations/2 is norm there, extra here
    [… 19 lines]

TARGET is any checkpoint that the program wrote: one `save()` of a fresh model
suffices. Nothing is restored and TensorFlow is not needed: the answer follows from
what the two files list. `--python` writes the code that brings what can be brought.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ckread.analysis.compat.compat import compat
from ckread.analysis.compat.records import Way
from ckread.cli.arguments import OneOf, add_why, open_path, patterns_of
from ckread.cli.files import read_rename_map, write_rename_map
from ckread.errors import UsageError
from ckread.model.opening import shared_graphs

if TYPE_CHECKING:
    import argparse

    from ckread.analysis.compat.records import RestoreForecast
    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output

EXAMPLES = (
    ("ckread compat pretrained/ckpt-1 mine/ckpt-1", "what a restore brings back"),
    ("ckread compat A B --python > fix.py", "the code that brings the rest"),
    ("ckread compat old.h5 new.h5 --as h5-by-name", "by the names of layers"),
)
EXIT_CODE = "0 all comes back, 1 something does not, 2 trouble"

_EXIT_COMPLETE, _EXIT_PARTIAL = 0, 1


def add_arguments(parser: Parser) -> None:
    """Add the options of `compat`."""
    parser.add_argument(
        "--as", metavar="WAY", type=OneOf(tuple(Way)), dest="way",
        help="checkpoint, saver, init_from_checkpoint, warm_start …",
    )  # fmt: skip
    parser.add_argument(
        "--skip-mismatch", action="store_true",
        help="as load_weights(skip_mismatch=True)",
    )  # fmt: skip
    parser.add_argument(
        "--vars", metavar="REGEX",
        help="as warm_start(vars_to_warm_start=…); [\"…\"] is a list",
    )  # fmt: skip
    parser.add_argument(
        "--map", metavar="FILE",
        help="{saved: here} as JSON: read if it exists, else written",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="write --map FILE over an old one")
    parser.add_argument(
        "--python", action="store_true", help="the code that brings the rest, nothing else"
    )
    parser.add_argument("--all", action="store_true", help="every value, however many")
    add_why(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Foretell a restore, and show it."""
    if arguments.python and arguments.json:
        raise UsageError("--python and --json: give one of them")
    path = arguments.map
    known = read_rename_map(path) if path and os.path.exists(path) and not arguments.force else None
    with ExitStack() as stack:
        with shared_graphs():
            saved, target = (
                stack.enter_context(open_path(one, arguments, output))
                for one in (arguments.saved, arguments.target)
            )
        for warning in dict.fromkeys((*saved.warnings, *target.warnings)):
            output.warning(warning)
        result = compat(
            saved,
            target,
            patterns_of(arguments),
            way=arguments.way,
            skip_mismatch=arguments.skip_mismatch,
            names=known,
            vars_to_warm_start=_vars(arguments.vars),
        )
    if path and known is None:
        _write_map(path, result, arguments, output)
    elif known is not None:
        read = "1 name was" if len(known) == 1 else f"{len(known)} names were"
        output.note(f"{path}: {read} read from it")
    if arguments.python:
        output.lines(result.python)
    elif output.is_json:
        output.json("compat", result.to_dict())
    else:
        from ckread.views.compat import CompatView, compat_page

        output.render(compat_page(CompatView(result, arguments.all)), result.evidence)
    return _EXIT_COMPLETE if result.complete else _EXIT_PARTIAL


def _vars(text: str | None) -> str | list[str] | None:
    """Read one regular expression, or a JSON list of them."""
    import json

    try:
        found = json.loads(text or "")
    except ValueError:
        return text
    is_list = isinstance(found, list) and all(isinstance(one, str) for one in found)
    return found if is_list else text


def _write_map(
    path: str, result: RestoreForecast, arguments: argparse.Namespace, output: Output
) -> None:
    renames = {saved.name: here.name for saved, here in result.renames}
    write_rename_map(path, renames, force=arguments.force)
    paired = set(renames.values())
    lacking = [one.name for one in result.values if one.name not in paired]
    told = f"{len(renames)} of {len(result.values)} values"
    if lacking:
        few = ", ".join(lacking[:6]) + (" …" if len(lacking) > 6 else "")
        told += f"; {len(lacking)} {'has' if len(lacking) == 1 else 'have'} none: {few}"
    output.wrote(path, told)
