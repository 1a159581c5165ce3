"""The kinds of file that a person may hand to a checkpoint reader."""

from __future__ import annotations

from enum import Enum
from typing import Self


class Kind(Enum):
    """What a file is, by its content.

    Attributes:
        phrase: what messages call it.
        remedy: a sentence with `{path}` in it, or empty.
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
    HISTORY_JSON = "JSON text", "It looks like training history: ckread history {path}"
    HISTORY_CSV = "CSV text", "It looks like training history: ckread history {path}"
    EVENTS = "TensorBoard event file", "Its curves are training history: ckread history {path}"
    KERAS_CONFIG = (
        "JSON text",
        "It looks like the configuration of a Keras model: its weights are in another file.",
    )
    GRAPH_DEF = (
        "TensorFlow graph (GraphDef)",
        "A frozen graph keeps its weights as constants: it has no variables.",
    )
    TFRECORD = "TFRecord file"
    TFLITE = "TensorFlow Lite model"
    ONNX = "ONNX model"
    PYTORCH = "PyTorch file"
    SAFETENSORS = "safetensors file"
    NPZ = "numpy archive (.npz)", "numpy.load reads it."
    NPY = "numpy array (.npy)", "numpy.load reads it."
    PICKLE = "Python pickle", "It is not loaded: a pickle can run any code."

    # A download that went wrong.
    LFS_POINTER = "Git LFS pointer", "The file itself is not here yet: git lfs pull"
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
