"""Writes docs/api.md from the docstrings: `python docs/make_api.py`.

A test holds the page and the docstrings together, and another runs their examples.
"""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ckread
from ckread import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parent / "api.md"
CALLBACKS = Path(__file__).parents[1] / "ckread" / "callbacks.py"

CHAPTERS = {
    "Open": ("open", "open_run", "Checkpoint", "Variable", "VariableTree", "Run"),
    "Ask": (
        "info", "statistics", "statistics_of_run", "diff", "drift", "track", "history", "check",
        "seams", "optimizer", "optimizer_of_run", "compat", "loads", "filters", "responses",
    ),
    "Answers": (
        "CheckpointSummary", "CheckpointStatistics", "RunStatistics", "CheckpointDiff",
        "RunDrift", "RunTrack", "TrainingHistory", "CheckReport", "RestoreForecast",
        "OnLoading", "OptimizerAudit", "RunOptimizerAudit", "Filters", "Responses",
    ),
    "Pictures": (
        "plot_statistics", "plot_filters", "plot_diff", "plot_difference", "plot_drift",
        "plot_track", "plot_history", "plot_optimizer",
    ),
    "Errors": ("CheckpointError",),
}  # fmt: skip
"""Every public name, in the order of the page."""

INTRODUCTION = """\
# ckread in Python

<!-- Written by docs/make_api.py from the docstrings: change them, and run it again. -->

```pycon
>>> import ckread
>>> checkpoint = ckread.open("fixtures/digits_run")
>>> checkpoint["conv1/kernel"].numpy().std().round(3)
np.float32(0.131)
>>> print(ckread.statistics(checkpoint, "conv1"))
name              min  distribution                 max      mean     std  zeros
conv1/kernel  -0.256   ▁▂▄▅▅▄▅▆▆▃▆▃▅▃▂▅▃▃▅▇▄▅▂▂  0.241   -0.00555  0.131       –
conv1/bias    -0.0445  ▄▄▄▄▄ ▄▇▄▄▄▄▄  ▄     ▄ ▄  0.0658  -0.00202  0.0301  6.2 %
...
```

Everything a command prints comes from a call here. What it gives shows itself: `print` as the
command does in a terminal of 80 columns, a notebook as HTML, on light and dark grounds.
`.to_dict()` is the body of the command's JSON document, `.to_pandas()` a `DataFrame`
(`pip install 'ckread[pandas]'`), and `plot_…` a matplotlib `Figure`, of the answer or of what
it is made of, which a notebook shows at the end of its cell, also after `;`. Nothing heavy is
imported before it is needed.

An answer is a sequence of its records and a mapping of them by name: `len(answer)`, iteration,
`answer[0]`, `answer["conv1/kernel"]`, `"conv1/kernel" in answer`, `answer.get(…)`,
`answer.keys()`; see [`Records`](#records). Where a checkpoint is taken, a path is too, and
where a run is, a directory or a glob; `patterns` are those of the command line: a part of a
name, or a glob in which `*` stays within one component and `**` does not.

The examples run in the project's own folder.
"""

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Example):\n", re.MULTILINE)
_ENTRY = re.compile(r"^(\w+): ", re.MULTILINE)
_SPECIAL = {
    "__getitem__": "[…]", "__len__": "len(…)", "__float__": "float(…)", "__int__": "int(…)",
    "__iter__": "for … in …", "__contains__": "… in …", "__eq__": "==",
}  # fmt: skip
_ABSENT = inspect.Parameter.empty


def page() -> str:
    """Give the whole page."""
    return "\n".join([INTRODUCTION, *_chapters(), *_records(), *_history_logger()]).rstrip() + "\n"


RECORDS = (
    ("ckread.model.records", ("Records",)),
    ("ckread.readers.contract", ("DataType",)),
    ("ckread.model.run.entries", ("RunEntry",)),
    ("ckread.analysis.info", ("Fact",)),
    ("ckread.analysis.training", ("TrainingState",)),
    ("ckread.analysis.statistics.statistics", ("VariableStatistics", "VariableOverRun")),
    ("ckread.analysis.statistics.distribution", ("Distribution", "Quantile", "Histogram")),
    ("ckread.analysis.statistics.statistics", ("Moment",)),
    ("ckread.analysis.diff.records", ("VariableDiff", "Side")),
    ("ckread.analysis.diff.metrics", ("Metrics",)),
    ("ckread.analysis.drift.records", ("VariableDrift",)),
    ("ckread.analysis.track", ("TrackedValue",)),
    ("ckread.analysis.audit.records", ("Seam",)),
    ("ckread.analysis.audit.optimizer", ("UsedOptimizer", "WeightUpdate", "WeightOverRun")),
    ("ckread.analysis.audit.rules", ("Hyperparameter",)),
    ("ckread.analysis.history.history", ("BestEpoch", "Curve")),
    ("ckread.analysis.findings", ("Finding",)),
    ("ckread.analysis.compat.records", ("ValueForecast",)),
    ("ckread.analysis.loading.records", ("LoadFact",)),
)
"""What answers are made of: where it is, and its names."""


def _records() -> Iterator[str]:
    yield "## What answers are made of\n"
    for module, names in RECORDS:
        for name in names:
            yield from _class(name, getattr(import_module(module), name))


def _chapters() -> Iterator[str]:
    for chapter, names in CHAPTERS.items():
        yield f"## {chapter}\n"
        for name in names:
            public = getattr(ckread, name)
            is_class, name = inspect.isclass(public), f"ckread.{name}"
            yield from _class(name, public) if is_class else _function(name, public)
        if chapter == "Errors":
            yield from _error_kinds()


def _function(name: str, function: Any) -> Iterator[str]:
    yield f"### `{name}`\n"
    yield f"```python\n{_signature(name, function)}\n```\n"
    yield from _document(inspect.getdoc(function) or "")


def _class(name: str, kind: Any) -> Iterator[str]:
    yield f"### `{name}`\n"
    yield from _document(inspect.getdoc(kind) or "")
    lines = list(_members(kind))
    if lines:
        yield "\n".join(["Members:\n", *lines]) + "\n"


def _members(kind: Any) -> Iterator[str]:
    """Give a line for each property and method, in the order of the source."""
    for name, member in vars(kind).items():
        if (name.startswith("_") and name not in _SPECIAL) or name in _named_tuple(kind):
            continue
        if isinstance(member, property):
            result = _annotation(inspect.signature(member.fget).return_annotation)  # type: ignore[arg-type]
            yield f"* `.{name}` → `{result}`: {_first(member)}"
        elif inspect.isfunction(member) and name in _SPECIAL:
            yield f"* `{_SPECIAL[name]}`: {_first(member)}"
        elif inspect.isfunction(member):
            yield f"* `{_signature(f'.{name}', member, wraps=False)}`: {_first(member)}"


def _named_tuple(kind: Any) -> frozenset[str]:
    """Give the fields of a named tuple, which are told as attributes, and its own methods."""
    fields = getattr(kind, "_fields", ())
    return frozenset(fields) if isinstance(fields, tuple) else frozenset()


def _first(member: Any) -> str:
    """Give the first paragraph of a docstring as one line, and what it raises."""
    text = inspect.getdoc(member) or ""
    raised = [part for part in _parts(text) if part[0] == "Raises"]
    kinds = ", ".join(f"`{kind}`" for _, body in raised for kind, _ in _entries(body))
    first = " ".join(text.split("\n\n")[0].split())
    return f"{first} Raises {kinds}." if kinds else first


def _document(text: str) -> Iterator[str]:
    """Give a Google docstring as Markdown."""
    for heading, body in sorted(_parts(text), key=lambda part: part[0] == "Example"):
        if heading == "Example":
            yield f"```pycon\n{body}\n```\n"
        elif heading == "Returns":
            yield f"Returns: {' '.join(body.split())}\n"
        elif heading:
            lines = [f"* `{name}`: {' '.join(said.split())}" for name, said in _entries(body)]
            yield "\n".join([f"{heading}:\n", *lines]) + "\n"
        elif body:
            yield f"{body}\n"


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Split a docstring into what comes first and its sections, set out to the margin."""
    first, *rest = _SECTION.split(text)
    yield "", first.strip()
    for heading, body in zip(rest[::2], rest[1::2], strict=True):
        yield heading, inspect.cleandoc(body)


def _entries(body: str) -> Iterator[tuple[str, str]]:
    _, *rest = _ENTRY.split(body)
    yield from zip(rest[::2], rest[1::2], strict=True)


def _signature(name: str, function: Any, *, wraps: bool = True) -> str:
    signature = inspect.signature(function)
    words = list(_parameters(signature))
    result = _annotation(signature.return_annotation)
    line = f"{name}({', '.join(words)}) -> {result}"
    if len(line) <= 88 or not wraps:
        return line
    return "\n".join([f"{name}(", *(f"    {word}," for word in words), f") -> {result}"])


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    is_keyword = False
    for parameter in signature.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not is_keyword:
            is_keyword = True
            yield "*"
        default = "" if parameter.default is _ABSENT else f" = {_default(parameter.default)}"
        yield f"{parameter.name}: {_annotation(parameter.annotation)}{default}"


def _default(value: Any) -> str:
    return "..." if value is Ellipsis else repr(value).replace("'", '"')


def _annotation(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else str(annotation)


def _error_kinds() -> Iterator[str]:
    """Give the error tree: each kind, what it is as well, and when it is raised; then examples."""
    lines = ["| in `ckread.errors` | is also | raised where |", "|---|---|---|"]
    for name in errors.__all__[1:]:
        kind = getattr(errors, name)
        also = ", ".join(f"`{base.__name__}`" for base in kind.__bases__)
        said = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
        lines.append(f"| `{name}` | {also} | {said} |")
    yield "\n".join(lines) + "\n"
    for name in errors.__all__[1:]:
        yield f"### `ckread.errors.{name}`\n"
        told = _document(inspect.getdoc(getattr(errors, name)) or "")
        yield from (part for part in told if part.startswith("```"))


def _history_logger() -> Iterator[str]:
    """Give the Keras callback, from its source: to import it takes Keras."""
    tree = ast.parse(CALLBACKS.read_text(encoding="utf-8"))
    kind = next(node for node in tree.body if isinstance(node, ast.ClassDef))
    module = inspect.cleandoc(ast.get_docstring(tree) or "").split("\n\n")
    yield "## Keep training curves\n"
    yield f"### `ckread.callbacks.{kind.name}`\n"
    example = inspect.cleandoc(module[1])
    yield f"```python\nfrom ckread.callbacks import {kind.name}\n\n{example}\n```\n"
    yield f"{module[2]}\n"
    yield from _document(ast.get_docstring(kind) or "")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
