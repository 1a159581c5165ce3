"""The section why: claims in order of strength, unknown in words, whole in a pipe."""

from __future__ import annotations

from ckread.model.evidence import Claim, Strength
from ckread.views.terminal.page import Page, Paper, Prose, plain
from ckread.views.why import with_why

CLAIMS = (
    Claim("epoch", None, Strength.UNKNOWN, "no number of the names counts"),
    Claim(
        "steps", "01, 02, 03", Strength.NAMED,
        "the first number of the names that differs in all and rises with the time saved",
        ("92, 97, 95: does not rise with the time saved",),
    ),
    Claim("learning_rate", 6.95e-4, Strength.STORED, "variable learning_rate"),
    Claim("latest", "a\x1b[31m", Strength.NAMED, "largest step"),
)  # fmt: skip


def shown(*claims: Claim, width: int = 80) -> list[str]:
    page = with_why(Page(Prose("said")), claims)
    return [plain(line) for line in page.lines(Paper(width))]


def test_every_claim_has_a_line_and_every_doubt_below_it() -> None:
    assert shown(*CLAIMS) == [
        "said",
        "",
        "why",
        "learning rate  6.95e-4: variable learning_rate",
        "steps          01, 02, 03: the first number of the names that differs in all and",
        "               rises with the time saved",
        "               not 92, 97, 95: does not rise with the time saved",
        "latest         a\\x1b[31m: largest step",
        "epoch          unknown: no number of the names counts",
    ]


def test_a_pipe_gets_comments_that_leave_its_records_alone() -> None:
    lines = list(with_why(Page(Prose("said")), CLAIMS).piped())
    assert lines[0] == "# said"
    assert lines[1] == "# why learning_rate: 0.000695 (stored): variable learning_rate"
    assert lines[2].endswith("the time saved; not 92, 97, 95: does not rise with the time saved")
    assert lines[-1] == "# why epoch: unknown (unknown): no number of the names counts"
    assert all(line.startswith("# ") and "\x1b" not in line for line in lines)


def test_where_nothing_is_claimed_there_is_no_section() -> None:
    assert shown() == ["said"]


def test_narrow_screens_keep_the_column() -> None:
    assert max(map(len, shown(*CLAIMS, width=40))) <= 40
