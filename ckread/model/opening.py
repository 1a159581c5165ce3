"""Any path that a person may type → an open checkpoint with names and roles."""

from __future__ import annotations

import copyreg
import os
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import TYPE_CHECKING

from ckread.errors import (
    CheckpointError,
    MissingShardError,
    UnsupportedFeatureError,
    UsageError,
    by,
)
from ckread.model.checkpoint import Checkpoint
from ckread.model.evidence import Evidence, UnreadGraph
from ckread.model.naming import OBJECT_GRAPH_KEY, identify
from ckread.model.paths.locate import locate
from ckread.model.paths.location import (
    META_SUFFIX,
    SAVED_MODEL_FILES,
    saved_model_prefix,
    shard_warnings,
)
from ckread.readers.contract import DOTTED, Format, TensorColumns
from ckread.readers.files import exists, is_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ckread.model.evidence import Identity, ObjectGraph
    from ckread.model.paths.location import Location
    from ckread.readers.bundle.reader import TensorBundle
    from ckread.readers.contract import CheckpointReader, TensorRecord


class ReaderChoice(StrEnum):
    """Which reader opens a checkpoint."""

    AUTO = "auto"
    """The native one; it reads every format."""
    NATIVE = "native"
    """The native one, which `auto` means too."""
    TENSORFLOW = "tensorflow"
    """TensorFlow's own, for TensorFlow's formats."""


def open_checkpoint(path: str | os.PathLike[str], *, reader: str = "auto") -> Checkpoint:
    """Open a checkpoint; no value is read but the object graph.

    Args:
        path: a prefix, any file of a checkpoint, its directory (the latest in it),
            its state file, a SavedModel or a Keras file.
        reader: `auto`, `native` or `tensorflow`.

    Raises:
        CheckpointNotFoundError: nothing is there; the remedy names what is near.
        NotACheckpointError: the file is something else; the message says what.
        CorruptCheckpointError: its index is damaged or torn.
        UnsupportedFeatureError: this reader does not read this format.
        MissingDependencyError: TensorFlow is needed and not installed.
        UsageError: there is no such reader.

    Example:
        >>> with ckread.open("fixtures/digits_run") as checkpoint:
        ...     print(checkpoint.path, len(checkpoint))
        fixtures/digits_run/ckpt-10 44
    """
    try:
        choice = ReaderChoice(reader)
    except ValueError:
        expected = ", ".join(ReaderChoice)
        raise UsageError(f"no reader {reader!r}, expected one of {expected}") from None
    location = locate(path)
    if location.format in (Format.TENSOR_BUNDLE, Format.SAVED_MODEL, Format.V1_TABLE):
        return _open_tensorflow(location, choice)
    is_partner = location.format in DOTTED
    if choice is ReaderChoice.TENSORFLOW:
        what = f"a {location.format} file" if is_partner else "a Keras file"
        option = by("--reader tensorflow", "reader='tensorflow'")
        raise UnsupportedFeatureError(
            f"{what}, which TensorFlow's reader does not read",
            path=location.path,
            remedy=f"Leave {option} out.",
        )
    if is_partner:
        from ckread.model.partners import open_partner

        return open_partner(location)
    from ckread.model.keras.opening import open_keras

    return open_keras(location)


def _reopen(path: str, is_by_tensorflow: bool) -> Checkpoint:
    reader = ReaderChoice.TENSORFLOW if is_by_tensorflow else ReaderChoice.AUTO
    return open_checkpoint(path, reader=reader)


# A checkpoint pickles as its path, which is opened again where it arrives, with the same
# reader; a relative path is looked for from the working directory there.
copyreg.pickle(Checkpoint, lambda one: (_reopen, (one.path, one.reader.is_tensorflow)))


@contextmanager
def opened(source: Checkpoint | str | os.PathLike[str] | object) -> Iterator[Checkpoint]:
    """Give a checkpoint that is open already, open a path, or take a live program's objects."""
    if isinstance(source, Checkpoint):
        yield source
        return
    if isinstance(source, (str, os.PathLike)):
        checkpoint = open_checkpoint(source)
    else:
        checkpoint = open_live(source)
    with checkpoint:
        yield checkpoint


def open_live(target: object) -> Checkpoint:
    """Give the objects of a running program as a checkpoint that holds what they hold now.

    Raises:
        TypeError: it is nothing that TensorFlow tracks.
    """
    if not isinstance(target, dict) and not hasattr(target, "_trackable_children"):
        raise TypeError(f"expected a Checkpoint, a path or a live program, found {target!r:.80}")
    from ckread.model.evidence import ObjectGraph
    from ckread.readers.tf.live import LiveReader

    reader = LiveReader(target)
    evidence = Evidence(graph=ObjectGraph.from_message(reader.graph))
    identities = identify(reader.tensors, evidence)
    return Checkpoint(reader, identities, path=reader.path, evidence=evidence)


def assemble(
    reader: CheckpointReader,
    location: Location,
    evidence: Evidence,
    warnings: tuple[str, ...] = (),
) -> Checkpoint:
    """Give the checkpoint of an open reader, which is closed if that fails."""
    if evidence.unread is not None:
        warnings += (evidence.unread.warning,)
    try:
        graph, graph_warnings = read_object_graph(reader)
        if graph is not None and evidence.saved_model is not None:
            graph = graph.with_kinds(evidence.saved_model.meta_graph.optimizers)
        evidence = evidence._replace(graph=graph)
        identities = _identify(reader.tensors, evidence)
        if evidence.saved_layers is not None:
            from ckread.model.keras.opening import frozen_by_layers, with_saved_layers

            identities = frozen_by_layers(evidence.saved_layers.config.model, identities)
            evidence = with_saved_layers(evidence, reader.tensors, identities)
        return Checkpoint(
            reader,
            identities,
            path=location.path,
            evidence=evidence,
            notes=(*location.notes, *reader.notes),
            warnings=(*shard_warnings(reader), *graph_warnings, *warnings),
        )
    except BaseException:
        reader.close()
        raise


class _Shared:
    """What checkpoints that are opened together have in common.

    Attributes:
        graphs: object graphs by checksum and size.
        columns: the tensors, as columns, that were opened last, with their evidence and identities.
    """

    def __init__(self) -> None:
        self.graphs: dict[tuple[int | None, int], ObjectGraph] = {}
        self.columns: tuple[TensorColumns, Evidence, Mapping[str, Identity]] | None = None


_SHARED: ContextVar[_Shared | None] = ContextVar("shared", default=None)


@contextmanager
def shared_graphs() -> Iterator[None]:
    """Have object graphs of one checksum read once, for all checkpoints opened within.

    So with the names of very many variables, where two are built alike.
    """
    token = _SHARED.set(_Shared())
    try:
        yield
    finally:
        _SHARED.reset(token)


def _identify(tensors: Mapping[str, TensorRecord], evidence: Evidence) -> Mapping[str, Identity]:
    """Name all variables, those of columns that are like the ones before as these were."""
    shared = _SHARED.get()
    if shared is None or not isinstance(tensors, TensorColumns):
        return identify(tensors, evidence)
    if shared.columns is not None:
        like, before, identities = shared.columns
        are_alike = all(one is other for one, other in zip(evidence, before, strict=True))
        if are_alike and tensors.are_built_like(like):
            tensors.keys_in_order = like.keys_in_order  # once, which is quicker to compare too
            return identities
    identities = identify(tensors, evidence)
    shared.columns = tensors, evidence, identities
    return identities


def read_object_graph(reader: CheckpointReader) -> tuple[ObjectGraph | None, tuple[str, ...]]:
    """Read the object graph, or say why names and roles have to do without."""
    record = reader.tensors.get(OBJECT_GRAPH_KEY)
    if record is None:
        return None, ()
    from ckread.model.evidence import ObjectGraph
    from ckread.readers.graphs.object_graph import parse_object_graph

    key = record.crc32c, record.nbytes
    shared = _SHARED.get()
    if shared is not None and key in shared.graphs:
        return shared.graphs[key], ()
    try:
        [message] = reader.read_strings(OBJECT_GRAPH_KEY)
        graph: ObjectGraph | None = None
        if isinstance(reader.tensors, TensorColumns) and reader.format is Format.TENSOR_BUNDLE:
            from ckread.model.columns.objects import read_many_objects

            graph = read_many_objects(message, len(reader.tensors))
        if graph is None:
            graph = ObjectGraph.from_message(parse_object_graph(message, len(reader.tensors)))
    except MissingShardError:
        why = "The object graph is in a missing shard"
    except CheckpointError as error:
        why = f"The object graph cannot be read ({error.message})"
    except ValueError:
        why = "The object graph cannot be read (it is not one string)"
    else:
        if shared is not None and record.crc32c is not None:
            shared.graphs[key] = graph
        return graph, ()
    return None, (f"{why}: names and roles are what the checkpoint keys alone tell.",)


def _open_tensorflow(location: Location, choice: ReaderChoice) -> Checkpoint:
    is_model = location.format is Format.SAVED_MODEL
    is_v1 = location.format is Format.V1_TABLE
    prefix = saved_model_prefix(location.path) if is_model else location.path
    reader: CheckpointReader
    if choice is ReaderChoice.TENSORFLOW:
        from ckread.readers.tf.reader import TensorFlowReader

        reader = TensorFlowReader(prefix, location.files if is_v1 else ())
    elif is_v1:
        from ckread.readers.v1.reader import V1Table

        reader = V1Table(prefix, location.files)
    else:
        from ckread.readers.bundle.reader import TensorBundle

        reader = TensorBundle(prefix)
    if is_model:
        reader.format = Format.SAVED_MODEL
        return assemble(reader, location, *saved_model_evidence(location.path))
    return assemble(reader, location, meta_evidence(location.path))


def open_bundle(bundle: TensorBundle) -> Checkpoint:
    """Give the checkpoint of a reader that is open already; it is closed if that fails."""
    location = locate(bundle.path)
    if location.format is not Format.TENSOR_BUNDLE or location.path != bundle.path:
        bundle.close()
        return open_checkpoint(location.path)
    return assemble(bundle, location, meta_evidence(location.path))


# What lies beside the values of a TensorFlow checkpoint: `saved_model.pb`, `.meta`.
#
# They are evidence for names and roles, and what `info` shows. A checkpoint can be read
# without them, so one that is damaged is a warning, not an error.

_LOST_GRAPH = "signatures, tags and flags are not known"
KERAS_METADATA = "keras_metadata.pb"
_LOST_META = "which variables were trainable is not known"


def saved_model_evidence(directory: str) -> tuple[Evidence, tuple[str, ...]]:
    """Read what `saved_model.pb` tells; give it with warnings."""
    from ckread.readers.graphs.meta_graph import read_saved_model

    binary, text = (os.path.join(directory, name) for name in SAVED_MODEL_FILES)
    if not exists(binary) and exists(text):
        warning = f"{os.path.basename(text)} is a graph as text, which is not read: {_LOST_GRAPH}."
        return Evidence(), (warning,)
    try:
        saved_model = read_saved_model(binary)
    except CheckpointError as error:
        return Evidence(unread=UnreadGraph(error, _LOST_GRAPH)), ()
    in_graph = saved_model.meta_graph.keras_layers
    if not in_graph and not is_file(os.path.join(directory, KERAS_METADATA)):
        return Evidence(saved_model=saved_model), ()
    from ckread.readers.keras.saved_metadata import read_saved_layers

    layers = read_saved_layers(directory, in_graph)
    return Evidence(saved_model=saved_model, saved_layers=layers), ()


def meta_evidence(prefix: str) -> Evidence:
    """Read what the `.meta` file beside a prefix tells."""
    path = f"{prefix}{META_SUFFIX}"
    if not is_file(path):
        return Evidence()
    from ckread.readers.graphs.meta_graph import read_meta_graph

    try:
        return Evidence(meta_graph=read_meta_graph(path))
    except CheckpointError as error:
        return Evidence(unread=UnreadGraph(error, _LOST_META))
