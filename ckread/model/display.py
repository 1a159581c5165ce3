"""What shows itself: lines where it is printed, a rich renderable, HTML in a notebook.

How a result looks is settled above, where nothing here may look. So whoever knows says it when
the package is imported (`shown_by`), and is asked when something is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ckread.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Screen(Protocol):
    """What is shown of a result; rich prints it."""

    def text(self) -> str:
        """Give it as a terminal of 80 columns shows it, without colours."""
        ...

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        """Give it to rich."""
        ...


_showing: list[tuple[Callable[[object], Screen | None], Callable[[Any], str]]] = []


def shown_by(lay_out: Callable[[object], Screen | None], html: Callable[[Any], str]) -> None:
    """Register what lays a result out, or gives None, and what makes HTML of that."""
    _showing.append((lay_out, html))


class Displayed:
    """A checkpoint, a run or a result that `print`, rich and notebooks show as a page."""

    __slots__ = ()

    def __str__(self) -> str:
        """Give the page that a terminal of 80 columns shows, without colours."""
        screen = self._screen()
        return repr(self) if screen is None else screen.text()

    def __rich__(self) -> Screen | str:
        """Give the page to rich: `rich.print`, `Console`, `Live`, `export_svg`."""
        screen = self._screen()
        return repr(self).replace("[", r"\[") if screen is None else screen

    def _repr_html_(self) -> str | None:
        """Give the page to a notebook; None, for the `repr`, where it cannot be made."""
        screen = self._screen()
        return None if screen is None else _showing[-1][1](screen)

    def _screen(self) -> Screen | None:
        """Lay it out; None where that cannot be done: its files are closed, damaged or gone."""
        try:
            return _showing[-1][0](self)
        except CheckpointError:
            return None
