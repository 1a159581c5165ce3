"""Checking a checkpoint: everything that is wrong with it, not the first thing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.check.directory import check_directory, torn_in, torn_save
from ckread.analysis.check.findings import CheckReport, in_order
from ckread.analysis.check.index import (
    check_layout,
    check_table,
    is_damage,
    of_file,
    of_index,
)
from ckread.analysis.check.training import check_counters, check_training
from ckread.analysis.findings import Code, Finding, Level
from ckread.analysis.loading.loading import of_checkpoint
from ckread.analysis.workers import Work
from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    CorruptCheckpointError,
    ErrorKind,
    MissingShardError,
    NotACheckpointError,
    UnsupportedFeatureError,
)
from ckread.model.checkpoint import Checkpoint
from ckread.model.opening import open_checkpoint
from ckread.model.paths.location import (
    INDEX_SUFFIX,
    saved_model_prefix,
    shard_warnings,
)
from ckread.readers.contract import CHECKSUMMED, Format, few
from ckread.readers.detection import Kind, detect
from ckread.readers.files import (
    COPY_AGAIN,
    changed,
    exists,
    file_identity,
    found_out_anew,
    is_directory,
    is_file,
    let_settle,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor


_BUNDLES = (Format.TENSOR_BUNDLE, Format.SAVED_MODEL)


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

    Told beside it, and no part of the verdict: what a program that loads it would run.

    Args:
        target: an open checkpoint, or a path; a damaged one has a report too.
        quick: only what index and file sizes tell.
        reader: `auto`, `native` or `tensorflow`, for a path.
        with_tensorflow: whether TensorFlow is asked too, in a child process.
        n_jobs: processes to use; None for as many as are worth it.
        executor: where to work instead.
        progress: called with the number of bytes whenever some have been read.

    Raises:
        CheckpointError: the path cannot be taken for a checkpoint at all, or what is there was
            rewritten or deleted meanwhile (`ErrorKind.CHANGED`): nothing can be said of it.

    Example:
        >>> report = ckread.check("fixtures/digits_run/ckpt-10")
        >>> report.sound, [str(finding.code) for finding in report.findings]
        (True, ['dead-units'])
    """
    work = _Work(quick, with_tensorflow, Work(n_jobs, executor, progress))
    if isinstance(target, Checkpoint):
        return _check_settled(target, work)
    try:
        checkpoint = open_checkpoint(target, reader=reader)
    except CheckpointError as error:
        return check_unopened(
            os.fsdecode(target), error, reader=reader, with_tensorflow=with_tensorflow
        )
    with checkpoint:
        return _check_settled(checkpoint, work)


def _check_settled(checkpoint: Checkpoint, work: _Work) -> CheckReport:
    """Check, and say so where the files are not any more what they were."""
    before = checkpoint.reader.identities()
    report = _check_open(checkpoint, work)
    if report.errors:
        let_settle([*before])
        if any(file_identity(path) != identity for path, identity in before.items()):
            raise changed(checkpoint.path)
    return report


_N_LOOKS = 5


def _see_again(path: str, error: CheckpointError, reader: str) -> None:
    """Open what could not be opened once more, and say so where it now fares otherwise.

    Where a training writes just now it is looked at several times: it may be within the next
    save each time.
    """
    for _ in range(_N_LOOKS):
        is_young = let_settle([error.path or path])
        try:
            open_checkpoint(path, reader=reader).close()
        except CheckpointError as now:
            if (now.kind, now.message) == (error.kind, error.message):
                if is_young:
                    continue
                return
        raise changed(path)


def check_unopened(
    path: str, error: CheckpointError, *, reader: str = "auto", with_tensorflow: bool = False
) -> CheckReport:
    """Report on a checkpoint that cannot be opened, by the error of the attempt.

    That very error is raised where there is no checkpoint. TensorFlow is asked only where
    there is an index.
    """
    with found_out_anew():
        return _check_unopened(path, error, reader, with_tensorflow=with_tensorflow)


def _check_unopened(
    path: str, error: CheckpointError, reader: str, *, with_tensorflow: bool
) -> CheckReport:
    may_change = CorruptCheckpointError, MissingShardError, CheckpointNotFoundError
    if isinstance(error, may_change):
        _see_again(path, error, reader)
    if isinstance(error, CheckpointNotFoundError):
        path = torn_in(path) or path if is_directory(path) else path
        if (torn := torn_save(path)) is not None:
            let_settle([path])  # an old one goes index first, its data a moment later
            if torn_save(path) != torn:
                raise changed(path)
            return CheckReport(path, in_order([torn, *check_directory(path)]), is_listed=False)
    is_absent = isinstance(error, (CheckpointNotFoundError, NotACheckpointError))
    damaged = CorruptCheckpointError, UnsupportedFeatureError, MissingShardError
    if is_absent or not isinstance(error, damaged) or error.path is None:
        raise error
    prefix = _prefix_of(error.path)
    findings: list[Finding] = []
    if error.kind is ErrorKind.SOMETHING_ELSE:
        findings.append(of_file(error))
    elif isinstance(error, UnsupportedFeatureError):
        if not exists(error.path):
            raise error
        findings.append(Finding(Level.ERROR, Code.VERSION, None, None, error.message, error.remedy))
    elif (torn := torn_save(prefix)) is not None:
        findings.append(torn)
    elif exists(prefix + INDEX_SUFFIX):
        findings += check_table(prefix + INDEX_SUFFIX, error) or [of_index(error)]
    elif is_archive(error.path):
        findings += check_members(error.path) or [of_file(error)]
    else:
        findings.append(of_file(error))
    findings += check_directory(prefix)
    if with_tensorflow and exists(prefix + INDEX_SUFFIX):
        from ckread.analysis.check.tensorflow import check_with_tensorflow

        findings += check_with_tensorflow({}, prefix)
    loading = of_checkpoint(path)
    return CheckReport(prefix, in_order(findings), is_listed=False, on_loading=loading)


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
    is_saved_model = checkpoint.format is Format.SAVED_MODEL
    prefix = saved_model_prefix(checkpoint.path) if is_saved_model else checkpoint.path
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
            from ckread.readers.keras.archive import WEIGHTS

            members = check_members(checkpoint.path, checkpoint.reader.verify_container)
            findings += members
            weights = f"{os.path.basename(checkpoint.path)}/{WEIGHTS}"
            readable = [] if any(found.place == weights for found in members) else readable

        if all(finding.level is not Level.ERROR for finding in findings):
            findings += _check_structure(checkpoint)
        shards = [file.path for file in checkpoint.files() if file.is_shard] if is_bundle else []
        seen = check_values(readable, work.reading, shards=shards)
        findings += [*seen.findings, *check_training(checkpoint, seen.looks, state)]
        if not any(found.level is Level.ERROR for found in findings):
            findings += check_other_members(checkpoint)
        n_verified, nbytes = seen.n_verified, seen.nbytes
        findings += [*check_unchecked(checkpoint), *_check_vocabularies(checkpoint)]
        elements = sum(look.elements for look in seen.looks.values())
    if work.with_tensorflow and checkpoint.format in (*_BUNDLES, Format.V1_TABLE):
        from ckread.analysis.check.tensorflow import check_with_tensorflow

        damaged = CheckReport(prefix, tuple(findings)).damaged
        findings += check_with_tensorflow(checkpoint, prefix, damaged=damaged)
    elif work.with_tensorflow:
        message = "TensorFlow itself does not read this format; Keras does"
        findings.append(Finding(Level.NOTE, Code.TENSORFLOW, None, None, message))
    return CheckReport(
        checkpoint.path,
        in_order(findings),
        n_tensors=len(checkpoint),
        nbytes=sum(variable.nbytes for variable in checkpoint.values()),
        n_verified=n_verified,
        nbytes_verified=nbytes,
        elements=elements,
        n_blocks=checkpoint.reader.n_blocks,
        n_shards=sum(file.is_shard for file in checkpoint.files()),
        is_quick=work.quick,
        has_checksums=checkpoint.format in CHECKSUMMED,
        step=f"{state.step} by {state.step_source}" if state.step is not None else None,
        evidence=state.claims,
        on_loading=of_checkpoint(checkpoint.path, opens=True),
    )


# Checking what Keras files keep instead of a checksum per tensor.
#
# The CRC-32 of a zip archive covers a member whole, so that damage to the weights is found
# and the variable is not. HDF5 keeps no checksum of plain values: damage to them cannot be
# told at all, which a report must say.

_UNCHECKED = {
    **dict.fromkeys((Format.KERAS_WEIGHTS, Format.LEGACY_HDF5, Format.HDF5), "HDF5"),
    Format.SAFETENSORS: "safetensors",
    Format.NPY: ".npy",
}


def is_archive(path: str) -> bool:
    """Tell whether a Keras archive is at a path."""
    try:
        return detect(path) is Kind.KERAS_ARCHIVE
    except CheckpointError:
        return False


def check_members(path: str, verify_weights: Callable[[], None] | None = None) -> list[Finding]:
    """Verify every member of an archive, whether its contents are of use or not."""
    from ckread.readers.keras.archive import damaged_members

    findings = []
    for place, error in damaged_members(path, verify_weights):
        code, remedy = Code.MEMBER, error.remedy or COPY_AGAIN
        if error.kind is ErrorKind.DUPLICATE:
            code, remedy = Code.AMBIGUOUS, "Pack it again with the member that is meant."
        findings.append(Finding(Level.ERROR, code, None, place, error.detail, remedy))
    return findings


def _check_structure(checkpoint: Checkpoint) -> list[Finding]:
    """Let the library of the format find its way, where ours reads less than it does."""
    try:
        checkpoint.reader.verify_structure()
    except CheckpointError as error:
        return [of_file(error)]
    return []


def check_other_members(checkpoint: Checkpoint) -> list[Finding]:
    """Verify the members of an archive that hold no tensor, if all that do are sound."""
    try:
        checkpoint.reader.verify_container()
    except CheckpointError as error:
        place = error.path or checkpoint.path
        return [Finding(Level.ERROR, Code.MEMBER, None, place, error.detail, COPY_AGAIN)]
    return []


def _check_vocabularies(checkpoint: Checkpoint) -> list[Finding]:
    """Name the lookup layers whose vocabulary is not in the file."""
    from ckread.analysis.vocabulary import missing_vocabularies

    missing = missing_vocabularies(checkpoint)
    if not missing:
        return []
    comes = "it comes" if len(missing) == 1 else "they come"
    message = f"the file holds no vocabulary of {few(missing, 3)}: {comes} back empty"
    remedy = "Give the layer its vocabulary again, or save the model as .keras once it is adapted."
    return [Finding(Level.WARNING, Code.VOCABULARY, None, None, message, remedy)]


def check_unchecked(checkpoint: Checkpoint) -> list[Finding]:
    """Say so where values have no checksum that could have been compared."""
    if checkpoint.format not in _UNCHECKED:
        return []
    is_npy = checkpoint.format is Format.NPY
    bare = [
        one
        for one in checkpoint.values()
        if is_npy or (one.offset is not None and one.dtype.is_plain)
    ]
    if not bare:
        return []
    of = "" if len(bare) == len(checkpoint) else f"{len(bare)} of "
    message = (
        f"{_UNCHECKED[checkpoint.format]} keeps no checksum of {of}{len(checkpoint)} tensors: "
        "a changed byte in their values cannot be told"
    )
    return [Finding(Level.NOTE, Code.NO_CHECKSUM, None, None, message)]


# Checking what lies beside the values: the graphs that names, roles and signatures are from.


def check_evidence(checkpoint: Checkpoint) -> list[Finding]:
    """Give what kept names and roles from being right; of shards more is told elsewhere."""
    findings: list[Finding] = []
    told = {*shard_warnings(checkpoint.reader)}
    unread = checkpoint.evidence.unread
    if unread is not None and is_damage(unread.error) and is_file(unread.error.path or ""):
        findings.append(of_file(unread.error))  # without it the model cannot be loaded
        told.add(unread.warning)
    return findings + [
        Finding(Level.WARNING, Code.EVIDENCE, None, None, warning.rstrip("."))
        for warning in checkpoint.warnings
        if warning not in told
    ]
