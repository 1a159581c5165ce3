"""A real checkpoint written anew, with some of its values changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckread.model.opening import open_checkpoint
from ckread.readers.contract import DataType
from tests.builders import BundleBuilder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

    Edit = Callable[[str, np.ndarray[Any, Any]], np.ndarray[Any, Any] | None]


def rewritten(source: Path | str, prefix: Path, edit: Edit) -> str:
    """Write every tensor of a checkpoint again, as `edit` gives it by its name.

    Args:
        source: the checkpoint.
        prefix: where to write.
        edit: gives the values of a variable; None leaves it out.
    """
    builder = BundleBuilder()
    with open_checkpoint(str(source)) as checkpoint:
        for variable in checkpoint.values():
            values = variable.numpy()
            if variable.dtype is DataType.STRING:
                builder.add_strings(variable.key, list(values.reshape(-1)), values.shape)
                continue
            changed = edit(variable.name, values)
            if changed is not None:
                builder.add(variable.key, changed, variable.dtype)
    return builder.write(prefix)
