"""How HTML looks: one short style sheet, in which every class begins with `ckread`.

A colour is given twice: as it is, readable on white and on black, for browsers before
2023; then mixed with the colour of the text around, which is readable on any ground.
"""

from __future__ import annotations

from ckread.views.theme import STYLES

_HUES = {
    "cyan": "#0e86a8", "green": "#2b8a3e", "red": "#d03a3a", "yellow": "#a86a00",
    "magenta": "#b04ab0",
}  # fmt: skip
"""A hue for each colour of the theme, between black and white in lightness."""
_SHARE = 72
"""Hundredths of the hue; the rest is the colour of the text around."""


def _declarations(style: str) -> str:
    """Give the CSS of a rich style: `bold red`, `dim`."""
    declared = []
    for word in style.split():
        if word == "bold":
            declared.append("font-weight:bold")
        elif word == "dim":
            declared.append("opacity:.66")
        else:
            hue = _HUES[word]
            declared += [
                f"color:{hue}",
                f"color:color-mix(in srgb,{hue} {_SHARE}%,currentColor)",
            ]
    return ";".join(declared)


_LAYOUT = """
.ckread{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
color:inherit;overflow-x:auto;text-align:left}
.ckread .ckread-section{margin:0 0 .9em}
.ckread .ckread-section:last-child{margin-bottom:0}
.ckread p.ckread-prose{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;max-width:112ch}
.ckread .ckread-line{white-space:pre-wrap}
.ckread span,.ckread b{unicode-bidi:isolate;font-weight:inherit}
.ckread table.ckread-table{border-collapse:collapse;border:0;margin:0;width:auto;font:inherit;
color:inherit;background:none}
.ckread table.ckread-table tr{background:none!important;border:0}
.ckread table.ckread-table th,.ckread table.ckread-table td{border:0;padding:0 2ch 0 0;
text-align:left!important;vertical-align:top;white-space:pre;font-size:inherit;line-height:1.45;
max-width:none;color:inherit;background:none;unicode-bidi:isolate}
.ckread table.ckread-table th{font-weight:normal;opacity:.66}
.ckread table.ckread-table .ckread-right{text-align:right!important}
.ckread table.ckread-table td.ckread-name{white-space:pre-wrap;overflow-wrap:anywhere;
min-width:20ch;padding-left:2ch;text-indent:-2ch}
.ckread table.ckread-table th.ckread-name{padding-left:0}
.ckread details{margin-top:.9em}
.ckread summary{cursor:pointer;opacity:.66;margin-bottom:.4em}
"""

CSS = _LAYOUT.replace("\n", "") + "".join(
    f".ckread .ckread-{name}{{{_declarations(style)}}}" for name, style in STYLES.items()
)
