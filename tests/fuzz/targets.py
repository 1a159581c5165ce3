"""What is fuzzed: for each target its seeds, real files all, and how one file is read."""

from __future__ import annotations

import base64
import json
import marshal
import os
import pickle
import zipfile
from collections import OrderedDict
from os import getenv
from typing import TYPE_CHECKING

from ckread.analysis.check.check import check
from ckread.analysis.loading.keras import read_through
from ckread.analysis.loading.loading import on_loading
from ckread.analysis.loading.records import OnLoading
from ckread.errors import CheckpointError
from ckread.model.evidence import Evidence, ObjectGraph
from ckread.model.naming import identify
from ckread.model.opening import open_checkpoint
from ckread.readers.bundle.reader import TensorBundle
from ckread.readers.bundle.strings import parse_string_tensor
from ckread.readers.files import RegularFile
from ckread.readers.graphs.object_graph import parse_object_graph
from ckread.readers.keras.config import parse_object
from ckread.readers.protobuf import iter_fields
from ckread.readers.state import parse_state
from ckread.readers.table import Table
from tests.fuzz.target import Target, check_message
from tests.fuzz.workplace import Workplace, without_checksums
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckread.model.checkpoint import Checkpoint

MAX_READ_NBYTES = 1 << 20


def read_all(checkpoint: Checkpoint) -> None:
    """List a checkpoint and read what is small of it."""
    with checkpoint:
        for variable in checkpoint.values():
            variable.to_dict()
            if variable.nbytes > MAX_READ_NBYTES or variable.elements > MAX_READ_NBYTES:
                continue
            try:
                variable.numpy()
            except CheckpointError as error:
                check_message(error)


def _files(pattern: str, *, largest: int = 1 << 16) -> list[bytes]:
    paths = sorted(FIXTURES.rglob(pattern))
    return [path.read_bytes() for path in paths if path.stat().st_size <= largest]


def _indexes() -> list[bytes]:
    return _files("*.index")


def _read_table(data: bytes, place: Workplace) -> None:
    with RegularFile(place.write("t.index", data)) as file, without_checksums():
        for _ in Table(file).items():
            pass


def _read_wire(data: bytes, _: Workplace) -> None:
    for _number, wire_type, value in iter_fields(data):
        if wire_type == 2:
            list(iter_fields(data, *value))


_SHARDED = FIXTURES / "sharded" / "by_size"


def _bundles() -> list[bytes]:
    shown = ("by_size", "partitioned", "strings", "tf012_v2", "dtypes")
    paths = sorted(FIXTURES.rglob("*.index"))
    return [p.read_bytes() for p in paths if any(word in str(p) for word in shown)]


def _read_bundle(data: bytes, place: Workplace) -> None:
    _link_shards(place)
    place.write("m.index", data)
    with without_checksums():
        read_all(open_checkpoint(place.path("m")))


def _link_shards(place: Workplace) -> None:
    sizes = {
        1: FIXTURES / "strings" / "plain.data-00000-of-00001",
        8: _SHARDED / "ckpt-1.data-00000-of-00008",
    }
    for count, source in sizes.items():
        for i in range(count):
            name = f"m.data-{i:05d}-of-{count:05d}"
            place.link(source.with_name(source.name.replace("00000-of", f"{i:05d}-of")), name)


def _read_checked_bundle(data: bytes, place: Workplace) -> None:
    """Read values and the listing with checksums, as they are on disk."""
    _link_shards(place)
    place.write("m.index", data)
    read_all(open_checkpoint(place.path("m")))


def _graphs() -> list[bytes]:
    messages = []
    for path in sorted(FIXTURES.rglob("*.index")):
        with TensorBundle(str(path).removesuffix(".index")) as bundle:
            if "_CHECKPOINTABLE_OBJECT_GRAPH" in bundle.tensors:
                try:
                    messages += bundle.read_strings("_CHECKPOINTABLE_OBJECT_GRAPH")
                except CheckpointError:
                    continue
    return list(dict.fromkeys(messages))


_KEYED = TensorBundle(str(FIXTURES / "keras3_object" / "adamw" / "ckpt-1"))


def _read_graph(data: bytes, _: Workplace) -> None:
    graph = ObjectGraph.from_message(parse_object_graph(data))
    identify(_KEYED.tensors, Evidence(graph=graph))


def _read_state(data: bytes, _: Workplace) -> None:
    parse_state(data)


def _read_strings(data: bytes, _: Workplace) -> None:
    for n_elements in (0, 1, 7, len(data)):
        try:
            parse_string_tensor(data, n_elements, big_endian=bool(len(data) & 1))
        except CheckpointError as error:
            check_message(error)


def _read_saved_model(data: bytes, place: Workplace) -> None:
    source = FIXTURES / "six_ways" / "functional" / "saved_model" / "variables"
    for path in source.iterdir():
        place.link(path, f"saved/variables/{path.name}")
    place.write("saved/saved_model.pb", data)
    read_all(open_checkpoint(place.path("saved")))


def _read_meta(data: bytes, place: Workplace) -> None:
    source = FIXTURES / "six_ways" / "functional" / "name"
    for suffix in ("index", "data-00000-of-00001"):
        place.link(source / f"model.ckpt.{suffix}", f"n.{suffix}")
    place.write("n.meta", data)
    read_all(open_checkpoint(place.path("n")))


def _read_sharded_keras(data: bytes, place: Workplace) -> None:
    source = FIXTURES / "six_ways" / "functional" / "sharded"
    for path in source.glob("*.h5"):
        if not os.path.exists(place.path(path.name)):  # a link out of the directory is refused
            place.write(path.name, path.read_bytes())
    read_all(open_checkpoint(place.write("tiny.weights.json", data)))


def _read_by_check(data: bytes, place: Workplace) -> None:
    """Check a mutated index beside real shards: it has a report, or is no checkpoint."""
    _link_shards(place)
    place.write("m.index", data)
    for finding in check(place.path("m")).findings:
        finding.to_dict()


def _loads(name: str) -> Callable[[bytes, Workplace], None]:
    """Tell what loading a mutated file would do, and show it."""

    def read(data: bytes, place: Workplace) -> None:
        place.write(name, data)
        found = on_loading(place.path(name))
        found.to_dict()
        str(found)

    return read


def _pickles() -> list[bytes]:
    values = {"w": [1.5, b"x", None], "of": OrderedDict(a=(1, 2)), "calls": getenv}
    return [pickle.dumps(values, protocol) for protocol in range(6)]


def _configurations() -> list[bytes]:
    """Give configurations of Keras, and one with a Lambda."""
    code = base64.b64encode(marshal.dumps(_configurations.__code__)).decode()
    function = {"class_name": "__lambda__", "config": {"code": code}}
    layer = {"class_name": "Lambda", "config": {"name": "scale", "function": function}}
    found = [json.dumps({"class_name": "Model", "config": {"layers": [layer]}}).encode()]
    for path in sorted(FIXTURES.rglob("*.keras")):
        with zipfile.ZipFile(path) as archive:
            found.append(archive.read("config.json"))
    return found


def _read_configuration(data: bytes, _: Workplace) -> None:
    config = parse_object(data, "config.json", path="m.keras", name="m.keras")
    for is_legacy in (False, True):
        told = read_through(config, "config.json", is_legacy=is_legacy)
        str(OnLoading("m.keras", "keras", tuple(told.facts), own=told.own))


def _reader(name: str) -> Callable[[bytes, Workplace], None]:
    def read(data: bytes, place: Workplace) -> None:
        read_all(open_checkpoint(place.write(name, data)))

    return read


def _read_v1(data: bytes, place: Workplace) -> None:
    with without_checksums():
        read_all(open_checkpoint(place.write("v1", data)))


def _paths(*paths: Path) -> Callable[[], list[bytes]]:
    return lambda: [path.read_bytes() for path in paths]


def _messages() -> list[bytes]:
    graphs = _graphs()
    return [*graphs, *(path.read_bytes()[:4096] for path in sorted(FIXTURES.rglob("*.meta")))]


TARGETS = {
    target.name: target
    for target in (
        Target("table", _indexes, _read_table),
        Target("wire", _messages, _read_wire),
        Target("bundle", _bundles, _read_bundle),
        Target("bundle_checked", _bundles, _read_checked_bundle),
        Target("check", _bundles, _read_by_check),
        Target("object_graph", _graphs, _read_graph),
        Target("state", lambda: _files("checkpoint"), _read_state),
        Target("strings", lambda: _files("plain.data*"), _read_strings),
        Target("saved_model", lambda: _files("saved_model.pb", largest=1 << 17), _read_saved_model),
        Target("meta", lambda: _files("*.meta"), _read_meta),
        Target(
            "loads_graph",
            lambda: _files("saved_model.pb", largest=1 << 17),
            _loads("saved_model.pb"),
        ),
        Target("loads_pickle", _pickles, _loads("m.pkl")),
        Target("loads_keras", _configurations, _read_configuration),
        Target("weights_json", lambda: _files("*.weights.json"), _read_sharded_keras),
        Target("keras", lambda: _files("*.keras"), _reader("m.keras")),
        Target("hdf5", lambda: _files("*.h5"), _reader("m.h5")),
        Target(
            "v1",
            _paths(
                FIXTURES / "tf012_v1" / "model.ckpt-5",
                FIXTURES / "tf221_v1" / "whole" / "model.ckpt-42",
            ),
            _read_v1,
        ),
    )
}


def close() -> None:
    """Close what the targets keep open."""
    _KEYED.close()
