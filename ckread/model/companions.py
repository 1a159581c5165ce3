"""What lies beside the values of a TensorFlow checkpoint: `saved_model.pb`, `.meta`.

They are evidence for names and roles, and what `info` shows. A checkpoint can be read
without them, so one that is damaged is a warning, not an error.
"""

from __future__ import annotations

import os

from ckread.errors import CheckpointError
from ckread.model.evidence import Evidence
from ckread.model.location import META_SUFFIX, SAVED_MODEL_FILES

_LOST_GRAPH = "signatures, tags and flags are not known"
_LOST_META = "which variables were trainable is not known"


def saved_model_evidence(directory: str) -> tuple[Evidence, tuple[str, ...]]:
    """Read what `saved_model.pb` tells; give it with warnings."""
    from ckread.readers.saved_model import read_saved_model

    binary, text = (os.path.join(directory, name) for name in SAVED_MODEL_FILES)
    if not os.path.lexists(binary) and os.path.lexists(text):
        warning = f"{os.path.basename(text)} is a graph as text, which is not read: {_LOST_GRAPH}."
        return Evidence(), (warning,)
    try:
        return Evidence(saved_model=read_saved_model(binary)), ()
    except CheckpointError as error:
        return Evidence(), (f"{error.message}: {_LOST_GRAPH}.",)


def meta_evidence(prefix: str) -> tuple[Evidence, tuple[str, ...]]:
    """Read what the `.meta` file beside a prefix tells; give it with warnings."""
    path = f"{prefix}{META_SUFFIX}"
    if not os.path.isfile(path):
        return Evidence(), ()
    from ckread.readers.meta_graph import read_meta_graph

    try:
        return Evidence(meta_graph=read_meta_graph(path)), ()
    except CheckpointError as error:
        return Evidence(), (f"{error.message}: {_LOST_META}.",)
