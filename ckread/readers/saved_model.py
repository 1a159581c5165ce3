"""SavedModel: the graph beside the variables, decoded without running anything.

    saved_model.pb  1 saved_model_schema_version, 2 meta_graphs: MetaGraphDef

Its variables are a TensorFlow checkpoint with the prefix `variables/variables`.

Reference: tensorflow/core/protobuf/saved_model.proto
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckread.errors import NotACheckpointError
from ckread.readers.field_stream import FieldStream
from ckread.readers.meta_graph import MetaGraph, parse_meta_graph
from ckread.readers.regular_file import RegularFile
from ckread.readers.wire import LENGTH_DELIMITED, VARINT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.readers.object_variables import SavedVariable
    from ckread.readers.signatures import Signature

SERVE = "serve"


@dataclass(frozen=True, slots=True)
class SavedModel:
    """What `saved_model.pb` says.

    Attributes:
        path: the file.
        nbytes: its size.
        meta_graphs: one per set of tags.
    """

    path: str
    nbytes: int
    meta_graphs: tuple[MetaGraph, ...]

    @property
    def meta_graph(self) -> MetaGraph:
        """The graph for serving, else the first."""
        served = (graph for graph in self.meta_graphs if SERVE in graph.tags)
        return next(served, self.meta_graphs[0])

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags of the graph for serving, else of the first."""
        return self.meta_graph.tags

    @property
    def tensorflow_version(self) -> str:
        """The writer's version."""
        return self.meta_graph.tensorflow_version

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """Its signatures in order of their names, TensorFlow's internal ones left out."""
        return tuple(one for one in self.meta_graph.signatures if not one.is_internal)

    @property
    def variables(self) -> Mapping[int, SavedVariable]:
        """The variables of its object graph by node id; none if name-based."""
        return self.meta_graph.variables

    @property
    def assets(self) -> tuple[str, ...]:
        """File names below `assets/`."""
        return self.meta_graph.assets


def read_saved_model(path: str) -> SavedModel:
    """Read a `saved_model.pb`.

    Raises:
        CheckpointNotFoundError: it is not there.
        NotACheckpointError: it holds no graph.
        CorruptCheckpointError: it is no such message.
    """
    with RegularFile(path) as file:
        stream = FieldStream(file)
        graphs = []
        for number, wire_type, value in stream.fields(0, stream.nbytes):
            if number == 2 and wire_type == LENGTH_DELIMITED:
                graphs.append(parse_meta_graph(stream, value))
            elif number == 1 and wire_type == VARINT and value != 1:
                found = f"schema version {value}, expected 1"
                raise stream.corrupt(found, offset=0)
    if not graphs:
        message = f"{stream.name}: no graph in it, expected a SavedModel"
        raise NotACheckpointError(message, path=path)
    return SavedModel(path, stream.nbytes, tuple(graphs))
