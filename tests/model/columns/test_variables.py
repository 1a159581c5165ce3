"""Columns of very many variables: whatever is asked of them is what single variables give.

The threshold is forced down, so that every bundle is read both ways.
"""

from __future__ import annotations

import pickle
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ckread
from ckread.analysis.checksums import find_shared_in
from ckread.analysis.info import info, shown_tree, summarise
from ckread.cli.ls import in_order
from ckread.errors import CheckpointError, VariableNotFoundError
from ckread.model.columns.variables import SomeVariables
from ckread.model.role import Role
from ckread.model.selection import select
from ckread.readers.bundle import reader
from ckread.readers.contract import DataType, TensorColumns
from ckread.views.info.page import info_page
from ckread.views.json_document import encode, encode_columns, encode_variables
from ckread.views.listing import Listing, listing_page, tree_page
from tests.builders import BundleBuilder, entry_bytes
from tests.places import FIXTURES, REAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.model.checkpoint import Checkpoint
    from ckread.views.terminal.page import Page

NEVER = 1 << 60


@contextmanager
def columns_above(nbytes: int) -> Iterator[None]:
    """Have indexes of more bytes read as columns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "COLUMNAR_NBYTES", nbytes)
        yield


def opened(path: str) -> tuple[Checkpoint, Checkpoint] | None:
    """Open a checkpoint both ways; None where it cannot be opened, with the same error."""
    found: list[Any] = []
    for nbytes in (NEVER, -1):
        with columns_above(nbytes):
            try:
                found.append(ckread.open(path))
            except CheckpointError as error:
                found.append(str(error))
    if isinstance(found[0], str):
        assert found[0] == found[1]
        return None
    return found[0], found[1]


def tree_of(checkpoint: Checkpoint, **options: Any) -> list[Any]:
    """Give all that a tree says, node by node."""
    tree = checkpoint.tree(**options)
    top = [(node.path, node.has_scopes) for node, _ in tree.walk(2)]
    nodes = [
        (node.name, node.path, lasts, node.n_variables, node.parameters, node.nbytes,
         node.variable and node.variable.key, [one.key for one in node.folded], node.has_scopes)
        for node, lasts in tree.walk()
    ]  # fmt: skip
    told = [[one.key for one in tree.of_role(role)] for role in Role]
    return [top, nodes, told, type(tree.nbytes), type(tree.parameters)]


def assert_same(one: Checkpoint, many: Checkpoint) -> None:
    """See that nothing tells the two apart."""
    assert list(one) == list(many)
    assert len(one) == len(many)
    assert [v.record for v in one.values()] == [v.record for v in many.values()]
    assert [v.identity for v in one.values()] == [v.identity for v in many.values()]
    assert list(map(repr, one.values())) == list(map(repr, many.values()))
    assert list(one.kinds.items()) == list(many.kinds.items())
    assert (one.notes, one.warnings) == (many.notes, many.warnings)
    assert find_shared_in(one) == find_shared_in(many)
    for name, variable in one.items():
        assert many[name].record == variable.record
        assert many[variable.key].identity == one[variable.key].identity
        assert many[name] is many[name]
        assert many.reader.tensors[variable.key] == variable.record
    assert [v.key for v in one.in_order()] == [v.key for v in many.in_order()]
    for role in Role:
        assert [v.key for v in one.of_role(role)] == [v.key for v in many.of_role(role)]
    words = {name.rpartition("/")[2] for name in one}
    for some in (words, list(words)[:1], ["no"]):
        assert [v.key for v in one.of_word(*some)] == [v.key for v in many.of_word(*some)]
    for options in (
        {},
        {"folds": True},
        {"bookkeeping": False},
        {"folds": True, "bookkeeping": False},
    ):
        assert tree_of(one, **options) == tree_of(many, **options)
        pages = [tree_page(ck.tree((), **options), "all") for ck in (one, many)]
        assert_same_pages(*pages)
    for folds in (True, False):
        pages = [info_page(summarise(ck), shown_tree(ck, folds=folds)) for ck in (one, many)]
        assert len({page.text() for page in pages}) == 1
        assert len({"\n".join(page.piped()) for page in pages}) == 1
    assert len({encode(info(ck).to_dict()) for ck in (one, many)}) == 1
    if many.columns is not None:
        assert_same_listings(one, many)


def assert_same_pages(one: Page, many: Page) -> None:
    """See that a pipe and a terminal get the same, the pipe first."""
    assert list(one.piped()) == list(many.piped())
    assert one.text() == many.text()


def assert_same_listings(one: Checkpoint, many: Checkpoint) -> None:
    """See that the orders, patterns and JSON of `ls` are the same."""
    columns = many.columns
    assert columns is not None
    places = np.arange(len(many))
    for order in ("model", "name", "bytes", "elements", "file"):
        ordered = one.in_order() if order == "model" else in_order(one.values(), order)
        expected = "".join(encode_variables({}, ordered))
        found = columns.sorted(places, order, many.evidence)
        assert "".join(encode_columns({}, columns, found)) == expected
        sides = ordered, SomeVariables(columns, found)
        pages = [listing_page(Listing(side, len(ordered), 1)) for side in sides]
        assert_same_pages(*pages)
    for pattern in ("e", "*/**", "no variable is called so", ["a", "e"], "**/*e*"):
        try:
            wanted = [v.key for v in select(one.values(), pattern)]
        except VariableNotFoundError as error:
            with pytest.raises(VariableNotFoundError, match=re.escape(str(error))):
                columns.select(places, pattern)
        else:
            found = columns.select(places, pattern)
            assert [v.key for v in columns.some(found)] == wanted
            assert tree_of(one, patterns=pattern) == tree_of(many, patterns=pattern)


def both_ways(path: str) -> bool | None:
    """Compare; tell whether there were columns, None if it could not be opened."""
    found = opened(path)
    if found is None:
        return None
    with found[0] as one, found[1] as many:
        assert one.columns is None
        assert_same(one, many)
        return many.columns is not None


def indexes(root: Path) -> list[str]:
    return sorted(str(path.with_suffix("")) for path in root.rglob("*.index"))


@pytest.mark.parametrize(
    "prefix", indexes(FIXTURES), ids=lambda p: str(Path(p).relative_to(FIXTURES))
)
def test_every_fixture(prefix: str) -> None:
    both_ways(prefix)


@pytest.mark.slow
@pytest.mark.parametrize("prefix", indexes(REAL), ids=lambda p: str(Path(p).relative_to(REAL)))
def test_every_real_checkpoint(prefix: str) -> None:
    both_ways(prefix)


def test_most_fixtures_have_columns() -> None:
    with columns_above(-1):
        made = [ckread.open(path) for path in indexes(FIXTURES / "digits_run")]
    assert all(isinstance(one.reader.tensors, TensorColumns) for one in made)
    assert all(one.columns is not None for one in made)


# Random bundles: names that meet and part again, words of roles and slots, containers.

_WORDS = """
kernel bias gamma moving_mean global_step Adam Adam_1 Momentum my_slot mean variance count total
ExponentialMovingAverage mask beta1_power t-keys t-values layer_1 layer_01 layer_2 layer_10 a b
replay_buffer training x:0 größe %s q" a-b a.b _CHECKPOINTABLE_OBJECT_GRAPH
"""
WORDS = st.sampled_from([*_WORDS.split(), "", "w 1"])
NAMES = st.lists(WORDS, min_size=1, max_size=4).map("/".join).filter(bool)
SHAPES = st.sampled_from([(), (1,), (3,), (3, 2), (2, 3), (600,), (600, 2), (0, 2)])
DTYPES = st.sampled_from([DataType.FLOAT32, DataType.FLOAT32, DataType.INT64, DataType.BOOL])
TENSORS = st.dictionaries(
    NAMES, st.tuples(SHAPES, DTYPES, st.integers(0, 2)), min_size=1, max_size=25
)


@given(
    tensors=TENSORS,
    interval=st.sampled_from([1, 2, 3, 16]),
    block=st.sampled_from([1, 60, 1 << 18]),
)
def test_random_bundles(
    tensors: dict[str, Any], interval: int, block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    builder = BundleBuilder(num_shards=3)
    for name, (shape, dtype, shard) in tensors.items():
        if name.endswith("GRAPH"):
            builder.add_strings(name, [b""], (), shard=shard)
        else:
            values = np.zeros(shape, np.dtype(dtype.code))
            builder.add(name, values, dtype, shard=shard)
    prefix = tmp_path_factory.mktemp("random") / "ckpt"
    builder.write(prefix, restart_interval=interval, block_nbytes=block)
    assert both_ways(str(prefix))


def test_slots_of_objects_by_the_names_of_their_weights(fixtures_dir: Path) -> None:
    with columns_above(-1):
        checkpoint = ckread.open(str(fixtures_dir / "digits_run" / "ckpt-10"))
    slots = checkpoint.of_role(Role.SLOT)
    assert slots
    assert all(one.owner in checkpoint and one.role is Role.SLOT for one in slots)
    copy = pickle.loads(pickle.dumps(checkpoint))
    assert list(copy) == list(checkpoint)


def test_a_run_of_columns(fixtures_dir: Path) -> None:
    documents = []
    for nbytes in (NEVER, -1):
        with columns_above(nbytes):
            run = ckread.open_run(str(fixtures_dir / "digits_run"))
            documents.append(run.to_dict())
            with run[3] as checkpoint, pickle.loads(pickle.dumps(run))[3] as copy:
                assert list(checkpoint) == list(copy)
    assert documents[0] == documents[1]


def test_names_that_columns_do_not_hold(tmp_path: Path) -> None:
    builder = BundleBuilder()
    for name in ("/".join("a" * 40), "b"):
        builder.add(name, np.zeros(3, np.float32), DataType.FLOAT32)
    builder.write(tmp_path / "deep")
    assert both_ways(str(tmp_path / "deep")) is False


def test_sizes_beyond_64_bits_add_up(tmp_path: Path) -> None:
    builder = BundleBuilder()
    for name in (b"a", b"b", b"c"):
        builder.items[name] = entry_bytes(1, [1 << 31, 1 << 30], size=1 << 62, masked=1)
    builder.write(tmp_path / "huge")
    assert both_ways(str(tmp_path / "huge"))
