"""Runs: which checkpoints belong together, in which order, and what was left out."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from ckread.analysis.training import read_training_state
from ckread.errors import CheckpointNotFoundError, TruncatedFileError, UsageError
from ckread.model.run.entries import Place, RunEntry, RunState, base_name, find_places
from ckread.model.run.run import open_run
from ckread.readers.contract import DataType, Format
from tests.builders import BundleBuilder, write_bundle

W = np.ones((3, 2), np.float32)
B = np.ones(2, np.float32)


def _counted(prefix: Path, step: int, name: str = "global_step") -> None:
    builder = BundleBuilder()
    builder.add(name, np.int64(step), DataType.INT64)  # type: ignore[arg-type]
    builder.add("w", W, DataType.FLOAT32)
    builder.write(prefix)


def _names(directory: Path) -> list[str]:
    return [entry.name for entry in open_run(directory).entries]


def test_order_is_that_of_step_not_of_text(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        write_bundle(tmp_path / f"ckpt-{step}", {"w": W})
    run = open_run(tmp_path)
    assert run.steps == (9, 10, 100)
    assert [Path(checkpoint.path).name for checkpoint in run] == ["ckpt-9", "ckpt-10", "ckpt-100"]
    assert [checkpoint.path for checkpoint in run[1:]] == [run.entries[i].path for i in (1, 2)]


def test_the_step_of_the_content_goes_before_that_of_the_name(tmp_path: Path) -> None:
    for number, step in ((1, 300), (2, 200), (3, 100)):
        _counted(tmp_path / f"ckpt-{number}", step)
    run = open_run(tmp_path)
    assert run.steps == (100, 200, 300)
    assert [entry.name for entry in run.entries] == ["ckpt-3", "ckpt-2", "ckpt-1"]


def test_a_counter_that_stands_still_is_no_step(tmp_path: Path) -> None:
    for number in (5, 10):
        _counted(tmp_path / f"ckpt-{number}", 0)
    assert open_run(tmp_path).steps == (5, 10)


def test_a_copy_without_a_number_has_the_step_of_its_content(tmp_path: Path) -> None:
    _counted(tmp_path / "latest", 129)
    _counted(tmp_path / "ckpt-129", 129)
    run = open_run([tmp_path / "latest", tmp_path / "ckpt-129"])
    assert run.steps == (129, 129)
    run = open_run([tmp_path / "latest", tmp_path])
    assert {entry.name: entry.step for entry in run.entries} == {"latest": 129, "ckpt-129": 129}


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        (["w.01-0.34", "w.02-0.31", "w.10-0.29"], [1, 2, 10]),
        (["-mlp0-10000", "-mlp0-20000", "-mlp1-10000"], [None, None, None]),
        (["cp-0001.ckpt", "cp-0002.ckpt", "cp-0010.ckpt"], [1, 2, 10]),
    ],
)
def test_names_that_differ_in_numbers_are_one_series(
    tmp_path: Path, names: list[str], steps: list[int | None]
) -> None:
    for name in reversed(names):
        write_bundle(tmp_path / name, {"w": W})
    run = open_run(tmp_path)
    assert [entry.name for entry in run.entries] == names
    assert list(run.steps) == steps
    assert run.others == ()


def test_other_names_are_other_groups(tmp_path: Path) -> None:
    for name in ("ckpt-1", "ckpt-2", "best"):
        write_bundle(tmp_path / name, {"w": W})
    run = open_run(tmp_path)
    assert [entry.name for entry in run.entries] == ["ckpt-1", "ckpt-2"]
    assert [[e.name for e in group.entries] for group in run.others] == [["best"]]
    assert run.notes == (
        "Of 3 checkpoints of one model under 2 names the largest group was taken: "
        "2 from ckpt-1 to ckpt-2. Left out: best.",
    )


def test_a_model_that_changes_midway_is_one_run(tmp_path: Path) -> None:
    write_bundle(tmp_path / "ckpt-1", {"a": W, "b": B, "c": B})
    write_bundle(tmp_path / "ckpt-2", {"a": W, "b": np.ones(5, np.float32), "c": B})
    write_bundle(tmp_path / "ckpt-3", {"a": W, "c": B, "d": B})
    assert _names(tmp_path) == ["ckpt-1", "ckpt-2", "ckpt-3"]


def test_a_variable_that_is_absent_for_a_while_is_no_other_model(tmp_path: Path) -> None:
    arrays = {f"v{i}": W for i in range(10)}
    for step in range(1, 7):
        held = {**arrays, "extra": B} if step not in (3, 4) else arrays
        write_bundle(tmp_path / f"ckpt-{step}", held)
    run = open_run(tmp_path)
    assert run.steps == (1, 2, 3, 4, 5, 6)
    assert run.others == ()


def test_models_that_take_turns_are_several(tmp_path: Path) -> None:
    for step in range(6):
        extra = {"b": B, "c": B} if step % 2 else {}
        write_bundle(tmp_path / f"ckpt-{step}", {"a": W, **extra})
    run = open_run(tmp_path)
    assert [entry.variables for entry in run.entries] == [3, 3, 3]
    assert [[e.variables for e in group.entries] for group in run.others] == [[1, 1, 1]]


def test_what_follows_but_shares_little_is_another_model(tmp_path: Path) -> None:
    write_bundle(tmp_path / "ckpt-1", {"a": W, "b": B, "c": B})
    write_bundle(tmp_path / "ckpt-2", {"a": W, "x": B, "y": B, "z": B})
    assert len(open_run(tmp_path).others) == 1


def test_the_state_file_says_what_is_kept_latest_and_stale(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write_bundle(tmp_path / f"ckpt-{step}", {"w": W})
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "/gone/elsewhere/ckpt-2"\n'
        'all_model_checkpoint_paths: "/gone/elsewhere/ckpt-0"\n'
        'all_model_checkpoint_paths: "/gone/elsewhere/ckpt-1"\n'
        'all_model_checkpoint_paths: "/gone/elsewhere/ckpt-2"\n'
        "all_model_checkpoint_timestamps: 50.5\n"
        "all_model_checkpoint_timestamps: 100.5\n"
        "all_model_checkpoint_timestamps: 200.5\n"
    )
    run = open_run(tmp_path)
    assert [entry.state for entry in run.entries] == [
        RunState.KEPT, RunState.LATEST, RunState.UNTRACKED,
    ]  # fmt: skip
    assert [entry.time for entry in run.entries[:2]] == [100.5, 200.5]
    assert [(entry.name, entry.step, entry.state) for entry in run.stale] == [
        ("ckpt-0", 0, RunState.STALE)
    ]


def test_a_state_file_that_cannot_be_read_is_noted(tmp_path: Path) -> None:
    write_bundle(tmp_path / "ckpt-1", {"w": W})
    (tmp_path / "checkpoint").write_bytes(b"model_checkpoint_path: 7 {")
    run = open_run(tmp_path)
    assert [entry.state for entry in run.entries] == [None]
    assert run.notes[0].startswith("The state file cannot be read: ")


def test_a_torn_checkpoint_is_skipped_with_a_note(tmp_path: Path) -> None:
    write_bundle(tmp_path / "ckpt-1", {"w": W})
    write_bundle(tmp_path / "ckpt-2", {"w": W})
    (tmp_path / "ckpt-2.index").write_bytes(b"")
    run = open_run(tmp_path)
    assert [entry.name for entry in run.entries] == ["ckpt-1"]
    assert [Path(skipped.path).name for skipped in run.skipped] == ["ckpt-2"]
    assert run.notes[0].startswith(f"{tmp_path}/ckpt-2 was left out: ")


def test_data_without_an_index_is_named_and_skipped(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write_bundle(tmp_path / f"ckpt-{step}", {"w": W})
    (tmp_path / "ckpt-3.index").unlink()
    run = open_run(tmp_path)
    assert run.steps == (1, 2)
    assert [Path(skipped.path).name for skipped in run.skipped] == ["ckpt-3"]
    assert run.notes[0] == (
        f"{tmp_path}/ckpt-3 was left out: ckpt-3.index: absent beside "
        "ckpt-3.data-00000-of-00001, being written or torn."
    )


def test_nothing_but_torn_checkpoints_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ckpt-2.index").write_bytes(b"")
    (tmp_path / "ckpt-2.data-00000-of-00001").write_bytes(b"")
    with pytest.raises(TruncatedFileError):
        open_run(tmp_path)


def test_a_glob_selects_and_a_literal_path_wins(tmp_path: Path) -> None:
    odd = tmp_path / "run[1]"
    odd.mkdir()
    for step in (1, 2, 13):
        write_bundle(odd / f"ckpt-{step}", {"w": W})
        write_bundle(tmp_path / f"ckpt-{step}", {"w": W})
    assert _names(odd) == ["ckpt-1", "ckpt-2", "ckpt-13"]
    assert _names(tmp_path / "ckpt-?") == ["ckpt-1", "ckpt-2"]
    assert _names(tmp_path / "ckpt-?.index") == ["ckpt-1", "ckpt-2"]
    assert _names(tmp_path / "ckpt-[1-2]*") == ["ckpt-1", "ckpt-2", "ckpt-13"]


def test_several_paths_are_put_in_order_of_step(tmp_path: Path) -> None:
    for directory, step in (("b", 1), ("a", 2), ("a", 3)):
        (tmp_path / directory).mkdir(exist_ok=True)
        write_bundle(tmp_path / directory / f"ckpt-{step}", {"w": W})
    run = open_run([tmp_path / "a", tmp_path / "b"])
    assert run.steps == (1, 2, 3)
    files = [tmp_path / "a/ckpt-3.index", tmp_path / "b/ckpt-1", tmp_path / "a/ckpt-3"]
    assert open_run(files).steps == (1, 3)


def test_a_glob_is_grouped_as_a_directory_is(tmp_path: Path) -> None:
    for name in ("ckpt-1", "ckpt-2", "best", "ema-1"):
        write_bundle(tmp_path / name, {"w": W})
    run = open_run(tmp_path / "*")
    assert [entry.name for entry in run.entries] == ["ckpt-1", "ckpt-2"]
    names = sorted([e.name for e in found.entries] for found in run.others)
    assert names == [["best"], ["ema-1"]]
    assert [found.model for found in run.groups] == [0, 0, 0]
    assert run.notes[-1].endswith(
        ("2 from ckpt-1 to ckpt-2. Left out: best, ema-1.", "Left out: ema-1, best.")
    )


def test_a_glob_of_directories_is_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        (tmp_path / f"run_{number}").mkdir()
        write_bundle(tmp_path / f"run_{number}/final", {"w": W})
    run = open_run(tmp_path / "run_*/final")
    assert [Path(entry.path).parent.name for entry in run.entries] == ["run_1", "run_2", "run_10"]
    assert [Path(entry.path).parent.name for entry in open_run(tmp_path / "run_*").entries] == [
        "run_1", "run_2", "run_10",
    ]  # fmt: skip


def test_a_path_that_is_named_joins_the_series_beside_it(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    for step in (1, 2):
        write_bundle(tmp_path / f"ckpt-{step}", {"w": W})
    write_bundle(tmp_path / "kept/best-7", {"w": W})
    run = open_run([tmp_path, tmp_path / "kept/best-7"])
    assert [entry.name for entry in run.entries] == ["ckpt-1", "ckpt-2", "best-7"]
    assert run.others == ()


def test_explicit_paths_are_one_run_whatever_they_hold(tmp_path: Path) -> None:
    for name in ("one-1", "two-2"):
        write_bundle(tmp_path / name, {"w": W})
    write_bundle(tmp_path / "three-3", {"a": B, "b": W, "c": B})
    run = open_run([tmp_path / name for name in ("one-1", "three-3", "two-2")])
    assert [entry.name for entry in run.entries] == ["one-1", "three-3", "two-2"]
    assert run.others == ()


def test_explicit_paths_belong_together_whatever_they_are_called(tmp_path: Path) -> None:
    for name in ("first", "second", "third"):
        write_bundle(tmp_path / name, {"w": W})
    run = open_run([tmp_path / "third", tmp_path / "first"])
    assert [entry.name for entry in run.entries] == ["third", "first"]


def test_numbered_exports_are_a_run(tmp_path: Path, fixtures_dir: Path) -> None:
    for number in ("20", "3"):
        shutil.copytree(fixtures_dir / "digits_export", tmp_path / number)
    run = open_run(tmp_path)
    assert [entry.name for entry in run.entries] == ["3", "20"]
    assert run.steps == (None, None)  # a version is no step
    assert run.titles == ("version",)
    assert [entry.numbers for entry in run.entries] == [(3,), (20,)]


def test_an_export_beside_checkpoints_does_not_stand_for_them(tmp_path: Path) -> None:
    """Variables of a SavedModel whose graph is gone are what a directory is if nothing else is."""
    (tmp_path / "variables").mkdir()
    write_bundle(tmp_path / "variables" / "variables", {"w": W})
    assert _names(tmp_path) == ["variables"]
    for step in (1, 2):
        write_bundle(tmp_path / f"ckpt-{step}", {"w": W})
    assert _names(tmp_path) == ["ckpt-1", "ckpt-2"]


def test_keras_files_are_a_run(tmp_path: Path, fixtures_dir: Path) -> None:
    for number in ("10-0.21", "09-0.35"):
        source = fixtures_dir / "digits_files/digits.weights.h5"
        shutil.copy(source, tmp_path / f"w.{number}.weights.h5")
    run = open_run(tmp_path)
    assert run.steps == (9, 10)
    assert "conv1/kernel" in run[0]


def test_exports_of_a_glob_are_in_order(tmp_path: Path, fixtures_dir: Path) -> None:
    for number in ("20", "3", "100"):
        shutil.copytree(fixtures_dir / "digits_export", tmp_path / "export" / number)
    run = open_run(tmp_path / "export/*")
    assert [entry.numbers for entry in run.entries] == [(3,), (20,), (100,)]
    named = [tmp_path / "export/100", tmp_path / "export/20"]
    assert [entry.numbers for entry in open_run(named).entries] == [(20,), (100,)]


def test_archives_of_keras_with_the_epoch_in_the_name(tmp_path: Path, fixtures_dir: Path) -> None:
    for epoch in ("02-0.35", "10-0.21", "01-0.95"):
        shutil.copy(fixtures_dir / "digits_files/digits.keras", tmp_path / f"w.{epoch}.keras")
    shutil.copy(fixtures_dir / "digits_files/digits.keras", tmp_path / "last.keras")
    for typed in (tmp_path, tmp_path / "*.keras"):
        run = open_run(typed)
        assert run.steps == (1, 2, 10)
        assert [[e.name for e in found.entries] for found in run.others] == [["last.keras"]]
    assert len(open_run(sorted(tmp_path.glob("*.keras")))) == 4


def test_one_model_in_four_formats_is_one_model(fixtures_dir: Path) -> None:
    run = open_run(fixtures_dir / "digits_files")
    assert [len(found.entries) for found in run.groups] == [1, 1, 1, 1]
    assert {found.model for found in run.groups} == {0}
    assert "Of 4 checkpoints of one model under 4 names" in run.notes[-1]
    named = open_run(sorted((fixtures_dir / "digits_files").iterdir()))
    assert (len(named), named.others) == (4, ())


def test_a_checkpoint_that_vanishes_is_reported_when_it_is_opened(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write_bundle(tmp_path / f"ckpt-{step}", {"w": W})
    run = open_run(tmp_path)
    for path in tmp_path.glob("ckpt-2.*"):
        path.unlink()
    write_bundle(tmp_path / "new", {"w": 2 * W})
    (tmp_path / "new.index").replace(tmp_path / "ckpt-3.index")
    results = [str(found) for _, found in run.opened()]
    assert results[1] == "ckpt-2: deleted since the run was listed"
    assert results[2] == "ckpt-3: overwritten since the run was listed"


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError):
        open_run(tmp_path / "nothing")
    with pytest.raises(CheckpointNotFoundError):
        open_run(tmp_path / "nothing-*")
    with pytest.raises(CheckpointNotFoundError):
        open_run(tmp_path)
    with pytest.raises(UsageError, match="no path given"):
        open_run([])
    with pytest.raises(UsageError, match="no reader 'fast'"):
        open_run(tmp_path, reader="fast")


def test_digits_run(fixtures_dir: Path) -> None:
    run = open_run(fixtures_dir / "digits_run")
    assert run.steps == tuple(range(1, 11))
    assert [entry.iterations for entry in run.entries] == [90 * i for i in range(1, 11)]
    assert {entry.nbytes for entry in run.entries} == {469095}
    assert run.entries[-1].state is RunState.LATEST


def test_names_are_made_once_for_checkpoints_that_are_built_alike(
    fixtures_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    opening = sys.modules["ckread.model.opening"]
    identify = opening.identify

    def count(*arguments: object) -> object:
        calls.append(1)
        return identify(*arguments)

    monkeypatch.setattr(opening, "identify", count)
    run = open_run(fixtures_dir / "digits_run")
    names = [list(checkpoint) for checkpoint in run]
    assert len(calls) == 1
    assert all(found == names[0] for found in names)


def test_deeponet_is_five_models(real_dir: Path) -> None:
    run = open_run(real_dir / "pulkitgo__deeponet/model@44c0d048")
    groups = [run.entries, *(group.entries for group in run.others)]
    found = [(len(g), g[0].step, g[-1].step, g[0].variables, g[0].elements) for g in groups]
    assert found == [
        (29, 1000, 49000, 5, 4121),
        (6, 18000, 46000, 17, 13961),
        (5, 26000, 47000, 13, 10681),
        (4, 13000, 37000, 21, 17241),
        (4, 30000, 50000, 9, 7401),
    ]
    assert run.steps[:3] == (1000, 2000, 3000)
    states = [entry.state for group in groups for entry in group]
    assert states.count(RunState.UNTRACKED) == 47


def test_the_runs_of_tfx_are_in_order(real_dir: Path) -> None:
    folder = real_dir / "tensorflow__tfx"
    name = "tfx__components__testdata__trainer__current__Format-Serving"
    assert open_run(folder / name).steps == (0, 999, 1000)
    assert open_run(folder / f"{name}@d989bbd7").steps == (6993, 7992, 8991, 9990, 10000)


def test_an_epoch_in_the_file_goes_before_that_of_the_name(tmp_path: Path) -> None:
    for name, epoch in (("w_epoch1", 4), ("w_epoch2", 5)):
        builder = BundleBuilder()
        builder.add("epoch", np.array(epoch), DataType.INT64)
        builder.add("w", W, DataType.FLOAT32)
        builder.write(tmp_path / name)
    run = open_run(tmp_path)
    assert [entry.epoch for entry in run.entries] == [4, 5]
    assert [entry.numbers for entry in run.entries] == [(1,), (2,)]
    with run[1] as checkpoint:
        assert read_training_state(checkpoint).epoch == 5


def test_layers_numbered_anew_are_one_run_under_one_name(tmp_path: Path) -> None:
    for step in range(1, 7):
        layers = ("dense", "dense_1") if step < 4 else ("dense_2", "dense_3")
        held = {f"{layer}/kernel": np.full(shape, step, np.float32)
                for layer, shape in zip(layers, ((3, 4), (4, 1)), strict=True)}  # fmt: skip
        write_bundle(tmp_path / f"ckpt-{step}", held)
    run = open_run(tmp_path)
    assert run.others == ()
    assert [sorted(checkpoint) for checkpoint in run] == [["dense_2/kernel", "dense_3/kernel"]] * 6
    assert [float(c["dense_2/kernel"].read()[0, 0]) for c in run] == [1, 2, 3, 4, 5, 6]
    assert run.notes == (
        "3 of 6 checkpoints number their layers otherwise, such as dense/kernel for "
        "dense_2/kernel: shown under the names of ckpt-6.",
    )


def test_layers_of_other_shapes_are_another_model(tmp_path: Path) -> None:
    for step in range(1, 5):
        layer, n = ("dense", 4) if step < 3 else ("dense_1", 5)
        write_bundle(tmp_path / f"ckpt-{step}", {f"{layer}/kernel": np.ones((3, n), np.float32)})
    assert [len(found.entries) for found in open_run(tmp_path).groups] == [2, 2]


def test_files_of_keras_beside_others_are_told(tmp_path: Path, fixtures_dir: Path) -> None:
    for step in (1, 2):
        write_bundle(tmp_path / f"ckpt-{step}", {"w": W})
    shutil.copy(fixtures_dir / "digits_files/digits.weights.h5", tmp_path / "best.weights.h5")
    run = open_run(tmp_path)
    assert [skipped.path for skipped in run.skipped] == [str(tmp_path / "best.weights.h5")]
    assert "a file of Keras beside checkpoints of TensorFlow" in run.notes[0]
    assert len(open_run([tmp_path, tmp_path / "best.weights.h5"]).skipped) == 0


def test_what_is_told_and_by_what(tmp_path: Path) -> None:
    for name in ("w-01-92", "w-02-97", "w-03-95"):
        write_bundle(tmp_path / name, {"w": W})
    steps, latest = open_run(tmp_path).claims
    assert (steps.value, str(steps.strength)) == ("1 to 3", "named")
    assert steps.source == "file name, the first number that differs"
    assert steps.against == ("92, 97, 95: another number is likelier",)
    assert (latest.value, latest.source) == ("w-03-95", "largest step")


def test_what_is_left_out_is_told_by_its_model(tmp_path: Path) -> None:
    for name, size in (("a-1", 2), ("a-2", 2), ("a-3", 2), ("b-1", 2), ("c-1", 3)):
        write_bundle(tmp_path / name, {"w": np.ones(size), "v": np.ones(4)})
    (note,) = (note for note in open_run(tmp_path).notes if "largest group" in note)
    assert note.startswith("Of 5 checkpoints of 2 different models under 3 names the largest")
    assert "b-1 (the same model)" in note.replace("1 checkpoint ", "")
    assert "c-1 (another model)" in note.replace("1 checkpoint ", "")


def test_what_matches_a_pattern_and_is_no_checkpoint_ends_nothing(tmp_path: Path) -> None:
    for step in (1, 2):
        write_bundle(tmp_path / f"ckpt-{step}", {"w": np.full(2, step)})
    (tmp_path / "ckpt-1x").write_text("notes")
    assert [entry.step for entry in open_run(tmp_path / "ckpt-*").entries] == [1, 2]


@pytest.mark.parametrize("n_variables", [1, 12])
def test_types_that_change_by_turns_are_one_run(tmp_path: Path, n_variables: int) -> None:
    """Names and shapes are those of one model: of a single variable too."""
    for step, dtype in enumerate((DataType.FLOAT32, DataType.FLOAT64) * 2, 1):
        builder = BundleBuilder()
        for i in range(n_variables):
            values = np.full((2, 3), step).astype("f4" if dtype is DataType.FLOAT32 else "f8")
            builder.add(f"layer{i}/kernel", values, dtype)
        builder.write(tmp_path / f"ckpt-{step}")
    run = open_run(tmp_path)
    assert [entry.step for entry in run.entries] == [1, 2, 3, 4]
    assert len(run.groups) == 1


# Entries and places by themselves.


@pytest.mark.parametrize(
    ("step", "epoch", "count", "unit"),
    [
        (None, None, None, "step"),
        (7, None, 7, "step"),
        (0, None, 0, "step"),
        (None, 3, 3, "epoch"),
        (None, 0, 0, "epoch"),
        (7, 3, 7, "step"),
        (0, 3, 0, "step"),
    ],
)
def test_what_an_entry_is_counted_by(
    step: int | None, epoch: int | None, count: int | None, unit: str
) -> None:
    entry = RunEntry("runs/ckpt-7/", step, 12.5, epoch=epoch)
    assert (entry.count, entry.unit, entry.name) == (count, unit, "ckpt-7")
    assert entry.to_place() == {"path": "runs/ckpt-7/", "step": step, "epoch": epoch, "time": 12.5}


def test_base_names() -> None:
    found = [base_name(path) for path in ("a/b", "a/b/", "b", "/", "s3://a/b//")]
    assert found == ["b", "b", "b", "/", "b"]


def test_what_is_found_by_whom(tmp_path: Path, fixtures_dir: Path) -> None:
    """In a directory or by a glob; what a user names stays named, in whatever order."""
    run, other = tmp_path / "run", tmp_path / "other"
    run.mkdir()
    for step in (1, 2, 3):
        write_bundle(run / f"ckpt-{step}", {"w": W})
    (run / "ckpt-3.index").unlink()
    (run / "checkpoint").write_text('model_checkpoint_path: "ckpt-2"\n')
    other.mkdir()
    write_bundle(other / "x-1", {"w": W})
    shutil.copy(fixtures_dir / "keras_compiled" / "compiled.keras", run / "m.keras")

    def one(path: Path, *, is_scanned: bool, kind: Format = Format.TENSOR_BUNDLE) -> Place:
        return Place(str(path), kind, is_scanned)

    places = find_places([str(run)])
    assert list(places.found.values()) == [
        one(run / f"ckpt-{step}", is_scanned=True) for step in (1, 2, 3)
    ]
    assert places.scanned == [str(run)]
    assert list(places.marks) == [str(run)]
    assert places.beside == [str(run / "m.keras")]
    for paths in ([run / "ckpt-2", run], [run / "ckpt-2", run / "ckpt-*"]):
        places = find_places(map(str, paths))
        named = {Path(path).name: place.is_scanned for path, place in places.found.items()}
        assert named == {"ckpt-2": False, "ckpt-1": True} | (
            {"ckpt-3": True} if paths[1] == run else {}
        )
    places = find_places([str(other / "x-1"), str(other / "x-*.index")])
    assert list(places.found.values()) == [one(other / "x-1", is_scanned=False)]
    assert (places.scanned, places.beside, places.notes) == ([], [], [])
    places = find_places([str(tmp_path / "o*er" / "x-1")])
    assert list(places.found.values()) == [one(other / "x-1", is_scanned=True)]
