"""Section 8, sparse files: sixteen tebibytes that are not there pass every bound.

Files that change or vanish while they are read: `tests/readers/bundle/test_files.py`,
`tests/readers/test_extents.py` and `tests/test_live_training.py`.
"""

from __future__ import annotations

import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from ckread.cli.main import main
from ckread.errors import CheckpointError
from ckread.model.opening import open_checkpoint
from tests.builders import entry_bytes, header_bytes, table_bytes

if TYPE_CHECKING:
    from pathlib import Path

SHARD = "m.data-00000-of-00001"


@pytest.fixture
def sparse(tmp_path: Path) -> tuple[str, int]:
    """Give a checkpoint of one tensor as large as the file system allows, and its bytes."""
    (tmp_path / SHARD).touch()
    nbytes = (1 << 44) - (1 << 20)
    while True:
        try:
            os.truncate(tmp_path / SHARD, nbytes)
            break
        except OSError:  # the largest file of some systems
            nbytes //= 2
    assert nbytes > 1 << 40
    entry = entry_bytes(1, (nbytes // 4,), size=nbytes, masked=1)
    (tmp_path / "m.index").write_bytes(table_bytes([(b"", header_bytes()), (b"big/kernel", entry)]))
    return str(tmp_path / "m"), nbytes


def test_what_needs_no_values_costs_nothing(
    sparse: tuple[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    prefix, nbytes = sparse
    tracemalloc.start()
    for words in (["info"], ["ls"], ["tree"], ["check", "--quick"], ["runs"]):
        target = os.path.dirname(prefix) if words == ["runs"] else prefix
        assert main([words[0], target, *words[1:]]) == 0
    for index in ("[0]", f"[{nbytes // 4 - 1}]", f"[::{nbytes // 16}]", "[:3]"):
        assert main(["show", prefix, f"big/kernel{index}"]) == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20
    assert capsys.readouterr().err.count("error:") == 0


def test_what_does_not_fit_is_an_error(sparse: tuple[str, int]) -> None:
    prefix, nbytes = sparse
    with open_checkpoint(prefix) as checkpoint:
        variable = checkpoint["big/kernel"]
        with pytest.raises(CheckpointError) as caught:
            variable.numpy()
        assert f"{nbytes} bytes do not fit into memory" in str(caught.value)
        chunks = variable.chunks()
        assert not any(next(chunks).any() for _ in range(4))
