"""What shows itself: as the lines of a terminal where it is printed, as HTML in a notebook.

How it looks is settled in the views, which neither model nor analysis may import. So
the module that joins them is named here, and imported when something is shown.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ckread.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_JOINS = "ckread.notebook"


class Displayed:
    """A checkpoint, a run or a result that `print` and notebooks show as a page."""

    __slots__ = ()

    def __str__(self) -> str:
        """Give the page that a terminal of 80 columns shows, without colours."""
        text: str | None = import_module(_JOINS).text_of(self)
        return repr(self) if text is None else text

    def _repr_html_(self) -> str | None:
        """Give the page to a notebook; None, for the `repr`, where it cannot be made."""
        html: str | None = import_module(_JOINS).html_of(self)
        return html


# Tables for pandas: columns of one type each, whatever is absent in them.
#
# float64  real figures; what is absent is NaN
# int64    whole numbers that are always there
# Int64    whole numbers; what is absent is `pandas.NA`
# boolean  truths, likewise
# object   words and shapes (tuples); what is absent is None

VARIABLE_COLUMNS = {
    "key": "object", "dtype": "object", "shape": "object", "elements": "int64",
    "nbytes": "int64", "role": "object", "trainable": "boolean", "owner": "object",
    "slot": "object", "crc32c": "object", "shard": "Int64", "offset": "Int64",
}  # fmt: skip
"""Columns of a table of variables, and their types."""

ENTRY_COLUMNS = {
    "path": "object", "step": "Int64", "time": "float64", "nbytes": "Int64", "state": "object",
    "iterations": "Int64", "variables": "int64", "elements": "int64", "group": "int64",
}  # fmt: skip
"""Columns of a table of the checkpoints of a run."""


def data_frame(
    columns: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    *,
    index: str | None = None,
    labels: Sequence[Any] | None = None,
    dtype: str = "object",
) -> Any:
    """Give a `pandas.DataFrame`; without rows it has its columns all the same.

    Args:
        columns: name to dtype, in their order.
        rows: values by name; lists, which pandas cannot group by, become tuples.
        index: what the index is called; None for the numbers of the rows.
        labels: the index, where it is no field of the rows.
        dtype: of the index.

    Raises:
        MissingDependencyError: pandas is not installed.
    """
    pandas = import_pandas()
    made_index = None
    if index is not None:
        found = [row[index] for row in rows] if labels is None else labels
        made_index = pandas.Index(found, dtype=dtype, name=index)
    made = {
        name: pandas.Series([_cell(row.get(name)) for row in rows], dtype=kind, index=made_index)
        for name, kind in columns.items()
    }
    return pandas.DataFrame(made, index=made_index)


def import_pandas() -> Any:
    """Give pandas.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        return import_module("pandas")
    except ImportError:
        remedy = "Install it: pip install 'ckread[pandas]'"
        raise MissingDependencyError("pandas is not installed", remedy=remedy) from None


def _cell(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
