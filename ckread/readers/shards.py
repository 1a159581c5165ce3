"""Names of data shards: `<prefix>.data-<i>-of-<n>`, five digits at least.

The name is made from two integers, so nothing in an index can point elsewhere.
A merge of bundles can leave files `-of-<m>` under a header that says n shards:
`shard_family` finds the m that is meant, if only one is there.

Reference: tensorflow/core/util/tensor_bundle/naming.cc
"""

from __future__ import annotations

import os
import re

from ckread.errors import CorruptCheckpointError, MissingShardError

_SUFFIX = re.compile(r"\.data-(\d{5,9})-of-(\d{5,9})")
INDEX_SUFFICES = "ls, tree, info and diff --index-only need only the index, which is here."


def shard_path(prefix: str, shard_id: int, num_shards: int) -> str:
    """Give the path of a data shard."""
    return f"{prefix}.data-{shard_id:05d}-of-{num_shards:05d}"


def stem_of_shard(name: str) -> str | None:
    """Give what precedes the suffix of a shard in a file name; None if it is no shard."""
    at = name.rfind(".data-")
    return name[:at] if at >= 0 and _SUFFIX.fullmatch(name, at) else None


def present_shards(prefix: str) -> dict[int, set[int]]:
    """Give the shard ids that lie beside `prefix`, by the number of shards they name."""
    directory, base = os.path.split(prefix)
    families: dict[int, set[int]] = {}
    try:
        names = os.listdir(directory or ".")
    except (OSError, ValueError):
        return families
    for name in names:
        match = _SUFFIX.fullmatch(name, len(base)) if name.startswith(base) else None
        if match:
            families.setdefault(int(match[2]), set()).add(int(match[1]))
    return families


def shard_family(prefix: str, num_shards: int, used: set[int]) -> int:
    """Give the number of shards in the file names; `num_shards` unless only another fits."""
    families = present_shards(prefix)
    if num_shards in families or len(families) != 1:
        return num_shards
    [(n_named, present)] = families.items()
    fits = present == set(range(n_named)) and used <= present
    return n_named if fits else num_shards


def missing_shard(path: str) -> MissingShardError:
    """Give the error for the data shard at `path`, which is not there."""
    name = os.path.basename(path)
    match = re.search(_SUFFIX.pattern + r"\Z", path)
    if not match:
        return MissingShardError("no such file", path=path, name=name)
    shard_id, num_shards = int(match[1]), int(match[2])
    present = sorted(present_shards(path[: match.start()]).get(num_shards, ()))
    found = f"missing data shard ({shard_id} of {num_shards}), which holds the values"
    if present:
        shown = ", ".join(map(str, present[:10]))
        more = f" and {len(present) - 10} more" if len(present) > 10 else ""
        listed = f"is shard {shown}" if len(present) == 1 else f"are shards {shown}{more}"
        found += f"; here {listed}"
    return MissingShardError(found, path=path, name=name, remedy=INDEX_SUFFICES)


def not_a_shard(path: str) -> CorruptCheckpointError | None:
    """Give the error for a data shard that is something else by its bytes; None if it may be one.

    For a shard whose size or checksums do not fit: a tensor may look like anything.
    """
    if stem_of_shard(os.path.basename(path)) is None:
        return None
    from ckread.readers.detection import something_else

    return something_else(path, "a data shard")
