"""The plain HDF5 parser sees what h5py sees, or declines; nothing else."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ckread
from ckread.readers.files import FileWindow
from ckread.readers.hdf5.library import LibraryFile
from ckread.readers.hdf5.messages import Dataset, DeclinedError
from ckread.readers.hdf5.plain import PlainFile
from tests.places import FIXTURES, REAL

if TYPE_CHECKING:
    from collections.abc import Callable

ATTRIBUTES = ("name", "layer_names", "weight_names", "model_config", "keras_version", "text")
FILES = sorted(
    path
    for folder in (FIXTURES, REAL)
    for pattern in ("*.h5", "*.hdf5")
    for path in folder.rglob(pattern)
)
DTYPES = ["f2", "f4", ">f4", "f8", ">f8", "i1", "i2", ">i4", "i8", "u1", ">u2", "u4", "u8"]


def _assert_same(path: str) -> None:
    window = FileWindow(path)
    plain, library = PlainFile(window), LibraryFile(window, "w.h5")
    expected = list(library.datasets())
    assert plain.listed == expected
    for item in ["", *(item for item in expected if isinstance(item, str))]:
        assert plain.has(item)
        for name in ATTRIBUTES:
            assert plain.attributes(item).get(name) == library.attribute(item, name), (item, name)
    library.close()
    window.close()


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_files_of_keras_are_plain(path: Path) -> None:
    _assert_same(str(path))


def _write(path: Path, fill: Callable[[h5py.File], object], **options: Any) -> str:
    with h5py.File(path, "w", **options) as file:
        fill(file)
    return str(path)


names = st.text(st.characters(max_codepoint=126, exclude_characters="/.\0"), min_size=1)
trees = st.recursive(
    st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 3), max_size=3)),
    lambda inner: st.dictionaries(names, inner, max_size=12),
    max_leaves=30,
)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@given(
    tree=st.dictionaries(names, trees, min_size=1, max_size=20), text=st.lists(texts, max_size=9)
)
def test_any_tree_of_plain_datasets(
    tree: dict[str, Any], text: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    def fill(group: Any, members: dict[str, Any]) -> None:
        group.attrs["text"] = text
        group.attrs["name"] = text[0] if text else "x"
        for name, member in members.items():
            if isinstance(member, dict):
                fill(group.create_group(name), member)
            else:
                dtype, shape = member
                group.create_dataset(name, data=np.ones(shape, dtype))

    path = tmp_path_factory.mktemp("trees") / "w.h5"
    _assert_same(_write(path, lambda file: fill(file, tree)))


@pytest.mark.parametrize("n", [1, 9, 100, 2000])
def test_groups_of_many_members_have_trees_of_many_levels(n: int, tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        for i in range(n):
            file[f"layers/layer_{i}"] = np.float32(i)

    _assert_same(_write(tmp_path / "w.h5", fill))


def test_of_objects_that_are_alike_one_is_a_sample(tmp_path: Path) -> None:
    """HDF5 takes some 40 us to open one: `check` of very many leaves the others out."""

    def fill(file: h5py.File) -> None:
        for i in range(200):
            file[f"layers/d{i}/vars/0"] = np.full((2, 3), i, "f4")
            file[f"layers/d{i}/vars/1"] = np.full(3, i, ">f8")
            file[f"layers/d{i}/vars"].attrs["name"] = f"fc{i}"
        file["layers/d7/vars/0"].attrs["x"] = 1

    path = _write(tmp_path / "w.h5", fill)
    with FileWindow(path) as window:
        plain = PlainFile(window)
        assert len(plain.listed) == 801
        assert plain.samples is not None
        assert len(plain.samples) < 8
        assert "layers/d7/vars/0" in plain.samples
    assert ckread.check(path).sound


def _soft(file: h5py.File) -> None:
    file["a"] = np.arange(3)
    file["b"] = h5py.SoftLink("/a")


DECLINED: dict[str, Callable[[h5py.File], object]] = {
    "soft link": _soft,
    "external link": lambda file: file.__setitem__("a", h5py.ExternalLink("x.h5", "/y")),
    "chunks": lambda file: file.create_dataset("a", (4,), chunks=(2,)),
    "filter": lambda file: file.create_dataset("a", data=np.arange(9), compression="gzip"),
    "strings": lambda file: file.create_dataset("a", data=np.array([b"x"])),
    "complex": lambda file: file.create_dataset("a", data=np.array([1j])),
    "references": lambda file: file.create_dataset("a", (1,), h5py.ref_dtype),
    "external": lambda file: file.create_dataset("a", (4,), "f4", external=[("x", 0, 16)]),
    "opaque": lambda file: file.create_dataset("a", data=np.zeros(2, "V2")),
    "null": lambda file: file.create_dataset("a", data=h5py.Empty("f4")),
    "unwritten": lambda file: file.create_dataset("a", (4,), "f4"),
    "a name that is not ASCII": lambda file: file.create_group("é"),
    "a deep tree": lambda file: file.create_group("/".join("g" * 70)),
    "linked twice": lambda file: file.__setitem__("b", file.create_group("a")),
}


@pytest.mark.parametrize("what", DECLINED)
def test_what_is_not_plain_is_left_to_h5py(what: str, tmp_path: Path) -> None:
    path = _write(tmp_path / "w.h5", DECLINED[what])
    with FileWindow(path) as window, pytest.raises(DeclinedError):
        _ = PlainFile(window).listed


def test_newer_headers_and_user_blocks_are_left_to_h5py(tmp_path: Path) -> None:
    choices: list[dict[str, Any]] = [{"libver": "latest"}, {"userblock_size": 512}]
    for i, options in enumerate(choices):
        path = _write(
            tmp_path / f"{i}.h5", lambda file: file.create_dataset("a", data=1.0), **options
        )
        with FileWindow(path) as window, pytest.raises(DeclinedError):
            _ = PlainFile(window).listed


def test_every_flip_and_truncation_declines_or_lists(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"

    def fill(file: h5py.File) -> None:
        file["layers/dense/vars/0"] = np.arange(4, dtype="f4")
        file["layers/dense/vars"].attrs["name"] = "fc"
        file.attrs["layer_names"] = ["fc", "out"]

    _write(path, fill)
    whole = path.read_bytes()
    declined = 0
    used = [at for at in range(len(whole)) if whole[max(0, at - 16) : at + 16].strip(b"\0")]
    for at in used[::3]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x81]) + whole[at + 1 :])
        declined += not _lists(path)
        path.write_bytes(whole[:at])
        declined += not _lists(path)
    assert declined > len(used) // 3


def _lists(path: Path) -> bool:
    with FileWindow(str(path)) as window:
        try:
            listed = PlainFile(window).listed
        except DeclinedError:
            return False
        sizes = [item for item in listed if isinstance(item, Dataset)]
        assert all((one.offset or 0) + one.nbytes <= window.nbytes for one in sizes)
        return True


@pytest.mark.parametrize("seed", range(2))
def test_what_is_listed_of_a_damaged_file_the_library_finds_too(seed: int, tmp_path: Path) -> None:
    """Where it opens the samples, it opens and reads all, under these very paths."""

    def fill(file: h5py.File) -> None:
        for i in range(30):
            file[f"layers/d{i}/vars/0"] = np.ones(2, "f4")
            file[f"layers/d{i}/vars"].attrs["name"] = f"fc{i}"
        for i in range(0, 30, 7):
            del file[f"layers/d{i}"]

    path, rng = tmp_path / "w.h5", random.Random(seed)
    whole = Path(_write(path, fill)).read_bytes()
    marks = [found.start() for found in re.finditer(rb"TREE|SNOD|HEAP|\x89HDF|\x01\0\x06\0", whole)]
    n_sound = 0
    for _ in range(40):
        data = bytearray(whole)
        at, width = rng.choice(marks) + rng.randrange(160), rng.choice((1, 1, 2, 8))
        value = int.from_bytes(data[at : at + width], "little")
        value = rng.choice((value + 1, value - 1, value + 8, value ^ 1 << rng.randrange(8), 0))
        data[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, "little")
        path.write_bytes(data)
        with FileWindow(str(path)) as window, suppress(DeclinedError):
            plain = PlainFile(window)
            paths = [one if isinstance(one, str) else one.path for one in plain.listed]
            found: list[str] = []
            if plain.samples is None:
                continue
            with suppress(OSError, RuntimeError, KeyError), h5py.File(path) as file:
                for sample in plain.samples:
                    h5py.h5o.open(file.id, sample.encode(errors="surrogateescape") or b"/")
                n_sound += 1
                file.id.links.visit(lambda name: found.append(os.fsdecode(name)))  # noqa: B023
                h5py.h5o.visit(file.id, lambda _: None)
                opened = [h5py.h5o.open(file.id, os.fsencode(one)) for one in found]
                assert all(h5py.Dataset(one)[()].size for one in opened if hasattr(one, "dtype"))
                assert sorted(found) == sorted(paths)
                found = []
            assert not found, "it listed what HDF5 cannot open"
    assert n_sound > 10


def test_opening_keras_files_needs_neither_h5py_nor_numpy() -> None:
    paths = [str(FIXTURES / "keras_compiled" / f"compiled{s}") for s in (".keras", ".h5")]
    code = (
        "import sys, ckread\n"
        "from ckread.analysis.info import summarise\n"
        f"for path in {paths!r}: summarise(ckread.open(path)).to_dict()\n"
        "print(sorted({'h5py', 'numpy', 'tensorflow', 'keras'} & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
