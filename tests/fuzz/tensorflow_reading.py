"""TensorFlow reading one checkpoint after the other, each in a fork of its own.

Prefixes come on stdin, a line each; for each a line of JSON goes to stdout:

    {"tensors": {key: digest | null}, "died": bool}

null for a tensor it refuses; where it dies, `tensors` holds what it read before. A
first line says that TensorFlow is there.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

SECONDS = 10
_SPARE_NBYTES = 1 << 30


def main() -> None:
    """Serve until stdin ends."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import tensorflow as tf

    lines.write("ready\n")
    lines.flush()
    for line in sys.stdin:
        lines.write(json.dumps(_read_in_fork(tf, line.rstrip("\n"))) + "\n")
        lines.flush()


def digest(tensor: Any) -> int:
    """Give the CRC-32C of the contents of a tensor, of strings too."""
    import numpy as np
    from google_crc32c import value as crc32c

    array = np.asarray(tensor, object if isinstance(tensor, bytes) else None)
    if array.dtype.hasobject:
        return int(crc32c(repr(array.tolist()).encode()))
    return int(crc32c(array.tobytes()))


def _read_in_fork(tf: Any, prefix: str) -> dict[str, Any]:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        _read(tf, prefix, write_end)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as answers:
        pairs = [json.loads(line) for line in answers if line.endswith(b"\n")]
    _, status = os.waitpid(child, 0)
    return {"tensors": dict(pairs), "died": status != 0}


def _read(tf: Any, prefix: str, write_end: int) -> None:
    """Write a line for each tensor as it comes, so that those before a crash are known."""
    import signal

    signal.alarm(SECONDS)
    _limit_memory()
    try:
        reader = tf.train.load_checkpoint(prefix)
        keys = sorted(reader.get_variable_to_shape_map())
    except Exception:
        return
    for key in keys:
        try:
            found: int | None = digest(reader.get_tensor(key))
        except Exception:
            found = None
        os.write(write_end, json.dumps([key, found]).encode() + b"\n")


def _limit_memory() -> None:
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    limit = used + _SPARE_NBYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
