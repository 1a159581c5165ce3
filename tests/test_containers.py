"""SavedModels, Keras files, `.meta` graphs and V1: everything we have opens, and is right.

Without TensorFlow: h5py reads Keras files beside us, `fixtures/expected` holds what
TensorFlow read. `test_containers_oracle` asks TensorFlow and Keras themselves.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

import ckread
from ckread.model.role import Role
from ckread.readers.contract import Format
from tests.places import FIXTURES, NO_REAL, REAL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ckread.model.checkpoint import Checkpoint

WAYS = [
    "object", "name", "saved_model", "tiny.keras", "tiny.weights.h5", "tiny.h5",
    "sharded/tiny.weights.json",
]  # fmt: skip
KERAS = sorted(
    path
    for folder in (FIXTURES, REAL)
    for pattern in ("*.keras", "*.h5", "*.hdf5")
    for path in folder.rglob(pattern)
    if "_0000" not in path.name
)


def _name(path: Path) -> str:
    return "/".join(path.parts[-2:])


def _model(checkpoint: Checkpoint) -> dict[str, tuple[str, str, tuple[int, ...], bytes]]:
    return {
        one.name: (one.role, one.dtype, one.shape, one.numpy().tobytes())
        for one in checkpoint.values()
        if one.role.is_parameter
    }


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_one_model_saved_in_seven_ways(kind: str) -> None:
    expected = None
    for way in WAYS:
        with ckread.open(FIXTURES / "six_ways" / kind / way) as checkpoint:
            model = _model(checkpoint)
        assert model == (expected or model), way
        expected = model
    assert expected is not None
    prefix = "tiny/" if kind == "sequential" else ""
    variables = ("norm/beta", "norm/gamma", "norm/moving_mean", "norm/moving_variance")
    layers = ("head/bias", "head/kernel", *variables, "stem/bias", "stem/kernel")
    assert sorted(expected) == [prefix + name for name in layers]


def test_the_digits_in_five_ways() -> None:
    files = ("digits.keras", "digits.weights.h5", "digits.h5", "digits_weights_only.h5")
    with ckread.open(FIXTURES / "digits_export") as export:
        expected = _model(export)
        assert export.format is Format.SAVED_MODEL
    for name in files:
        with ckread.open(FIXTURES / "digits_files" / name) as checkpoint:
            assert _model(checkpoint) == expected, name


def _h5py_values(path: Path) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    """Read every dataset with h5py alone, out of an archive's bytes where it is one."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as member:
            return _datasets(h5py.File(member))
    with h5py.File(path) as file:
        return _datasets(file)


def _datasets(file: h5py.File) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    found = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item)

    file.visititems(visit)
    return found


@pytest.mark.oracle
@pytest.mark.parametrize("path", KERAS, ids=_name)
def test_values_of_keras_files_are_those_of_h5py(path: Path) -> None:
    expected = _h5py_values(path)
    with ckread.open(path) as checkpoint:
        assert {one.key for one in checkpoint.values()} == set(expected)
        for one in checkpoint.values():
            values = expected[one.key]
            assert one.shape == values.shape, one.key
            assert one.numpy().tobytes() == values.tobytes(), one.key
            chunks = b"".join(chunk.tobytes() for chunk in one.chunks(4096))
            assert chunks == values.tobytes(), one.key


@pytest.mark.parametrize("path", KERAS, ids=_name)
def test_keras_files_have_true_names_and_totals(path: Path) -> None:
    with ckread.open(path) as checkpoint:
        variables = list(checkpoint.values())
        roles = {one.role for one in variables}
        assert len({one.name for one in variables}) == len(variables)
        assert Role.OTHER not in roles
        assert all(one.owner for one in variables if one.role is Role.SLOT)
        parameters = sum(one.elements for one in variables if one.role.is_parameter)
        top = [layer for layer in checkpoint.evidence.layers if layer.depth == 0]
        assert sum(layer.parameters or 0 for layer in top) == parameters


def test_there_are_real_keras_files() -> None:
    if not REAL.exists():
        pytest.skip(NO_REAL)
    assert sum(path.is_relative_to(REAL) for path in KERAS) == 11


SAVED_MODELS = sorted(
    path.parent for folder in (FIXTURES, REAL) for path in folder.rglob("saved_model.pb")
)


@pytest.mark.parametrize("path", SAVED_MODELS, ids=_name)
def test_saved_models_open(path: Path) -> None:
    if not (path / "variables/variables.index").exists():
        pytest.skip(f"{_name(path)} has no variables")
    with ckread.open(path) as checkpoint, ckread.open(path / "saved_model.pb") as same:
        found = checkpoint.evidence.saved_model
        assert found is not None
        assert found.tensorflow_version
        assert not checkpoint.warnings
        assert list(same) == list(checkpoint)
        for one in checkpoint.values():
            if one.role is not Role.BOOKKEEPING:
                one.numpy()


def _copies(source: Path, names: Iterable[str], target: Path) -> None:
    for name in names:
        (target / name).write_bytes((source / name).read_bytes())


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    files = FIXTURES / "digits_files"
    for source, name, layout in (
        ("digits.weights.h5", "a.keras", Format.KERAS_WEIGHTS),
        ("digits.keras", "b.h5", Format.KERAS_ARCHIVE),
        ("digits.h5", "weights", Format.LEGACY_HDF5),
        ("digits.h5", "c.weights.h5", Format.LEGACY_HDF5),
    ):
        (tmp_path / name).write_bytes((files / source).read_bytes())
        with ckread.open(tmp_path / name) as checkpoint:
            assert (checkpoint.format, len(checkpoint)) == (layout, 16), name


def test_v1_by_any_name_and_v2_beside_it(tmp_path: Path) -> None:
    v1 = (FIXTURES / "tf221_v1/whole/model.ckpt-42").read_bytes()
    (tmp_path / "model.ckpt").write_bytes(v1)
    with ckread.open(tmp_path / "model.ckpt") as checkpoint:
        assert checkpoint.format is Format.V1_TABLE
    run = FIXTURES / "digits_run"
    for suffix in (".index", ".data-00000-of-00001"):
        (tmp_path / f"model.ckpt{suffix}").write_bytes((run / f"ckpt-1{suffix}").read_bytes())
    with ckread.open(tmp_path / "model.ckpt") as checkpoint:
        assert checkpoint.format is Format.TENSOR_BUNDLE
        assert any("V1" in note for note in checkpoint.notes)


def test_a_damaged_graph_is_a_warning(tmp_path: Path) -> None:
    model = tmp_path / "model"
    (model / "variables").mkdir(parents=True)
    source = FIXTURES / "digits_export"
    names = ["saved_model.pb", *(f"variables/{p.name}" for p in (source / "variables").iterdir())]
    _copies(source, names, model)
    (model / "saved_model.pb").write_bytes(b"\x08\x01\x12\x7f\x0a")
    with ckread.open(model) as checkpoint:
        assert len(checkpoint) == 34 - 1
        found = "a field that ends at byte 131, its message ends at byte 5"
        assert checkpoint.warnings == (
            f"saved_model.pb: byte 2: {found}: signatures, tags and flags are not known.",
        )


def test_a_meta_graph_tells_what_is_trainable() -> None:
    with ckread.open(FIXTURES / "tf012_v1/model.ckpt-5") as checkpoint:
        graph = checkpoint.evidence.meta_graph
        assert graph is not None
        assert graph.tensorflow_version == "0.12.1"
        assert graph.saver is not None
        assert graph.saver.version == "V1"
        assert checkpoint["conv1/weights"].trainable is True
        for one in checkpoint.values():
            assert one.numpy().shape == one.shape
