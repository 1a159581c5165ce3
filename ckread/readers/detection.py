"""What a file is, told from its bytes: so that a message can name it.

Magic numbers first, then the shape of the first bytes. At most 64 KiB from each
end are looked at, nothing is decompressed and nothing is trusted: the answer
decides which reader is tried and what an error says, never what is read.

    table        last 8 bytes 57 fb 80 8b 24 75 47 db; the first entry has key ""
                 and a header (V2) or the list of tensors (V1) as its value
    HDF5         89 'HDF' 0d 0a 1a 0a at byte 0, 512, 1024, 2048, ...
    zip          'PK' 03 04; the names in its central directory tell the rest
    TFRecord     u64 length, u32 masked CRC-32C of these 8 bytes
    text         history, configuration, a web page, a pointer, or just text
    protobuf     no magic: see `protobuf_kind`
"""

from __future__ import annotations

import json
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from ckread.errors import CheckpointError, CorruptCheckpointError, ErrorKind, by
from ckread.readers.contract import shown
from ckread.readers.crc32c import crc32c, unmask
from ckread.readers.files import (
    COPY_AGAIN,
    file_error,
    is_address,
    is_directory,
    open_regular,
    size_of,
)
from ckread.readers.protobuf import LENGTH_DELIMITED, VARINT, parse_varint

if TYPE_CHECKING:
    from collections.abc import Container


class Kind(Enum):
    """What a file is, by its content.

    Attributes:
        phrase: what messages call it.
        remedy: a sentence, with `{history}` where a call of that belongs; or empty.
    """

    phrase: str
    remedy: str

    def __new__(cls, phrase: str, remedy: str = "") -> Self:
        """Make a member; its value is its number, since phrases may be equal."""
        number = len(cls.__members__)
        member = object.__new__(cls)
        member._value_ = number
        member.phrase = phrase
        member.remedy = remedy
        return member

    def remedy_for(self, path: str) -> str:
        """Give the remedy for a file; empty where there is none."""
        call = by(f"ckread history {path}", f"ckread.history({path!r})")
        return self.remedy.format(history=call)

    # Checkpoints and their parts.
    BUNDLE_INDEX = "index of a TensorFlow checkpoint (V2)"
    TORN_INDEX = "beginning of a checkpoint index, without its end"
    V1_TABLE = "TensorFlow checkpoint (V1)"
    TABLE = "LevelDB table without TensorFlow's header"
    STATE = "checkpoint state file"
    SAVED_MODEL = "SavedModel protobuf"
    META_GRAPH = "TensorFlow graph (.meta)", "It holds a graph, and no values of variables."
    HDF5 = "HDF5 file"
    KERAS_ARCHIVE = "Keras archive"
    WEIGHTS_JSON = "index of sharded Keras weights"

    # Neighbours in the same directories.
    HISTORY_JSON = "JSON text", "It looks like training history: {history}"
    HISTORY_CSV = "CSV text", "It looks like training history: {history}"
    EVENTS = "TensorBoard event file", "Its curves are training history: {history}"
    KERAS_CONFIG = (
        "JSON text",
        "It looks like the configuration of a Keras model: its weights are in another file.",
    )
    GRAPH_DEF = (
        "TensorFlow graph (GraphDef)",
        "A frozen graph keeps its weights as constants: it has no variables.",
    )
    TFRECORD = "TFRecord file"
    TFJS = "TensorFlow.js model", "Convert it to a Keras file first: tensorflowjs_converter"
    TFLITE = "TensorFlow Lite model"
    ONNX = "ONNX model"
    PYTORCH = "PyTorch file"
    SAFETENSORS = "safetensors file"
    SAFETENSORS_JSON = "index of safetensors files"
    NPZ = "numpy archive (.npz)"
    NPY = "numpy array (.npy)"
    PICKLE = "Python pickle", "It is not loaded: a pickle can run any code."

    # A download that went wrong.
    LFS_POINTER = "Git LFS pointer", "The file itself is not here yet: git lfs pull"
    DVC_POINTER = "DVC pointer", "The file itself is not here yet: dvc pull"
    ANNEX_POINTER = "git-annex pointer", "The file itself is not here yet: git annex get"
    HTML = "HTML page", "The download gave a web page instead of the file."
    EMPTY = "empty file"
    ZEROS = "file of zero bytes", "It was being written when the system stopped, or copied in part."

    # Anything else.
    JSON = "JSON text"
    TEXT = "text"
    PNG = "PNG image"
    JPEG = "JPEG image"
    GIF = "GIF image"
    PDF = "PDF document"
    GZIP = "gzip archive", "Unpack it first."
    ZIP = "zip archive", "Unpack it first."
    ARCHIVE = "compressed archive", "Unpack it first."
    TAR = "tar archive", "Unpack it first."
    SQLITE = "SQLite database"
    PROGRAM = "compiled program"
    BINARY = "binary data of no known kind"

    # Not regular files.
    DIRECTORY = "directory"
    PIPE = "named pipe"
    DEVICE = "device"
    SOCKET = "socket"


END_NBYTES = 64 * 1024
"""Bytes that are looked at, from each end of a file."""

_TABLE_MAGIC = bytes.fromhex("57fb808b247547db")
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_HEADER = re.compile(rb"\x08[\x01-\x7f](?:\x10\x01)?\x1a\x02\x08\x01")
_MAGICS = (
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"GIF8", Kind.GIF),
    (b"%PDF-", Kind.PDF),
    (b"\x1f\x8b", Kind.GZIP),
    (b"BZh", Kind.ARCHIVE),
    (b"\xfd7zXZ\x00", Kind.ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", Kind.ARCHIVE),
    (b"Rar!\x1a\x07", Kind.ARCHIVE),
    (b"\x28\xb5\x2f\xfd", Kind.ARCHIVE),
    (b"\x93NUMPY", Kind.NPY),
    (b"SQLite format 3\x00", Kind.SQLITE),
    (b"\x7fELF", Kind.PROGRAM),
)
_SPECIAL = {
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFIFO: Kind.PIPE,
    stat.S_IFCHR: Kind.DEVICE,
    stat.S_IFBLK: Kind.DEVICE,
    stat.S_IFSOCK: Kind.SOCKET,
}
_PICKLE_PROTOCOLS = range(2, 6)
_LOCAL_HEADER = re.compile(rb"PK\x03\x04.{22}(..)..", re.DOTALL)
_CENTRAL_HEADER = re.compile(rb"PK\x01\x02.{24}(..).{16}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends of a file; they overlap where it is short."""

    nbytes: int
    head: bytes
    tail: bytes


def detect(path: str) -> Kind:
    """Tell what is at a path."""
    if is_address(path):
        return Kind.DIRECTORY if is_directory(path) else ends_kind(read_ends(path))
    try:
        kind = _SPECIAL.get(stat.S_IFMT(os.stat(path).st_mode))
    except (OSError, ValueError) as error:
        raise file_error(path, error) from None
    if kind is not None:
        return kind
    return ends_kind(read_ends(path))


def read_ends(path: str) -> Ends:
    """Read both ends of a regular file."""
    with open_regular(path) as file:
        nbytes = size_of(file)
        try:
            head = file.read(END_NBYTES) or b""
            file.seek(max(0, nbytes - END_NBYTES))
            return Ends(nbytes, head, file.read(END_NBYTES) or b"")
        except OSError as error:
            raise file_error(path, error) from None


def ends_kind(ends: Ends) -> Kind:
    """Tell what a file is from its two ends."""
    if not ends.head:
        return Kind.EMPTY
    if not (any(ends.head) or any(ends.tail)):
        return Kind.ZEROS
    return _magic_kind(ends) or text_kind(ends.head, ends.nbytes) or _shaped_kind(ends)


def _magic_kind(ends: Ends) -> Kind | None:
    head = ends.head
    if ends.tail.endswith(_TABLE_MAGIC):
        value = _first_value(head)
        if value is None:
            return Kind.TABLE
        # BundleHeaderProto has numbers in fields 1 and 2, and 3 is a short version.
        # SavedTensorSlices has the list of tensors in field 1.
        return Kind.V1_TABLE if value[:1] == b"\x0a" else Kind.BUNDLE_INDEX
    if any(head.startswith(_HDF5_MAGIC, at) for at in (0, *(512 << i for i in range(8)))):
        return Kind.HDF5
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(ends)
    if head[4:8] == b"TFL3":
        return Kind.TFLITE
    if head[257:262] == b"ustar":
        return Kind.TAR
    return next((kind for magic, kind in _MAGICS if head.startswith(magic)), None)


def _shaped_kind(ends: Ends) -> Kind:
    head = ends.head
    if len(head) >= 12 and unmask(int.from_bytes(head[8:12], "little")) == crc32c(head[:8]):
        return Kind.EVENTS if b"brain.Event:" in head[:64] else Kind.TFRECORD
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= ends.nbytes - 8:
        return Kind.SAFETENSORS
    if head[0] == 0x80 and head[1:2] and head[1] in _PICKLE_PROTOCOLS and ends.tail.endswith(b"."):
        return Kind.PICKLE
    if _HEADER.match(_first_value(head) or b""):
        return Kind.TORN_INDEX
    return protobuf_kind(head) or Kind.BINARY


def _first_value(head: bytes) -> bytes | None:
    """Give the value of key "" where a table begins with it, as far as it is there.

    A compressed block begins with its length and a literal: that much of snappy
    is read here, so that a damaged block still tells what it was.
    """
    tag = _after_varint(head, 0)
    extra = max(0, (head[tag] >> 2) - 59) if tag < len(head) else 0
    for start in (0, tag + 1 + extra):
        if head[start : start + 2] == b"\x00\x00":
            stop = _after_varint(head, start + 2)
            return head[stop : stop + 64]
    return None


def _after_varint(data: bytes, at: int) -> int:
    while at < len(data) and data[at] & 0x80:
        at += 1
    return at + 1


def _zip_kind(ends: Ends) -> Kind:
    """Tell an archive by the names in its central directory; of a cut one by the first names."""
    names = _names_after(_CENTRAL_HEADER, ends.tail) or _names_after(_LOCAL_HEADER, ends.head)
    if "config.json" in names and names & {"metadata.json", "model.weights.h5"}:
        return Kind.KERAS_ARCHIVE
    if any(name.endswith("data.pkl") for name in names):
        return Kind.PYTORCH
    if names and all(name.endswith(".npy") for name in names):
        return Kind.NPZ
    return Kind.ZIP


def _names_after(header: re.Pattern[bytes], data: bytes) -> set[str]:
    names = set()
    for match in header.finditer(data):
        name = data[match.end() :][: int.from_bytes(match[1], "little")]
        names.add(name.decode("utf-8", "replace"))
    return names


# A comment ends with its line: if it could end earlier, "####…" would match in 2**n ways.
_STATE = re.compile(
    r"\s*(?:#[^\n]*(?:\n\s*|\Z))*(?:all_)?model_checkpoint_(?:path|timestamp)s?\s*:"
)
_LFS_POINTER = "version https://git-lfs.github.com/spec/"
_DVC_POINTER = re.compile(r"(?:[\w.]+: .*\n)*outs:\n *- (?:md5|etag|checksum|hash|size|path): ")
_ANNEX_POINTER = re.compile(r"/annex/objects/\S+\s*\Z")
_HTML = re.compile(r"\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_HISTORY_HEADER = re.compile(
    r"(?m)\A(?:[\w ./-]+,)*(?:epoch|step|loss|accuracy)(?:,[\w ./-]+)*\r?$"
)
_HISTORY_NAME = re.compile(r"(?:^|_|\b)(?:loss|acc|accuracy|lr|learning_rate|epoch)$")
_CONTROLS = dict.fromkeys({*range(32)} - {9, 10, 12, 13, 27})


def text_kind(head: bytes, nbytes: int) -> Kind | None:
    """Tell what the text that begins with these bytes of `nbytes` is, None if it is not text."""
    text = _decoded(head, is_cut=nbytes > len(head))
    if text is None:
        return None
    if text.lstrip()[:1] in ("{", "["):
        kind = _json_kind(text, is_cut=nbytes > len(head))
        if kind is not None:
            return kind
    if _STATE.match(text):
        return Kind.STATE
    if text.startswith(_LFS_POINTER):
        return Kind.LFS_POINTER
    if _DVC_POINTER.match(text):
        return Kind.DVC_POINTER
    if _ANNEX_POINTER.match(text):
        return Kind.ANNEX_POINTER
    if _HTML.match(text):
        return Kind.HTML
    return Kind.HISTORY_CSV if _HISTORY_HEADER.search(text) else Kind.TEXT


def _decoded(head: bytes, *, is_cut: bool) -> str | None:
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The last character may be cut in two.
        if not is_cut or error.start < len(head) - 3:
            return None
        text = head[: error.start].decode("utf-8-sig")
    return None if any(map(_CONTROLS.__contains__, map(ord, text))) else text


def _json_kind(text: str, *, is_cut: bool) -> Kind | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return _cut_json_kind(text) if is_cut else None
    if isinstance(document, list):
        rows = [row for row in document if isinstance(row, dict)]
        is_history = bool(rows) and all(_is_history(row, (int, float)) for row in rows)
        return Kind.HISTORY_JSON if is_history else Kind.JSON
    if _is_history(document, list):
        return Kind.HISTORY_JSON
    weight_map = document.get("weight_map")
    if isinstance(weight_map, dict):
        first = str(next(iter(weight_map.values()), ""))
        if "weights.h5" in first or ".safetensors" in first:
            return Kind.WEIGHTS_JSON if "weights.h5" in first else Kind.SAFETENSORS_JSON
    if "modelTopology" in document or "weightsManifest" in document:
        return Kind.TFJS
    return Kind.KERAS_CONFIG if {"class_name", "config"} <= document.keys() else Kind.JSON


def _cut_json_kind(text: str) -> Kind | None:
    """Tell the kind of JSON of which only the beginning is known."""
    if not re.match(r'\s*(?:\[\s*[\[{"\d-]|\{\s*")', text):
        return None
    if '"weight_map"' in text and ".weights.h5" in text:
        return Kind.WEIGHTS_JSON
    if '"weight_map"' in text and '.safetensors"' in text:
        return Kind.SAFETENSORS_JSON
    if '"modelTopology"' in text or '"weightsManifest"' in text:
        return Kind.TFJS
    if re.match(r'\s*(?:\[\s*)?\{\s*"\w*(?:loss|accuracy|epoch)"\s*:', text):
        return Kind.HISTORY_JSON
    return Kind.KERAS_CONFIG if re.match(r'\s*\{\s*"class_name"', text) else Kind.JSON


def _is_history(row: dict[str, Any], kind: type | tuple[type, ...]) -> bool:
    named = any(_HISTORY_NAME.search(name) for name in row)
    return named and all(isinstance(value, kind) for value in row.values())


Field = tuple[int, int, int | bytes]
"""Field number, wire type, and the number or the bytes as far as they are there."""

_FIRST_ONNX_VERSION = 3
_LAST_ONNX_VERSION = 99
_N_FIELDS = 3


def protobuf_kind(head: bytes) -> Kind | None:
    """Tell which known message begins with these bytes, None if it is none of them.

    SavedModel    1 schema version = 1, 2 MetaGraphDef (begins with its field 1)
    ONNX          1 version of the format, from 3, then text or messages
    MetaGraphDef  1 MetaInfoDef: 2 list of operations, 5 TensorFlow's version
    GraphDef      1 NodeDef: 1 name, 2 operation, both text
    """
    fields = _first_fields(head)
    match fields:
        case [(1, 0, 1), (2, 2, bytes(graph)), *_] if graph[:1] == b"\x0a":
            return Kind.SAVED_MODEL
        case [(1, 0, int(version)), (number, 2, _), *_] if (
            _FIRST_ONNX_VERSION <= version <= _LAST_ONNX_VERSION and number in (2, 7, 8)
        ):
            return Kind.ONNX
        case [(1, 2, bytes(first)), *_]:
            return _graph_kind(_first_fields(first))
    return None


def _graph_kind(first: list[Field]) -> Kind | None:
    match first:
        case [(1, 2, bytes(name)), (2, 2, bytes(operation)), *_] if _is_name(name) and _is_name(
            operation
        ):
            return Kind.GRAPH_DEF
        case [(2, 2, bytes(operations)), *_] if operations[:1] == b"\x0a":
            return Kind.META_GRAPH
        case [(4 | 5, 2, bytes(text)), *_] if _is_name(text):
            return Kind.META_GRAPH
    return None


def _is_name(text: bytes) -> bool:
    return text.isascii() and text.decode().isprintable() and bool(text)


def _first_fields(data: bytes) -> list[Field]:
    """Give the first fields of what is there; the last may be cut."""
    fields: list[Field] = []
    at = 0
    with suppress(CorruptCheckpointError):
        while at < len(data) and len(fields) < _N_FIELDS:
            tag, at = parse_varint(data, at, len(data))
            value, at = parse_varint(data, at, len(data))
            if tag & 7 == LENGTH_DELIMITED:
                fields.append((tag >> 3, LENGTH_DELIMITED, data[at : at + value]))
                at += value
            elif tag & 7 == VARINT:
                fields.append((tag >> 3, VARINT, value))
            else:
                break
    return fields


# Parts of a checkpoint that are something else, as a clone or a download that went wrong
# leaves them. They are asked for when magic, size or checksum does not fit.

POINTERS = (Kind.LFS_POINTER, Kind.DVC_POINTER, Kind.ANNEX_POINTER, Kind.HTML)
"""What stands in place of a file and tells why."""
_TEXTS = (Kind.TEXT, Kind.JSON, Kind.HISTORY_JSON, Kind.HISTORY_CSV, Kind.KERAS_CONFIG)
_MIN_TEXT_NBYTES = 12
_UNTOLD = (Kind.BINARY, Kind.ZEROS, Kind.TFRECORD, Kind.PICKLE, Kind.SAFETENSORS, Kind.GRAPH_DEF,
           Kind.ONNX, Kind.DIRECTORY, Kind.PIPE, Kind.DEVICE, Kind.SOCKET)  # fmt: skip
"""What some damaged part may look like as well."""


def something_else(
    path: str, expected: str, own: Container[Kind] = ()
) -> CorruptCheckpointError | None:
    """Give the error for a part of a checkpoint that is something else, None if nothing tells."""
    try:
        ends = read_ends(path)
    except CheckpointError:
        return None
    kind = ends_kind(ends)
    is_text = _MIN_TEXT_NBYTES <= ends.nbytes <= END_NBYTES  # all of it was seen, and is enough
    if kind in own or kind in _UNTOLD or (kind in _TEXTS and not is_text):
        return None
    found = kind.phrase
    if kind is Kind.TEXT:  # `404: Not Found`
        words = ends.head.decode("utf-8-sig", "replace").split()
        found += f" ({shown(' '.join(words)[:40])!r})"
    return CorruptCheckpointError(
        found,
        kind=ErrorKind.SOMETHING_ELSE,
        path=path,
        name=os.path.basename(path),
        expected=expected,
        remedy=(kind not in _TEXTS and kind.remedy_for(path)) or COPY_AGAIN,
    )
