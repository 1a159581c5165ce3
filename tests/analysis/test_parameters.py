"""Parameters by what tells them, hash tables, averages alone; and values that never moved."""

from __future__ import annotations

import math
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from ckread.analysis.initial import draw_of, initial_of, initials_of
from ckread.analysis.parameters import (
    Averaged,
    HashTable,
    count,
    find_averaged,
    find_hash_tables,
    parameter_claims,
)
from ckread.errors import ChecksumError
from ckread.model.evidence import Evidence
from ckread.model.role import Role
from ckread.model.tree import Parameters
from ckread.readers.contract import Format
from tests.analysis.array_checkpoint import checkpoint


def test_hash_tables_in_parts() -> None:
    arrays: dict[str, Any] = {"w": np.ones((9, 2))}
    owners: dict[str, tuple[str, str]] = {}
    for part, n in (("/part_0_mht_1of2", 3), ("/part_1_mht_2of2", 4), ("", 0)):
        table = f"emb{part}" if part else "one"
        arrays[f"{table}-keys"] = np.arange(n or 5)
        arrays[f"{table}-values"] = np.ones((n or 5, 8 if part else 6))
        if part:
            arrays[f"{table}/m-values"] = np.ones((n, 8))
            owners[f"{table}/m-values"] = (f"{table}-values", "m")
    arrays["lone-values"] = np.ones((2, 2))
    arrays["flat-keys"], arrays["flat-values"] = np.arange(2), np.ones(2)
    made = checkpoint(arrays, owners=owners, roles={n: Role.STATE for n in arrays if "keys" in n})
    assert set(find_hash_tables(made)) == {
        HashTable("emb", 7, 8, 2, ("m",)), HashTable("one", 5, 6, 1, ())
    }  # fmt: skip
    [one] = (table for table in find_hash_tables(made) if table.name == "one")
    assert one.to_dict() == {
        "name": "one", "rows": 5, "dimension": 6, "parts": 1, "slots": ()
    }  # fmt: skip
    assert find_hash_tables(checkpoint({"w": np.ones(2)})) == ()
    other = {f"emb-{word}": Role.STATE for word in ("keys", "values")}
    assert find_hash_tables(checkpoint(dict.fromkeys(other, np.ones((2, 2))), roles=other)) == ()


def test_averages_alone_tell_of_the_weights() -> None:
    arrays = {"a/kernel/EMA": np.ones((2, 3)), "b/moving_mean/EMA": np.ones(4), "c/x/avg": 1.0}
    owners = {"a/kernel/EMA": ("a/kernel", "EMA")}
    roles = dict.fromkeys(arrays, Role.AVERAGE)
    made = checkpoint({k: np.asarray(v) for k, v in arrays.items()}, roles=roles, owners=owners)
    found = find_averaged(made)
    assert found == Averaged(7, 4, ("EMA", "avg"))
    assert count(made, found) == Parameters(11, None)
    [claim] = parameter_claims(made, count(made, found))
    assert (claim.value, str(claim.strength), claim.source) == (
        11, "derived", "averages of the weights"
    )  # fmt: skip
    with_weights = checkpoint({**{k: np.asarray(v) for k, v in arrays.items()}, "w": np.ones(2)},
                              roles=roles)  # fmt: skip
    assert find_averaged(with_weights) is None
    assert find_averaged(checkpoint({"w": np.ones(2)})) is None


@pytest.mark.parametrize(
    ("evidence", "owners", "fmt", "name", "strength", "source"),
    [
        ({}, {}, None, "w", "named", "the names: floating variables without another role"),
        ({}, {"w/m": ("w", "m")}, None, "w", "named",
         "the names: what optimizer state belongs to, and what is like it"),
        ({"keras_version": "3.0"}, {}, None, "w", "stored", "the layers of the Keras file"),
        ({"meta_graph": Mock()}, {}, None, "w", "stored", "the collections of the graph"),
        ({"saved_model": Mock()}, {"w/m": ("w", "m")}, None, "w", "stored",
         "the collections of the graph"),
        ({}, {}, Format.NPZ, "x", "derived", "floating numbers: no name says that they a"),
        ({}, {}, Format.NPZ, "d/kernel", "named", "the names: floating variables without another"),
        ({}, {}, Format.HDF5, "d.weight", "named", "the names: floating variables without another"),
    ],
)  # fmt: skip
def test_what_tells_the_parameters(
    evidence: Any, owners: Any, fmt: Any, name: str, strength: str, source: str
) -> None:
    arrays = {name: np.ones((2, 3)), **{slot: np.ones((2, 3)) for slot in owners}}
    made = checkpoint({**arrays, "table": np.ones(5)}, owners=owners, roles={"table": Role.STATE})
    made.evidence = Evidence()._replace(**evidence)
    if fmt is not None:
        made.reader.format = fmt
    first, second, third = parameter_claims(made, count(made, None))
    assert (first.claim, first.value, str(first.strength)) == ("parameters", 6, strength)
    assert first.source.startswith(source)
    assert second.claim == "trainable_parameters"
    assert (third.claim, third.value, str(third.strength)) == ("state", 5, "derived")
    assert not list(parameter_claims(made, Parameters(0, None)))


def kernel(*shape: int, name: str = "d/kernel", dtype: Any = np.float32) -> Any:
    return checkpoint({name: np.zeros(shape, dtype)})[name]


def test_draws_that_keras_begins_with() -> None:
    one = kernel(60, 40)
    glorot, he = math.sqrt(6 / 100), math.sqrt(6 / 60)
    normal = 2 * math.sqrt(2 / 100) / 0.87962566103423978
    he_normal = 2 * math.sqrt(2 / 60) / 0.87962566103423978
    for bound, name in (
        (glorot, "Glorot's uniform"), (he, "He's uniform"),
    ):  # fmt: skip
        found = draw_of(one, -bound * 0.999, bound * 0.998)
        assert found is not None
        assert found.name == name
        assert found.bound == pytest.approx(bound)
        assert draw_of(one, -bound * 1.01, bound * 0.998) is None
        assert draw_of(one, -bound * 0.999, bound * 0.98) is None
        assert draw_of(one, -bound * 0.98, bound) is None
        assert draw_of(one, 0, bound) is None
        assert draw_of(one, -bound, 0) is None
    assert draw_of(one, -normal, normal) is None, "too few to tell"
    large = kernel(60, 40, 3)
    field = 60
    for variance, name in (
        (2 / (field * 43), "Glorot's normal"),
        (2 / (field * 40), "He's normal"),
    ):
        bound = 2 * math.sqrt(variance) / 0.87962566103423978
        told = draw_of(large, -bound, bound)
        assert told is None or told.name == name
    many = kernel(300, 100)
    for variance, name in ((2 / 400, "Glorot's normal"), (2 / 300, "He's normal")):
        bound = 2 * math.sqrt(variance) / 0.87962566103423978
        found = draw_of(many, -bound, bound)
        assert found is not None
        assert found.name == name
        assert found.bound == pytest.approx(bound)
    assert he_normal > normal
    small = kernel(40, 39)
    bound = math.sqrt(6 / 79)
    assert draw_of(small, -bound, bound) is None, "1,560 elements are too few"
    conv = kernel(5, 5, 20, 40)
    bound = math.sqrt(6 / (25 * 60))
    found = draw_of(conv, -bound, bound)
    assert found is not None
    assert found.name == "Glorot's uniform"
    for other in (kernel(60, 40, name="d/other"), kernel(2400), kernel(60, 40, dtype=np.float64)):
        assert draw_of(other, -glorot, glorot) is None


def test_what_never_moved_looks_like() -> None:
    def told(values: Any, name: str = "d/kernel", dtype: Any = np.float32) -> str | None:
        return initial_of(checkpoint({name: np.asarray(values, dtype)})[name])

    assert told([0, 0]) == "all 0"
    assert told([0.5] * 300) == "all 0.5"
    assert told([0, 1]) is None
    assert told([1, np.nan]) is None
    assert told([0] * 200 + [1]) is told([1] + [0] * 200) is None
    assert told([1, 1], dtype=np.int32) is None
    assert told([]) is None
    assert told([b"a"], dtype=object) is None
    bound = math.sqrt(6 / 100)
    drawn = np.random.default_rng(0).uniform(-bound, bound, (60, 40))
    drawn[0, 0], drawn[5, 5] = -bound, bound
    assert told(drawn) == "as Glorot's uniform draw would be"
    broken = Mock(dtype=checkpoint({"w": np.ones(2)})["w"].dtype, elements=2)
    broken.chunks.side_effect = ChecksumError("x")
    assert initial_of(broken) is None


def test_no_more_is_looked_at_than_may_be_read() -> None:
    one = checkpoint({"w": np.zeros(2, np.float32)})["w"]
    half = Mock(wraps=one, nbytes=200 << 20, dtype=one.dtype, elements=2, chunks=one.chunks)
    assert list(initials_of([one, half, half, one])) == ["all 0", "all 0", None, "all 0"]
    whole = Mock(nbytes=256 << 20, dtype=one.dtype, elements=2, chunks=one.chunks)
    assert list(initials_of([whole, one])) == ["all 0", None]
