"""Whether a checkpoint is sound: index, shards, every checksum, every value, training.

    $ ckread check digits_run/ckpt-10
    digits_run/ckpt-10
    sound: 44 tensors, 456 KiB read, every checksum right, every value finite.

    table    1 block, every checksum right
    shards   1 of 1, of the exact length
    tensors  44 of 44 checksums right
    values   115,234 elements, none NaN, none infinite
    step     10 by file name and save counter

    warning  conv1/kernel
      1 of 16 units (index 1) has not received a gradient since the slots began:
      velocity of the optimizer is 0 in its 9 elements and its bias.

Exit code 0: sound; 1: an error was found, anything damaged, missing, out of bounds or
not finite in a weight; 2: this is no checkpoint. Warnings and notes leave 0.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from ckread.cli.arguments import add_every, add_jobs, add_strict, add_why, keep_blas_in_one_thread
from ckread.cli.reading import Places, reading
from ckread.errors import CheckpointError, CheckpointNotFoundError, ErrorKind
from ckread.readers.files import file_identity

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from ckread.analysis.check.findings import CheckReport
    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output

EXAMPLES = (
    ("ckread check ckpt-10", "checksums, shards, finite values"),
    ("ckread check ckpt-10 --quick", "what index and file sizes tell"),
    ("ckread check ckpt-10 --with-tensorflow", "can TensorFlow restore it"),
    ("ckread check run --every", "every checkpoint of a run"),
    ("ckread check ckpt-10 && python train.py", "only go on from a sound one"),
)
EXIT_CODE = "0 sound, 1 unsound, 2 trouble"

_UNSOUND = 1


def add_arguments(parser: Parser) -> None:
    """Add the options of `check`."""
    parser.add_argument("--quick", action="store_true", help="the index alone, no value is read")
    add_every(parser)
    parser.add_argument(
        "--with-tensorflow", action="store_true", help="let TensorFlow restore every tensor too"
    )
    add_strict(parser)
    add_jobs(parser)
    add_why(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Check, report, and give 1 if it is unsound."""
    keep_blas_in_one_thread()
    if arguments.every:
        return _run_every(arguments, output)
    from ckread.views.check import check_page

    report = _check(arguments.path, arguments, output)
    code = _code([report], arguments)
    if output.is_json:
        output.json("check", report.to_dict())
    else:
        output.render(check_page(report), report.evidence)
    return code


def _code(reports: list[CheckReport], arguments: argparse.Namespace) -> int:
    """Give 1 where one is unsound, or, if that counts, a program that loads it would do more."""
    if any(report.errors for report in reports):
        return _UNSOUND
    told = any(report.on_loading and report.on_loading.facts for report in reports)
    return _UNSOUND if told and arguments.strict else 0


def _check(path: str, arguments: argparse.Namespace, output: Output) -> CheckReport:
    from ckread.model.opening import open_checkpoint

    check, check_unopened = _checks(arguments)
    try:
        checkpoint = open_checkpoint(path, reader=arguments.reader)
    except CheckpointError as error:
        return check_unopened(path, error)
    with checkpoint:
        for note in checkpoint.notes:
            output.note(note)
        nbytes = sum(variable.nbytes for variable in checkpoint.values())
        nbytes = 0 if arguments.quick else nbytes
        with reading(nbytes, arguments, output, _places(checkpoint.path)) as how:
            return check(checkpoint, **how)


def _places(*paths: str) -> Places:
    return Places(paths, "--quick")


def _checks(arguments: argparse.Namespace) -> tuple[Callable[..., CheckReport], ...]:
    """Give `check` and `check_unopened`, with the options that are asked for."""
    from ckread.analysis.check.check import check, check_unopened

    both = {"reader": arguments.reader, "with_tensorflow": arguments.with_tensorflow}
    checks = partial(check, quick=arguments.quick, **both)
    return checks, partial(check_unopened, **both)


def _run_every(arguments: argparse.Namespace, output: Output) -> int:
    from ckread.model.run.entries import find_places
    from ckread.model.selection import natural_key
    from ckread.readers.extents import stem_of_shard
    from ckread.readers.files import file_names, found_out_once

    check, check_unopened = _checks(arguments)
    try:
        found = find_places([arguments.path]).found.values()
    except CheckpointError as error:
        return _report_run([check_unopened(arguments.path, error)], arguments, output)
    paths = sorted((place.path for place in found), key=natural_key)[:: -arguments.every][::-1]
    prefixes = {*paths}
    folders = {os.path.dirname(path) for path in paths}
    files = [os.path.join(folder, name) for folder in folders for name in file_names(folder)]
    data = [file for file in files if stem_of_shard(file) in prefixes]
    nbytes = sum(known.nbytes for known in map(file_identity, data) if known)  # roughly
    reports, foreign = [], []
    nbytes = 0 if arguments.quick else nbytes
    with found_out_once(), reading(nbytes, arguments, output, _places(*paths)) as how:
        for path in paths:
            try:
                report = check(path, **how)
            except CheckpointError as error:
                is_gone = isinstance(error, CheckpointNotFoundError)
                if not (is_gone or error.kind in (ErrorKind.NOT_A_CHECKPOINT, ErrorKind.CHANGED)):
                    raise
                foreign.append(error)
            else:
                reports.append(report)
    if foreign and not reports:
        raise foreign[-1]
    for found_else in foreign:
        output.note(f"{found_else.path or arguments.path} was left out: {found_else.message}.")
    return _report_run(reports, arguments, output)


def _report_run(reports: list[CheckReport], arguments: argparse.Namespace, output: Output) -> int:
    from ckread.analysis.audit.seams import find_seams
    from ckread.model.run.run import open_run
    from ckread.views.check import run_claims, run_document, run_page

    try:
        seams = find_seams(open_run(arguments.path, arguments.reader)) if len(reports) > 1 else ()
    except CheckpointError:  # what is wrong with them is in the reports
        seams = ()
    if output.is_json:
        output.json("check", run_document(arguments.path, reports, seams))
    else:
        output.render(run_page(arguments.path, reports, seams), run_claims(reports, seams))
    return _code(reports, arguments)
