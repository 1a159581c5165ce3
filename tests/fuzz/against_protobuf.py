"""The wire decoder against protobuf's: what one reads, the other reads the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckread.errors import CheckpointError
from ckread.readers.protobuf import iter_fields
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from tests.fuzz.workplace import Workplace

_GROUPS = (3, 4)
_BYTES = 2
_SEED_NBYTES = 2000

Fields = list[tuple[int, int, Any]]


def _theirs(data: bytes) -> Fields | None:
    """Parse a message without fields: everything in it is unknown, and kept."""
    from google.protobuf import empty_pb2, message, unknown_fields

    parsed = empty_pb2.Empty()
    try:
        parsed.ParseFromString(data)
    except message.DecodeError:
        return None
    return [
        (field.field_number, field.wire_type, field.data)
        for field in unknown_fields.UnknownFieldSet(parsed)
    ]


def _ours(data: bytes) -> Fields | None:
    try:
        fields = list(iter_fields(data))
    except CheckpointError:
        return None
    return [
        (number, wire_type, data[slice(*value)] if wire_type == _BYTES else value)
        for number, wire_type, value in fields
    ]


def _compare(data: bytes, _: Workplace) -> str | None:
    theirs, ours = _theirs(data), _ours(data)
    if theirs is not None and any(n == 0 or t in _GROUPS for n, t, _ in theirs):
        # Groups are in none of our messages; number 0 TensorFlow refuses too.
        if ours is not None:
            raise AssertionError(f"a group, or field 0, was read: {ours}")
        return "refused"
    if ours != theirs:
        raise AssertionError(f"ours {ours}, theirs {theirs}")
    return "refused" if ours is None else None


def _seeds() -> list[bytes]:
    return [seed[:_SEED_NBYTES] for seed in TARGETS["wire"].seeds()]


TARGET = Target("against_protobuf", _seeds, _compare)
