"""Small parts of the model by whole answers: records, names near, shards, frozen layers."""

from __future__ import annotations

import operator
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from ckread.errors import MissingShardError, UsageError, VariableNotFoundError
from ckread.model.display import rows_where
from ckread.model.evidence import Evidence, Identity
from ckread.model.keras.opening import frozen_by_layers, with_saved_layers
from ckread.model.keras.optimizers import _loss_scale
from ckread.model.keras.slots import OptimizerVariable
from ckread.model.lookup import find_named
from ckread.model.paths.locate import locate
from ckread.model.paths.location import shard_ends, shard_warnings
from ckread.model.paths.nearby import summary
from ckread.model.paths.scanning import Candidate, is_save_part, left_by_save
from ckread.model.records import Records
from ckread.model.role import Role
from ckread.readers.bundle.reader import TensorBundle
from ckread.readers.contract import DataType, Format, TensorRecord
from ckread.readers.keras.config import KerasConfig, KerasLayer, parse_compiled, parse_model
from ckread.readers.keras.layers import layer_groups
from ckread.readers.keras.saved_metadata import SavedLayers
from ckread.readers.sources.remote import check_address
from tests.analysis.array_checkpoint import checkpoint
from tests.builders import BundleBuilder, v1_file, write_bundle
from tests.model.test_tree import tree_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


# Answers of several records.


class _One(NamedTuple):
    name: str
    value: int


class _Some(Records[_One]):
    def __init__(self, *records: _One) -> None:
        self.records = records

    @property
    def _records(self) -> Sequence[_One]:
        return self.records


def test_an_answer_is_a_sequence_and_a_mapping() -> None:
    a, b, twin = _One("a", 1), _One("b", 2), _One("a", 3)
    some = _Some(a, b, twin)
    assert (some[0], some[-1], some["b"], some["a"]) == (a, twin, b, a)
    assert some[1:] == (b, twin)
    assert list(some) == [a, b, twin]
    assert (len(some), bool(some), bool(_Some())) == (3, True, True)
    assert ("a" in some, "c" in some, b in some, _One("b", 3) in some) == (True, False, True, False)
    assert (some.index(twin), some.count(a), some.count(_One("c", 1))) == (2, 1, 0)
    with pytest.raises(VariableNotFoundError, match="no variable c"):
        some["c"]
    with pytest.raises(IndexError):
        some[3]


def test_a_tree_by_the_names_of_its_scopes() -> None:
    tree = tree_of(["a/b/w", "a/b/v", "ab/w", "c"])
    for path in ("a", "a/b", "a/b/w", "ab/w", "c"):
        assert tree[path].path == path
        assert path in tree
    for path in ("", "b", "a/w", "a/b/w/x", "a/", "/a"):
        assert path not in tree
    assert tree["a"]["b"]["v"].path == "a/b/v"


def test_rows_by_a_field() -> None:
    rows = [_One("a", 1), _One("b", 2), _One("c", 2)]
    assert rows_where(rows, "value", lambda value: value == 2) == rows[1:]
    assert rows_where(rows, "value", lambda value: value > 2) == []


def test_whole_numbers_are_indices() -> None:
    numbers = checkpoint({"i": np.array(-3, "i2"), "b": np.array(True), "f": np.array(2, "f4")})
    assert operator.index(numbers["i"]) == -3
    assert operator.index(numbers["b"]) == 1
    with pytest.raises(TypeError) as caught:
        operator.index(numbers["f"])
    assert str(caught.value) == "f: float32, expected a whole number"


def test_a_pattern_may_mean_a_key_or_a_name() -> None:
    values = {"layer/kernel/.ATTRIBUTES/VARIABLE_VALUE": np.ones(2), "b/bias/.OTHER": np.ones(3)}
    names = dict(zip(values, ("dense/kernel", "dense/bias"), strict=True))
    found = checkpoint(values, names=names)
    for text in ("dense/k*", "**/VARIABLE_VALUE", "layer/kernel/**"):
        assert find_named(found, text).name == "dense/kernel", text
    assert find_named(found, "b/b*/.OTHER").name == "dense/bias"
    with pytest.raises(VariableNotFoundError, match="2 variables match dense/"):
        find_named(found, "dense/*")


# Directories and shards.


def _candidates(*names: str) -> list[Candidate]:
    kind = Format.TENSOR_BUNDLE
    return [Candidate(f"run/{name}", kind, 1e9 + at) for at, name in enumerate(names)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a-1",), "run holds one checkpoint: run/a-1"),
        (("a-1", "a-2", "a-10"), "run holds a-1 to a-10"),
        (("a", "b", "c", "d", "e"), "run holds a, b, c, d, e"),
        (("a", "b", "c", "d", "e", "f"), "run holds b, c, d, e, f and 1 more"),
        (tuple("abcdefgh"), "run holds d, e, f, g, h and 3 more"),
    ],
)
def test_what_a_directory_holds(names: tuple[str, ...], expected: str) -> None:
    assert summary("run", _candidates(*names)).partition(";")[0].rstrip(".") == expected
    assert summary("", _candidates(*names)).startswith("This directory holds ")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("ckpt-3_temp/part-00000-of-00002", True),
        ("ckpt-3_temp_0123456789abcdef/part-00001-of-00002", True),
        ("ckpt-3_temp_0123456/part-00001-of-00002", False),
        ("ckpt-3_temp/part-0-of-2", False),
        ("ckpt-3/part-00000-of-00002", False),
        ("ckpt-3_temp/part-00000-of-00002.index", False),
        ("_temp/part-00000-of-00002", False),
    ],
)
def test_parts_of_a_save(path: str, expected: bool) -> None:
    assert is_save_part(path) is expected


def test_what_an_unfinished_save_leaves(tmp_path: Path) -> None:
    folder = tmp_path / "ckpt-7_temp"
    folder.mkdir()

    def told() -> str | None:
        return left_by_save(str(folder))

    nothing = "ckpt-7_temp/ is a folder of {}: no part of ckpt-7 in it is whole"
    assert told() == nothing.format("0 files, 0 bytes")
    data = "part-00000-of-00002.data-0000{}-of-00002"
    (folder / data.format(0)).write_bytes(b"12345")
    assert told() == nothing.format("1 file, 5 bytes")
    (folder / "part-00000-of-00002.index").write_bytes(b"123")
    assert told() == nothing.format("2 files, 8 bytes")  # of two shards one is missing
    (folder / data.format(1)).write_bytes(b"1")
    whole = "ckpt-7_temp/ is a folder of 3 files, 9 bytes: part 0 of 2 of ckpt-7 in it is whole"
    assert told() == whole
    (folder / "other").touch()
    assert told() is None
    for name, size in (("x.tempstate123", 4), ("checkpoint.tmp77", 0)):
        (tmp_path / name).write_bytes(bytes(size))
        assert left_by_save(str(tmp_path / name)) == f"{name} is a file of {size} bytes"
    (tmp_path / "y_temp").touch()
    assert left_by_save(str(tmp_path / "y_temp")) == "y_temp is an empty file"
    (tmp_path / "y_temp").write_bytes(b"1")
    assert left_by_save(str(tmp_path / "y_temp")) is None
    assert left_by_save(str(tmp_path / "none")) is None


def test_where_the_tensors_of_each_shard_end(tmp_path: Path) -> None:
    builder = BundleBuilder(2)
    builder.add("a", np.ones(3, np.float32), DataType.FLOAT32, shard=0)
    builder.add("b", np.ones(2, np.float32), DataType.FLOAT32, shard=1)
    builder.add("c", np.ones(1, np.float32), DataType.FLOAT32, shard=0)
    parts = [[(0, 1), (0, None)], [(1, 1), (0, None)]]
    builder.add_partitioned("d", np.ones((2, 2), np.float32), DataType.FLOAT32, parts)
    prefix = builder.write(tmp_path / "x")
    names = [f"x.data-0000{at}-of-00002" for at in range(2)]
    with TensorBundle(prefix) as reader:
        shards = [file for file in reader.files() if file.is_shard]
        ends, is_complete = shard_ends(reader, shards)
        assert {name: sorted(one) for name, one in ends.items()} == {
            names[0]: [12, 16, 24],
            names[1]: [8, 16],
        }
        assert is_complete
        assert shard_warnings(reader) == ()
    os.truncate(tmp_path / names[1], 19)
    os.truncate(tmp_path / names[0], 14)
    with TensorBundle(prefix) as reader:
        assert shard_warnings(reader) == (
            f"{names[0]} ends at byte 14, and its index wants 24: it was cut short, or belongs to "
            "another save. The values of 2 variables cannot be read.",
            f"{names[1]} is 3 bytes longer than its index says: the two may belong to different "
            "saves.",
        )


@pytest.mark.parametrize("n_missing", [1, 2, 3, 4])
def test_shards_that_are_missing(tmp_path: Path, n_missing: int) -> None:
    builder = BundleBuilder(4)
    for at in range(4):
        builder.add(f"w{at}", np.ones(1, np.float32), DataType.FLOAT32, shard=at)
    prefix = builder.write(tmp_path / "x")
    names = [f"x.data-0000{at}-of-00004" for at in range(n_missing)]
    for name in names:
        (tmp_path / name).unlink()
    with TensorBundle(prefix) as reader:
        [found] = shard_warnings(reader)
    shown = ", ".join(names[:3]) + (" and 1 more" if n_missing > 3 else "")
    start = (
        f"{names[0]} is missing"
        if n_missing == 1
        else f"{n_missing} of 4 data shards are missing: {shown}"
    )
    which = {1: "values in it", 4: "values"}.get(n_missing, "values in them")
    assert found == f"{start}. Names, shapes and checksums can be read, {which} cannot."


def test_the_only_shard_is_missing(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "x", {"w": np.ones(2)})
    (tmp_path / "x.data-00000-of-00001").unlink()
    with TensorBundle(prefix) as reader:
        assert shard_warnings(reader) == (
            "x.data-00000-of-00001 is missing. Names, shapes and checksums can be read, values "
            "cannot.",
        )


def test_parts_of_version_1(tmp_path: Path) -> None:
    for at in (0, 1, 2):
        v1_file(tmp_path / f"m-0000{at}-of-00003", {f"w{at}": np.ones(2)}, 1 << 16)
    found = locate(str(tmp_path / "m"))
    assert (found.format, found.files) == (
        Format.V1_TABLE,
        tuple(str(tmp_path / f"m-0000{at}-of-00003") for at in range(3)),
    )
    (tmp_path / "m-00001-of-00003").unlink()
    with pytest.raises(MissingShardError) as caught:
        locate(str(tmp_path / "m"))
    assert str(caught.value) == "m-00001-of-00003: missing part (1 of 3) of a V1 checkpoint"
    assert caught.value.path == str(tmp_path / "m-00001-of-00003")


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("s3://user:word@bucket/x", "a user or password"),
        ("https://word@host/x", "a user or password"),
        ("https://host/x?token=1", "a query"),
        ("http://host/x#part", "a query"),
        ("s3://bucket/x?y", None),
        ("s3://bucket/x@y", None),
        ("https://host/x", None),
    ],
)
def test_addresses_that_hold_a_secret(address: str, what: str | None) -> None:
    if what is None:
        check_address(address)
        return
    with pytest.raises(UsageError) as caught:
        check_address(address)
    scheme = address.partition("://")[0]
    assert str(caught.value) == f"{scheme}:// with {what} in the address is not read"


# Layers and optimizers of Keras.


def _layer(name: str, class_name: str = "Dense", **settings: Any) -> dict[str, Any]:
    return {
        "class_name": class_name,
        "config": {"name": name, **settings},
        "module": "keras.layers",
    }


def _sequential(name: str, *layers: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return _layer(name, "Sequential", layers=list(layers), **settings)


def test_layers_that_are_frozen() -> None:
    model = parse_model(
        _sequential(
            "m",
            _layer("one", trainable=False),
            _layer("two", trainable=True),
            _sequential("inner", _layer("deep"), _layer("twice"), trainable=False),
            _layer("twice"),
        )
    )
    keys = ("one/w", "two/w", "deep/w", "inner/x", "twice/w", "w", "one/mean", "open/one")
    flags = dict.fromkeys(keys, True) | {"one/mean": False}
    identities = {key: Identity(key, Role.WEIGHT, trainable=flag) for key, flag in flags.items()}
    found = frozen_by_layers(model, identities)
    assert {key: one.trainable for key, one in found.items()} == flags | {
        "one/w": False, "deep/w": False, "inner/x": False,
    }  # fmt: skip
    assert [one.name for one in found.values()] == list(keys)
    assert frozen_by_layers(parse_model(_sequential("m", _layer("one"))), identities) is identities
    assert frozen_by_layers(None, identities) is identities


def test_groups_find_their_layers() -> None:
    """By their name where it means one layer, else by the name of the item, `dense_1`."""
    model = parse_model(
        _sequential("m", _layer("a"), _layer("b"), _layer("c", "Conv2D"), _layer("b"))
    )
    names = {"layers/dense": "a", "layers/dense_1": "", "layers/dense_2": "b", "layers/x": "c"}
    found = layer_groups(names, names, model)
    told = {
        path: (one.name, one.class_name, one.config and one.config.name)
        for path, one in found.items()
    }
    assert told == {
        "": ("m", "Sequential", "m"),
        "layers/dense": ("a", "Dense", "a"),
        "layers/dense_1": ("b", "Dense", "b"),
        "layers/dense_2": ("b", "Dense", "b"),
        "layers/x": ("c", "Conv2D", "c"),
    }
    config = found["layers/dense_2"].config
    assert model is not None
    assert config is model.layers[3]
    assert found["layers/dense_1"].config is model.layers[1]


def _record(key: str, dtype: DataType, shape: tuple[int, ...]) -> TensorRecord:
    return TensorRecord(key, dtype, shape, 0, None, None, None)


def test_the_own_variables_of_loss_scaling() -> None:
    f4, i4 = DataType.FLOAT32, DataType.INT32
    inner = [_record("i/0", i4, ()), _record("i/1", f4, ()), _record("i/2", f4, (3,))]
    copies = [one._replace(key=f"o/{4 + at}") for at, one in enumerate(inner)]
    own = [
        _record("o/0", i4, ()),
        _record("o/1", f4, ()),
        _record("o/2", i4, ()),
        _record("o/3", f4, ()),
    ]
    told, rest = _loss_scale([*own, *copies], inner)
    assert rest == own[:2]
    assert told == {
        "o/2": OptimizerVariable(Role.COUNTER, "step_counter"),
        "o/3": OptimizerVariable(Role.HYPERPARAMETER, "dynamic_scale"),
        **{f"o/{4 + at}": OptimizerVariable(Role.ALIAS, repeats=f"i/{at}") for at in range(3)},
    }
    other = [*own, *copies[:-1], copies[-1]._replace(shape=(4,))]
    assert _loss_scale(other, inner) == ({}, other)
    assert _loss_scale(copies[:2], inner) == ({}, copies[:2])


def test_layers_of_a_saved_model() -> None:
    """Listed with what they hold, kernels first; not at all where they do not hold everything."""
    shapes: dict[str, tuple[int, ...]] = {"a/bias": (3,), "a/kernel": (2, 3), "b/kernel": (4,)}
    tensors = {key: _record(key, DataType.FLOAT32, shape) for key, shape in shapes.items()}
    identities = {key: Identity(key, Role.WEIGHT) for key in shapes}
    identities["a/slot"] = Identity("a/slot", Role.SLOT)
    model = parse_model(
        _sequential(
            "m", _layer("a", trainable=False), _sequential("inner", _layer("b")), _layer("none")
        )
    )
    compiled = parse_compiled(
        {"optimizer": {"class_name": "Adam", "config": {"amsgrad": True}}, "loss": "mse"}
    )
    saved = SavedLayers({}, {}, KerasConfig(model=model, compiled=compiled))
    evidence = Evidence(saved_layers=saved)
    found = with_saved_layers(evidence, tensors, identities)
    assert found.layers == (
        KerasLayer("a", "Dense", 9, None, False, 0, ("a/kernel", "a/bias")),
        KerasLayer("inner", "Sequential", 4, None, None, 0, ()),
        KerasLayer("inner/b", "Dense", 4, None, None, 1, ("b/kernel",)),
        KerasLayer("none", "Dense", 0, None, None, 0, ()),
    )
    assert (found.model, found.compiled) == (model, compiled)
    assert found.optimizer_class == "Adam with AMSGrad"
    for name, role in (("c/kernel", Role.WEIGHT), ("kernel", Role.STATISTIC)):
        more = identities | {"c": Identity(name, role)}
        other = with_saved_layers(
            evidence, tensors | {"c": _record("c", DataType.FLOAT32, ())}, more
        )
        assert other.layers == ()
        assert other.optimizer_class == "Adam with AMSGrad"
    bare = Evidence()
    assert with_saved_layers(bare, tensors, identities) is bare
