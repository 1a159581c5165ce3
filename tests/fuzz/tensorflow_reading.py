"""TensorFlow reading one checkpoint after the other, each in a fork of its own.

Prefixes come on stdin, a line each; for each a line of JSON goes to stdout: the
CRC-32C of every tensor it reads, null for one it refuses; null alone where it dies.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    """Serve until stdin ends."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import tensorflow as tf

    for line in sys.stdin:
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(write_end, json.dumps(_read(tf, line.rstrip("\n"))).encode())
            os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as answer:
            text = answer.read().decode()
        os.waitpid(child, 0)
        lines.write(f"{text or 'null'}\n")
        lines.flush()


def _read(tf: Any, prefix: str) -> dict[str, int | None]:
    import resource
    import signal

    from google_crc32c import value as crc32c

    signal.alarm(10)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    found: dict[str, int | None] = {}
    try:
        reader = tf.train.load_checkpoint(prefix)
        keys = list(reader.get_variable_to_shape_map())
    except Exception:
        return found
    for key in keys:
        try:
            tensor = reader.get_tensor(key)
            data = tensor if isinstance(tensor, bytes) else tensor.tobytes()
            found[key] = crc32c(data)
        except Exception:
            found[key] = None
    return found


if __name__ == "__main__":
    main()
