"""The parts of `info` that only large or odd checkpoints show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.info import CheckpointSummary, summarise
from ckread.analysis.training import TrainingState
from ckread.errors import TextLines
from ckread.model.role import Role
from ckread.model.tree import build_tree
from ckread.readers.contract import DataType
from ckread.readers.graphs.signatures import Signature, TensorInfo
from ckread.readers.keras.config import KerasLayer
from ckread.views.info.facts import sentence_of
from ckread.views.info.page import (
    MAX_SCOPES,
    MAX_TENSORS,
    info_page,
    level_of,
    scope_table,
    signature_blocks,
)
from ckread.views.listing import layer_blocks
from ckread.views.terminal.page import Page, Paper, plain
from tests.analysis.array_checkpoint import checkpoint

if TYPE_CHECKING:
    from ckread.model.tree import VariableTree

WEIGHT = np.zeros((3, 4), np.float32)


def tree_of(names: list[str], *, roles: dict[str, Role] | None = None) -> VariableTree:
    made = checkpoint(dict.fromkeys(names, WEIGHT), roles=roles)
    return build_tree(made.values(), folds=True)


def shown(page: Any, width: int = 80) -> list[str]:
    return [plain(line) for line in page.lines(Paper(width))]


@pytest.fixture
def summary() -> CheckpointSummary:
    return summarise(checkpoint({"a/w": WEIGHT, "b/w": WEIGHT}))


def test_scopes_begin_below_what_all_names_share() -> None:
    tree = tree_of(["net/tower/a/w", "net/tower/b/w", "net/tower/b/v"])
    lines = shown(scope_table(tree))
    assert [line.split()[:2] for line in lines[1:]] == [
        ["net/tower", "36"],
        ["├─", "a"],
        ["└─", "b"],
    ]
    assert level_of(tree) == 3


def test_a_scope_that_holds_the_model_is_opened() -> None:
    tree = tree_of(["net/a/w", "net/b/w", "step"], roles={"step": Role.COUNTER})
    assert [line[:9].rstrip() for line in shown(scope_table(tree))[1:]] == [
        "├─ net",
        "│  ├─ a",
        "│  └─ b",
        "└─ step",
    ]
    assert level_of(tree) == 1


def test_very_many_scopes_are_cut_with_a_word() -> None:
    lines = shown(scope_table(tree_of([f"layer_{i}/w" for i in range(500)])))
    assert len(lines) == 1 + MAX_SCOPES
    assert lines[-1].startswith("└─ … 461 more lines (ckread tree)")


@pytest.mark.parametrize(
    ("width", "contents"),
    [
        (80, "gamma, beta and 2 more, all 3×4"),
        (120, "gamma, beta, moving_mean, moving_variance 3×4"),
        (56, "4 variables"),
    ],
)
def test_contents_are_told_as_long_as_they_fit(width: int, contents: str) -> None:
    names = [
        "norm/gamma",
        "norm/beta",
        "norm/moving_mean",
        "norm/moving_variance",
        "head/w",
        "deep/a/b",
    ]
    lines = shown(scope_table(tree_of(names)), width)
    assert lines[1].endswith(contents)


def test_signatures_of_very_many_tensors_are_cut_with_a_word() -> None:
    tensors = tuple(TensorInfo(f"x{i}", "", DataType.FLOAT32, (None, 2)) for i in range(40))
    signature = Signature("serving_default", tensors, (TensorInfo("y", "", DataType.STRING, None),))
    page = Page(signature_blocks([signature, Signature("empty", (), ())]))
    lines = shown(page)
    assert lines[1].split() == ["serving_default", "x0", "float32", "?×2", "y", "string", "?"]
    assert lines[1 + MAX_TENSORS].split("  ")[-1].strip() == "… 28 more (--json)"
    assert lines[-1] == "empty"
    piped = list(page.piped())
    assert len(piped) == 1 + 41
    assert all(len(row.split()) == 5 for row in piped[1:])
    assert signature_blocks([]) == []


def test_of_very_many_layers_those_with_parameters_are_shown(summary: CheckpointSummary) -> None:
    layers = tuple(KerasLayer(f"l{i}", "Dense", 5 if i % 2 else None) for i in range(50))
    page = Page(layer_blocks(summary._replace(layers=layers)))
    lines = shown(page)
    assert len(lines) == 1 + 25 + 1
    assert lines[-1] == "25 layers without parameters left out (ckread layers)"
    assert len(list(page.piped())) == 51


def test_an_unknown_optimizer_is_called_so(summary: CheckpointSummary) -> None:
    roles = summary.roles | {Role.SLOT: summary.roles[Role.WEIGHT]}
    odd = summary._replace(roles=roles, training=TrainingState(step=7))
    assert sentence_of(odd) == (
        "A TensorFlow model of 24 parameters, saved with an unknown optimizer at step 7."
    )
    assert sentence_of(odd._replace(training=TrainingState())).endswith("an unknown optimizer.")
    page = info_page(odd, tree_of(["a"]))
    assert any(line.split()[:2] == ["slots", "2"] for line in shown(page))


def test_nothing_in_it(summary: CheckpointSummary) -> None:
    empty = summary._replace(roles={}, parameters=0, dtypes={})
    assert sentence_of(empty) == "It holds no variable."
    page = info_page(empty, tree_of([]))
    assert shown(page)[:2] == ["model", "It holds no variable."]
    assert next(iter(page.piped())) == "# model"


def test_warnings_stand_below_the_sentence_names_on_lines_of_their_own(
    summary: CheckpointSummary,
) -> None:
    warned = summary._replace(warnings=(TextLines("2 are lost:", "  a\x1b", "  b", "Save again."),))
    lines = shown(info_page(warned, tree_of(["a"])))
    assert lines[2:6] == ["warning: 2 are lost:", "  a\\x1b", "  b", "Save again."]
