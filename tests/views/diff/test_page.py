"""What `diff` shows: whole pages beside their goldens, sentences, rows, the JSON document.

Goldens are written anew with CKREAD_UPDATE_GOLDENS=1 and read as a diff.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ckread.analysis.diff.diff import diff_checkpoints
from ckread.analysis.diff.records import CheckpointDiff, DiffStatus
from ckread.model.role import Role
from ckread.views.diff.page import DEFAULT_TOP, DiffView, diff_page
from ckread.views.diff.rows import describe, group, grouped_rows, rule_in_words
from ckread.views.diff.verdict import verdict
from ckread.views.json_document import encode
from ckread.views.terminal.page import Page, Paper, cell_len, plain
from tests.analysis.array_checkpoint import checkpoint

GOLDEN = Path(__file__).parents[1] / "golden"


def grid(*shape: int, seed: int = 1) -> Any:
    """Give values that no random generator's version changes."""
    n = int(np.prod(shape))
    return (((np.arange(n) * 37 * seed) % 101 - 50) / 64).astype(np.float32).reshape(shape)


def shown(page: Page, width: int) -> str:
    return "".join(f"{plain(line)}\n" for line in page.lines(Paper(width)))


def piped(page: Page) -> str:
    return "".join(f"{line}\n" for line in page.piped())


def check_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("CKREAD_UPDATE_GOLDENS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


SLOTS = {
    f"adam/{name}/{slot}": (name, slot)
    for name in ("conv1/kernel", "conv2/kernel", "head/kernel")
    for slot in ("momentum", "velocity")
}
ROLES = {
    "norm/moving_mean": Role.STATISTIC,
    "adam/iterations": Role.COUNTER,
    "adam/learning_rate": Role.HYPERPARAMETER,
    "seed": Role.RANDOM,
}


def mixed() -> CheckpointDiff:
    """Compare two checkpoints in which everything that can happen happens."""
    before = {
        "conv1/kernel": grid(3, 3, 4),
        "conv2/kernel": grid(3, 3, 8),
        "conv2/bias": np.zeros(8, np.float32),
        "norm/gamma": 1 + grid(8) / 1000,
        "norm/moving_mean": grid(8),
        "embedding": grid(5, 6),
        "broken/w": grid(7),
        "half/w": grid(9),
        "wide/w": grid(4, 6, seed=3),
        "old/encoder/w": grid(11, seed=5),
        "gone/w": grid(13),
        "adam/iterations": np.array(270, np.int64),
        "adam/learning_rate": np.array(0.00255, np.float32),
        "seed": np.array([1, 2], np.uint32),
        **{name: grid(3, 3, seed=2) for name in SLOTS},
    }
    broken = grid(7)
    broken[3] = np.nan
    after = before | {
        "conv2/kernel": grid(3, 3, 8) * np.float32(1.25),
        "conv2/bias": grid(8) / 8,
        "norm/gamma": 1 + grid(8, seed=3) / 1000,
        "norm/moving_mean": -grid(8),
        "embedding": grid(7, 6),
        "broken/w": broken,
        "half/w": grid(9).astype(np.float16),
        "wide/w": np.ascontiguousarray(grid(4, 6, seed=3).T),
        "encoder/w": grid(11, seed=4),
        "fresh/w": grid(2, 2),
        "adam/iterations": np.array(180, np.int64),
        "adam/learning_rate": np.array(0.00217, np.float32),
        "seed": np.array([3, 2], np.uint32),
        "adam/conv2/kernel/momentum": grid(3, 3, seed=7),
        "adam/conv2/kernel/velocity": np.zeros((3, 3), np.float32),
    }
    del after["old/encoder/w"], after["gone/w"]
    return diff_checkpoints(
        checkpoint(before, path="run/ckpt-3", roles=ROLES, owners=SLOTS),
        checkpoint(after, path="run/ckpt-2", roles=ROLES, owners=SLOTS),
    )


def renamed() -> CheckpointDiff:
    """Compare by the index a model under a scope with one without, slots and another head."""
    units = [f"{place}/unit_{i}" for place in ("left", "right") for i in range(9)]
    before = {f"net/base/{unit}/conv/w": grid(3, 3, seed=i) for i, unit in enumerate(units)}
    before |= {f"net/base/{unit}/norm/{leaf}": grid(4, seed=i + 2)
               for i, unit in enumerate(units) for leaf in ("beta", "mean")}  # fmt: skip
    before["net/base/head/w"] = grid(4, 5)
    after = {}
    for name, array in before.items():
        leaf = array.reshape(1, 1, -1) if "norm" in name else array + 1
        after[name.removeprefix("net/base/")] = leaf
    after["head/w"] = grid(4, 7)
    owners = {f"{name}/Momentum": (name, "Momentum") for name in list(after)}
    after |= {slot: after[owner] for slot, (owner, _) in owners.items()}
    return diff_checkpoints(
        checkpoint(before, path="a/model.ckpt"),
        checkpoint(after, path="b/model.ckpt", owners=owners),
        index_only=True,
    )


@pytest.mark.parametrize("width", [80, 120])
def test_mixed_page(width: int) -> None:
    check_golden(f"diff_mixed_{width}.txt", shown(diff_page(DiffView(mixed())), width))


def test_mixed_piped() -> None:
    check_golden("diff_mixed_piped.txt", piped(diff_page(DiffView(mixed()))))


def test_mixed_json() -> None:
    document = json.loads(encode(DiffView(mixed()).to_dict()))
    for variable in document["variables"]:
        for field, value in variable.items():
            if isinstance(value, float):
                variable[field] = float(f"{value:.9g}")
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    check_golden("diff_mixed.json", text)


@pytest.mark.parametrize("width", [80, 120])
def test_renamed_page(width: int) -> None:
    check_golden(f"diff_renamed_{width}.txt", shown(diff_page(DiffView(renamed())), width))


def test_identical_is_one_line() -> None:
    a = checkpoint({"w": grid(8)}, path="a")
    b = checkpoint({"w": grid(8)}, path="b")
    page = diff_page(DiffView(diff_checkpoints(a, b)))
    assert shown(page, 80) == (
        "a → b\n"
        "identical by checksum: 1 variable, 32 B; values were not read.\n"
        "\n"
        "The indexes agree; whether the values still do is told by ckread check.\n"
    )
    page = diff_page(DiffView(diff_checkpoints(a, b, index_only=True)))
    assert shown(page, 80) == (
        "a → b  by checksum, values not read\n"
        "identical by checksum: 1 variable, 32 B; values were not read.\n"
        "\n"
        "Equal checksums can hide a change once in 2³² variables.\n"
    )
    bare = [checkpoint({"w": grid(8)}, path="a", has_checksums=False) for _ in range(2)]
    assert verdict(diff_checkpoints(*bare)) == "identical: 1 variable, 32 B, bit for bit."
    near = checkpoint({"w": grid(8) + np.float32(1e-6)})
    text = verdict(diff_checkpoints(a, near, atol=1e-3))
    assert text == "equal within --rtol 0 --atol 0.001: 1 of 1 variable."


def test_what_checksums_cannot_tell() -> None:
    bare = [checkpoint({"w": grid(8)}, path="a", has_checksums=False) for _ in range(2)]
    result = diff_checkpoints(*bare, index_only=True)
    assert verdict(result) == (
        "not known: 1 of 1 variable cannot be compared by checksum; names, types and shapes agree."
    )
    assert "unknown" in piped(diff_page(DiffView(result)))


def test_nothing_to_compare() -> None:
    empty = diff_checkpoints(checkpoint({}), checkpoint({}))
    assert verdict(empty) == "nothing to compare: no variable of either side is asked for."


def changed(names: list[str], still: list[str], **roles: Role) -> CheckpointDiff:
    before = {name: grid(4) for name in names + still}
    after = {name: grid(4) * (2 if name in names else 1) for name in names + still}
    given = {name: role for name, role in roles.items()}  # noqa: C416
    return diff_checkpoints(
        *(checkpoint(side, roles={n.replace("__", "/"): r for n, r in given.items()})
          for side in (before, after))
    )  # fmt: skip


@pytest.mark.parametrize(
    ("names", "still", "roles", "expected"),
    [
        (["a/w", "a/b"], [], {}, "All 2 variables changed; the weights moved 100 %."),
        (
            ["head/w", "head/b"], ["a/w", "b/w", "c/w", "d/w"], {},
            "2 of 6 variables changed; the weights among them moved 100 %,"
            " all of the model's in head/**.",
        ),
        (
            ["a/w", "b/w", "c/w", "d/w"], ["e/w"], {},
            "4 of 5 variables changed; the weights among them moved 100 %,"
            " e/w stayed as it was.",
        ),
        (
            ["n/mean"], ["n/w", "a/w"], {"n__mean": Role.STATISTIC},
            "1 of 3 variables changed; of the model only statistics did, no weight.",
        ),
        (
            ["steps"], ["a/w"], {"steps": Role.METRIC},
            "1 of 2 variables changed; weights and statistics are the same.",
        ),
    ],
)  # fmt: skip
def test_verdicts(
    names: list[str], still: list[str], roles: dict[str, Role], expected: str
) -> None:
    assert verdict(changed(names, still, **roles)) == expected


def test_a_checkpoint_renamed_as_a_whole() -> None:
    a = checkpoint({"x/w": grid(4), "y/w": grid(5)})
    b = checkpoint({"net/x/w": grid(4), "net/y/w": grid(5)})
    assert verdict(diff_checkpoints(a, b)) == (
        "The same 2 variables under other names (** is now net/**): all have the same checksums."
    )
    assert verdict(diff_checkpoints(b, a)) == (
        "The same 2 variables under other names (net/** is now **): all have the same checksums."
    )


def test_a_rule_in_words() -> None:
    result = diff_checkpoints(
        checkpoint({"n/old.1/w": grid(4), "n/old.1/b": grid(5)}),
        checkpoint({"n/new/w": grid(4), "n/new/b": grid(5)}),
    )
    assert [rule_in_words(rule) for rule in result.rules] == ["**/old.1/** is now **/new/**"]


def test_long_still_models_are_folded() -> None:
    names = [f"block_{i}/conv/{leaf}" for i in range(30) for leaf in ("w", "b")]
    result = changed(["block_29/conv/w"], [n for n in names if n != "block_29/conv/w"])
    rows = [line.split() for line in shown(diff_page(DiffView(result)), 100).splitlines()]
    assert ["=", "the", "rest", "59", "identical"] in rows
    below = changed(["a/x/w"], [f"a/{i}/w" for i in range(9)] + [f"b/{i}/w" for i in range(9)])
    text = shown(diff_page(DiffView(below)), 100)
    rows = [line.split() for line in text.splitlines()]
    assert ["=", "the", "rest", "18", "identical"] in rows


def test_many_changes_are_cut_and_the_cut_is_said() -> None:
    result = changed([f"layer_{i}/w" for i in range(DEFAULT_TOP + 5)], [])
    text = shown(diff_page(DiffView(result)), 100)
    assert sum(line.startswith("~") for line in text.splitlines()) == DEFAULT_TOP
    assert "5 weights that moved less left out (--top 45)." in " ".join(text.split())
    everything = shown(diff_page(DiffView(result, top=45)), 100)
    assert sum(line.startswith("~") for line in everything.splitlines()) == 45
    assert len(piped(diff_page(DiffView(result))).splitlines()) == 47


def test_only_and_top_choose_rows_not_the_verdict() -> None:
    result = mixed()
    view = DiffView(result, frozenset({DiffStatus.ADDED}))
    assert [row["name"] for row in view.to_dict()["variables"]] == ["fresh/w"]
    assert view.to_dict()["summary"] == result.summary
    assert "fresh/w" in shown(diff_page(view), 80)
    assert "embedding" not in shown(diff_page(view), 80)
    top = DiffView(result, top=2).to_dict()["variables"]
    assert [row["name"] for row in top] == ["broken/w", "conv2/bias"]


def test_where_nothing_was_measured_there_are_no_columns_of_figures() -> None:
    before = {"gone/w": grid(13), "same": np.array(1, np.int64)}
    after = {f"fresh/{i}": grid(2, 2, seed=i) for i in range(4)} | {"same": before["same"]}
    result = diff_checkpoints(
        checkpoint(before, path="a", roles={"same": Role.COUNTER}),
        checkpoint(after, path="b", roles={"same": Role.COUNTER}),
    )
    lines = [line.rstrip() for line in shown(diff_page(DiffView(result)), 80).splitlines()]
    assert lines[3:6] == ["  weight", "+ fresh/**  4 added", "- gone/w    removed"]


def test_groups_say_what_their_members_did() -> None:
    result = changed(["a/x/w", "a/x/b", "a/y/w"], ["a/y/b", "c/w", "c/b"])
    rows = {row.name: row.what for row in grouped_rows(result.variables, result.variables)}
    assert rows == {"a/x/**": "2 changed", "a/y/**": "1 of 2 changed", "c/**": "2 identical"}
    assert sum(len(members) for _, members in group(result.variables)) == 6
    assert describe(result.variables) == "3 of 6 changed"


def test_names_cannot_speak_to_the_terminal() -> None:
    evil = "a\x1b[31m[bold]b\u202e/w x"
    result = changed([evil], ["ok\x07"])
    for width in (40, 80):
        text = shown(diff_page(DiffView(result)), width)
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "[bold]" in text
    word = piped(diff_page(DiffView(result))).splitlines()[2].split()[1]
    assert word == "a\\x1b[31m[bold]b\\u202e/w\\x20x"


@pytest.mark.parametrize("width", [20, 40, 79, 80, 100, 120, 200])
def test_prose_and_tables_keep_to_the_width(width: int) -> None:
    for result in (mixed(), renamed()):
        for line in shown(diff_page(DiffView(result)), width).splitlines():
            assert width < 80 or cell_len(line) <= width
