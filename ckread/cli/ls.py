"""The variables of a checkpoint: name, dtype, shape, bytes, role.

    $ ckread ls digits_run/ckpt-10 conv --role weight --sort bytes
    name          dtype        shape     bytes  role
    conv2/kernel  float32  3×3×16×32  18.0 KiB  weight
    conv1/kernel  float32   3×3×1×16   576 B    weight
    conv2/bias    float32         32   128 B    weight
    conv1/bias    float32         16    64 B    weight

    4 of 43 variables, 18.8 KiB of 450 KiB

Weights and statistics come first, in the order of the model where the files tell it, else
in natural order (`--sort name`). With `-q` the names alone, one a line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.cli.arguments import (
    add_roles,
    add_sort,
    add_top,
    has_role,
    open_path,
    patterns_of,
    roles_of,
)
from ckread.model.role import Role
from ckread.model.selection import (
    compile_patterns,
    is_order_known,
    model_order,
    natural_key,
    select,
)
from ckread.views.json_document import encode_columns, encode_variables, schema
from ckread.views.listing import Listing, checksum_lines, listing_lines, listing_page

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output
    from ckread.model.variable import Variable

EXAMPLES = (
    ("ckread ls ckpt-10", "every variable"),
    ("ckread ls ckpt-10 conv", "names that contain conv"),
    ('ckread ls ckpt-10 "conv*/**" --sort bytes', "subtrees, the largest first"),
    ("ckread ls ckpt-10 -q | fzf", "names alone, one a line"),
)

_ORDERS = ("model", "name", "bytes", "elements", "file")


def add_arguments(parser: Parser) -> None:
    """Add the options of `ls`."""
    parser.add_argument("--keys", action="store_true", help="raw checkpoint keys, not names")
    parser.add_argument(
        "--where", action="store_true", help="file, first byte, bytes and checksum of each"
    )
    parser.add_argument(
        "--crc", action="store_true", help="checksum, type, shape and key of each, for git diff"
    )
    add_roles(parser)
    parser.add_argument("--owner", metavar="PATTERN", help="only what belongs to these variables")
    add_sort(parser, _ORDERS)
    add_top(parser)
    parser.add_argument("--all", action="store_true", help="bookkeeping entries too")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """List the variables."""
    with open_path(arguments.path, arguments, output) as checkpoint:
        named = any(Role.BOOKKEEPING in roles for roles in arguments.role)
        wants_all = arguments.all or arguments.json or named or arguments.crc
        order = "file" if arguments.crc else arguments.sort
        if order == "model" and (arguments.keys or not is_order_known(checkpoint.evidence)):
            order = "name"
        head = {"schema": schema("ls"), "path": checkpoint.path, "format": checkpoint.format}
        columns = None if arguments.keys or arguments.owner else checkpoint.columns
        if columns is not None:
            places = columns.of_role([role for role in Role if wants_all or not _is_hidden(role)])
            places = columns.select(places, patterns_of(arguments))
            roles = roles_of(arguments)
            places = places if roles is None else places[columns.have_role(roles)[places]]
            places = columns.sorted(places, order, checkpoint.evidence)[: arguments.top]
            if output.is_json:
                output.json_pieces(encode_columns(head, columns, places))
                return 0
            from ckread.model.columns.variables import SomeVariables

            chosen: Sequence[Variable] = SomeVariables(columns, places)
        else:
            candidates = [v for v in checkpoint.values() if wants_all or not _is_hidden(v.role)]
            chosen = select(candidates, patterns_of(arguments))
            if arguments.role:
                chosen = [variable for variable in chosen if has_role(variable, arguments.role)]
            if arguments.owner is not None:
                owners = {v.owner for v in candidates if v.owner is not None}
                is_owner = compile_patterns(arguments.owner, [(owner,) for owner in owners])
                chosen = [v for v in chosen if v.owner is not None and is_owner((v.owner,))]
            if order == "model":
                chosen = model_order(chosen, checkpoint.evidence)
            else:
                chosen = in_order(chosen, order, by_key=arguments.keys)
            chosen = chosen[: arguments.top]
            if output.is_json:
                output.json_pieces(encode_variables(head, chosen))
                return 0
        kinds = checkpoint.kinds.items()
        n_hidden = sum(n for kind, n in kinds if _is_hidden(kind.role) and not wants_all)
        listing = Listing(
            chosen,
            n_all=len(checkpoint) - n_hidden,
            nbytes_all=sum(n * k.nbytes for k, n in kinds if wants_all or not _is_hidden(k.role)),
            n_hidden=n_hidden,
            by_key=arguments.keys,
            where=arguments.where,
        )
        if arguments.crc:
            output.lines(checksum_lines(chosen))
        elif output.is_quiet and not output.markup:
            output.lines(listing_lines(listing))
        else:
            output.render(listing_page(listing))
    return 0


def _is_hidden(role: Role) -> bool:
    return role is Role.BOOKKEEPING


def in_order(variables: Iterable[Variable], order: str, *, by_key: bool = False) -> list[Variable]:
    """Sort variables: by name with parameters first, largest first, or as in the file."""
    if order == "file":
        return list(variables)
    if by_key:
        named = sorted(variables, key=lambda v: natural_key(v.key))
    else:
        named = sorted(variables, key=lambda v: natural_key(v.name))
    if order == "name":
        parts: tuple[list[Variable], list[Variable]] = ([], [])
        for variable in named:
            parts[not variable.role.is_parameter].append(variable)
        return parts[0] + parts[1]
    size = {"bytes": lambda v: -v.nbytes, "elements": lambda v: -v.elements}[order]
    return sorted(named, key=size)
