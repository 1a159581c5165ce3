"""Single values over a run: learning rate, iterations, any element of any variable.

    $ ckread track digits_run learning_rate
    optimizer/learning_rate  over digits_run, 10 checkpoints
    From 0.00300 at step 1 down to 6.95e-4 at step 10.

    step  optimizer/learning_rate
       1                  0.00300  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
       2                  0.00255  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    [… 8 lines]

A PATTERN means scalars; a name with an index, `logits/bias[0]`, one element. An
element is read without its checksum, scalars are verified. Where an optimizer
follows a schedule, its learning rate is not saved, and ckread says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.cli.arguments import add_why, keep_blas_in_one_thread, open_run_words
from ckread.cli.files import add_pictures, hand_over, palette_of, wants_picture
from ckread.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output

EXAMPLES = (
    ("ckread track digits_run learning_rate", "the learning rate, step by step"),
    ("ckread track digits_run iterations 'logits/bias[0]'", "a counter, an element"),
    ("ckread track digits_run learning_rate --plot lr.png", "as a picture"),
)


def add_arguments(parser: Parser) -> None:
    """Add the options of `track`."""
    add_pictures(parser)
    add_why(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Follow values over a run, and show them."""
    from ckread.analysis.track import track
    from ckread.views.track import track_page

    keep_blas_in_one_thread()
    draws = wants_picture(arguments)
    run, patterns = open_run_words(arguments, output)
    if all(pattern.startswith("!") for pattern in patterns):
        remedy = "Usage: ckread track RUN PATTERN…"
        raise UsageError("track: PATTERN is missing", remedy=remedy)
    result = track(run, patterns)
    output.answer("track", result, lambda: track_page(result))
    if draws:
        from ckread.views.figures.curves import plot_track
        from ckread.views.terminal.words import plural

        what = f"{plural(len(result.variables), 'value')} over the run"
        hand_over([plot_track(result, palette=palette_of(arguments))], what, arguments, output)
    return 0
