"""What checks say of places, shards, directories and looks, from such made by hand; reports."""

from __future__ import annotations

import json
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.check.check import check
from ckread.analysis.check.directory import check_directory, torn_in, torn_save, unfinished
from ckread.analysis.check.findings import CheckReport, in_order
from ckread.analysis.check.finite import Look
from ckread.analysis.check.index import (
    Place,
    _check_neighbours,
    _check_shard,
    _lost,
    check_layout,
)
from ckread.analysis.check.tensorflow import check_with_tensorflow
from ckread.analysis.check.training import check_training
from ckread.analysis.findings import Code, Finding, Level
from ckread.analysis.training import TrainingState
from ckread.errors import CorruptCheckpointError, ErrorKind, UnsupportedFeatureError
from ckread.model.opening import open_checkpoint
from ckread.model.role import Role
from ckread.readers.contract import StoredFile
from tests.analysis.array_checkpoint import checkpoint
from tests.builders import write_bundle
from tests.corruption import flip

if TYPE_CHECKING:
    from pathlib import Path


def told(findings: Any) -> list[tuple[str, str | None, str]]:
    return [(str(f.code), f.variable, f.message) for f in findings]


def test_places_beside_and_upon_each_other() -> None:
    def found(*places: tuple[int, int]) -> list[tuple[str, str | None, str]]:
        named = [Place(start, stop, f"v{i}") for i, (start, stop) in enumerate(places)]
        return told(_check_neighbours("s", named))

    assert found((0, 4), (2, 2), (3, 6)) == [
        ("tensor-overlap", "v2", "shares s, bytes 3 to 4 with v0")
    ]
    assert found((0, 4), (4, 8)) == found((0, 4), (4, 4), (4, 6)) == found() == []
    gap = ("gap", None, "{} bytes of s lie between tensors and belong to none")
    assert found((0, 4), (5, 8)) == [(*gap[:2], gap[2].format(1))]
    assert found((3, 4), (6, 8)) == [(*gap[:2], gap[2].format(5))]
    assert found((0, 6), (5, 8)) == [("tensor-overlap", "v1", "shares s, bytes 5 to 6 with v0")]
    within = found((0, 9), (2, 4), (5, 7), (9, 10))
    assert within == [
        ("tensor-overlap", "v1", "shares s, bytes 2 to 4 with v0"),
        ("tensor-overlap", "v2", "shares s, bytes 5 to 7 with v0"),
    ]
    [one] = _check_neighbours("s", [Place(0, 6, "a"), Place(5, 8, "b")])
    assert (one.level, one.place) == (Level.ERROR, "s, bytes 5 to 6")


def test_shards_that_are_gone_short_or_long() -> None:
    def found(nbytes: int | None, *stops: int, complete: bool = True) -> list[Finding]:
        here = [Place(at - 1, at, f"v{i}") for i, at in enumerate(stops)]
        return list(_check_shard(StoredFile("d/s", nbytes, is_shard=True), here,
                                 is_complete=complete))  # fmt: skip

    [gone] = found(None, 1, 2)
    assert (gone.code, gone.message) == (
        Code.SHARD_MISSING, "s is not there; the index expects 2 bytes in it",
    )  # fmt: skip
    assert gone.remedy == "Download or copy it into d, beside the index."
    assert told(found(None)) == [
        ("shard-missing", None, "s is not there; the index expects 0 bytes in it")
    ]
    assert list(_check_shard(StoredFile("s", None, is_shard=True), [Place(0, 0, "e")],
                             is_complete=True)) == []  # fmt: skip
    bare = next(_check_shard(StoredFile("s", None, is_shard=True), [], is_complete=True))
    assert bare.remedy == "Download or copy it into this directory, beside the index."
    assert told(found(2, 1, 2)) == []
    short = "s ends at byte {}, the index expects its end at byte 3: {} beyond it"
    assert told(found(2, 1, 2, 3)) == [("shard-short", None, short.format(2, "1 variable lies"))]
    assert told(found(1, 1, 2, 3)) == [("shard-short", None, short.format(1, "2 variables lie"))]
    assert told(found(5, 1, 2)) == [("shard-long", None, "s is 3 bytes longer than the index says")]
    assert told(found(5, 1, 2, complete=False)) == []


@pytest.mark.parametrize(("n", "n_findings"), [(15, 15), (16, 16), (17, 1)])
def test_shards_that_a_header_counts_and_hold_nothing(n: int, n_findings: int) -> None:
    made = checkpoint({"w": np.ones(2)})
    files = tuple(StoredFile(f"d/s{i}", None, is_shard=True) for i in range(n))
    made.reader.files = lambda: files  # type: ignore[method-assign]
    findings, lost = check_layout(made, "d/x")
    assert (len(findings), lost) == (n_findings, set())
    if n_findings == 1:
        assert told(findings) == [
            ("index", None, "the header counts 17 data shards that hold nothing and are not there")
        ]


def test_what_is_lost_with_a_block() -> None:
    assert _lost(0, 1, None, b"z") == "it is the only block, so no variable is known"
    where = "lost with block {} of 3 are the variables whose keys {}"
    assert _lost(0, 3, None, b"m") == where.format(1, "do not come after m")
    assert _lost(1, 3, b"c", b"m") == where.format(2, "come after c and not after m")
    assert _lost(2, 3, b"c", b"m") == where.format(3, "come after c")
    assert _lost(2, 3, None, b"m") == where.format(3, "come after ")


def finding(level: Level, code: Code = Code.GAP, variable: str | None = None) -> Finding:
    return Finding(level, code, variable, None, "said")


def test_a_report_and_its_verdict() -> None:
    note, warning, error = map(finding, (Level.NOTE, Level.WARNING, Level.ERROR))
    assert in_order([note, error, warning, error]) == (error, error, warning, note)
    bad = finding(Level.ERROR, Code.CHECKSUM, "w")
    odd = finding(Level.ERROR, Code.NOT_FINITE, "v")
    word = "<ckread.CheckReport 'p': {}, {} findings>"
    for findings, quick, sound, said in (
        ((), False, True, "sound"), ((note, warning), False, True, "sound"),
        ((), True, None, "not known to be sound"), ((bad, odd), False, False, "unsound"),
        ((bad, error), True, False, "unsound"),
    ):  # fmt: skip
        report = CheckReport("p", findings, is_quick=quick)
        assert report.sound is sound
        assert repr(report) == word.format(said, len(findings))
        assert report.damaged == ({"w"} if bad in findings else frozenset())
        assert report.errors == tuple(f for f in findings if f.level is Level.ERROR)
    plain = CheckReport("p", ())
    assert (plain.n_tensors, plain.nbytes, plain.n_verified, plain.nbytes_verified) == (0, 0, 0, 0)
    assert (plain.elements, plain.n_blocks, plain.n_shards, plain.step) == (0, None, 0, None)
    assert (plain.is_quick, plain.has_checksums, plain.is_listed) == (False, True, True)


def test_a_check_as_a_document_and_a_table(tmp_path: Path) -> None:
    arrays = {"a": np.array([1.0, np.nan]), "b": np.ones(9), "c": np.array([np.inf, 1, 2])}
    prefix = write_bundle(tmp_path / "ckpt-3", arrays)
    report = check(prefix)
    document = report.to_dict()
    assert document == {
        "path": prefix, "sound": False,
        "findings": [f.to_dict() for f in report.findings],
        "verified": {"variables": 3, "nbytes": 56}, "on_loading": document["on_loading"],
        "evidence": [claim.to_dict() for claim in report.evidence],
    }  # fmt: skip
    assert document["findings"][0] == {
        "level": "error", "code": "not-finite", "variable": "a", "place": None,
        "message": "1 NaN of 2 elements, the first at [1]",
        "remedy": "As where training broke down: find the last good checkpoint of the run.",
    }  # fmt: skip
    assert [f["variable"] for f in document["findings"]] == ["a", "c"]
    counts = (report.n_tensors, report.nbytes, report.n_verified, report.elements)
    assert counts == (3, 56, 3, 14)
    assert (report.n_shards, report.n_blocks, report.step) == (1, 1, "3 by file name")
    table = report.to_pandas()
    assert list(table.columns) == ["level", "code", "variable", "place", "message", "remedy"]
    assert list(table["variable"]) == ["a", "c"]
    quick = check(prefix, quick=True)
    assert (quick.sound, quick.findings, quick.n_verified, quick.is_quick) == (None, (), 0, True)
    flip(f"{prefix}.data-00000-of-00001", 10)
    bad = check(prefix)
    assert bad.damaged == {"b"}
    assert (bad.n_verified, bad.nbytes_verified, bad["b"].code) == (2, 20, Code.CHECKSUM)


def test_what_an_unfinished_save_leaves(tmp_path: Path) -> None:
    for name in ("a.index", "a.data-00000-of-00001", "b.data-00000-of-00002", "c_temp"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "d_temp").mkdir()
    (tmp_path / "d_temp" / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert "b" in unfinished(str(tmp_path), names)
    assert "a" not in unfinished(str(tmp_path), names)
    torn = torn_save(str(tmp_path / "b"))
    assert torn is not None
    assert (torn.code, torn.level, torn.place) == (Code.NO_INDEX, Level.ERROR, "b.index")
    assert torn.message.startswith("b.index is absent beside b.data-00000-of-00002 (1 bytes)")
    assert torn_save(str(tmp_path / "a")) is None
    assert torn_save(str(tmp_path / "z")) is None
    assert torn_in(str(tmp_path)) in (str(tmp_path / "b"), str(tmp_path / "d"))
    write_bundle(tmp_path / "m-1", {"w": np.ones(2)})
    write_bundle(tmp_path / "m-10", {"w": np.ones(2)})
    write_bundle(tmp_path / "n-2", {"w": np.ones(2)})
    (tmp_path / "m-3.data-00000-of-00001").write_bytes(b"")
    told_of = torn_save(str(tmp_path / "m-3"))
    assert told_of is not None
    assert f"go back to {tmp_path / 'm-1'}, the one before" in str(told_of.remedy)
    (tmp_path / "n-1.data-00000-of-00001").write_bytes(b"")
    first = torn_save(str(tmp_path / "n-1"))
    assert first is not None
    assert "what is here cannot be restored: use another save" in str(first.remedy)


def look(*values: float) -> Look:
    return Look(len(values), low=min(values), high=max(values), is_zero=not any(values))


STATE = TrainingState(iterations=500)


def findings_of(arrays: dict[str, Any], state: TrainingState = STATE, **options: Any) -> Any:
    made = checkpoint({k: np.asarray(x, np.float32) for k, x in arrays.items()}, **options)
    looks = {name: look(*np.ravel(x).tolist()) for name, x in arrays.items()}
    return told(check_training(made, looks, state))


def test_kernels_of_one_number() -> None:
    zero, one, vector = np.zeros((2, 2)), np.full((2, 2), 3.0), np.zeros(4)
    constant = ("constant", "z", "its 4 elements are all zero")
    assert findings_of({"z": zero, "v": vector}) == [constant]
    assert findings_of({"o": one}) == [("constant", "o", "its 4 elements are the same number")]
    assert findings_of({"z": zero}, TrainingState(iterations=0)) == []
    assert findings_of({"z": zero}, TrainingState(step=0)) == []
    assert findings_of({"z": zero}, TrainingState(step=0, iterations=3)) == [constant]
    assert findings_of({"z": zero}, TrainingState()) == [constant]
    assert findings_of({"z": np.zeros((1, 1))}) == []
    assert findings_of({"z": zero}, roles={"z": Role.STATISTIC}) == []


def test_values_that_are_huge_and_variances_of_zero() -> None:
    huge = findings_of({"h": [1.0, -2e10], "e": [1.0, 9.9e9]})
    assert huge == [
        ("exploding", "h", "holds finite values up to 2e+10 in size, as where a training diverged")
    ]
    arrays = {"step": [3e10], "s/m": [3e10], "x": [3e10]}
    roles = {"step": Role.COUNTER, "x": Role.STATE}
    told_of = findings_of(arrays, roles=roles, owners={"s/m": ("s", "m")})
    assert {name for code, name, _ in told_of if code == "exploding"} <= {"s/m"}
    zero = {"bn/moving_variance": np.zeros(3), "bn/moving_mean": np.zeros(3)}
    assert findings_of(zero, roles=dict.fromkeys(zero, Role.STATISTIC)) == [
        ("zero-variance", "bn/moving_variance",
         "its 3 elements are all 0, where training begins with 1")
    ]  # fmt: skip


def test_moments_that_are_all_zero() -> None:
    arrays = {"w": [[1.0, 2], [3, 4]], "b": [1.0, 2], "w/m": np.zeros((2, 2)), "b/m": [0.0, 0]}
    owners = {"w/m": ("w", "m"), "b/m": ("b", "m")}
    said = "all 2 slots are zero after 500 iterations, as where the optimizer's state was reset or"
    assert findings_of(arrays, owners=owners) == [("moments-reset", None, f"{said} never restored")]
    assert findings_of(arrays, TrainingState(step=500), owners=owners) == []
    moved = {**arrays, "b/m": [0.0, 1]}
    assert not any(code == "moments-reset" for code, *_ in findings_of(moved, owners=owners))
    single = {k: x for k, x in arrays.items() if k != "b/m"}
    codes = [code for code, *_ in findings_of(single, owners={"w/m": ("w", "m")})]
    assert "moments-reset" not in codes


def test_units_that_cannot_answer() -> None:
    kernel = np.arange(1.0, 13).reshape(3, 4)
    kernel[:, 1] = 0
    bias = np.array([1.0, 0, 3, 0])
    said = "1 of 4 units (index 1) cannot answer: its 3 weights are 0"
    assert findings_of({"d/kernel": kernel}) == [("dead-units", "d/kernel", said)]
    assert findings_of({"d/kernel": kernel, "d/bias": bias}) == [
        ("dead-units", "d/kernel", f"{said}, and so is the bias")
    ]
    assert findings_of({"d/kernel": kernel, "d/bias": bias + 1}) == []
    assert findings_of({"d/kernel": kernel, "d/bias": np.zeros((2, 4))}) == [
        ("constant", "d/bias", "its 8 elements are all zero")
    ]
    for name in ("conv_transpose/kernel", "deconv/kernel", "d/other"):
        assert findings_of({name: kernel}) == []
    assert findings_of({"d/kernel": kernel, "d/recurrent_kernel": kernel + 1}) == []
    two = kernel.copy()
    two[:, 3] = 0
    [(_, _, both)] = findings_of({"d/kernel": two})
    assert both == "2 of 4 units (indices 1, 3) cannot answer: their 3 weights are 0"
    [(_, _, lstm)] = findings_of({"lstm/kernel": kernel})
    assert lstm.startswith("1 of 4 columns (index 1)")
    many = np.ones((2, 30))
    many[0, 29] = 2
    many[:, 3:14] = 0
    [(_, _, listed)] = findings_of({"d/kernel": many})
    assert listed.startswith("11 of 30 units (indices 3, 4, 5, 6, 7, 8, 9, 10 and 3 more) cannot")


def test_graphs_built_twice() -> None:
    arrays = {
        "d/kernel": [[1.0, 2]], "d/bias": [1.0, 2], "d_1/kernel": [[3.0, 4]], "d_1/bias": [0.0, 0],
        "d/kernel/m": [[1.0, 3]], "d/bias/m": [1.0, 3],
    }  # fmt: skip
    owners = {"d/kernel/m": ("d/kernel", "m"), "d/bias/m": ("d/bias", "m")}
    [(code, name, message)] = findings_of(arrays, owners=owners)
    assert (code, name) == ("untrained-copy", None)
    assert message.startswith("2 of 4 weights have no slot (d_1/")
    ones = findings_of({**arrays, "d_1/bias": [1.0, 1]}, owners=owners)
    assert [code for code, *_ in ones] == ["untrained-copy"]
    assert findings_of({**arrays, "d_1/bias": [2.0, 2]}, owners=owners) == []
    assert findings_of({**arrays, "d_1/bias": [0.0, 1]}, owners=owners) == []


def test_a_whole_checkpoint_is_sound(tmp_path: Path) -> None:
    with open_checkpoint(write_bundle(tmp_path / "x", {"a": np.arange(3.0)})) as made:
        report = check(made)
    assert (report.sound, report.findings, report.is_listed) == (True, (), True)
    assert isinstance(report, CheckReport)


def test_newer_saves_that_are_not_whole(tmp_path: Path) -> None:
    for name in ("m-3", "m-5", "n-9"):
        write_bundle(tmp_path / name, {"w": np.ones(2)})

    def newer(base: str) -> list[str]:
        found = check_directory(str(tmp_path / base))
        return [f"{f.message} at {f.place}" for f in found if f.code is Code.NEWER]

    assert newer("m-5") == []
    (tmp_path / "m-7.data-00000-of-00001").write_bytes(b"")
    (tmp_path / "m-11.data-00000-of-00001").write_bytes(b"")
    (tmp_path / "k-99.data-00000-of-00001").write_bytes(b"")
    assert newer("m-5") == ["m-11 is newer than m-5, and not whole at m-11"]
    assert newer("m-3") == newer("n-9") == newer("m-4") == newer("m") == []
    left = [f.message for f in check_directory(str(tmp_path / "m-5")) if f.code is Code.LEFTOVERS]
    assert left == [f"data of {x} is there without {x}.index" for x in ("k-99", "m-11", "m-7")]
    assert check_directory(str(tmp_path / "nowhere" / "m-5")) == []


def test_updates_that_are_huge_or_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {"w": np.arange(1.0, 5), "v": np.arange(1.0, 5), "u": np.arange(1.0, 5)}
    slots = {f"{name}/m": x for name, x in arrays.items()}
    made = checkpoint({**arrays, **slots}, owners={f"{n}/m": (n, "m") for n in arrays})

    def found(*updates: tuple[str, float, float, int], n: int = 100) -> list[Any]:
        some = [SimpleNamespace(name=a, ratio=b, lost=c, n_read=d) for a, b, c, d in updates]
        monkeypatch.setattr("ckread.analysis.audit.optimizer.sample_updates", lambda *_: some)
        codes = (Code.UPDATE_HUGE, Code.UPDATE_LOST)
        return told(f for f in check_training(made, {}, TrainingState(step=n)) if f.code in codes)

    huge = "its last update is 1.5 times as large as itself, by the moments of the optimizer"
    assert found(("w", 1.5, 0, 4)) == [("update-huge", "w", huge)]
    assert found(("w", 1.5, 0, 3)) == [("update-huge", "w", f"{huge}, of its first 3 elements")]
    assert found(("w", 1.5, 0, 4), n=99) == found(("w", 0.99, 0, 4)) == []
    usual = [("v", 0.01, 0.0, 4), ("u", 0.02, 0.0, 4)]
    lost = "its last update is lost in rounding: 99.0% of its elements{} are the same without it, "
    lost += "and the usual kernel moves by 1.0e-02 of itself"
    assert found(("w", 9e-6, 0.99, 4), *usual) == [("update-lost", "w", lost.format(""))]
    assert found(("w", 9e-6, 0.99, 2), *usual) == [
        ("update-lost", "w", lost.format(" of its first 2"))
    ]
    assert found(("w", 9e-6, 0.98, 4), *usual) == []
    assert found(("w", 1.1e-5, 0.99, 4), *usual) == []
    assert found(("w", 9e-6, 0.99, 4), usual[0]) == found() == []


def test_a_second_moment_of_zero(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "w": [[1.0, 2], [3, 4]], "w/m": np.zeros((2, 2)), "w/v": np.zeros((2, 2)),
        "b": [1.0, 2], "b/m": [1.0, 0], "b/v": [1.0, 0.5],
    }  # fmt: skip
    owners = {name: (name[0], {"m": "momentum", "v": "velocity"}[name[2]])
              for name in arrays if "/" in name}  # fmt: skip
    said = "shows no gradient: velocity of the optimizer is all 0"
    assert findings_of(arrays, owners=owners) == [("never-trained", "w", said)]
    moving = {**arrays, "w/m": [[0.0, 1], [0, 0]]}
    assert findings_of(moving, owners=owners) == []
    dead = {**arrays, "w/m": [[0.0, 1], [0, 2]], "w/v": [[0.0, 1], [0, 2]], "b/v": [0.0, 0.5]}
    [(code, name, message)] = findings_of(dead, owners=owners)
    assert (code, name) == ("dead-units", "w")
    assert message == (
        "1 of 2 columns (index 0) shows no gradient: "
        "velocity of the optimizer is 0 in its 2 elements"
    )
    assert findings_of({**dead, "w/m": [[1.0, 1], [0, 2]]}, owners=owners) == []


def test_every_entry_that_contradicts_itself_is_told() -> None:
    made = checkpoint({name: np.ones(2) for name in "abcd"})
    kinds = {"a": ErrorKind.SLICES, "c": ErrorKind.CORRUPT}

    def extents(key: str) -> Any:
        if key in kinds:
            raise CorruptCheckpointError(f"{key} is odd", kind=kinds[key])
        if key == "d":
            raise UnsupportedFeatureError("of another kind")
        return None

    made.reader.extents = extents  # type: ignore[method-assign]
    findings, lost = check_layout(made, "d/x")
    assert (told(findings), lost) == (
        [("slices", "a", "a is odd"), ("entry", "c", "c is odd")], {"a", "c"},
    )  # fmt: skip


def child(monkeypatch: pytest.MonkeyPatch, *lines: Any, code: int = 0, late: bool = False) -> Any:
    """Have TensorFlow's child say some lines, and end so."""
    output = b"\n".join(json.dumps(line).encode() for line in lines)

    def run(*_: Any, **options: Any) -> Any:
        if late:
            raise subprocess.TimeoutExpired("x", options["timeout"], output + b'\n{"cut')
        return SimpleNamespace(returncode=code, stdout=output)

    monkeypatch.setattr("ckread.analysis.check.tensorflow.subprocess.run", run)
    made = checkpoint({"a": np.ones(2), "b": np.ones(3)})
    return made, lambda **o: [
        (str(f.level), f.variable, f.message) for f in check_with_tensorflow(made, "p", **o)
    ]


def test_what_tensorflow_said(monkeypatch: pytest.MonkeyPatch) -> None:
    made = checkpoint({"a": np.ones(2), "b": np.ones(3)})
    right = [{"key": k, "error": None, "crc32c": made[k].crc32c} for k in ("a", "b")]
    _, found = child(monkeypatch, *right)
    assert found() == [("note", None, "TensorFlow reads it: yes, 2 tensors")]
    _, found = child(monkeypatch, right[0], {**right[1], "crc32c": 7})
    assert found() == [("error", "b", "TensorFlow reads other values")]
    _, found = child(monkeypatch, right[0])
    assert found() == [("error", "b", "TensorFlow does not list it")]
    _, found = child(monkeypatch, right[0], {**right[1], "error": "bad."})
    some = ("warning", None, "TensorFlow refuses 1 of 2 variables")
    assert found() == [some, ("warning", "b", "TensorFlow refuses it: bad")]
    assert found(damaged={"b"}) == [(*some[:2], f"{some[2]}, those that are damaged")]
    _, found = child(monkeypatch, {"open": False, "error": "no index"})
    assert found() == [("error", None, "TensorFlow does not open it: no index")]
    _, found = child(monkeypatch, {"open": True}, *right)
    assert found()[0][0] == "note"
    _, found = child(monkeypatch, code=-9)
    assert found() == [("error", None, "TensorFlow dies of SIGKILL opening it")]
    _, found = child(monkeypatch, {"try": "a"}, {"try": "b"}, code=3)
    assert found() == [("error", None, "TensorFlow ends with code 3 restoring b")]
    _, found = child(monkeypatch, {"try": "x"}, late=True)
    assert found(seconds=1500) == [
        ("error", None, "TensorFlow takes more than 1.5e+03 s restoring x")
    ]
