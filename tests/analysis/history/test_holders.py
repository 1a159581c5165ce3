"""Which checkpoint is of which row of the log, from entries made by hand; and joined logs whole."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.history.best import is_metric, mode_of, told_mode
from ckread.analysis.history.history import history
from ckread.analysis.history.holders import Holders, Rows, match_epochs
from ckread.errors import UsageError
from ckread.model.evidence import Claim, Strength
from tests.builders import write_bundle

if TYPE_CHECKING:
    from pathlib import Path


def entry(path: str, **fields: Any) -> Any:
    known = {"step": None, "epoch": None, "numbers": (), "iterations": None, "name": path}
    return SimpleNamespace(path=path, **{**known, "is_epoch_stored": False, **fields})


class Entries:
    """A run as far as matching looks at it."""

    titles = ("step", "epoch")

    def __init__(self, *entries: Any, stale: Any = (), source: str = "save_counter") -> None:
        self.entries = entries
        self.stale = stale
        strength = Strength.STORED if "/" in source or source == "save_counter" else Strength.NAMED
        self.claims = (Claim("step", 1, strength, source),)

    def __len__(self) -> int:
        return len(self.entries)


def rows(
    epochs: Any = (1, 2, 3), unit: str = "epoch", counters: Any = None, **metrics: Any
) -> Rows:
    return Rows(epochs, unit, counters or {}, metrics)


def placed(run: Any, of: Rows, match: Any = None) -> tuple[Any, ...]:
    found = match_epochs(run, of, match)
    assert found.claim.source == (found.how or found.why)
    value = f"{len(found.kept)} of the checkpoints" if found.how else None
    assert (found.claim.claim, found.claim.value) == ("epochs of checkpoints", value)
    assert found.claim.strength is found.strength
    assert found.unplaced == (() if found.how else tuple(e.path for e in run.entries))
    return dict(found.places), found.how, str(found.strength), found.is_supposed


def missing(run: Any, of: Rows) -> str:
    found = match_epochs(run, of)
    assert (found.kept, found.places, found.how) == ({}, {}, "")
    return found.why


def test_nothing_is_matched_with_nothing() -> None:
    assert match_epochs(None, rows()) == match_epochs(Entries(), rows()) == Holders()  # type: ignore[arg-type]


def test_steps_are_steps() -> None:
    run = Entries(entry("a", step=10), entry("b", step=25), source="file name")
    of = rows((10, 20), "step")
    found = ({"a": 10, "b": 25}, "by step, as the log counts", "named", False)
    assert placed(run, of) == found
    kept = match_epochs(run, of)  # type: ignore[arg-type]
    assert kept.kept == {10: "a"}
    stored = Entries(*run.entries, source="optimizer/iter")
    assert placed(stored, of)[2] == "stored"
    assert placed(run, rows((1, 2), "step"))[0] == {"a": 10, "b": 25}, "none is of a row"
    counted = Entries(*run.entries)
    assert missing(counted, of) == (
        "nothing ties them to the log: no step in the names, no steps or iterations in the log"
    )
    assert missing(Entries(entry("a", step=1)), rows((10, 20), "episode")) == (
        "nothing ties it to the log: one checkpoint, no episode in its name, "
        "no steps or iterations in the log"
    )


@pytest.mark.parametrize("name", ["global_step", "iterations", "Iter "])
def test_columns_that_count_the_same(name: str) -> None:
    of = rows(counters={name: (7, 14, 21)})
    run = Entries(entry("a", step=7), entry("b", step=21), source="optimizer/iter")
    assert placed(run, of) == ({"a": 1, "b": 3}, f"by the column {name}", "stored", False)
    by_name = Entries(*run.entries, source="file name")
    assert placed(by_name, of)[2] == "named"
    inside = Entries(entry("a", iterations=14))
    if "tep" in name:
        assert missing(inside, of).endswith(": one checkpoint, no epoch in its name")
    else:
        assert placed(inside, of) == ({"a": 2}, f"by the column {name}", "stored", False)
    assert "one checkpoint" in missing(Entries(entry("a", step=7)), of), "a save counter"
    for odd in ((7, 7, 14), (1, 2, 3)):
        run = Entries(entry("a", step=7), entry("b", step=14), source="file name")
        assert match_epochs(run, rows(counters={name: odd})).how == ""  # type: ignore[arg-type]
    assert missing(Entries(entry("a", epoch=9), entry("b")), of).endswith(
        ": no steps or iterations in the checkpoints"
    )


def test_epochs_of_names() -> None:
    run = Entries(entry("a", epoch=1), entry("b", epoch=3), stale=(
        entry("c", epoch=2), entry("d", epoch=3), entry("e")))  # fmt: skip
    assert placed(run, rows()) == ({"a": 1, "b": 3}, "by epoch, of the names", "named", False)
    found = match_epochs(run, rows())  # type: ignore[arg-type]
    assert (found.kept, found.deleted) == ({1: "a", 3: "b"}, (2,))
    stored = Entries(*(entry(x, epoch=i, is_epoch_stored=True) for x, i in (("a", 1), ("b", 3))))
    assert placed(stored, rows())[1:3] == ("by epoch, as the checkpoints hold it", "stored")
    some = Entries(entry("a", epoch=1, is_epoch_stored=True), entry("b", epoch=3))
    assert placed(some, rows())[2] == "named"
    assert "no steps or iterations in the log" in missing(run, rows(unit="episode"))
    assert match_epochs(Entries(entry("a", epoch=1), entry("b")), rows()).how == ""  # type: ignore[arg-type]
    from_0 = Entries(entry("a", epoch=0), entry("b", epoch=2))
    raw = rows(counters={"epoch": (0, 1, 2)})
    assert placed(from_0, raw) == ({"a": 1, "b": 3}, "by epoch, of the names", "named", False)
    assert placed(from_0, rows())[0] == {"a": 0, "b": 2}
    assert placed(from_0, rows(counters={"epoch": (1, 2, 3)}))[0] == {"a": 0, "b": 2}
    few = Entries(entry("a", epoch=1), entry("b", epoch=2))
    supposed = "by epoch, of the names, taken to count from 1 while the log counts from 0"
    assert placed(few, raw) == ({"a": 1, "b": 2}, supposed, "named", True)
    assert placed(run, raw)[3] is False, "the last is as large as the log is long"


def test_a_metric_in_the_names_says_which_epoch_it_is() -> None:
    values: Any = {"loss": (0.5, 0.25, 0.125), "acc": (None, 0.9, 0.95)}

    def named(shift: int, *wrong: Any) -> Any:
        return Entries(
            *(entry(f"m-{i + shift:02}-{loss:.3f}", numbers=(i + shift,))
              for i, loss in enumerate((0.5, 0.25), 1)), *wrong
        )  # fmt: skip

    how = "by the epoch and the metric of the names, as the log has them"
    for shift in (0, -1):
        found = placed(named(shift), rows(**values))
        assert list(found[0].values()) == [1, 2]
        assert found[1:] == (how, "derived", False)
    assert match_epochs(named(1), rows(**values)).how == ""
    other = named(0, entry("x-3-0.9", numbers=(3,)))
    assert match_epochs(other, rows(**values)).how == (
        "by number: the checkpoints and the log count 1 to 3"
    )
    both = named(0, entry("x-3-0.95", numbers=(3,)))
    assert placed(both, rows(**values))[1] == how
    for one in both.entries:
        one.epoch = one.numbers[0] - 1  # the names say otherwise
    assert placed(both, rows(**values))[1] == how
    negative: Any = {"loss": (-0.5, -0.25, -0.125)}
    assert placed(named(0), rows(**negative))[1] == how


def test_two_numbers_are_two_columns() -> None:
    of = rows((1, 2, 3, 4), "row", {"epoch": (1, 1, 2, 2), "batch": (10, 20, 10, 20)})
    run = Entries(entry("a", numbers=(1, 20)), entry("b", numbers=(2, 10)))
    how = "by epoch and batch, the numbers of the names"
    assert placed(run, of) == ({"a": 2, "b": 3}, how, "derived", False)
    more = rows((1, 2, 3, 4), "row", {**of.counters, "other": (5, 6, 7, 8)})
    assert placed(run, more)[:2] == ({"a": 2, "b": 3}, how)
    for odd in ((3, 10), (1,), (1, 20, 5)):
        assert match_epochs(Entries(run.entries[0], entry("x", numbers=odd)), of).how == ""  # type: ignore[arg-type]
    assert match_epochs(run, rows((1, 2), "row", {"epoch": (1, 2)})).how == ""  # type: ignore[arg-type]


def test_iterations_of_an_epoch() -> None:
    def run(*counts: Any, **fields: Any) -> Any:
        return Entries(*(entry(str(c), iterations=c, **fields) for c in counts))

    supposed = "by iterations, 50 to an epoch, if the log ends at the last checkpoint"
    assert placed(run(50, 150), rows()) == ({"50": 1, "150": 3}, supposed, "derived", True)
    for odd in ((50, 151), (75, 150), (150,), (150, 150), (100, 200)):
        assert match_epochs(run(*odd), rows()).how == ""
    assert match_epochs(run(50, 150), rows(unit="row")).how == ""
    sure = Entries(entry("a", iterations=50, step=1), entry("b", iterations=150, step=3))
    assert placed(sure, rows())[1::2] == ("by iterations, 50 to an epoch", False)
    many = Entries(entry("a", iterations=2000, numbers=(1,)), entry("b", iterations=6000, numbers=(
        3,)))  # fmt: skip
    assert placed(many, rows())[1::2] == ("by iterations, 2,000 to an epoch", False)
    steps = Entries(entry("a", step=50), entry("b", step=150), source="optimizer/iter")
    assert placed(steps, rows())[1] == supposed
    for source in ("file name", "save_counter"):
        assert match_epochs(Entries(*steps.entries, source=source), rows()).how == ""  # type: ignore[arg-type]


def test_numbers_that_are_the_same() -> None:
    how = "by number: the checkpoints and the log count 1 to 3"
    run = Entries(*(entry(str(i), step=i) for i in (1, 2, 3)))
    assert placed(run, rows()) == ({"1": 1, "2": 2, "3": 3}, how, "derived", True)
    named = Entries(*(entry(str(i), numbers=(i,)) for i in (1, 2, 3)))
    assert placed(named, rows())[1] == how
    assert match_epochs(Entries(*run.entries[:2]), rows()).how == ""  # type: ignore[arg-type]
    assert match_epochs(Entries(entry("1", step=1)), rows((1,))).how == ""  # type: ignore[arg-type]
    assert match_epochs(run, rows(unit="row")).how == ""  # type: ignore[arg-type]


def test_what_a_person_says() -> None:
    of = rows((1, 2, 3), "epoch", {"Batch": (10, 20, 30)})
    one = Entries(entry("a"))
    assert placed(one, of, {"batch": "20"}) == ({"a": 2}, "as asked", "named", False)
    assert placed(one, of, {"epoch": "3"})[0] == {"a": 3}
    two = Entries(entry("a", numbers=(7, 10)), entry("b", numbers=(5, 30)))
    for which in ("2", "epoch"):
        assert placed(two, of, {"batch": which})[0] == {"a": 1, "b": 3}
    assert match_epochs(two, of, {"batch": "1"}).how == ""  # type: ignore[arg-type]
    pairs = rows((1, 2, 3), "row", {"x": (1, 1, 2), "y": (1, 2, 1)})
    numbered = Entries(entry("a", numbers=(2, 1)), entry("b", numbers=(1, 1)))
    assert placed(numbered, pairs, {"x": "2", "y": "1"})[0] == {"a": 2, "b": 1}
    bare = Entries(entry("a"), entry("b"))
    for run, match, said, remedy in (
        (one, {"loss": "2"}, "no column loss counts in these logs", "There are Batch, epoch."),
        (one, {"batch": "x"}, "no number in x, expected {column: number}", None),
        (one, {"batch": "25"}, "match batch=25: no such row in the logs", None),
        (two, {"batch": "3"}, "no number 3 in the names",
         "Give which number of the names it is, 1 to 2, or step, epoch."),
        (two, {"batch": "0"}, "no number 0 in the names",
         "Give which number of the names it is, 1 to 2, or step, epoch."),
        (bare, {"batch": "1"}, "no number 1 in the names",
         "The names have no number that differs: give one checkpoint alone, and its row."),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said) as found:
            match_epochs(run, of, match)  # type: ignore[arg-type]
        assert found.value.remedy == remedy


@pytest.mark.parametrize(
    ("metadata", "epoch"),
    [
        ({"epoch": 2, "batch": 0}, 2), ({"epoch": 2, "batch": 5}, None), ({"epoch": 2}, None),
        ({"epoch": "2", "batch": 0}, None), ([1], None), (None, None),
    ],
)  # fmt: skip
def test_a_backup_of_keras(tmp_path: Path, metadata: Any, epoch: int | None) -> None:
    if metadata is not None:
        (tmp_path / "training_metadata.json").write_text(json.dumps(metadata))
    path = str(tmp_path / "latest.weights.h5")
    found = match_epochs(Entries(entry(path)), rows())  # type: ignore[arg-type]
    expected = ({path: 2}, "by epoch, of BackupAndRestore") if epoch else ({}, "")
    assert (found.places, found.how) == expected
    other = Entries(entry(str(tmp_path / "other.weights.h5")))
    assert match_epochs(other, rows()).how == ""  # type: ignore[arg-type]


def test_the_nearest_checkpoint() -> None:
    held = Holders(places={"a": 2, "b": 6, "c": 7})
    assert [held.nearest(epoch) for epoch in (0, 3, 4, 5, 7, 99)] == ["a", "a", "a", "b", "c", "c"]
    assert Holders().nearest(3) is None


def write(path: Path, **columns: Any) -> Path:
    path.write_text(json.dumps(columns))
    return path


def test_a_history_as_document_and_table(tmp_path: Path) -> None:
    first = write(tmp_path / "a.json", epoch=[1, 2], loss=[3.0, 2.0], val_loss=[4.0, None])
    second = write(tmp_path / "b.json", epoch=[5, 6], loss=[1.0, 1.0], step=[50, 60])
    for epoch in (2, 5):
        write_bundle(tmp_path / f"epoch-{epoch}", {"w": np.ones(2)})
    found = history([second, first], tmp_path)
    kept = {2: str(tmp_path / "epoch-2"), 5: str(tmp_path / "epoch-5")}
    document = found.to_dict()
    assert document == {
        "logs": [str(first), str(second)],
        "unit": "epoch",
        "epochs": [1, 2, 5, 6],
        "metrics": {"loss": [3, 2, 1, 1], "val_loss": [4, None, None, None]},
        "counters": {"epoch": [1, 2, 5, 6], "step": [None, None, 50, 60]},
        "seams": [5],
        "gaps": [[3, 4]],
        "best": {"metric": "val_loss", "mode": "min", "epoch": 1, "value": 4.0,
                 "checkpoint": None, "nearest": kept[2]},
        "checkpoints": [{"epoch": epoch, "path": path} for epoch, path in kept.items()],
        "notes": list(found.notes),
        "evidence": [claim.to_dict() for claim in found.evidence],
        "run_seams": [seam.to_dict() for seam in found.run_seams],
    }  # fmt: skip
    assert document["evidence"][0]["claim"] == "epochs of checkpoints"
    assert (found.at_best, found.is_best_of_training, found.run) == (0, False, str(tmp_path))
    assert repr(found).endswith(": 4 epochs, 2 metrics>")
    table = found.to_pandas()
    assert (table.index.name, list(table.index)) == ("epoch", [1, 2, 5, 6])
    assert list(table.columns) == ["loss", "val_loss", "checkpoint"]
    assert list(table["loss"]) == [3, 2, 1, 1]
    assert list(table["checkpoint"])[1:3] == list(kept.values())
    by_loss = history([first, second], best="loss")
    assert by_loss.best is not None
    assert (by_loss.best.epoch, by_loss.at_best, by_loss.is_best_of_training) == (5, 2, True)
    assert by_loss.evidence == ()
    largest = history([first, second], best="loss", mode="max").best
    assert largest is not None
    assert (largest.epoch, largest.value) == (1, 3)
    alone = history(write(tmp_path / "c.json", gamma=[1.0, 2.0])).best
    assert alone is not None
    assert alone.to_dict() == {
        "metric": "gamma", "mode": None, "epoch": None, "value": None,
        "checkpoint": None, "nearest": None,
    }  # fmt: skip
    two = history(write(tmp_path / "d.json", gamma=[1.0], delta=[2.0]))
    assert (two.best, two.at_best, two.is_best_of_training) == (None, None, False)
    none = write(tmp_path / "e.json", loss=[float("nan")] * 2, acc=[1.0, 2.0])
    assert history(none, best="loss").best is None
    with pytest.raises(UsageError, match="some logs count epochs and some steps"):
        history([first, write(tmp_path / "f.json", step=[10, 20], loss=[1.0, 2.0])])


def test_logs_without_numbers_go_on(tmp_path: Path) -> None:
    logs = [write(tmp_path / f"{i}.json", loss=[float(i), i + 0.5]) for i in range(3)]
    found = history(logs)
    assert list(found.epochs) == [1, 2, 3, 4, 5, 6]
    assert list(found.metrics["loss"]) == [0, 0.5, 1, 1.5, 2, 2.5]
    assert list(found.seams) == [3, 5]
    assert not found.gaps


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("loss", True), ("lr", False), ("best_loss", False), ("learning rate", False),
     ("step_time", False), ("val_time", False), ("grad_norm", False), ("acc", True)],
)  # fmt: skip
def test_what_an_epoch_can_be_best_by(name: str, is_one: bool) -> None:
    assert is_metric(name) is is_one


def test_modes() -> None:
    assert str(mode_of("gamma", "min")) == "min"
    assert str(mode_of("loss", "max")) == "max"
    with pytest.raises(UsageError, match="no mode 'least', expected min or max"):
        mode_of("loss", "least")
    for name in ("error_accuracy", "gamma", "score_distance"):
        assert told_mode(name) is None


def test_marks_are_the_first_epochs_after_seams(tmp_path: Path) -> None:
    log = write(tmp_path / "log.json", epoch=[1, 2, 4, 5], loss=[4.0, 3, 2, 1])
    made = history(log)

    def marked(*pairs: tuple[str, str]) -> dict[int, str]:
        seams = tuple(
            SimpleNamespace(
                before=SimpleNamespace(path=a), after=SimpleNamespace(path=b), code=a + b, copies=()
            )
            for a, b in pairs
        )
        held = Holders(kept={1: "p", 2: "q", 4: "r", 5: "s"})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ckread.analysis.history.history.without_copies", lambda seams: seams)
            found = replace(made, holders=held, run_seams=seams).marks  # type: ignore[arg-type]
        return {at: str(seam.code) for at, seam in found.items()}

    assert marked(("p", "q"), ("q", "r")) == {1: "pq", 2: "qr"}
    assert marked(("p", "r"), ("p", "q")) == {1: "pr"}
    assert marked(("q", "p"), ("q", "q"), ("x", "q"), ("p", "x"), ("x", "y")) == {}
    assert marked(("r", "s")) == {3: "rs"}
    assert made.marks == {}


def test_logs_are_joined_by_where_they_begin(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.json", epoch=[1, 2, 3, 4], loss=[9.0, 8, 7, 6])
    middle = write(tmp_path / "b.json", epoch=[2, 3], loss=[1.0, 2])
    for logs in ([whole, middle], [middle, whole]):
        found = history(logs)
        assert list(found.metrics["loss"]) == [9, 1, 2, 6]
        assert (list(found.seams), found.logs) == ([2, 4], (str(whole), str(middle)))
