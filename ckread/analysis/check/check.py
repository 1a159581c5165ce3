"""Checking a checkpoint: everything that is wrong with it, not the first thing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.check.directory import check_directory, torn_in, torn_save
from ckread.analysis.check.findings import CheckReport, Code, Finding, Level, in_order
from ckread.analysis.check.index import (
    RECOPY,
    check_layout,
    check_table,
    is_damage,
    of_file,
    of_index,
)
from ckread.analysis.check.training import check_counters, check_training
from ckread.analysis.workers import Work
from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    CorruptCheckpointError,
    MissingShardError,
    NotACheckpointError,
    UnsupportedFeatureError,
)
from ckread.model.checkpoint import Checkpoint
from ckread.model.opening import open_checkpoint
from ckread.model.paths.location import (
    INDEX_SUFFIX,
    META_SUFFIX,
    SAVED_MODEL_FILES,
    saved_model_prefix,
    shard_warnings,
)
from ckread.readers.contract import Format
from ckread.readers.detection import Kind, detect
from ckread.readers.keras.archive import UNNAMED, WEIGHTS
from ckread.readers.keras.zip_members import ZipMembers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor


_BUNDLES = (Format.TENSOR_BUNDLE, Format.SAVED_MODEL)
_CHECKSUMMED = (*_BUNDLES, Format.V1_TABLE, Format.KERAS_ARCHIVE)


def check(
    target: Checkpoint | str | os.PathLike[str],
    *,
    quick: bool = False,
    reader: str = "auto",
    with_tensorflow: bool = False,
    n_jobs: int | None = 1,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> CheckReport:
    """Check a checkpoint: index, shards, every checksum, every value, training, leftovers.

    Args:
        target: an open checkpoint, or a path; a damaged one has a report too.
        quick: only what index and file sizes tell.
        reader: `auto`, `native` or `tensorflow`, for a path.
        with_tensorflow: whether TensorFlow is asked too, in a child process.
        n_jobs: processes to use; None for as many as are worth it.
        executor: where to work instead.
        progress: called with the number of bytes whenever some have been read.

    Raises:
        CheckpointError: the path cannot be taken for a checkpoint at all.

    Example:
        >>> report = ckread.check("fixtures/digits_run/ckpt-10")
        >>> report.sound, [str(finding.code) for finding in report.findings]
        (True, ['dead-units'])
    """
    work = _Work(quick, with_tensorflow, Work(n_jobs, executor, progress))
    if isinstance(target, Checkpoint):
        return _check_open(target, work)
    try:
        checkpoint = open_checkpoint(target, reader=reader)
    except CheckpointError as error:
        return check_unopened(os.fsdecode(target), error, with_tensorflow=with_tensorflow)
    with checkpoint:
        return _check_open(checkpoint, work)


def check_unopened(
    path: str, error: CheckpointError, *, with_tensorflow: bool = False
) -> CheckReport:
    """Report on a checkpoint that cannot be opened, by the error of the attempt.

    Args:
        path: what was to be checked.
        error: of the attempt.
        with_tensorflow: whether TensorFlow is asked too, where there is an index.

    Raises:
        CheckpointError: that very error, where there is no checkpoint.
    """
    if isinstance(error, CheckpointNotFoundError):
        path = torn_in(path) or path if os.path.isdir(path) else path
        if (torn := torn_save(path)) is not None:
            return CheckReport(path, in_order([torn, *check_directory(path)]), is_listed=False)
    is_absent = isinstance(error, (CheckpointNotFoundError, NotACheckpointError))
    damaged = CorruptCheckpointError, UnsupportedFeatureError, MissingShardError
    if is_absent or not isinstance(error, damaged) or error.path is None:
        raise error
    prefix = _prefix_of(error.path)
    findings: list[Finding] = []
    if isinstance(error, UnsupportedFeatureError):
        if not os.path.lexists(error.path):
            raise error
        findings.append(Finding(Level.ERROR, Code.VERSION, None, None, error.message, error.remedy))
    elif (torn := torn_save(prefix)) is not None:
        findings.append(torn)
    elif os.path.lexists(prefix + INDEX_SUFFIX):
        told = check_table(prefix + INDEX_SUFFIX)
        findings += [found for found in told if not _says_less(found, error)]
        if not findings:
            findings.append(of_index(error))
    elif is_archive(error.path):
        findings += check_members(error.path) or [of_file(error)]
    else:
        findings.append(of_file(error))
    findings += check_directory(prefix)
    if with_tensorflow and os.path.lexists(prefix + INDEX_SUFFIX):
        from ckread.analysis.check.tensorflow import check_with_tensorflow

        findings += check_with_tensorflow({}, prefix)
    return CheckReport(prefix, in_order(findings), is_listed=False)


def _says_less(finding: Finding, error: CheckpointError) -> bool:
    """Tell whether an error says the same as a finding, and more."""
    return error.message != finding.message and error.message.startswith(finding.message)


def _prefix_of(path: str) -> str:
    for suffix in (INDEX_SUFFIX, ".meta"):
        if path.endswith(suffix):
            return path.removesuffix(suffix)
    return path.partition(".data-")[0] if ".data-" in os.path.basename(path) else path


class _Work(NamedTuple):
    """What a check shall do, and with what."""

    quick: bool
    with_tensorflow: bool
    reading: Work


def _check_open(checkpoint: Checkpoint, work: _Work) -> CheckReport:
    prefix = _prefix(checkpoint)
    is_bundle = checkpoint.format in _BUNDLES
    findings, lost = check_layout(checkpoint, prefix) if is_bundle else ([], set())
    findings += check_evidence(checkpoint)
    counters, state = check_counters(checkpoint)
    findings += [*counters, *check_directory(prefix)]
    readable = [variable for variable in checkpoint.values() if variable.name not in lost]
    n_verified = nbytes = elements = 0
    if not work.quick:
        from ckread.analysis.check.values import check_values

        if checkpoint.format is Format.KERAS_ARCHIVE:
            members = check_members(checkpoint.path, checkpoint.reader.verify_container)
            findings += members
            readable = [] if are_weights_damaged(members) else readable

        shards = [file.path for file in checkpoint.files() if file.is_shard] if is_bundle else []
        seen = check_values(readable, work.reading, shards=shards)
        findings += [*seen.findings, *check_training(checkpoint, seen.looks, state)]
        n_verified, nbytes = seen.n_verified, seen.nbytes
        findings += check_unchecked(checkpoint)
        elements = sum(look.elements for look in seen.looks.values())
    if work.with_tensorflow:
        findings += _ask_tensorflow(checkpoint, prefix, findings)
    return CheckReport(
        checkpoint.path,
        in_order(findings),
        n_tensors=len(checkpoint),
        nbytes=sum(variable.nbytes for variable in checkpoint.values()),
        n_verified=n_verified,
        nbytes_verified=nbytes,
        elements=elements,
        n_blocks=getattr(checkpoint.reader, "n_blocks", None),
        n_shards=sum(file.is_shard for file in checkpoint.files()),
        is_quick=work.quick,
        has_checksums=checkpoint.format in _CHECKSUMMED,
        step=f"{state.step} by {state.step_source}" if state.step is not None else None,
    )


def _ask_tensorflow(checkpoint: Checkpoint, prefix: str, findings: list[Finding]) -> list[Finding]:
    from ckread.analysis.check.tensorflow import check_with_tensorflow

    if checkpoint.format not in (*_BUNDLES, Format.V1_TABLE):
        message = "TensorFlow itself does not read this format; Keras does"
        return [Finding(Level.NOTE, Code.TENSORFLOW, None, None, message)]
    damaged = CheckReport(prefix, tuple(findings)).damaged
    return check_with_tensorflow(checkpoint, prefix, damaged=damaged)


def _prefix(checkpoint: Checkpoint) -> str:
    if checkpoint.format is Format.SAVED_MODEL:
        return saved_model_prefix(checkpoint.path)
    return checkpoint.path


# Checking what Keras files keep instead of a checksum per tensor.
#
# The CRC-32 of a zip archive covers a member whole, so that damage to the weights is found
# and the variable is not. HDF5 keeps no checksum of plain values: damage to them cannot be
# told at all, which a report must say.

_HDF5 = (Format.KERAS_WEIGHTS, Format.LEGACY_HDF5)


def is_archive(path: str) -> bool:
    """Tell whether a Keras archive is at a path."""
    try:
        return detect(path) is Kind.KERAS_ARCHIVE
    except CheckpointError:
        return False


def check_members(path: str, verify_weights: Callable[[], None] | None = None) -> list[Finding]:
    """Verify every member of an archive, whether its contents are of use or not.

    Args:
        path: of the archive.
        verify_weights: what verifies the member with the weights, and keeps what it found.
    """
    try:
        archive = ZipMembers(path)
    except CheckpointError as error:
        return [_finding(error, os.path.basename(path))]
    findings = []
    try:
        for name in archive.members:
            try:
                if name == WEIGHTS and verify_weights is not None:
                    verify_weights()
                else:
                    archive.verify(name)
            except CheckpointError as error:
                findings.append(_finding(error, f"{archive.name}/{name}"))
    finally:
        archive.close()
    return findings


def _finding(error: CheckpointError, place: str | None) -> Finding:
    message = error.message
    if place is not None:
        message = message.removeprefix(f"{place.partition('/')[0]}: ")
        if place.endswith(f"/{WEIGHTS}") and UNNAMED not in message:
            message += f"; {UNNAMED}"
    return Finding(Level.ERROR, Code.MEMBER, None, place, message, error.remedy or RECOPY)


def are_weights_damaged(findings: Sequence[Finding]) -> bool:
    """Tell whether it is the member with the values that is damaged."""
    return any((finding.place or "").endswith(f"/{WEIGHTS}") for finding in findings)


def check_unchecked(checkpoint: Checkpoint) -> list[Finding]:
    """Say so where values have no checksum that could have been compared."""
    if checkpoint.format not in _HDF5:
        return []
    bare = [variable for variable in checkpoint.values() if variable.extents() is not None]
    if not bare:
        return []
    of = "" if len(bare) == len(checkpoint) else f"{len(bare)} of "
    message = (
        f"HDF5 keeps no checksum of {of}{len(checkpoint)} tensors: "
        "a changed byte in their values cannot be told"
    )
    return [Finding(Level.NOTE, Code.NO_CHECKSUM, None, None, message)]


# Checking what lies beside the values: the graphs that names, roles and signatures are from.


def check_evidence(checkpoint: Checkpoint) -> list[Finding]:
    """Give what kept names and roles from being right; of shards more is told elsewhere."""
    damaged = list(_damaged_files(checkpoint))
    told = {*shard_warnings(checkpoint.reader)}
    return damaged + [
        Finding(Level.WARNING, Code.EVIDENCE, None, None, warning.rstrip("."))
        for warning in checkpoint.warnings
        if warning not in told and not any(warning.startswith(f.message) for f in damaged)
    ]


def _damaged_files(checkpoint: Checkpoint) -> Iterator[Finding]:
    """Give damage to a `saved_model.pb` or `.meta`: without it the model cannot be loaded."""
    evidence = checkpoint.evidence
    if checkpoint.format is Format.SAVED_MODEL and evidence.saved_model is None:
        from ckread.readers.graphs.meta_graph import read_saved_model

        yield from _damage(os.path.join(checkpoint.path, SAVED_MODEL_FILES[0]), read_saved_model)
    elif checkpoint.format is not Format.SAVED_MODEL and evidence.meta_graph is None:
        from ckread.readers.graphs.meta_graph import read_meta_graph

        yield from _damage(f"{checkpoint.path}{META_SUFFIX}", read_meta_graph)


def _damage(path: str, read: Callable[[str], object]) -> Iterator[Finding]:
    if not os.path.isfile(path):
        return
    try:
        read(path)
    except CheckpointError as error:
        if is_damage(error):
            place = os.path.basename(path)
            remedy = error.remedy or RECOPY
            yield Finding(Level.ERROR, Code.FILE, None, place, error.message, remedy)
