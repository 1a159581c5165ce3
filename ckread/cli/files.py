"""A file that appears whole or not at all, and never in place of another unasked."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import warnings
from collections import Counter
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, NamedTuple

from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    CorruptCheckpointError,
    UsageError,
)
from ckread.readers.files import read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray


def check_free(path: str, *, force: bool) -> None:
    """See that a path may be written, before anything is read."""
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        raise UsageError("no such directory to write to", path=path, name=directory)
    if os.path.lexists(path):
        if os.path.exists(path) and not os.path.isfile(path):
            raise UsageError("not a regular file, nothing was written", path=path)
        if not force:
            remedy = "Choose another name, or add --force to replace it."
            raise UsageError("exists already", path=path, remedy=remedy)


@contextmanager
def new_file(path: str, *, force: bool = False) -> Iterator[IO[bytes]]:
    """Open a file that takes its name once it is complete; nothing is left on failure."""
    check_free(path, force=force)
    target = os.path.realpath(path)
    partial = f"{target}.{os.getpid()}.partial"
    try:
        with open(partial, "xb") as file:
            yield file
        if force:
            os.replace(partial, target)
        else:
            # Give a finished file its name, unless another has taken it meanwhile.
            try:
                os.link(partial, target)
            except FileExistsError:
                check_free(target, force=False)
                raise
            except OSError:  # a file system without links
                check_free(target, force=False)
                os.replace(partial, target)
    except OSError as error:
        if error.filename != partial:
            raise
        raise UsageError((error.strerror or "").lower(), path=path) from None
    finally:
        if os.path.lexists(partial):
            os.unlink(partial)


# The file of `--rename-map`: names of the first checkpoint and of the second, as JSON.


_MAX_MAP_NBYTES = 64 << 20


class Mapped(NamedTuple):
    """What a variable is in the other file: its name, and where its axes go if they are turned."""

    name: str
    axes: tuple[int, ...] | None = None


def read_map(path: str) -> dict[str, Mapped]:
    """Read names and what they are in the other file: a name, or an object of name and axes."""
    try:
        document = json.loads(read_bounded(path, _MAX_MAP_NBYTES).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CorruptCheckpointError(f"not a JSON document, {error}", path=path) from None
    found: dict[str, Mapped] = {}
    for old, new in document.items() if isinstance(document, dict) else [("", None)]:
        match new:
            case str():
                found[old] = Mapped(new)
            case {"name": str(name), "axes": list(axes)} if all(type(i) is int for i in axes):
                found[old] = Mapped(name, tuple(axes))
            case {"name": str(name), **rest} if "axes" not in rest:
                found[old] = Mapped(name)
            case _:
                expected = "an object of old names and new names"
                raise CorruptCheckpointError("not a rename map", path=path, expected=expected)
    check_distinct((one.name for one in found.values()), path)
    return found


def check_distinct(names: Iterable[str], path: str | None = None) -> None:
    """See that no two variables get one name."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(f"several old names become {twice[0]}", path=path)


def read_rename_map(path: str) -> dict[str, str]:
    """Read old names and their new ones from a JSON object."""
    return {old: mapped.name for old, mapped in read_map(path).items()}


def write_rename_map(
    path: str, renames: Mapping[str, str | dict[str, object]], *, force: bool = False
) -> None:
    """Write old names and new ones into a file, which is new unless `force` is given."""
    text = json.dumps(renames, indent=2, ensure_ascii=True)
    try:
        with new_file(path, force=force) as file:
            file.write(f"{text}\n".encode("ascii"))
    except OSError as error:
        raise UsageError(str(error.strerror), path=path) from None


# Images as arrays: what matplotlib's own Pillow reads, as grey or colour.


_MAX_IMAGE_NBYTES = 64 << 20
_MAX_PIXELS = 1 << 21
"""Of an image that is put through a layer: two million take 150 MB on the way."""
_BROKEN_IMAGE = (
    OSError, ValueError, SyntaxError, RuntimeError, struct.error, EOFError, LookupError,
    ArithmeticError, TypeError, AttributeError, AssertionError, MemoryError,
)  # fmt: skip
"""What Pillow's many plugins raise about bytes that they cannot read."""


def read_image(path: str, n_channels: int, pixel_range: tuple[float, float]) -> NDArray[np.float64]:
    """Read an image; black becomes the first value of `pixel_range`, white the second.

    Returns:
        Shape (rows, columns, n_channels).
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow thinks of it is no word of ours
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(read_bounded(path, _MAX_IMAGE_NBYTES))) as image:
                if math.prod(image.size) > _MAX_PIXELS:
                    raise _too_large(path)
                pixels = np.asarray(image.convert("L" if n_channels == 1 else "RGB"), np.float64)
    except CheckpointNotFoundError:
        raise CheckpointNotFoundError("no such image", path=path) from None
    except CheckpointError:
        raise
    except (UnidentifiedImageError, *_BROKEN_IMAGE) as error:
        raise UsageError(f"not an image: {error}", path=path) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(path) from None
    low, high = pixel_range
    pixels *= (high - low) / 255
    pixels += low
    return pixels.reshape(*pixels.shape[:2], n_channels)


def _too_large(path: str) -> UsageError:
    return UsageError("too large an image", path=path, remedy="Make it smaller first.")
