"""What a driver raises: which error counts, and whether it passes."""

from __future__ import annotations

import pytest

from ckread.readers.sources.failures import _root, _status, is_passing


def _after(error: Exception, cause: Exception | None) -> Exception:
    error.__cause__ = cause
    return error


class _Answer(Exception):
    def __init__(self, **fields: object) -> None:
        self.__dict__.update(fields)


def test_the_cause_of_what_was_not_found() -> None:
    cause = _Answer(status=503)
    absent, other = FileNotFoundError(), OSError()
    assert _root(_after(absent, cause)) is cause
    assert _root(_after(other, cause)) is other
    bare = FileNotFoundError()
    assert _root(bare) is bare


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"status": 404}, 404),
        ({"code": 403}, 403),
        ({"status_code": 500}, 500),
        ({"response": _Answer(status_code=429)}, 429),
        ({"response": {"ResponseMetadata": {"HTTPStatusCode": 416}}}, 416),
        ({"status": 400}, 400),
        ({"status": 599}, 599),
        ({"status": 399}, None),
        ({"status": 600}, None),
        ({"status": "404"}, None),
        ({"response": {}}, None),
        ({}, None),
        ({"status": "x", "code": 404}, 404),
    ],
)
def test_the_number_of_an_answer(fields: dict[str, object], status: int | None) -> None:
    assert _status(_Answer(**fields)) == status
    assert _status(_after(OSError(), _Answer(**fields))) == status


class ReadTimeout(Exception):
    """As some drivers call it."""


class ConnectFailed(Exception):
    """Likewise."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_Answer(status=500), True),
        (_Answer(status=503), True),
        (_Answer(status=429), True),
        (_Answer(status=428), False),
        (_Answer(status=404), False),
        (_Answer(status=499), False),
        (TimeoutError(), True),
        (ReadTimeout(), True),
        (ConnectFailed(), True),
        (ConnectionResetError(), True),
        (OSError(), False),
        (FileNotFoundError(), False),
        (_after(FileNotFoundError(), _Answer(status=503)), True),
        (_after(FileNotFoundError(), TimeoutError()), True),
    ],
)
def test_what_passes(error: Exception, expected: bool) -> None:
    assert is_passing(error) is expected
