"""Training logs of every kind: what is read, from which epoch on, and what is refused."""

from __future__ import annotations

import json
import math
import struct
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.errors import (
    CheckpointNotFoundError,
    CorruptCheckpointError,
    MissingDependencyError,
    NotACheckpointError,
)
from ckread.readers.logs import parse_csv, parse_json, read_history_log
from tests.builders import masked_crc32c

if TYPE_CHECKING:
    from pathlib import Path


def test_a_list_of_records(fixtures_dir: Path) -> None:
    log = read_history_log(str(fixtures_dir / "digits_run/history.json"))
    assert log.epochs == tuple(range(1, 11))
    assert log.metrics["loss"][0] == 1.193371
    assert log.is_numbered
    assert "epoch" not in log.metrics


def test_records_that_count_from_0_are_counted_from_1() -> None:
    assert parse_json('[{"epoch": 0, "loss": 2}, {"epoch": 1, "loss": 1}]').epochs == (1, 2)


def test_a_history_of_keras() -> None:
    log = parse_json('{"loss": [3.0, 2.0], "val_loss": [4.0]}')
    assert log.epochs == (1, 2)
    assert log.metrics == {"loss": (3, 2)}
    assert log.unplaced == {"val_loss": (4,)}
    assert log.notes == ("val_loss has 1 values for 2 rows: which ones they are of is unknown.",)
    assert not log.is_numbered
    assert parse_json('{"history": {"loss": [1]}, "epoch": [0]}').metrics == {"loss": (1,)}


def test_what_is_not_finite_or_not_a_number() -> None:
    log = parse_json('[{"epoch": 1, "loss": NaN, "lr": "Infinity", "name": "x", "ok": true}]')
    assert math.isnan(log.metrics["loss"][0] or 0)
    assert log.metrics["lr"] == (math.inf,)
    assert set(log.metrics) == {"loss", "lr"}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_logger_counts_from_0(separator: str) -> None:
    text = "epoch,accuracy,loss\r\n0,0.5,2\r\n1,NA,1.5\r\n".replace(",", separator)
    log = parse_csv(text)
    assert log.epochs == (1, 2)
    assert log.metrics == {"accuracy": (0.5, None), "loss": (2, 1.5)}


def test_an_epoch_that_was_logged_twice_counts_once() -> None:
    log = parse_csv("epoch,loss\n0,9\n1,8\n1,7\n")
    assert log.metrics == {"loss": (9, 7)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "JSON that cannot be read"),
        ("[1, 2]", "JSON of something else"),
        ('{"a": "b"}', "JSON of something else"),
        ('[{"epoch": 1}]', "no column of numbers"),
        ("[" * 100_000, "JSON that cannot be read"),
    ],
)
def test_json_that_is_no_log(text: str, found: str) -> None:
    with pytest.raises(NotACheckpointError) as caught:
        parse_json(text, "x.json")
    assert caught.value.message.startswith(f"x.json: {found}")
    assert caught.value.message.endswith(", expected a training log")


def test_bytes_and_absent_files(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NotACheckpointError, match="bytes that are not text"):
        read_history_log(str(tmp_path / "x"))
    with pytest.raises(CheckpointNotFoundError):
        read_history_log(str(tmp_path / "y"))
    with pytest.raises(CheckpointNotFoundError, match="no event file") as caught:
        read_history_log(str(tmp_path))
    assert str(caught.value.remedy).startswith("A log is a JSON list with a record per epoch, ")
    for name in ("config.json", "history.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(CheckpointNotFoundError) as caught:
        read_history_log(str(tmp_path))
    assert caught.value.remedy == (
        f"A log of Keras is given by its own name: {tmp_path / 'history.json'}"
    )


@given(st.text(max_size=60))
def test_any_text_is_a_log_or_refused(text: str) -> None:
    for parse in (parse_json, parse_csv):
        try:
            log = parse(text)
        except NotACheckpointError:
            continue
        assert log.metrics
        assert all(len(values) == len(log.epochs) for values in log.metrics.values())


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["loss", "val_loss", "acc"]),
            st.floats(allow_nan=False),
            min_size=1,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_json_holds_is_read_back(rows: list[dict[str, float]]) -> None:
    log = parse_json(json.dumps([{"epoch": i, **row} for i, row in enumerate(rows, 1)]))
    for name, values in log.metrics.items():
        assert list(values) == [row.get(name) for row in rows]


ROWS = {"loss": [4.0, 3.0, 2.0, 2.5], "val_loss": [5.0, 4.5, 4.25, 4.75]}


def _table(first: str, start: int, *, separator: str = ",", comma: str = ".") -> str:
    lines = [separator.join(filter(None, [first, *ROWS]))]
    for at, values in enumerate(zip(*ROWS.values(), strict=True), start):
        cells = [f"{value:.3f}".replace(".", comma) for value in values]
        lines.append(separator.join([str(at), *cells] if first else cells))
    return "\n".join(lines) + "\n"


RECORDS = [dict(zip(ROWS, values, strict=True)) for values in zip(*ROWS.values(), strict=True)]
BY_ROW = {name: {str(at): v for at, v in enumerate(values)} for name, values in ROWS.items()}


@pytest.mark.parametrize(
    "text",
    [
        _table("epoch", 0),
        _table("epoch", 1),
        _table(" Epoch", 1, separator=", "),
        _table("EPOCH", 0, separator="\t"),
        _table("epoch", 1, separator=";", comma=","),
        _table("epoch_num", 1, separator="|"),
        _table("epoch", 1, separator="   "),
        "# made by hand\n\n" + _table("epoch", 0),
        "#" + _table("epoch", 0, separator=" "),
        "," + _table("", 0).replace("\n", "\n7,").removesuffix("7,"),
        "Unnamed: 0," + _table("", 0).replace("\n", "\n7,").removesuffix("7,"),
        json.dumps(RECORDS),
        json.dumps(ROWS),
        str(ROWS),
        str(ROWS).replace("4.0,", "np.float64(4.0),"),
        json.dumps({"history": ROWS, "params": {"epochs": 4}}),
        json.dumps({"epochs": 4, "log": [{"epoch": i, **r} for i, r in enumerate(RECORDS)]}),
        json.dumps({**ROWS, "epoch": [0, 1, 2, 3]}),
        json.dumps(BY_ROW),
        json.dumps({str(at): row for at, row in enumerate(RECORDS)}),
        json.dumps({"columns": list(ROWS), "index": [0, 1, 2, 3],
                    "data": [list(row.values()) for row in RECORDS]}),
        json.dumps({"schema": {"fields": []},
                    "data": [{"index": i, **row} for i, row in enumerate(RECORDS)]}),
        "\n".join(json.dumps({"epoch": i, **row}) for i, row in enumerate(RECORDS)),
        "\n".join(json.dumps(row) for row in RECORDS) + '\n{"loss": 1',
        "\n".join(json.dumps({"epoch": i, name: row[name]}) for i, row in enumerate(RECORDS)
                  for name in row),
    ],
)  # fmt: skip
def test_one_log_in_every_way_that_people_write_it(text: str) -> None:
    log = parse_json(text) if text.lstrip()[:1] in "[{" else parse_csv(text)
    assert (log.unit, log.epochs) == ("epoch", (1, 2, 3, 4))
    assert {name: list(values) for name, values in log.metrics.items()} == ROWS
    assert (log.seams, log.notes, log.unplaced) == ((), (), {})


@pytest.mark.parametrize(
    ("text", "unit", "epochs"),
    [
        ("step,loss\n100,1\n200,2\n", "step", (100, 200)),
        ("global_step,loss\n0,1\n50,2\n", "step", (0, 50)),
        ("Wall time,Step,Value\n2021-03-04 10:00,0,1\n2021-03-04 10:01,1,2\n", "step", (0, 1)),
        ("episode,reward\n1,1\n2,2\n", "episode", (1, 2)),
        ("epoch,loss\n10,1\n11,2\n", "epoch", (11, 12)),
        ("epoch,val_loss,loss\n10,1,1\n11,2,2\n", "epoch", (10, 11)),
        ("epoch,step,loss\n1,10,1\n1,20,2\n2,30,3\n", "step", (10, 20, 30)),
        ("epoch,iteration,loss\n1,10,1\n1,20,2\n2,10,3\n", "row", (1, 2, 3)),
    ],
)  # fmt: skip
def test_what_numbers_the_rows(text: str, unit: str, epochs: tuple[int, ...]) -> None:
    log = parse_csv(text)
    assert (log.unit, log.epochs) == (unit, epochs)


def test_counters_and_identifiers_are_no_metrics() -> None:
    log = parse_csv("epoch,iterations,run_id,total_epochs,name,loss\n0,90,7,5,a,1\n1,180,7,5,b,2\n")
    assert set(log.metrics) == {"loss"}
    assert log.counters == {"epoch": (0, 1), "iterations": (90, 180)}
    some = parse_json('[{"epoch": 1, "loss": 2}, {"epoch": 2, "loss": 1, "iterations": 4}]')
    assert some.counters["iterations"] == (None, 4)
    assert set(some.metrics) == {"loss"}


@pytest.mark.parametrize("header", ["", "epoch,loss\n"])
def test_a_training_begun_anew_is_counted_on(header: str) -> None:
    log = parse_csv(f"epoch,loss\n0,9\n1,8\n2,7\n{header}0,6\n1,5\n")
    assert log.epochs == (1, 2, 3, 4, 5)
    assert list(log.metrics["loss"]) == [9, 8, 7, 6, 5]
    assert list(log.seams) == [4]
    assert log.notes == ("Its epochs begin anew: a later training is counted on, from 4.",)


def test_a_training_that_goes_back_a_little_replaces_rows() -> None:
    log = parse_csv("epoch,loss\n0,9\n1,8\n2,7\n1,6\n2,5\n")
    assert list(log.metrics["loss"]) == [9, 6, 5]
    assert log.notes == ("From epoch 2 on it was logged again; the later rows count.",)


def test_a_last_row_that_is_being_written_is_left_out() -> None:
    log = parse_csv("epoch,loss,acc\n0,9,0.1\n1,8")
    assert log.epochs == (1,)
    assert log.notes == ("The last row is cut short, and was left out.",)


def _event(**fields: Any) -> bytes:
    from tensorboard.compat.proto.event_pb2 import Event

    data: bytes = Event(**fields).SerializeToString()
    head = struct.pack("<Q", len(data))
    return (
        head
        + struct.pack("<I", masked_crc32c(head))
        + data
        + struct.pack("<I", masked_crc32c(data))
    )


def _scalar(tag: str, step: int, value: float) -> bytes:
    return _event(step=step, summary={"value": [{"tag": tag, "simple_value": value}]})


def test_event_files_of_keras(tmp_path: Path) -> None:
    for folder, values in (("train", (3.0, 2.0)), ("validation", (4.0, 5.0))):
        (tmp_path / folder).mkdir()
        data = _event(file_version="brain.Event:2")
        data += b"".join(_scalar("epoch_loss", i, value) for i, value in enumerate(values))
        (tmp_path / folder / "events.out.tfevents.1").write_bytes(data + b"\x07\x00")
    log = read_history_log(str(tmp_path))
    assert (log.unit, log.epochs) == ("epoch", (1, 2))
    assert log.metrics == {"loss": (3, 2), "val_loss": (4, 5)}


@pytest.mark.parametrize("folder", ["validation", "eval", "val", "eval_0", "val_full"])
def test_folders_that_hold_validation(tmp_path: Path, folder: str) -> None:
    for name, value in ((folder, 4.0), ("evolution", 3.0)):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "events.out.tfevents.1"
        path.write_bytes(_scalar("loss", 1, value))
    log = read_history_log(str(tmp_path))
    assert log.metrics == {"loss": (3,), "val_loss": (4,)}


def test_event_files_by_step(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(_scalar("loss", 100, 1.5) + _scalar("lr", 200, 0.5))
    log = read_history_log(str(path))
    assert (log.unit, log.epochs) == ("step", (100, 200))
    assert log.metrics == {"loss": (1.5, None), "lr": (None, 0.5)}


def test_a_damaged_event_file(tmp_path: Path) -> None:
    data = bytearray(_scalar("loss", 1, 1.5) + _scalar("loss", 2, 1.5))
    data[-6] ^= 1
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(bytes(data))
    with pytest.raises(CorruptCheckpointError, match="wrong checksum"):
        read_history_log(str(path))


def test_without_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "events.out.tfevents.1").write_bytes(_scalar("loss", 1, 1.5))
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(MissingDependencyError) as caught:
        read_history_log(str(tmp_path))
    assert caught.value.remedy == "Install it: pip install 'ckread[tensorboard]'"


def test_real_event_files(real_dir: Path) -> None:
    name = "tfx__components__testdata__trainer__current__Format-Serving"
    log = read_history_log(str(real_dir / "tensorflow__tfx" / name))
    assert log.unit == "step"
    losses = dict(zip(log.epochs, log.metrics["loss"], strict=True))
    assert losses[901] == pytest.approx(0.66536152)


def test_a_checkpoint_is_no_log(fixtures_dir: Path) -> None:
    with pytest.raises(NotACheckpointError, match="ckpt-10: a checkpoint, expected a training log"):
        read_history_log(str(fixtures_dir / "digits_run" / "ckpt-10"))


def test_decimal_commas_beside_a_point_in_a_name() -> None:
    log = parse_csv("epoch;val.loss;acc\n1;0,5;0,25\n2;0,25;1\n")
    assert log.metrics == {"val.loss": (0.5, 0.25), "acc": (0.25, 1.0)}
    dotted = parse_csv("epoch;loss\n1;0.5\n2;0.25\n")
    assert dotted.metrics == {"loss": (0.5, 0.25)}
