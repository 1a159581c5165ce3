"""The wire decoder against protobuf: what one reads, the other reads the same."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ckread.errors import CheckpointError
from ckread.readers.wire import iter_fields
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS

N_FILES = 3000
_GROUPS = (3, 4)


@pytest.fixture(scope="module")
def protobuf() -> Any:
    """Give a message without fields: everything in it is unknown, and kept."""
    pytest.importorskip("google.protobuf")
    from google.protobuf import empty_pb2, unknown_fields

    def fields(data: bytes) -> list[tuple[int, int, Any]] | None:
        message = empty_pb2.Empty()
        try:
            message.ParseFromString(data)
        except Exception:
            return None
        return [
            (field.field_number, field.wire_type, field.data)
            for field in unknown_fields.UnknownFieldSet(message)
        ]

    return fields


def _ours(data: bytes) -> list[tuple[int, int, Any]] | None:
    try:
        fields = list(iter_fields(data))
    except CheckpointError:
        return None
    return [
        (number, wire_type, data[slice(*value)] if wire_type == 2 else value)
        for number, wire_type, value in fields
    ]


@pytest.mark.oracle
def test_fields_are_those_of_protobuf(protobuf: Any) -> None:
    rng = random.Random(3)
    seeds = [seed[:2000] for seed in TARGETS["wire"].seeds()]
    n_read = 0
    for _ in range(N_FILES):
        data = mutated(rng.choice(seeds), seeds, rng)
        theirs, ours = protobuf(data), _ours(data)
        if theirs is not None and any(n == 0 or t in _GROUPS for n, t, _ in theirs):
            # Groups are in none of our messages; number 0 TensorFlow refuses too.
            assert ours is None
            continue
        n_read += ours is not None
        assert ours == theirs, data.hex()
    assert n_read > 100
