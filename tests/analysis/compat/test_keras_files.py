"""`load_weights` of Keras files in three formats, against Keras itself."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread
from ckread.analysis.compat.records import Outcome, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ckread.analysis.compat.records import RestoreForecast

pytestmark = [pytest.mark.oracle, pytest.mark.slow]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    programs = pytest.importorskip("tests.analysis.compat.programs")

keras, tf_keras = programs.keras, programs.tf_keras
_FINE = (Outcome.RESTORED, Outcome.OTHER)

MODELS: dict[str, Callable[[], Any]] = {
    "plain": lambda: programs.functional(),
    "extra": lambda: programs.functional(extra=True),
    "no_norm": lambda: programs.functional(norm=False),
    "wide": lambda: programs.functional(width=16),
    "five": lambda: programs.functional(out=5),
    "renamed": lambda: programs.functional(names=("p", "q", "r")),
    "swapped": lambda: programs.functional(names=("head", "norm", "a")),
    "tower": lambda: programs.tower(),
    "tower_inserted": lambda: programs.tower(inserted=2),
    "nested": lambda: programs.nested(),
    "nested_flat": lambda: programs.nested(flat=True),
    "shared": lambda: programs.shared(),
    "unshared": lambda: programs.shared(False),
    "lstm": lambda: programs.recurrent(),
    "gru": lambda: programs.recurrent("GRU"),
    "adam": lambda: programs.fit(programs.functional(), keras.optimizers.Adam()),
    "momentum": lambda: programs.fit(programs.functional(), keras.optimizers.SGD(0.1, 0.9)),
    "adam_five": lambda: programs.fit(programs.functional(out=5), keras.optimizers.Adam()),
    "sequential": lambda: keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(8, name="a"), keras.layers.Dense(3, name="head")]
    ),
    "sub": lambda: programs.sub(),
    "sub_renamed": lambda: programs.sub("renamed"),
    "sub_list": lambda: programs.sub("list"),
}
PAIRS = (
    ("plain", "plain"), ("plain", "extra"), ("extra", "plain"), ("plain", "no_norm"),
    ("no_norm", "plain"), ("plain", "wide"), ("plain", "five"), ("plain", "renamed"),
    ("plain", "swapped"), ("tower", "tower_inserted"), ("tower_inserted", "tower"),
    ("nested", "nested"), ("nested", "nested_flat"), ("nested_flat", "nested"),
    ("shared", "unshared"), ("unshared", "shared"), ("lstm", "lstm"), ("lstm", "gru"),
    ("adam", "adam"), ("adam", "plain"), ("plain", "adam"), ("adam", "momentum"),
    ("adam", "adam_five"), ("sequential", "no_norm"), ("no_norm", "sequential"),
)  # fmt: skip
SUBCLASSED = (("sub", "sub"), ("sub", "sub_renamed"), ("sub", "sub_list"), ("sub_list", "sub"))
SUFFIXES = (".weights.h5", ".keras", ".h5")
WAYS: dict[str, tuple[tuple[str | None, bool], ...]] = {
    ".weights.h5": ((None, False), (None, True)),
    ".keras": ((None, False),),
    ".h5": ((None, False), (None, True), (Way.H5_BY_NAME, False), (Way.H5_BY_NAME, True)),
}
CASES = [
    (suffix, way, skips, *pair)
    for suffix in SUFFIXES
    for way, skips in WAYS[suffix]
    for pair in (PAIRS if suffix != ".weights.h5" else (*PAIRS, *SUBCLASSED))
]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def build(name: str) -> Any:
    """Make a model with numbers of its own in every variable."""
    keras.utils.set_random_seed(len(name))
    model = MODELS[name]()
    random = np.random.default_rng(len(name))
    optimizer = getattr(model, "optimizer", None)
    for one in (*model.variables, *(optimizer.variables if optimizer else ())):
        if "float" in str(one.dtype):
            one.assign(random.standard_normal(one.shape))
    return model


def save(model: Any, path: str) -> str:
    if path.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], str]:
    """Give the file of a model in a format, written once."""
    folder: Path = tmp_path_factory.mktemp("files")
    known: dict[tuple[str, str], str] = {}

    def write(name: str, suffix: str) -> str:
        if (name, suffix) not in known:
            known[name, suffix] = save(build(name), str(folder / f"{name}{suffix}"))
        return known[name, suffix]

    return write


def load(model: Any, path: str, way: str | None, *, skips: bool) -> str | None:
    """Load as a user does; give the class of the exception."""
    settings: dict[str, Any] = {"skip_mismatch": True} if skips else {}
    if way == Way.H5_BY_NAME:
        settings["by_name"] = True
    try:
        model.load_weights(path, **settings)
    except Exception as error:
        return type(error).__name__
    return None


def values_of(path: str) -> dict[str, Any]:
    with ckread.open(path) as checkpoint:
        return {variable.key: variable.numpy() for variable in checkpoint.values()}


def check_state(
    forecast: RestoreForecast, before: dict[str, Any], saved: dict[str, Any], after: dict[str, Any]
) -> None:
    """See that exactly what was foretold has the saved bits, everything else its own."""
    fine = [one for one in forecast.values if one.outcome in _FINE]
    if forecast.raises and forecast.way is not Way.LOAD_WEIGHTS:
        # Legacy files are assigned in the order of their layers until one does not fit.
        assert (
            sum(
                after[one.target.key or ""].tobytes() != before[one.target.key or ""].tobytes()
                for one in forecast.values
            )
            == forecast.assigned_before
        )
        return
    state = dict(before)
    for one in fine:
        assert one.target.key is not None
        assert one.saved is not None
        assert one.saved.key is not None
        state[one.target.key] = saved[one.saved.key]
    for key, value in state.items():
        assert after[key].tobytes() == value.tobytes(), key


@pytest.mark.parametrize(("suffix", "way", "skips", "saved", "target"), CASES)
def test_what_is_foretold_is_what_keras_does(
    suffix: str,
    way: str | None,
    skips: bool,
    saved: str,
    target: str,
    written: Callable[[str, str], str],
    tmp_path: Path,
) -> None:
    source = written(saved, suffix)
    model = build(target)
    before = save(model, str(tmp_path / f"before{suffix}"))
    forecast = ckread.compat(source, before, way=way, skip_mismatch=skips)
    error = load(model, source, way, skips=skips)
    if forecast.counts["unforeseen"]:
        assert saved == "sub_list"
        return
    assert (forecast.raises[0].type if forecast.raises else None) == error
    after = save(model, str(tmp_path / f"after{suffix}"))
    check_state(forecast, values_of(before), values_of(source), values_of(after))
