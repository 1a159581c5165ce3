"""The terminal that tests of commands run in."""

from __future__ import annotations

import pytest

from tests.cli.terminal import Terminal


@pytest.fixture
def ckread(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Give a caller of ckread."""
    return Terminal(monkeypatch)
