"""Which number of a name counts: over whole series of names, as people write them."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.model.paths.scanning import read_name
from ckread.model.steps import (
    NameNumbers,
    Series,
    _is_glued,
    natural,
    read_series,
    stem_of_name,
    words_of,
)

if TYPE_CHECKING:
    from pathlib import Path

MODELS = ("model", "vgg16", "resnet50_v2", "unet", "exp3b", "bert-base-12", "net-224-224", "mnist")
EPOCHS = ("epoch", "epoch_", "ep", "ep-", "e", "Epoch=", "EPOCH-")
STEPS = ("step", "step_", "iter-", "ckpt-", "cp-", "checkpoint_", ".ckpt-", "iteration=")
METRICS = ("", "loss", "val_loss=", "acc", "val_acc_", "f1-")
SUFFIXES = (".h5", ".weights.h5", ".keras", ".hdf5", "", ".ckpt")


def read(names: list[str], times: list[float] | None = None) -> Series:
    """Give the largest series of names, whose times are equal unless they are given."""
    return read_series(names, list(times or [0.0] * len(names)))[0]


def numbers(names: list[str], times: list[float] | None = None) -> list[int | None]:
    series = read(names, times)
    known = {place: n.known for place, n in zip(series.order, series.numbers, strict=True)}
    return [known.get(i) for i in range(len(names))]


@st.composite
def written(draw: st.DrawFn) -> dict[str, Any]:
    """Give names as a training writes them, with their counters, in the order of training."""
    counters = sorted(draw(st.sets(st.integers(0, 3000), min_size=3, max_size=9)))
    kind = draw(st.sampled_from(("epoch", "step", "none")))
    words = {"epoch": EPOCHS, "step": STEPS, "none": ("-", "_", ".")}[kind]
    word, model = draw(st.sampled_from(words)), draw(st.sampled_from(MODELS))
    width = draw(st.sampled_from((0, 2, 4, 8)))
    metric = draw(st.sampled_from((None, *METRICS)))
    has_metric_first = metric is not None and kind != "none" and draw(st.booleans())
    constant = draw(st.sampled_from(("", "_bs32", "_lr1e-05", "_dim256", "_20210304-101500")))
    if word == "." and (model + constant)[-1].isdigit():
        word = "-"  # 32.1 is a decimal, or a version
    separator = draw(st.sampled_from(("-", "_")))
    suffix = draw(st.sampled_from(SUFFIXES))
    names = []
    for counter in counters:
        value = f"{separator}{metric}{draw(st.integers(100, 999)) / 1000:.3f}"
        shown = "" if metric is None else value
        before, after = (shown, "") if has_metric_first else ("", shown)
        glue = "" if word[0] in "-_." else "_"
        count = f"{counter:0{width}d}"
        names.append(f"{model}{constant}{before}{glue}{word}{count}{after}{suffix}")
    return {"names": names, "counters": counters, "kind": kind, "padded": width > 0}


@given(written(), st.sampled_from(("equal", "rising", "copied")), st.integers(0, 99))
def test_the_counter_of_a_series_is_found(case: dict[str, Any], clock: str, seed: int) -> None:
    names, counters = case["names"], case["counters"]
    by_name = sorted(names)
    clocks = {
        "equal": [1e9] * len(names),
        "rising": [1e9 + 600 * i for i in range(len(names))],
        "copied": [1e9 + 0.1 * by_name.index(name) for name in names],
    }
    places = list(range(len(names)))
    random.Random(seed).shuffle(places)
    series = read([names[i] for i in places], [clocks[clock][i] for i in places])
    assert [places[i] for i in series.order] == sorted(places)
    if case["kind"] == "epoch":
        assert [n.epoch for n in series.numbers] == counters
        assert {n.step for n in series.numbers} == {None}
    elif case["kind"] == "step":
        assert [n.step for n in series.numbers] == counters
    else:
        assert [n.step for n in series.numbers] in (counters, [None] * len(counters))
        assert all(n.known is not None for n in series.numbers) or series.doubt


@given(st.lists(st.text("ab12.-_eE+", max_size=12), min_size=1, max_size=6))
def test_any_names_are_read_and_none_is_lost(names: list[str]) -> None:
    series = read_series(names, [None] * len(names))
    assert sorted(i for one in series for i in one.order) == list(range(len(names)))
    assert all(len(one.order) == len(one.numbers) for one in series)
    assert all(len(words_of(names[i])) == len(words_of(names[one.order[0]]))
               for one in series for i in one.order)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "epoch", "step"),
    [
        ("model.ckpt-1000", None, 1000),
        ("ckpt-10", None, 10),
        ("cp-0010.ckpt", None, 10),
        ("epoch_3", 3, None),
        ("ckpt.epoch12.weights.h5", 12, None),
        ("step500", None, 500),
        ("10epochs.h5", 10, None),
        ("12e-val_acc_0.91.h5", 12, None),
        ("e_2_step_200.ckpt", 2, 200),
        ("weights.05-0.32.h5", None, None),
        ("best_weights_cnn_200.hdf5", None, None),
        ("vww_96.h5", None, None),
        ("model_v2-7", None, None),
        ("0007", None, None),
        ("resnet50.ckpt", None, None),
        ("run-1e9b", None, None),
        ("model@dbd2644e", None, None),
        ("e50.h5", 50, None),
        ("0.25", None, None),
        ("", None, None),
    ],
)
def test_a_name_alone_tells_only_by_a_word(name: str, epoch: int | None, step: int | None) -> None:
    (series,) = read_series([name], [None])
    assert (series.numbers[0].epoch, series.numbers[0].step) == (epoch, step)


@pytest.mark.parametrize(
    ("names", "known"),
    [
        (["w-01-92", "w-02-97", "w-03-95"], [1, 2, 3]),
        (["lstm_ep1_bs32", "lstm_ep2_bs32"], [1, 2]),
        (["epoch_01_resnet50", "epoch_02_resnet50"], [1, 2]),
        (["w.01-1.5e-05.h5", "w.02-9.1e-06.h5"], [1, 2]),
        (["w_0.72_07.h5", "w_0.65_08.h5"], [7, 8]),
        (["m_1,939_1.h5", "m_1,599_2.h5", "m_0,5_31.h5"], [1, 2, 31]),
        (["20230609_040616_8.h5", "20230610_104313_9.h5"], [8, 9]),
        (["2018-09-03_epoch1.h5", "2018-09-03_epoch2.h5"], [1, 2]),
        (["1597101676.5lstm-17", "1597101676.5lstm-34"], [17, 34]),
        (["g_weights_001.h5", "g_weights_002.h5", "g_weights_012.h5"], [1, 2, 12]),
        (["unet_1.0.ckpt", "unet_1.5.ckpt", "unet_1.10.ckpt"], [0, 5, 10]),
        (["m_v1.1", "m_v1.2", "m_v1.3"], [None, None, None]),
        (["exp-01-0.64.h5", "exp-02-0.60.h5", "exp-03-0.7.h5"], [1, 2, 3]),
        (["fold1.h5", "fold2.h5", "fold3.h5"], [None, None, None]),
        (["best_acc_50.h5", "best_acc_60.h5"], [None, None]),
        (["cnn_66acc_001.h5", "cnn_77acc_002.h5"], [1, 2]),
        (["m_e6_62%.h5", "m_e7_70%.h5"], [6, 7]),
        (["model_1.h5", "model_2.h5", "model_3.h5"], [None, None, None]),
        (["model_32.h5", "model_64.h5", "model_256.h5"], [None, None, None]),
        (["checkpoint_1_1000", "checkpoint_1_2000", "checkpoint_2_3000"], [1000, 2000, 3000]),
        (["epoch=1-step=500.ckpt", "epoch=2-step=1000.ckpt"], [500, 1000]),
        (["background_3-0.5.h5", "background_7-0.4.h5"], [3, 7]),
        (["agent_ep500_score120", "agent_ep900_score90"], [500, 900]),
        (["10k.ckpt", "20k.ckpt"], [None, None]),
        (["nums-2500", "nums-10000", "nums-57500"], [2500, 10000, 57500]),
        (["模型_第1轮.h5", "模型_第10轮.h5"], [1, 10]),
    ],
)
def test_the_number_that_counts(names: list[str], known: list[int | None]) -> None:
    assert numbers(names) == known


@pytest.mark.parametrize(
    ("text", "to_left", "is_glued"),
    [("-step", False, True), ("-step", True, False), ("step-", True, True), ("", True, False),
     ("step-", False, False), ("%", False, True), ("-", True, False)],
)  # fmt: skip
def test_a_word_is_glued_to_a_number_that_it_touches(
    text: str, to_left: bool, is_glued: bool
) -> None:
    assert _is_glued(text, to_left=to_left) == is_glued


def test_two_counters_are_an_epoch_and_an_iteration() -> None:
    series = read(["epoch1_iter100", "epoch1_iter200", "epoch2_iter100", "epoch2_iter200"])
    assert [(n.epoch, n.step) for n in series.numbers] == [(1, 100), (1, 200), (2, 100), (2, 200)]
    assert series.titles == ("epoch", "step")


def test_an_epoch_that_repeats_has_an_iteration_to_its_right() -> None:
    series = read(["e_1_b_500", "e_1_b_1000", "e_2_b_500"])
    assert [(n.epoch, n.step) for n in series.numbers] == [(1, 500), (1, 1000), (2, 500)]


def test_numbers_that_only_together_tell_names_apart_are_both_shown() -> None:
    series = read([f"-mlp{a}-{b}" for a in (11, 0, 2) for b in (20000, 10000)])
    assert [n.values for n in series.numbers] == [
        (0, 10000), (0, 20000), (2, 10000), (2, 20000), (11, 10000), (11, 20000),
    ]  # fmt: skip
    assert {n.known for n in series.numbers} == {None}
    assert series.titles == ("mlp", "number")
    assert series.doubt == (
        "The names tell by several numbers, such as 2 and 10,000, and do not say which is the "
        "epoch."
    )


def test_folds_group_and_epochs_count() -> None:
    series = read([f"fold{a}_epoch{b:02d}" for a in (2, 1) for b in (10, 9)])
    assert [n.epoch for n in series.numbers] == [9, 10, 9, 10]
    assert [n.values for n in series.numbers] == [(1, 9), (1, 10), (2, 9), (2, 10)]


def test_a_training_begun_again_is_told_by_time() -> None:
    names = ["w_epoch7", "w_epoch8", "w_epoch9", "w_epoch1", "w_epoch2"]
    series = read(names, [0, 100, 200, 5000, 5100])
    assert [names[i] for i in series.order] == names
    assert series.doubt.startswith("Lower numbers were saved after all higher ones")


def test_times_of_a_copy_order_nothing() -> None:
    names = ["best-a.h5", "m_0.7.h5", "m_0.8.h5", "m_0.9.h5"]
    copied = read(names, [0, 0.1, 0.2, 0.3])
    assert copied.doubt == "Neither the names nor the times tell which is the latest."
    saved = read(names, [0, 9000, 100, 500])
    assert [names[i] for i in saved.order] == ["m_0.8.h5", "m_0.9.h5", "m_0.7.h5"]
    assert saved.doubt == ""


def test_what_was_not_believed_is_said() -> None:
    series = read(["r50_w-01-92_bs32-0.5", "r50_w-02-97_bs32-0.4", "r50_w-03-95_bs32-0.6"])
    assert series.source == "file name, the first number that differs"
    assert series.against == (
        "50: equal in all names",
        "92, 97, 95: another number is likelier",
        "32: equal in all names",
        "0.5, 0.4, 0.6: no whole number",
    )
    assert read(["w_ep1", "w_ep2"]).source == "file name, after `ep`"


def test_the_largest_series_is_the_first() -> None:
    names = ["best-7", "ckpt-1", "ckpt-2", "final"]
    found = read_series(names, [0.0] * 4)
    assert [[names[i] for i in one.order] for one in found] == [
        ["ckpt-1", "ckpt-2"], ["final"], ["best-7"],
    ]  # fmt: skip


def test_suffixes_and_natural_order() -> None:
    assert [stem_of_name(n) for n in ("a.weights.h5", "b.ckpt.index", "c.ckpt", ".h5")] == [
        "a", "b.ckpt", "c", ".h5",
    ]  # fmt: skip
    assert sorted(["a10", "a9", "a"], key=natural) == ["a", "a9", "a10"]
    assert NameNumbers().known is None
    assert NameNumbers(epoch=3).unit == "epoch"


def test_a_number_of_too_many_digits_counts_nothing() -> None:
    assert numbers(["ckpt-" + "9" * 30, "ckpt-" + "8" * 30]) == [None, None]


def test_many_names_take_time_in_proportion() -> None:
    names = [f"weights.{i:05d}-0.{i % 1000:03d}.h5" for i in range(5000)]
    start = time.perf_counter()
    assert numbers(names, [float(60 * i) for i in range(5000)]) == list(range(5000))
    assert time.perf_counter() - start < 20  # 0.3 s; and minutes, if it were quadratic


def test_a_name_is_read_beside_those_that_are_alike(tmp_path: Path) -> None:
    for name in ("m-1.keras", "m-2.keras", "m-10.keras", "other-3.keras", "m-7.txt"):
        (tmp_path / name).write_bytes(b"x")
    number, series = read_name(str(tmp_path / "m-2.keras"))
    assert number.step == 2
    assert [series.numbers[i].step for i in range(3)] == [1, 2, 10]
    assert len(series.numbers) == 3
    absent, longer = read_name(str(tmp_path / "m-4.keras"))
    assert (absent.step, len(longer.numbers)) == (4, 4)


# What is no counter, or not surely one.

_UNSAID = "The names are numbered {} to {} and do not say of what."
_DAY = [1e9 + 600 * i for i in range(99)]


@pytest.mark.parametrize(
    ("values", "suffix", "is_open"),
    [
        (range(10), ".h5", True),  # as many models, or folds
        (range(1, 11), ".keras", True),
        (range(11), ".h5", False),  # too many
        (range(2, 8), ".h5", False),
        ((0, 1, 3), ".h5", False),  # one is missing
        ((32, 64, 128), ".h5", True),  # sizes
        ((32, 64, 1024), ".h5", True),
        ((32, 64, 1056), ".h5", False),
        ((0, 32, 64), ".h5", False),
        ((32, 64, 100), ".h5", False),
        (range(10), ".ckpt", False),  # of TensorFlow's savers only sizes may be no steps
        ((32, 64, 128), ".ckpt", True),
    ],
)
def test_numbers_that_may_count_models(values: Any, suffix: str, is_open: bool) -> None:
    series = read([f"net_{value}{suffix}" for value in values])
    kept = [n.known for n in series.numbers]
    assert series.doubt == (_UNSAID.format(min(values), f"{max(values):,}") if is_open else "")
    assert kept == ([None] * len(kept) if is_open else list(values))
    assert series.titles == (("net",) if is_open else ("step",))


def test_sizes_that_a_saver_wrote_are_steps() -> None:
    names = [f"net-{value}" for value in (32, 64, 128)]
    assert numbers(names) == [32, 64, 128]  # behind a dash, at the end
    open_names = [f"net_{value}" for value in (32, 64, 128)]
    assert numbers(open_names) == [None] * 3
    assert numbers(open_names, _DAY[:3]) == [32, 64, 128]  # each was saved after the one before
    assert numbers(open_names, [1e9, 1e9 + 2.0, 1e9 + 9]) == [None] * 3  # not long enough
    assert numbers(open_names, [1e9, 1e9 + 2.1, 1e9 + 9]) == [32, 64, 128]


def test_padded_numbers_count() -> None:
    assert numbers(["net_01.h5", "net_02.h5"]) == [1, 2]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1.0", "1.5", "1.10"], [0, 5, 10]),
        (["1.0", "1.5"], [None, None]),  # two tell no distance
        (["1.0", "1.5", "1.15"], [None, None, None]),  # it changes
        (["1.5", "1.5", "1.5"], [None, None, None]),
        (["1.0", "2.5", "1.10"], [None, None, None]),  # the whole part does
        (["1.000", "1.005", "1.010"], [0, 5, 10]),
        (["1.00", "1.05", "1.10"], [None, None, None]),  # hundredths
        (["1.100", "1.200", "1.300"], [None, None, None]),
        (["1.08", "1.9", "1.10"], [None, None, None]),
        (["1.001", "1.002", "1.03"], [None, None, None]),  # thousandths, and a hundredth
        (["1,0", "1,5", "1,10"], [0, 5, 10]),
    ],
)
def test_what_counts_after_a_point(texts: list[str], expected: list[int | None]) -> None:
    names = [f"net_{text}.ckpt" for text in texts]
    places = sorted(range(len(names)), key=lambda i: names[i])
    assert numbers([names[i] for i in places]) == [expected[i] for i in places]
    versions = [f"net_v{text}.ckpt" for text in texts]
    assert numbers(versions) == [None] * len(texts)


@pytest.mark.parametrize(
    ("names", "doubt", "titles"),
    [
        (["w_1_70.h5", "w_2_20.h5", "w_3_90.h5", "w_4_10.h5"], "", ("step",)),
        (["w_1_70.h5", "w_2_20.h5", "w_4_90.h5", "w_9_10.h5"], "90", ("w",)),
    ],
)
def test_several_numbers_of_which_one_may_count(
    names: list[str], doubt: str, titles: tuple[str, ...]
) -> None:
    """One that goes up by equal steps counts; where two are near, it is said which was taken."""
    series = read(list(reversed(names)))
    assert [len(names) - 1 - at for at in series.order] == list(range(len(names)))
    assert series.titles == titles
    said = (
        f"Two numbers of the names may count; the first was taken. By the other one {doubt} would "
        "be the latest."
    )
    assert series.doubt == (said if doubt else "")
    assert series.source == ("" if doubt else "file name, the first number that differs")
    given = [tuple(int(one) for one in name[2:-3].split("_")) for name in names]
    against = [
        f"{', '.join(str(one[at]) for one in reversed(given[1:]))}, …: another number is likelier"
        for at in range(1, len(given[0]))
    ]
    assert list(series.against) == against
    assert [n.step for n in series.numbers] == ([None] * 4 if doubt else [1, 2, 3, 4])
    assert [n.values for n in series.numbers] == [one[:1] for one in given]


def test_which_word_told_is_said() -> None:
    """Thousands and millions of steps are written short."""
    cases = {
        ("10epochs", "20epochs"): ([10, 20], "file name, before `epochs`"),
        ("epoch_1", "epoch_2"): ([1, 2], "file name, after `epoch`"),
        ("step_1k", "step_2k"): ([1000, 2000], "file name, after `step`"),
        ("step_1M", "step_2M"): ([10**6, 2 * 10**6], "file name, after `step`"),
    }
    for names, (known, source) in cases.items():
        series = read(list(names))
        assert ([n.known for n in series.numbers], series.source) == (known, source)
