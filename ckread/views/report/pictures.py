"""Pictures of a page: SVG with text as text, in colours that follow the page's.

A picture without a title or notes: the page says them. Where cells are an image its colours
cannot follow, so it is there twice, for a light ground and for a dark one.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from ckread.views.figures.style import DARK, LIGHT, LOOK, Look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.figure import Figure

    from ckread.views.figures.style import Palette

BARE = Look(title="", has_notes=False)
_ROLES = (
    "paper", "ink", "soft", "faint", "rule", "grid", "cell", "data", "middle", "fill", "slot",
    "average", "mark", "bad",
)  # fmt: skip
_VARIABLES = {getattr(LIGHT, role).lower(): f"var(--{role})" for role in reversed(_ROLES)}
_COLOR = re.compile(r"#[0-9a-fA-F]{6}\b")
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(?<=url\(#)[^)]*|(?<=href="#)[^"]*')


def svgs(draw: Callable[[Palette], Figure], number: int, label: str) -> Iterator[str]:
    """Yield the SVG of a picture, once or for each ground; ids begin with its number."""
    token = LOOK.set(BARE)
    try:
        light = _svg(draw(LIGHT))
        if "<image" not in light:
            yield _placed(light, f"p{number}-", label, "")
            return
        yield _placed(light, f"p{number}-", label, "light-only")
        yield _placed(_svg(draw(DARK)), f"q{number}-", label, "dark-only")
    finally:
        LOOK.reset(token)


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)


def _placed(svg: str, prefix: str, label: str, css: str) -> str:
    """Give an SVG as part of a page: sized by it, in its colours, with the ids it uses."""
    head, rest = svg.split(">", 1)
    box = re.search(r'viewBox="[\d. ]+"', head)
    shown = f' class="{css}"' if css else ""
    start = f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" role="img" aria-label="{label}"'
    start += f"{shown} {box[0] if box else ''}>"
    if not css:
        rest = _COLOR.sub(lambda found: _VARIABLES.get(found[0].lower(), found[0]), rest)
    used = set(_REFERENCE.findall(rest))
    rest = _ID.sub(lambda found: f' id="{prefix}{found[1]}"' if found[1] in used else "", rest)
    return start + _REFERENCE.sub(lambda found: prefix + found[0], rest)
