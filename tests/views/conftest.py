"""Pages are laid out as for somebody who typed a command; `tests.test_notebook` is for Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ckread.errors import at_command_line

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _command_line() -> Iterator[None]:
    with at_command_line():
        yield
