"""One page for a colleague: what it is, is it sound, how the run went, what changed last.

    $ ckread report digits_run -o report.html
    note: digits_run holds 10 checkpoints; opened the latest, digits_run/ckpt-10.
    wrote report.html: 10 checkpoints, 43 variables

The page stands alone: nothing is fetched, it needs no script, it prints. Its sentences are the
verdicts of the commands, its tables and pictures theirs. Of a run the latest checkpoint is shown
whole; a training log beside it, or given with `--log`, adds its curves. A second path is what it
is compared with, instead of the checkpoint before.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from ckread.cli.arguments import add_jobs, keep_blas_in_one_thread, open_path
from ckread.cli.files import check_free, new_file
from ckread.cli.reading import Places, reading
from ckread.errors import CheckpointError, UsageError
from ckread.model.role import Role
from ckread.model.selection import model_order
from ckread.readers.files import is_address, is_directory, is_file
from ckread.views.terminal.words import plural

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from ckread.analysis.audit.records import Seam
    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output
    from ckread.cli.reading import How
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.run.run import Run
    from ckread.views.figures.style import Palette
    from ckread.views.report.page import Section


EXAMPLES = (
    ("ckread report digits_run -o report.html", "a run and its latest checkpoint"),
    ("ckread report ckpt-10 -o report.html", "one checkpoint"),
    ("ckread report ckpt-10 ckpt-3 -o report.html", "and what changed since another"),
    ("ckread report run --log run/history.json -o r.html", "with its training curves"),
)

_LOGS = ("history.json", "training.log", "log.csv", "history.csv", "training_log.csv")
"""What is looked for beside a run; anything else is given."""


def add_arguments(parser: Parser) -> None:
    """Add the options of `report`."""
    parser.add_argument("-o", "--output", metavar="FILE", help="into this .html file")
    parser.add_argument(
        "--log", metavar="LOG", action="append", default=[], help="training log (repeatable)"
    )
    add_jobs(parser)
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Read, and write the page."""
    keep_blas_in_one_thread()
    target = arguments.output
    if target is None:
        raise UsageError("report: -o FILE is missing", remedy="Give the name of a .html file.")
    if not target.lower().endswith((".html", ".htm")):
        raise UsageError("no page", path=target, expected="a name that ends in .html")
    check_free(target, force=arguments.force)
    from ckread.analysis.info import shown_tree, summarise
    from ckread.cli.files import set_up_drawing
    from ckread.views.info.page import sentence_of
    from ckread.views.report.page import report_page

    set_up_drawing(shows=False)
    history = _run_of(arguments, output)
    with open_path(arguments.path, arguments, output) as checkpoint:
        summary = summarise(checkpoint)
        nbytes = sum(variable.nbytes for variable in checkpoint.values())
        nbytes = sum(entry.nbytes or 0 for entry in history.entries) if history else nbytes
        with reading(nbytes, arguments, output, Places([arguments.path])) as how:
            how["progress"] = None  # some is read twice, some not at all: no bar is right
            sections = list(_sections(checkpoint, history, arguments, how))
        lead = sentence_of(summary)
        if history is not None:
            latest = next((one.value for one in history.claims if one.claim == "latest"), None)
            is_latest = latest == os.path.basename(checkpoint.path)
            which = "the latest" if is_latest else "the one that was opened"
            lead = f"{plural(len(history), 'checkpoint')}; {which}: {lead}"
        variables = [
            variable
            for variable in model_order(checkpoint.values(), checkpoint.evidence)
            if variable.role is not Role.BOOKKEEPING
        ]
        title = os.path.basename(_whole_path(arguments.path)) or arguments.path
        version = import_module("ckread").__version__
        footer = f"ckread {version} read {checkpoint.path}; nothing was run or loaded."
        pieces = report_page(title, lead, sections, variables, shown_tree(checkpoint), footer)
        with new_file(target, force=arguments.force) as file:
            for piece in pieces:
                file.write(piece.encode("utf-8", "backslashreplace"))
    held = plural(len(variables), "variable")
    counted = f"{plural(len(history), 'checkpoint')}, " if history is not None else ""
    output.wrote(target, f"{counted}{held}")
    if output.is_json:
        document = {"file": target, "variables": len(variables), "sections": [
            section.anchor for section in sections
        ]}  # fmt: skip
        output.json("report", document)
    return 0


def _run_of(arguments: argparse.Namespace, output: Output) -> Run | None:
    """Open the run that the path is a directory of; None where it is one checkpoint."""
    from ckread.model.run.run import open_run

    if not is_directory(arguments.path):
        return None
    try:
        found = open_run(arguments.path, reader=arguments.reader)
    except CheckpointError:
        return None
    for note in found.notes:
        output.note(note)
    return found if len(found) > 1 else None


def _sections(
    checkpoint: Checkpoint, history: Run | None, arguments: argparse.Namespace, how: How
) -> Iterator[Section]:
    from ckread.analysis.audit.seams import find_seams
    from ckread.analysis.check.check import check
    from ckread.analysis.info import shown_tree, summarise
    from ckread.views.check import check_page
    from ckread.views.info.page import info_page
    from ckread.views.report.page import Section

    page = info_page(summarise(checkpoint), shown_tree(checkpoint))
    yield Section("what", "What it is", [("", page)])
    report = check(checkpoint, **how)
    yield Section("sound", "Is it sound", [("", check_page(report))])
    seams = find_seams(history) if history is not None else ()
    if history is not None:
        yield _of_run(history, seams, how)
    if curves := _of_logs(history, arguments):
        yield curves
    if changed := _of_change(checkpoint, history, arguments.other, how):
        yield changed
    if any(variable.role is Role.SLOT for variable in checkpoint.values()):
        yield _of_optimizer(checkpoint, how)
    yield _of_values(checkpoint, how)


def _of_run(history: Run, seams: tuple[Seam, ...], how: How) -> Section:
    from ckread.analysis.drift.drift import drift
    from ckread.views.drift.page import DriftView, drift_page
    from ckread.views.figures.drift import plot_drift
    from ckread.views.report.page import Picture, Section
    from ckread.views.runs import runs_page

    moved = drift(history, **how)
    picture = Picture(
        lambda palette: plot_drift(moved, palette=palette)[0],
        "how far every variable moved from checkpoint to checkpoint",
    )
    pages = [("", drift_page(DriftView(moved))), ("checkpoints", runs_page(history, seams=seams))]
    return Section("run", "How the run went", pages, [picture])


def _of_logs(history: Run | None, arguments: argparse.Namespace) -> Section | None:
    from ckread.analysis.history.history import history as read
    from ckread.views.figures.curves import plot_history
    from ckread.views.history import history_page
    from ckread.views.report.page import Picture, Section

    logs = list(arguments.log)
    if not logs and is_directory(arguments.path):
        beside = [os.path.join(arguments.path, name) for name in _LOGS]
        logs = [path for path in beside if is_file(path)][:1]
    if not logs:
        return None
    curves = read(logs, history)
    picture = Picture(lambda palette: plot_history(curves, palette=palette), "training curves")
    return Section("curves", "How well it did", [("", history_page(curves))], [picture])


def _of_change(
    checkpoint: Checkpoint, history: Run | None, other: str | None, how: How
) -> Section | None:
    from ckread.analysis.diff.diff import diff_checkpoints
    from ckread.views.diff.page import DiffView, diff_page
    from ckread.views.figures.diff import plot_diff
    from ckread.views.report.page import Picture, Section

    before = other
    if before is None and history is not None:
        paths = [_whole_path(entry.path) for entry in history.entries]
        own = _whole_path(checkpoint.path)
        at = paths.index(own) if own in paths else 0
        before = history.entries[at - 1].path if at else None
    if before is None:
        return None
    found = diff_checkpoints(before, checkpoint, **how)
    pictures = []
    if not found.identical and any(v.metrics for v in found.variables):
        draw = Picture(
            lambda palette: plot_diff(found, palette=palette)[0], "how far each variable moved"
        )
        pictures = [draw]
    question = "What changed" if other else "What changed last"
    return Section("change", question, [("", diff_page(DiffView(found)))], pictures)


def _whole_path(path: str) -> str:
    return path.rstrip("/") if is_address(path) else os.path.abspath(path)


def _of_optimizer(checkpoint: Checkpoint, how: How) -> Section:
    from ckread.analysis.audit.optimizer import optimizer
    from ckread.views.figures.optimizer import plot_optimizer
    from ckread.views.optimizer import optimizer_page
    from ckread.views.report.page import Picture, Section

    audit = optimizer(checkpoint, **how)
    caption = "relative size of the last update of each weight"
    pictures = [Picture(lambda palette: plot_optimizer(audit, palette=palette), caption)]
    has_updates = any(weight.update_ratio is not None for weight in audit.weights)
    question = "What the optimizer did"
    return Section("optimizer", question, [("", optimizer_page(audit))], pictures * has_updates)


def _of_values(checkpoint: Checkpoint, how: How) -> Section:
    from ckread.analysis.statistics.statistics import statistics
    from ckread.views.figures.many import plot_statistics
    from ckread.views.report.page import Picture, Section
    from ckread.views.statistics import statistics_page

    measured = statistics(checkpoint, **how)
    pictures: list[Picture] = []
    if len(measured.measured) > 1:

        def draw(palette: Palette) -> Figure:
            held = measured.measured
            return plot_statistics(
                measured, held, evidence=[""], palette=palette, is_shared=False, is_log=None
            )[0]

        pictures = [Picture(draw, "distributions of the values")]
    question = "How the values are distributed"
    return Section("values", question, [("", statistics_page(measured))], pictures)
