"""The variables of a checkpoint as a tree with totals.

    $ ckread tree digits_run/ckpt-10 conv1
    tree                            shape  parameters     bytes  share of bytes
    digits_run/ckpt-10                            160  1.88 KiB  ━━━━━━━━━━━━
    ├─ conv1                                      160   640 B    ━━━━
    │  ├─ kernel                 3×3×1×16         144   576 B    ━━━╸
    │  └─ bias                         16          16    64 B    ╸
    └─ optimizer                                    –  1.25 KiB  ━━━━━━━━
       ├─ momentum of 2 weights                     –   640 B    ━━━━
       └─ velocity of 2 weights                     –   640 B    ━━━━

    4 slots folded into 2 lines (--slots lists them)

Scopes stand in the order of the model. Slots fold into one line per kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.cli.arguments import open_path, patterns_of, positive
from ckread.model.tree import join_single_scopes
from ckread.views.listing import tree_page

if TYPE_CHECKING:
    import argparse

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output

EXAMPLES = (
    ("ckread tree ckpt-10", "scopes, variables and their totals"),
    ("ckread tree ckpt-10 --depth 1", "the top scopes only"),
    ('ckread tree ckpt-10 "encoder/**"', "one part of the model"),
)


def add_arguments(parser: Parser) -> None:
    """Add the options of `tree`."""
    parser.add_argument("--depth", metavar="N", type=positive, help="this many levels only")
    parser.add_argument("--slots", action="store_true", help="every slot, average and alias")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Show the tree."""
    with open_path(arguments.path, arguments, output) as checkpoint:
        patterns = patterns_of(arguments)
        if output.is_json:
            tree = checkpoint.tree(patterns)
            output.json("tree", {"path": checkpoint.path, "tree": tree.to_dict()})
            return 0
        folds = output.is_terminal and not arguments.slots
        tree = checkpoint.tree(patterns, folds=folds, bookkeeping=False)
        if output.is_terminal:
            join_single_scopes(tree)
        output.render(tree_page(tree, checkpoint.path, depth=arguments.depth))
    return 0
