"""From anything that a person may type or paste to the place of one checkpoint.

Nothing is globbed: brackets, stars and question marks in a path are letters. What
only directories, foreign files and errors need is imported when it is needed: the
usual path is a prefix, and opening it shall be quick.
"""

from __future__ import annotations

import os

from ckread.errors import CheckpointError, CheckpointNotFoundError
from ckread.model.paths.location import (
    DATA_SUFFIX,
    INDEX_SUFFIX,
    META_SUFFIX,
    SAVED_MODEL_FILES,
    Location,
    at_prefix,
    at_saved_model,
    saved_model_prefix,
)
from ckread.readers.files import (
    STATE_FILE_NAME,
    exists,
    is_address,
    is_directory,
    is_file,
    ready_address,
    refusal,
)


def locate(path: str | os.PathLike[str]) -> Location:
    """Find the checkpoint that a path means.

    Args:
        path: a prefix, any file of a checkpoint, its directory, its state file, a
            SavedModel or a Keras file.

    Raises:
        CheckpointNotFoundError: nothing is there; the remedy names what is near.
        NotACheckpointError: the file is something else; the message says what.
        TruncatedFileError: there is data without an index.
        MissingDependencyError: it is an address whose driver is not installed.
        CheckpointError: it cannot be read.
    """
    typed = ready_path(os.fsdecode(path))
    if is_directory(typed):
        # A prefix may have the name of a directory beside it: model/ and model.index.
        prefix = None if typed.endswith(os.sep) else at_prefix(typed)
        if prefix is None:
            return _in_directory(typed.rstrip(os.sep) or os.sep)
        return prefix.noting(f"{typed} is a directory too; {os.path.join(typed, '')} opens it.")
    return _by_prefix(typed.rstrip(os.sep) or typed)


def ready_path(path: str) -> str:
    """Expand `~`, look at an address anew; a file that is really called so is left alone."""
    if not path:
        raise CheckpointNotFoundError("an empty path, expected a checkpoint", path=path)
    first = path.partition(os.sep)[0]
    if os.path.lexists(path) or (first and os.path.lexists(first)):
        return path.replace("://", ":/", 1)
    if is_address(path):
        return ready_address(path)
    return os.path.expanduser(path)


def _by_prefix(path: str) -> Location:
    location = at_prefix(path)
    if location is not None:
        return location.noting(*_other_meaning(path))
    data = DATA_SUFFIX.search(path)
    stem = path[: data.start()] if data else None
    for suffix in (INDEX_SUFFIX, META_SUFFIX):
        if path.endswith(suffix):
            # The base name may be empty: `.index` in this directory.
            stem = path.removesuffix(suffix) or os.path.join(os.curdir, "")
    if stem is not None:
        location = at_prefix(stem)
        if location is not None:
            return location
    directory, name = os.path.split(path)
    if name in SAVED_MODEL_FILES and is_file(path):
        return _in_directory(directory or os.curdir)
    from ckread.model.paths.latest import locate_by_content
    from ckread.model.paths.nearby import nothing_at, torn

    if exists(path + INDEX_SUFFIX):
        path += INDEX_SUFFIX
    if not exists(path):
        raise refusal(path) or nothing_at(path if stem is None else stem)
    if DATA_SUFFIX.search(path):
        raise torn(path)
    return locate_by_content(path)


def _other_meaning(path: str) -> tuple[str, ...]:
    """Say so where a prefix called `checkpoint` hides a state file that names another one."""
    if os.path.basename(path) != STATE_FILE_NAME or not is_file(path):
        return ()
    from ckread.model.paths.latest import named_in_state

    named = named_in_state(path)
    if named is None or os.path.basename(named) == STATE_FILE_NAME:
        return ()
    return (f"{path} is a state file too, which names {named}; its directory opens that one.",)


def _in_directory(directory: str) -> Location:
    location = at_saved_model(directory)
    if location is not None:
        if is_file(saved_model_prefix(location.path) + INDEX_SUFFIX):
            return location
        remedy = "Its weights, if it has any, are constants of its graph."
        raise CheckpointNotFoundError(
            "SavedModel without variables/variables.index", path=location.path, remedy=remedy
        )
    nested = at_prefix(saved_model_prefix(directory))
    if nested is not None and not is_file(os.path.join(directory, STATE_FILE_NAME)):
        return nested.noting(f"{directory} has variables/ and no saved_model.pb.")
    from ckread.model.paths.latest import locate_latest_in

    try:
        location = locate_latest_in(directory)
        return _left_by_save(directory, location) if "_temp" in directory else location
    except CheckpointError:
        state = os.path.join(directory, STATE_FILE_NAME)
        if not is_file(state):
            raise
        from ckread.model.paths.latest import is_openable, locate_by_content

        if not is_openable(state):
            raise
        return locate_by_content(state)  # a Keras file, which may have any name


def _left_by_save(directory: str, location: Location) -> Location:
    """Say so where a directory holds no checkpoint but parts of one."""
    from ckread.model.paths.scanning import is_save_part, left_by_save

    left = left_by_save(os.path.abspath(directory)) if is_save_part(location.path) else None
    if left is None:
        return location
    note = f"Left by a save that is not done: {left}; opened {os.path.basename(location.path)}."
    return location._replace(notes=(note,))
