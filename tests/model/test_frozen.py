"""Records that are told by the annotations of their class."""

from __future__ import annotations

import pickle

import pytest

from ckread.model.display import Frozen


class Point(Frozen):
    """A place."""

    x: int
    y: int = 2
    note: str = ""

    _aside = frozenset({"note"})


def test_fields_are_given_by_place_or_by_name() -> None:
    point = Point(1, note="far")
    assert (point.x, point.y, point.note) == (1, 2, "far")
    assert repr(point) == "Point(x=1, y=2)"
    assert point._replace(y=5) == Point(1, 5)
    assert pickle.loads(pickle.dumps(point)).note == "far"


def test_what_is_aside_is_not_compared() -> None:
    assert Point(1, note="far") == Point(1)
    assert hash(Point(1, note="far")) == hash(Point(1))
    assert Point(1) != Point(2)
    assert Point(1) != (1, 2)


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, "", 4), {}), ((1,), {"x": 2})])
def test_each_field_is_given_once(values: tuple[object, ...], named: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="takes each of these once: x, y, note"):
        Point(*values, **named)  # type: ignore[arg-type]


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="takes each"):
        Point(1, z=3)  # type: ignore[call-arg]


def test_nothing_is_set_or_deleted() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="cannot assign to 'x': Point is frozen"):
        point.x = 3  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot delete 'x'"):
        del point.x
