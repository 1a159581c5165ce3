"""What a program that loads a file would run, read or write.

Told from the file alone; nothing is imported, built or run. That its bytes are whole is
another question, which `check` answers.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.analysis.loading.records import LoadFact as LoadFact
from ckread.analysis.loading.records import OnLoading as OnLoading
from ckread.analysis.loading.records import What
from ckread.errors import CheckpointError, ErrorKind
from ckread.model.opening import open_checkpoint
from ckread.model.paths.locate import locate
from ckread.model.paths.location import META_SUFFIX
from ckread.readers.contract import Format
from ckread.readers.files import is_file

if TYPE_CHECKING:
    from ckread.model.paths.location import Location

SAVED_MODEL = "saved_model.pb"
PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".npy", ".npz", ".joblib")
_KERAS = (Format.KERAS_ARCHIVE, Format.KERAS_WEIGHTS, Format.LEGACY_HDF5)


def on_loading(path: str | os.PathLike[str]) -> OnLoading:
    """Tell what loading a checkpoint, a model, a graph or a pickle would do.

    Args:
        path: as for `ckread.open`; also a `saved_model.pb`, a `.meta`, or a pickle:
            `.pkl`, `.pt`, `.npy`, `.npz`.

    Raises:
        CheckpointNotFoundError: nothing is there.
        NotACheckpointError: it is none of these.
        CorruptCheckpointError: it is damaged, so that it cannot be told.

    Example:
        >>> found = ckread.loads("fixtures/digits_export")
        >>> found.facts, found.n_signatures
        ((), 2)
    """
    path = os.fsdecode(path)
    folder = os.path.dirname(path) if os.path.basename(path) == SAVED_MODEL else path
    graph = os.path.join(folder, SAVED_MODEL)
    if is_file(graph):  # with variables or without
        from ckread.analysis.loading.graph import saved_model_on_loading

        return saved_model_on_loading(graph, folder or os.curdir)
    if is_file(path):
        if path.endswith(PICKLES):
            from ckread.analysis.loading.pickles import pickle_facts

            facts = pickle_facts(path, os.path.basename(path))
            return OnLoading(path, "pickle", tuple(facts))
        if path.endswith(META_SUFFIX):
            from ckread.analysis.loading.graph import saved_model_on_loading

            return saved_model_on_loading(path, path, "graph")
    return _of_location(locate(path))


def of_checkpoint(path: str, *, opens: bool = False) -> OnLoading | None:
    """Tell it of a checkpoint that is checked; None where nothing is to be loaded but values.

    `opens` says that it is open already: then it leads to no other file.
    """
    try:
        location = locate(path)
        has_graph = is_file(location.path + META_SUFFIX)
        if location.format in (Format.TENSOR_BUNDLE, Format.V1_TABLE) and not has_graph:
            return None
        found = _of_location(location, opens=opens)
    except CheckpointError:  # the report says what is damaged
        return None
    return None if found.kind == "values" and not found.others else found


def _of_location(location: Location, *, opens: bool = False) -> OnLoading:
    """Tell what loading what lies at a place would do."""
    path = location.path
    if location.format is Format.SAVED_MODEL:
        from ckread.analysis.loading.graph import saved_model_on_loading

        return saved_model_on_loading(os.path.join(path, SAVED_MODEL), path)
    if location.format in _KERAS:
        return _keras(path, location.format, opens=opens)
    meta = path + META_SUFFIX
    if is_file(meta):
        from ckread.analysis.loading.graph import saved_model_on_loading

        return saved_model_on_loading(meta, path, "graph")
    with open_checkpoint(path):  # values it is only if it can be read
        return OnLoading(path, "values")


def _keras(path: str, layout: Format, *, opens: bool) -> OnLoading:
    """Tell what Keras would do for the configuration, and whether the weights lead elsewhere."""
    from ckread.analysis.loading.keras import read_through
    from ckread.readers.keras.archive import is_of_keras, open_keras_archive, read_configuration
    from ckread.readers.keras.reader import open_hdf5, read_configurations

    members: tuple[str, ...] = ()
    if layout is Format.KERAS_ARCHIVE:
        config, members = read_configuration(path)
        configurations = {"config.json": config}
    elif layout is Format.LEGACY_HDF5:
        configurations = read_configurations(path)
    else:
        configurations = {}
    told = [
        read_through(config, name, is_legacy=layout is not Format.KERAS_ARCHIVE)
        for name, config in configurations.items()
    ]
    facts = [fact for one in told for fact in one.facts]
    if any(name.endswith((".pkl", ".pickle", ".npy", ".npz")) for name in members):
        from ckread.analysis.loading.pickles import pickle_facts

        facts += pickle_facts(path, os.path.basename(path))
    try:
        if not opens and layout is Format.KERAS_ARCHIVE:
            open_keras_archive(path)[0].close()
        elif not opens:
            open_hdf5(path).close()
    except CheckpointError as error:
        if error.kind is ErrorKind.LEADS_OUT:
            detail = f"{error.told}; Keras from 3.13.2 on refuses it"
            place = (os.path.basename(path),)
            facts.append(LoadFact(What.EXTERNAL_LINK, "load_model", "load", place, "HDF5", detail))
        elif layout is not Format.KERAS_ARCHIVE:  # of an archive the configuration is told
            raise
    return OnLoading(
        path,
        "keras" if any(configurations.values()) or facts else "values",
        tuple(facts),
        n_layers=sum(one.n_objects for one in told),
        own=tuple(name for one in told for name in one.own),
        others=tuple(name for name in members if not is_of_keras(name)),
    )
