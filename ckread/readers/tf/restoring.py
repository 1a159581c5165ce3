"""TensorFlow restoring every tensor, in a process of its own; run with `python -m`.

    python -m ckread.readers.tf.restoring PREFIX MEMORY_NBYTES

On a damaged or hostile file TensorFlow can abort, crash or fill the memory, so
nothing of it happens in the caller's process; the limit is on what it takes beyond its
own start. A line of JSON is written before and after each step, so that the last one
tells what it died of.

    {"open": true}          the checkpoint is listed
    {"try": key}            this tensor is being restored
    {"key": key, "crc32c": n | null, "error": text | null}
    {"done": n}
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> int:
    """Restore; give 0 whatever TensorFlow refuses."""
    prefix, memory = sys.argv[1], int(sys.argv[2])
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # Its own stdout is not ours: nothing that it prints may stand between the lines.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import tensorflow as tf

    _limit_memory(memory)

    def tell(**fields: Any) -> None:
        lines.write(json.dumps(fields) + "\n")
        lines.flush()

    try:
        reader = tf.train.load_checkpoint(prefix)
        keys = sorted(reader.get_variable_to_shape_map())
    except Exception as error:
        tell(open=False, error=_said(error))
        return 0
    tell(open=True)
    for key in keys:
        tell(**{"try": key})
        try:
            tell(key=key, crc32c=_checksum(reader.get_tensor(key)), error=None)
        except Exception as error:
            tell(key=key, crc32c=None, error=_said(error))
    tell(done=len(keys))
    return 0


def _limit_memory(nbytes: int) -> None:
    """Allow so many bytes of addresses more than are in use now, where the system can."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            limit = int(file.read().split()[0]) * resource.getpagesize() + nbytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        return


def _checksum(value: Any) -> int | None:
    """Give the CRC-32C of the bytes of a tensor; None for strings."""
    import numpy as np

    from ckread.readers.crc32c import crc32c

    if isinstance(value, bytes):
        return None
    array = np.ascontiguousarray(value)
    if array.dtype.hasobject:
        return None
    return crc32c(array.reshape(-1).view(np.uint8))


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:500]


if __name__ == "__main__":
    sys.exit(main())
