"""The kinds of files that mutants are made of, each changed by its own structure."""

from __future__ import annotations

import csv
import io
import json
import pickle
import struct
import zipfile
import zlib
from collections import OrderedDict
from functools import cache
from os import getenv
from typing import TYPE_CHECKING, Any

from tests.builders import bytes_field, masked_crc32c, varint_field
from tests.fuzz import hdf5_files
from tests.fuzz.bundles import BUNDLE, RUN, V1
from tests.fuzz.messages import fields_of, mutated_message, mutated_wire
from tests.fuzz.mutation import mutated
from tests.fuzz.parts import Kind, Parts, mutate_some_part
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

_TEXTS: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2**31, 2**63, 10**40, 1.5, 1e308, -1e308, 1e-300, float("nan"),
    float("inf"), "", "a", "\n", "\x1b[31m", "epoch", "loss", "error: all is lost", "../..", "NaN",
    "1e999", "9" * 400, "ü\u202e", [], {}, [[]], [None], {"": ""}, [1, "a", None],
    {"class_name": "X"},
)  # fmt: skip
"""Values that stand anywhere in a document."""


def changed_json(value: Any, rng: Random) -> Any:
    """Give a JSON value with something in it changed, at any depth."""
    if isinstance(value, dict) and value and rng.random() < 0.93:
        key = rng.choice(sorted(value))
        what = rng.random()
        if what < 0.1:
            return {name: one for name, one in value.items() if name != key}
        if what < 0.2:
            renamed = rng.choice(("", "\n", "name", "epoch", f"{key}2", "class_name", "x" * 300))
            return {renamed if name == key else name: one for name, one in value.items()}
        return value | {key: changed_json(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.93:
        at = rng.randrange(len(value))
        what = rng.random()
        if what < 0.08:
            return value[:at] + value[at + 1 :]
        if what < 0.16:
            return value[:at] + [value[at]] * rng.choice((2, 2, 40)) + value[at:]
        return [*value[:at], changed_json(value[at], rng), *value[at + 1 :]]
    if isinstance(value, str) and rng.random() < 0.5:
        return mutated(value.encode(), [b"layers", b"/"], rng).decode(errors="replace")
    if rng.random() < 0.03:
        for _ in range(rng.choice((5, 500))):
            value = [value]
        return value
    return rng.choice(_TEXTS)


def mutate_json(data: bytes, rng: Random) -> bytes:
    """Change a JSON document by its structure, or where that cannot be, by its bytes."""
    if rng.random() < 0.8:
        try:
            return json.dumps(changed_json(json.loads(data), rng)).encode()
        except (ValueError, RecursionError):
            pass
    return mutated(data, [data], rng)


# HDF5 and what holds it.


def _change_h5(parts: Parts, others: Sequence[Parts], rng: Random) -> None:
    name = rng.choice([name for name in sorted(parts) if name.endswith(".h5")] or ["m.h5"])
    spare = [other[name] for other in others if name in other] or list(hdf5_files.seeds())
    parts[name] = hdf5_files.mutate(parts.get(name, b""), spare, rng)


_READS = (
    "info",
    "ls",
    "tree",
    "layers",
    "show",
    "stats",
    "filters",
    "export",
    "diff",
    "check",
    "loads",
    "compat",
)
HDF5 = Kind(
    "hdf5",
    "m.h5",
    lambda: [{"m.h5": data} for data in hdf5_files.seeds()],
    _change_h5,
    dict,
    _READS,
)


@cache
def _keras_seeds() -> tuple[Parts, ...]:
    seeds = []
    for path in sorted(FIXTURES.rglob("*.keras")):
        if path.stat().st_size < 40_000:
            with zipfile.ZipFile(path) as archive:
                parts = {info.filename: archive.read(info) for info in archive.infolist()}
            seeds.append({**parts, "options": b"{}"})
    return tuple(seeds)


_METHODS = (0, 0, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_MEMBERS = (
    "../../x",
    "/abs",
    "a\nb",
    "assets/x",
    "model.weights.h5",
    "model.weights.npz",
    "C:\\x",
    "",
)


def _change_keras(parts: Parts, others: Sequence[Parts], rng: Random) -> None:
    name = rng.choice(sorted(parts))
    what = rng.random()
    if what < 0.15:
        options = json.loads(parts.get("options", b"{}"))
        options[rng.choice(("method", "damage", "size", "twice", "comment"))] = rng.randrange(
            1 << 30
        )
        parts["options"] = json.dumps(options).encode()
    elif what < 0.2:
        parts.pop(name)
    elif what < 0.25:
        parts[rng.choice(_MEMBERS)] = parts[name]
    elif name.endswith(".h5"):
        spare = [other[name] for other in others if name in other] or list(hdf5_files.seeds())
        parts[name] = hdf5_files.mutate(parts[name], spare, rng)
    elif name.endswith(".json"):
        parts[name] = mutate_json(parts[name], rng)
    else:
        parts["config.json"] = mutate_json(parts.get("config.json", b"{}"), rng)


def _build_keras(parts: Parts) -> Parts:
    options = json.loads(parts.get("options", b"{}"))
    buffer = io.BytesIO()
    method = _METHODS[options.get("method", 0) % len(_METHODS)]
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in parts.items():
            if name == "options":
                continue
            info = zipfile.ZipInfo(name.encode(errors="replace").decode(), (1980, 1, 1, 0, 0, 0))
            archive.writestr(info, data, compress_type=method)
        if "comment" in options:
            archive.comment = b"x" * (options["comment"] % 70_000 & 0xFFFF)
    made = bytearray(buffer.getvalue())
    for word, mark, ats in (("size", b"PK\1\2", (20, 24)), ("damage", b"PK\1\2", range(4, 46))):
        if word in options:  # forged sizes, and anything else of the directory
            at = made.find(mark) + ats[options[word] % len(ats)]
            value = (0xFFFFFFFF, 1 << 30, 0, 1)[(options[word] >> 8) % 4]
            made[at : at + 4] = struct.pack("<I", value)
    return {"m.keras": bytes(made)}


KERAS = Kind("keras", "m.keras", lambda: list(_keras_seeds()), _change_keras, _build_keras, _READS)


def _sharded_seeds() -> list[Parts]:
    folders = [FIXTURES / "six_ways" / one / "sharded" for one in ("functional", "sequential")]
    return [{path.name: path.read_bytes() for path in sorted(one.iterdir())} for one in folders]


def _change_sharded(parts: Parts, others: Sequence[Parts], rng: Random) -> None:
    if rng.random() < 0.7:
        name = "tiny.weights.json"
        parts[name] = mutate_json(parts.get(name, b"{}"), rng)
    else:
        _change_h5(parts, others, rng)


WEIGHTS_JSON = Kind(
    "weights_json", "tiny.weights.json", _sharded_seeds, _change_sharded, dict, _READS
)


# Graphs, by protobuf's own classes, which tensorboard has without TensorFlow.


def _changed_meta_graph(data: bytes, rng: Random) -> bytes:
    from tensorboard.compat.proto.meta_graph_pb2 import MetaGraphDef

    try:
        graph = MetaGraphDef.FromString(data)
        for _ in range(rng.choice((1, 1, 2, 3))):
            mutated_message(graph, rng)
        changed: bytes = graph.SerializeToString()
    except Exception:
        return mutated_wire(data, rng)
    return changed


def _change_saved_model(parts: Parts, others: Sequence[Parts], rng: Random) -> None:
    data = parts.get("s/saved_model.pb", b"")
    fields = fields_of(data) or []
    graphs = [value for number, kind, value in fields if (number, kind) == (2, 2)]
    what = rng.random()
    if what < 0.8 and graphs:
        graphs[0] = _changed_meta_graph(graphs[0], rng)
        data = varint_field(1, 1) + b"".join(bytes_field(2, graph) for graph in graphs)
        parts["s/saved_model.pb"] = data
    elif what < 0.95:
        parts["s/saved_model.pb"] = mutated_wire(data, rng)
    else:
        mutate_some_part(parts, others, rng)


def _saved_model_seeds() -> list[Parts]:
    seeds = []
    for one in ("functional", "sequential"):
        root = FIXTURES / "six_ways" / one / "saved_model"
        found = [path for path in sorted(root.rglob("*")) if path.is_file()]
        seeds.append({f"s/{path.relative_to(root)}": path.read_bytes() for path in found})
    return seeds


SAVED_MODEL = Kind("saved_model", "s", _saved_model_seeds, _change_saved_model, dict, _READS)


def _change_meta(parts: Parts, others: Sequence[Parts], rng: Random) -> None:
    if rng.random() < 0.85:
        parts["n.meta"] = _changed_meta_graph(parts.get("n.meta", b""), rng)
    else:
        mutate_some_part(parts, others, rng)


def _meta_seeds() -> list[Parts]:
    roots = [FIXTURES / "six_ways" / one / "name" for one in ("functional", "sequential")]
    suffixes = ("index", "data-00000-of-00001", "meta")
    return [
        {f"n.{one}": (root / f"model.ckpt.{one}").read_bytes() for one in suffixes}
        for root in roots
    ]


META = Kind("meta", "n", _meta_seeds, _change_meta, dict, _READS)


# Logs.

_ROWS = [
    {"epoch": i + 1, "loss": 1 / (i + 1), "val_loss": 2 / (i + 1), "lr": 1e-3} for i in range(6)
]


def _log(name: str, data: bytes, change: Callable[[bytes, Random], bytes]) -> Kind:
    def change_log(parts: Parts, _: Sequence[Parts], rng: Random) -> None:
        for key in parts:
            parts[key] = change(parts[key], rng)

    seed = {name: data}
    return Kind(f"log_{name.rpartition('.')[2]}", name, lambda: [dict(seed)], change_log, dict,
                ("history",))  # fmt: skip


def _csv_bytes() -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(_ROWS[0]))
    writer.writeheader()
    writer.writerows(_ROWS)
    return out.getvalue().encode()


_CELLS = (
    "", "nan", "inf", "-inf", "1e308", "-1e308", "1e-300", "9" * 400, "9" * 4300, "-1", "0",
    "1e999",
    '"', "a\nb", "\x1b[2J", "epoch", "loss", "val_", "True", "None", "0x10", "1_000", " 1 ", "１",
    "[1.0]", "1,2", "\0", "step",
)  # fmt: skip


def _change_csv(data: bytes, rng: Random) -> bytes:
    if rng.random() < 0.25:
        return mutated(data, [data], rng)
    rows = [line.split(",") for line in data.decode("utf-8", "surrogateescape").split("\n")]
    row = rng.choice(rows)
    at = rng.randrange(len(row))
    what = rng.random()
    if what < 0.6:
        row[at] = rng.choice(_CELLS)
    elif what < 0.7:
        rows.insert(rng.randrange(len(rows)), rng.choice(rows))
    elif what < 0.8:
        rows = [[*row[:at], *row[at:]] + ["1"] * rng.choice((1, 100)) for row in rows]
    elif what < 0.9:
        del row[at]
    else:
        rows = rows[: rng.randrange(len(rows))] + rows
    return "\n".join(",".join(row) for row in rows).encode("utf-8", "surrogateescape")


def _change_lines(data: bytes, rng: Random) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    what = rng.random()
    if what < 0.75:
        lines[at] = mutate_json(lines[at], rng)
    elif what < 0.85:
        lines.insert(at, rng.choice(lines))
    else:
        del lines[at]
    return b"\n".join(lines)


def _change_columns(data: bytes, rng: Random) -> bytes:
    """Let a list of records be columns, as Keras and pandas have them, now and then."""
    if rng.random() < 0.2:
        columns = {name: [row[name] for row in _ROWS] for name in _ROWS[0]}
        by_row = {name: {str(i): v for i, v in enumerate(vs)} for name, vs in columns.items()}
        table = {"columns": list(columns), "data": [list(row.values()) for row in _ROWS]}
        text = rng.choice((columns, by_row, table, {"schema": {}, "data": _ROWS}))
        data = rng.choice((json.dumps(text), repr(text))).encode()
    return mutate_json(data, rng)


def record_bytes(data: bytes) -> bytes:
    """Give a record of an event file."""
    head = struct.pack("<Q", len(data))
    return (
        head
        + struct.pack("<I", masked_crc32c(head))
        + data
        + struct.pack("<I", masked_crc32c(data))
    )


def _event_seeds() -> list[Parts]:
    from tensorboard.compat.proto.event_pb2 import Event

    parts = {"0000": Event(file_version="brain.Event:2").SerializeToString()}
    for row in _ROWS:
        for tag in ("epoch_loss", "epoch_accuracy"):
            event = Event(step=int(row["epoch"]), wall_time=1.7e9 + row["epoch"])
            event.summary.value.add(tag=tag, simple_value=row["loss"])
            parts[f"{len(parts):04d}"] = event.SerializeToString()
        event = Event(step=int(row["epoch"]))
        value = event.summary.value.add(tag="evaluation_loss")
        value.tensor.dtype = 1
        value.tensor.tensor_shape.SetInParent()
        value.tensor.float_val.append(0.5)
        parts[f"{len(parts):04d}"] = event.SerializeToString()
    return [parts]


def _change_events(parts: Parts, _: Sequence[Parts], rng: Random) -> None:
    from tensorboard.compat.proto.event_pb2 import Event

    name = rng.choice(sorted(parts) or ["0000"])
    what = rng.random()
    if what < 0.5:
        try:
            event = Event.FromString(parts.get(name, b""))
            mutated_message(event, rng)
            parts[name] = event.SerializeToString()
        except Exception:
            parts[name] = b""
    elif what < 0.75:
        parts[name] = mutated_wire(parts.get(name, b""), rng)
    elif what < 0.85:
        parts[f"{rng.randrange(9999):04d}"] = parts.get(name, b"")
    elif what < 0.95:
        parts.pop(name, None)
    else:
        parts["damage"] = mutated(parts.get("damage", b"x"), [b"\0" * 40], rng)


def _build_events(parts: Parts) -> Parts:
    data = b"".join(record_bytes(parts[name]) for name in sorted(parts) if name != "damage")
    if "damage" in parts:
        at = zlib.crc32(parts["damage"]) % (len(data) + 1)
        data = data[:at] + parts["damage"] + data[at:]
    return {"logs/train/events.out.tfevents.1.h": data}


EVENTS = Kind("log_events", "logs", _event_seeds, _change_events, _build_events, ("history",))
LOGS = (
    _log("log.csv", _csv_bytes(), _change_csv),
    _log("log.json", json.dumps(_ROWS).encode(), _change_columns),
    _log("log.jsonl", b"\n".join(json.dumps(row).encode() for row in _ROWS), _change_lines),
    EVENTS,
)


# Pictures.


@cache
def _image_seeds() -> tuple[Parts, ...]:
    import numpy as np
    from PIL import Image

    seeds = []
    pixels = (np.arange(16 * 16 * 3) % 251).astype("u1").reshape(16, 16, 3)
    for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "TGA", "DDS"):
        out = io.BytesIO()
        try:
            Image.fromarray(pixels).save(out, form)
        except (OSError, KeyError):
            continue
        seeds.append({"image": out.getvalue()})
    for mode in ("L", "P", "1", "RGBA", "I;16"):
        out = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(out, "PNG")
        seeds.append({"image": out.getvalue()})
    return tuple(seeds)


def _change_image(parts: Parts, others: Sequence[Parts], rng: Random) -> None:
    data = parts.get("image", b"")
    if data[:4] == b"\x89PNG" and rng.random() < 0.7:
        data = _changed_png(data, rng)
    elif rng.random() < 0.5:  # the head holds sizes and tables
        data = mutated(data[:64], [data], rng) + data[64:]
    else:
        data = mutated(data, [data, rng.choice(others).get("image", b"")], rng)
    parts["image"] = data


def _changed_png(data: bytes, rng: Random) -> bytes:
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    if not chunks:
        return data
    at = rng.randrange(len(chunks))
    name, body = chunks[at]
    what = rng.random()
    if what < 0.15:
        chunks.insert(at, rng.choice(chunks))
    elif what < 0.25:
        del chunks[at]
    elif what < 0.35:
        text = zlib.compress(b"x" * rng.choice((10, 1 << 22)))
        chunks.insert(1, (rng.choice((b"zTXt", b"iCCP", b"tEXt", b"acTL")), b"k\0\0" + text))
    elif name == b"IHDR" and what < 0.7:
        sides = struct.pack(
            ">II", rng.choice((0, 1, 9, 1 << 13, 1 << 31)), rng.choice((1, 1 << 14))
        )
        chunks[at] = (name, sides + body[8:])
    else:
        chunks[at] = (name, mutated(body, [body], rng))
    out = bytearray(data[:8])
    for name, body in chunks:
        crc = struct.pack(">I", zlib.crc32(name + body))
        out += struct.pack(">I", len(body)) + name + body + crc
    return bytes(out)


IMAGE = Kind("image", "image", lambda: list(_image_seeds()), _change_image, dict, ("filters",))


# What other programs write.


def _pickle_seeds() -> list[Parts]:
    values = {"w": [1.5, b"x", None], "of": OrderedDict(a=(1, 2)), "calls": getenv}
    return [{"m.pkl": pickle.dumps(values, protocol)} for protocol in range(6)]


PICKLE = Kind("pickle", "m.pkl", _pickle_seeds, mutate_some_part, dict, ("loads", "info"))

_PARTNERS = FIXTURES / "partners"


def _safetensors_seeds() -> list[Parts]:
    seeds = []
    for name in ("model.safetensors", "dtypes.safetensors"):
        data = (_PARTNERS / name).read_bytes()
        stop = 8 + int.from_bytes(data[:8], "little")
        seeds.append({"header": data[8:stop], "values": data[stop:]})
    return seeds


def _change_safetensors(parts: Parts, others: Sequence[Parts], rng: Random) -> None:
    if rng.random() < 0.8:
        parts["header"] = mutate_json(parts.get("header", b"{}"), rng)
    elif rng.random() < 0.2:
        parts["size"] = struct.pack("<Q", rng.choice((0, 1, 1 << 31, (1 << 64) - 1)))
    else:
        mutate_some_part(parts, others, rng)


def _build_safetensors(parts: Parts) -> Parts:
    header = parts.get("header", b"")
    size = parts.get("size", struct.pack("<Q", len(header)))
    return {"m.safetensors": size + header + parts.get("values", b"")}


SAFETENSORS = Kind(
    "safetensors", "m.safetensors", _safetensors_seeds, _change_safetensors, _build_safetensors,
    _READS,
)  # fmt: skip


def _zipped(name: str, *seeds: str) -> Kind:
    """Give a kind of archive whose members are changed by bytes, their CRC-32 made right."""

    def read() -> list[Parts]:
        found = []
        for seed in seeds:
            with zipfile.ZipFile(_PARTNERS / seed) as archive:
                found.append({one.filename: archive.read(one) for one in archive.infolist()})
        return found

    def build(parts: Parts) -> Parts:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for member, data in parts.items():
                archive.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), data)
        return {name: buffer.getvalue()}

    def change(parts: Parts, others: Sequence[Parts], rng: Random) -> None:
        member = rng.choice(sorted(parts) or ["data.pkl"])
        what = rng.random()
        if what < 0.06:
            parts.pop(member, None)
        elif what < 0.12:
            parts[f"{member}{rng.choice(('2', '.npy', '/x'))}"] = parts.get(member, b"")
        else:
            pickles = [one for one in parts if one.endswith(".pkl")]
            member = rng.choice(pickles) if pickles and what < 0.8 else member
            head = parts.get(member, b"")
            cut = 128 if name.endswith(".npz") and what < 0.85 else len(head)
            parts[member] = mutated(head[:cut], [head, b"\x80\x02}."], rng) + head[cut:]

    return Kind(name.rpartition(".")[2], name, read, change, build, _READS)


NPZ = _zipped("m.npz", "dtypes.npz", "deflated.npz")
PYTORCH = _zipped("m.pt", "dtypes.pt", "module.pt", "training.pt")

CHECKPOINTS = (
    BUNDLE, V1, HDF5, KERAS, WEIGHTS_JSON, SAVED_MODEL, META, SAFETENSORS, NPZ, PYTORCH,
)  # fmt: skip
KINDS = {kind.name: kind for kind in (*CHECKPOINTS, RUN, *LOGS, IMAGE, PICKLE)}
