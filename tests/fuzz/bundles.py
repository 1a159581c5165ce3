"""Bundles and V1 checkpoints as parts, whose checksums are right whatever was changed.

i<key>   an entry of the index, by its stored key       d<n>   the bytes of shard n
options  of the table, as JSON: `restart_interval`, `block_nbytes`, `snappy`, and
         `damage`, a seed by which the blocks themselves are changed before they are sealed
"""

from __future__ import annotations

import json
import struct
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np

from ckread.errors import CheckpointError
from ckread.readers.contract import DataType
from ckread.readers.files import RegularFile
from ckread.readers.table import Table
from tests.builders import (
    BundleBuilder,
    Ranges,
    block_bytes,
    fixed32_field,
    masked_crc32c,
    table_bytes,
    table_of_blocks,
    varint,
)
from tests.fuzz.messages import NAMES, fields_of, joined, mutated_wire
from tests.fuzz.mutation import mutated
from tests.fuzz.parts import Kind, Parts
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHARD, _OFFSET, _SIZE, _CRC = 3, 4, 5, 6
_SMALL = (
    "six_ways/functional/object/ckpt-1", "six_ways/sequential/name/model.ckpt",
    "schedule_run/ckpt-2", "restoring/mine/ckpt-1", "tf23_keras2/subclassed/ckpt-1",
    "keras2_new/object/ckpt-1", "keras3_object/weights_only/ckpt-1", "tf012_v2/model.ckpt-5",
    "tf115_saver/slots/adadelta.ckpt", "strings/tables/ckpt-1", "strings/iterator/ckpt-1",
    "sharded/partitioned/model.ckpt", "sharded/merged/model.ckpt", "odd_names/odd",
    "crafted/big_endian_strings", "dtypes/every", "keras3_object/adamw/ckpt-1",
)  # fmt: skip
GRAPH = "i_CHECKPOINTABLE_OBJECT_GRAPH"
_PATTERNS = (
    struct.pack("<f", float("nan")), struct.pack("<f", float("inf")), b"\x01\x00\x80\x7f",
    struct.pack("<d", 1e308), b"\xff" * 8, b"\0" * 8, struct.pack("<q", -(1 << 63)),
)  # fmt: skip


def items_of(path: str) -> dict[bytes, bytes]:
    """Give what a table holds."""
    with RegularFile(path) as file:
        return {bytes(key): bytes(value) for key, value in Table(file).items()}


def _parts_of(prefix: str) -> Parts:
    index = items_of(f"{prefix}.index")
    parts = {f"i{key.decode('latin-1')}": value for key, value in index.items()}
    header = {number: value for number, _, value in fields_of(index[b""]) or ()}
    n_shards = header.get(1, 1)
    for i in range(n_shards):
        with open(f"{prefix}.data-{i:05d}-of-{n_shards:05d}", "rb") as file:
            parts[f"d{i}"] = file.read()
    return {**parts, "options": b"{}"}


@cache
def _bundle_seeds() -> tuple[Parts, ...]:
    builder = BundleBuilder(2)
    builder.add("f16", np.arange(6, dtype=np.float16).reshape(2, 3), DataType.FLOAT16, shard=1)
    builder.add("i64", np.arange(3), DataType.INT64)
    builder.add("k", np.ones((3, 3, 1, 2), np.float32), DataType.FLOAT32)
    builder.add("e", np.zeros((0, 3), np.float32), DataType.FLOAT32)
    builder.add_strings("s", [b"one", b"", b"three\0"], [3])
    rows: list[Ranges] = [((0, 1), (0, None)), ((1, 1), (0, None))]
    builder.add_partitioned("p", np.ones((2, 2), np.float32), DataType.FLOAT32, rows)
    made = {f"i{key.decode('latin-1')}": value for key, value in builder.items.items()}
    made |= {f"d{i}": bytes(data) for i, data in enumerate(builder.shards)}
    return ({**made, "options": b"{}"}, *(_parts_of(f"{FIXTURES}/{name}") for name in _SMALL))


def _options(parts: Parts) -> dict[str, Any]:
    try:
        found = json.loads(parts.get("options", b"{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _place(entry: bytes) -> tuple[int, int, int, int]:
    """Give element type, shard, offset and size of an entry, as far as it says them."""
    found = {number: value for number, kind, value in fields_of(entry) or () if kind == 0}
    return found.get(1, 0), found.get(_SHARD, 0), found.get(_OFFSET, 0), found.get(_SIZE, 0)


def _with_place(entry: bytes, shard: int, offset: int, size: int) -> bytes:
    fields = [one for one in fields_of(entry) or [] if one[0] not in (_SHARD, _OFFSET, _SIZE)]
    return joined([*fields, (_SHARD, 0, shard), (_OFFSET, 0, offset), (_SIZE, 0, size)])


def _lengths(data: bytes) -> list[tuple[int, int]]:
    """Give the lengths at the head of string data, each with the byte after it, as they may be."""
    found, value, bits = [], 0, 0
    for at, byte in enumerate(data):
        value |= (byte & 0x7F) << bits
        bits += 7
        if byte < 0x80:
            found.append((value, at + 1))
            value = bits = 0
            if len(found) > 1000:
                break
    return found


def _split_strings(data: bytes) -> list[bytes] | None:
    """Take string data apart: as many lengths as make up all that follows them."""
    total = 0
    lengths = _lengths(data)
    for n, (length, stop) in enumerate(lengths, 1):
        total += length
        if stop + 4 + total == len(data):
            at, strings = stop + 4, []
            for one, _ in lengths[:n]:
                strings.append(data[at : at + one])
                at += one
            return strings
    return None


def _strings_bytes(strings: Sequence[bytes]) -> bytes:
    lengths = b"".join(struct.pack("<I", len(one)) for one in strings)
    word = struct.pack("<I", masked_crc32c(lengths))
    return b"".join(varint(len(one)) for one in strings) + word + b"".join(strings)


def sealed_entry(entry: bytes, shards: Sequence[bytes]) -> bytes:
    """Give an entry with the checksum of the bytes that it points at, where there are any."""
    dtype, shard, offset, size = _place(entry)
    if not (shard < len(shards) and offset + size <= len(shards[shard]) and size):
        return entry
    data = shards[shard][offset : offset + size]
    masked = masked_crc32c(data)
    strings = _split_strings(data) if dtype == DataType.STRING.number else None
    if strings is not None:
        lengths = b"".join(struct.pack("<I", len(one)) for one in strings)
        tail = data[len(b"".join(varint(len(one)) for one in strings)) :]
        masked = masked_crc32c(tail, google_crc32c.value(lengths))
    fields = [one for one in fields_of(entry) or [] if one[0] != _CRC]
    return joined(fields) + fixed32_field(_CRC, masked)


def _table(items: list[tuple[bytes, bytes]], options: dict[str, Any]) -> bytes:
    interval = options.get("restart_interval", 16)
    damage = options.get("damage")
    if damage is None:
        return table_bytes(
            items, restart_interval=interval, block_nbytes=options.get("block_nbytes", 1 << 18),
            snappy=bool(options.get("snappy")),
        )  # fmt: skip
    block = block_bytes(items, interval)
    return table_of_blocks(
        [(items[-1][0] if items else b"", mutated(block, [block], Random(damage)))]
    )


def _build_bundle(parts: Parts) -> Parts:
    options = _options(parts)
    names = sorted(name for name in parts if name.startswith("d"))
    shards = [parts[name] for name in names]
    items = []
    for name in sorted(name for name in parts if name.startswith("i")):
        key = name[1:].encode("latin-1")
        entry = parts[name]
        is_sealed = key and not options.get("unsealed")
        items.append((key, sealed_entry(entry, shards) if is_sealed else entry))
    built = {"m.index": _table(items, options)}
    count = options.get("n_shards", len(shards))
    for i, data in enumerate(shards):
        built[f"m.data-{i:05d}-of-{count:05d}"] = data
    return built


def _change_options(parts: Parts, rng: Random) -> None:
    options = _options(parts)
    name, values = rng.choice((
        ("restart_interval", (1, 2, 16)), ("block_nbytes", (1, 60, 300)), ("snappy", (True,)),
        ("damage", range(1 << 30)), ("unsealed", (True,)), ("n_shards", (1, 2, 3, 99999)),
    ))  # fmt: skip
    options[name] = rng.choice(values)
    parts["options"] = json.dumps(options).encode()


def change_bundle(parts: Parts, others: Sequence[Parts], rng: Random) -> None:
    """Change an entry, a key, values, strings, the object graph, or how it is written."""
    entries = [name for name in sorted(parts) if name.startswith("i")]
    shards = [name for name in sorted(parts) if name.startswith("d")]
    what = rng.random()
    if not entries or what < 0.05:
        _change_options(parts, rng)
        return
    name = GRAPH if GRAPH in parts and what < 0.35 else rng.choice(entries)
    if what < 0.45 and shards and _change_strings(parts, name, rng):
        return
    if what < 0.6:
        parts[name] = mutated_wire(parts[name], rng)
    elif what < 0.65:
        parts[name] = mutated(parts[name], [parts[rng.choice(entries)]], rng)
    elif what < 0.7:
        del parts[name]
    elif what < 0.8:
        key = rng.choice((*NAMES, mutated(name[1:].encode("latin-1"), NAMES, rng)))
        parts[f"i{key.decode('latin-1')}"] = parts[name]
        if rng.random() < 0.5:
            parts.pop(name, None)
    elif what < 0.85:
        other = rng.choice(entries)
        parts[name], parts[other] = parts[other], parts[name]
    elif what < 0.88:
        spare = rng.choice(others)
        parts |= {key: spare[key] for key in rng.sample(sorted(spare), min(3, len(spare)))}
    elif shards:
        name = rng.choice(shards)
        if rng.random() < 0.5:
            data, pattern = bytearray(parts[name]), rng.choice(_PATTERNS)
            at = rng.randrange(len(data) + 1) & ~3
            data[at : at + len(pattern)] = pattern
            parts[name] = bytes(data)
        else:
            parts[name] = mutated(parts[name], [parts[name]], rng)


def _change_strings(parts: Parts, name: str, rng: Random) -> bool:
    """Change an element of a string tensor, in a place of its own at the end of its shard."""
    dtype, shard, offset, size = _place(parts[name])
    data = parts.get(f"d{shard}")
    if dtype != DataType.STRING.number or data is None or offset + size > len(data):
        return False
    strings = _split_strings(data[offset : offset + size])
    if not strings:
        return False
    at = rng.randrange(len(strings))
    if name == GRAPH:
        strings[at] = mutated_wire(strings[at], rng)
    else:
        strings[at] = rng.choice((*NAMES, mutated(strings[at], NAMES, rng)))
    new = _strings_bytes(strings)
    if rng.random() < 0.1:
        new = mutated(new, [new], rng)
    parts[f"d{shard}"] = data + new
    parts[name] = _with_place(parts[name], shard, len(data), len(new))
    return True


BUNDLE = Kind(
    "bundle", "m", lambda: list(_bundle_seeds()), change_bundle, _build_bundle,
    ("info", "ls", "tree", "layers", "show", "stats", "filters", "export", "diff", "check", "loads",
     "compat"),
)  # fmt: skip


# V1: one table, values within the entries.


@cache
def _v1_seeds() -> tuple[Parts, ...]:
    paths = ("tf012_v1/model.ckpt-5", "tf221_v1/whole/model.ckpt-42")
    seeds = []
    for path in paths:
        items = items_of(f"{FIXTURES}/{path}")
        parts = {f"i{key.decode('latin-1')}": value for key, value in items.items()}
        seeds.append({**parts, "options": b"{}"})
    return tuple(seeds)


def _build_v1(parts: Parts) -> Parts:
    names = sorted(name for name in parts if name.startswith("i"))
    items = [(name[1:].encode("latin-1"), parts[name]) for name in names]
    return {"v1": _table(items, _options(parts))}


def _change_v1(parts: Parts, others: Sequence[Parts], rng: Random) -> None:
    entries = [name for name in sorted(parts) if name.startswith("i")]
    what = rng.random()
    if not entries or what < 0.08:
        _change_options(parts, rng)
        return
    name = "i" if "i" in parts and what < 0.4 else rng.choice(entries)
    if what < 0.75:
        parts[name] = mutated_wire(parts[name], rng)
    elif what < 0.85:
        parts[name] = mutated(parts[name], [parts[rng.choice(entries)]], rng)
    elif what < 0.9:
        del parts[name]
    else:
        spare = rng.choice(others)
        key = mutated(name[1:].encode("latin-1"), NAMES, rng).decode("latin-1")
        parts[f"i{key}"] = parts[name]
        parts |= {one: spare[one] for one in rng.sample(sorted(spare), min(2, len(spare)))}


V1 = Kind(
    "v1", "v1", lambda: list(_v1_seeds()), _change_v1, _build_v1,
    ("info", "ls", "tree", "show", "stats", "export", "diff", "check", "loads", "compat"),
)  # fmt: skip


# Runs: a state file and the checkpoints that it names.


def _run_seeds() -> list[Parts]:
    folder = FIXTURES / "schedule_run"
    parts = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.startswith(("ckpt-", "checkpoint")):
            parts[path.name] = path.read_bytes()
    return [parts]


_STATES = (
    b'model_checkpoint_path: "ckpt-3"\n', b'all_model_checkpoint_paths: "ckpt-1"\n',
    b"all_model_checkpoint_timestamps: nan\n", b"all_model_checkpoint_timestamps: 1e300\n",
    b"last_preserved_timestamp: inf\n", b"all_model_checkpoint_timestamps: -1e300\n",
    b'model_checkpoint_path: "ckpt-\\n3"\n', b'all_model_checkpoint_paths: "/dev/zero"\n',
    b"last_preserved_timestamp: " + b"9" * 4300 + b"\n", b'model_checkpoint_path: ".."\n',
)  # fmt: skip


def _change_run(parts: Parts, others: Sequence[Parts], rng: Random) -> None:
    name = rng.choice(("checkpoint", "checkpoint", rng.choice(sorted(parts))))
    data = parts.get(name, b"")
    if name.endswith(".index") and rng.random() < 0.7:
        prefix = name.removesuffix(".index")
        shard = f"{prefix}.data-00000-of-00001"
        bundle = _run_bundle(parts[name], parts.get(shard, b""))
        if bundle is not None:
            change_bundle(bundle, [bundle], rng)
            built = _build_bundle(bundle)
            parts[name] = built["m.index"]
            parts[shard] = built.get("m.data-00000-of-00001", b"")
            return
    if name == "checkpoint" and rng.random() < 0.6:
        lines = data.splitlines(keepends=True)
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(_STATES))
        parts[name] = b"".join(lines)
    elif rng.random() < 0.15:
        parts.pop(name, None)
    else:
        parts[name] = mutated(data, [data, rng.choice(others).get(name, b"")], rng)


def _run_bundle(index: bytes, data: bytes) -> Parts | None:
    import tempfile

    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        file.write(index)
        file.flush()
        try:
            items = items_of(file.name)
        except CheckpointError:
            return None
    parts = {f"i{key.decode('latin-1')}": value for key, value in items.items()}
    return {**parts, "d0": data, "options": b"{}"}


RUN = Kind("run", ".", _run_seeds, _change_run, dict, ("runs", "drift", "track", "stats", "check"))
