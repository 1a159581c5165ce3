"""`load_weights` of Keras files in three formats, against Keras itself."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread
from ckread.analysis.compat.records import Outcome, Way
from tests.analysis.compat import recorded

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


def sequential(library: Any) -> Any:
    layers = library.layers
    return library.Sequential(
        [library.Input((4,)), layers.Dense(8, name="a"), layers.Dense(3, name="head")]
    )


def nested_deeper(library: Any) -> Any:
    """Give a model that holds another one, of which a layer more than `nested` has."""
    model = programs.nested(library=library)
    inner = model.get_layer("inner")
    outputs = library.layers.Dense(4, name="three")(inner.output)
    deeper = library.Model(inner.input, outputs, name="inner")
    inputs = library.Input((4,), name="in")
    return library.Model(inputs, library.layers.Dense(3, name="head")(deeper(inputs)))


MODELS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda library: programs.functional(library=library),
    "extra": lambda library: programs.functional(extra=True, library=library),
    "no_norm": lambda library: programs.functional(norm=False, library=library),
    "wide": lambda library: programs.functional(width=16, library=library),
    "five": lambda library: programs.functional(out=5, library=library),
    "renamed": lambda library: programs.functional(names=("p", "q", "r"), library=library),
    "swapped": lambda library: programs.functional(names=("head", "norm", "a"), library=library),
    "tower": lambda library: programs.tower(library=library),
    "tower_inserted": lambda library: programs.tower(inserted=2, library=library),
    "nested": lambda library: programs.nested(library=library),
    "nested_flat": lambda library: programs.nested(flat=True, library=library),
    "nested_deeper": nested_deeper,
    "shared": lambda library: programs.shared(library=library),
    "unshared": lambda library: programs.shared(False, library=library),
    "lstm": lambda library: programs.recurrent(library=library),
    "gru": lambda library: programs.recurrent("GRU", library=library),
    "adam": lambda library: programs.fit(
        programs.functional(library=library), library.optimizers.Adam()
    ),
    "momentum": lambda library: programs.fit(
        programs.functional(library=library), library.optimizers.SGD(0.1, 0.9)
    ),
    "adam_five": lambda library: programs.fit(
        programs.functional(out=5, library=library), library.optimizers.Adam()
    ),
    "sequential": sequential,
    "sub": lambda _: programs.sub(),
    "sub_renamed": lambda _: programs.sub("renamed"),
    "sub_list": lambda _: programs.sub("list"),
}
PAIRS = (
    ("plain", "plain"), ("plain", "extra"), ("extra", "plain"), ("plain", "no_norm"),
    ("no_norm", "plain"), ("plain", "wide"), ("plain", "five"), ("plain", "renamed"),
    ("plain", "swapped"), ("tower", "tower_inserted"), ("tower_inserted", "tower"),
    ("nested", "nested"), ("nested", "nested_flat"), ("nested_flat", "nested"),
    ("nested", "nested_deeper"), ("nested_deeper", "nested"),
    ("shared", "unshared"), ("unshared", "shared"), ("lstm", "lstm"), ("lstm", "gru"),
    ("adam", "adam"), ("adam", "plain"), ("plain", "adam"), ("adam", "momentum"),
    ("adam", "adam_five"), ("sequential", "no_norm"), ("no_norm", "sequential"),
)  # fmt: skip
SUBCLASSED = (("sub", "sub"), ("sub", "sub_renamed"), ("sub", "sub_list"), ("sub_list", "sub"))
BY_PATH: tuple[tuple[str | None, bool], ...] = ((None, False), (None, True))
LEGACY = (*BY_PATH, (Way.H5_BY_NAME, False), (Way.H5_BY_NAME, True))
FILES: tuple[tuple[Any, str, tuple[tuple[str | None, bool], ...], Any], ...] = (
    (keras, ".weights.h5", BY_PATH, (*PAIRS, *SUBCLASSED)),
    (keras, ".keras", BY_PATH[:1], PAIRS),
    (keras, ".h5", LEGACY, PAIRS),
    (tf_keras, ".h5", LEGACY, PAIRS),
    (tf_keras, "-weights.h5", LEGACY, PAIRS),
    (tf_keras, ".weights.h5", BY_PATH[:1], PAIRS),
    (tf_keras, ".keras", BY_PATH[:1], PAIRS),
)
"""Who writes and loads, into which kind of file, in which ways, and what into what."""
CASES = [
    pytest.param(
        library, suffix, way, skips, *pair,
        id=f"{library.__name__}{suffix}-{way or 'usual'}{'-skip' * skips}-{'-'.join(pair)}",
    )
    for library, suffix, ways, pairs in FILES
    for way, skips in ways
    for pair in pairs
]  # fmt: skip


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def build(library: Any, name: str, *, is_target: bool) -> Any:
    """Make a model with numbers of its own in every variable, others where it is the target."""
    keras.utils.set_random_seed(len(name))
    model = MODELS[name](library)
    random = np.random.default_rng(2 * len(name) + is_target)
    optimizer = getattr(model, "optimizer", None)
    of_optimizer = () if optimizer is None else optimizer.variables
    for one in (*model.variables, *(of_optimizer() if callable(of_optimizer) else of_optimizer)):
        if "float" in str(one.dtype):
            one.assign(random.standard_normal(one.shape))
    return model


def save(model: Any, path: str) -> str:
    if path.endswith("weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any, str, str], str]:
    """Give the file of a model in a format, written once."""
    folder: Path = tmp_path_factory.mktemp("files")
    known: dict[str, str] = {}

    def write(library: Any, name: str, suffix: str) -> str:
        path = str(folder / f"{library.__name__}_{name}{suffix}")
        if path not in known:
            known[path] = save(build(library, name, is_target=False), path)
        return known[path]

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
    fine = {
        one.target.key or "": saved[one.saved.key or ""]
        for one in forecast.values
        if one.outcome in _FINE and one.saved is not None
    }
    if forecast.raises and forecast.assigned_before is None:
        return
    if forecast.raises and forecast.way is not Way.LOAD_WEIGHTS:
        # Legacy files are assigned in the order of their layers until one does not fit.
        changed = [key for key in before if after[key].tobytes() != before[key].tobytes()]
        assert len(changed) == forecast.assigned_before
        fine = {key: fine[key] for key in changed}
    for key, value in (before | fine).items():
        assert after[key].tobytes() == value.tobytes(), key


@pytest.mark.parametrize(("library", "suffix", "way", "skips", "saved", "target"), CASES)
def test_what_is_foretold_is_what_keras_does(
    library: Any,
    suffix: str,
    way: str | None,
    skips: bool,
    saved: str,
    target: str,
    written: Callable[[Any, str, str], str],
    tmp_path: Path,
) -> None:
    source = written(library, saved, suffix)
    model = build(library, target, is_target=True)
    before = save(model, str(tmp_path / f"before{suffix}"))
    forecast = ckread.compat(source, before, way=way, skip_mismatch=skips)
    error = load(model, source, way, skips=skips)
    if forecast.counts["unforeseen"]:
        is_converted = library is tf_keras and (saved == "lstm" or "deeper" in saved + target)
        assert saved == "sub_list" or is_converted
    else:
        assert (forecast.raises[0].type if forecast.raises else None) == error
        after = save(model, str(tmp_path / f"after{suffix}"))
        check_state(forecast, values_of(before), values_of(source), values_of(after))
    check_code(forecast, model, source, str(tmp_path / f"brought{suffix}"))
    names = [f"{library.__name__}_{name}{suffix}" for name in (saved, target)]
    there = recorded.write_keras(names[0], tmp_path / f"there{suffix}")
    here = recorded.write_keras(names[1], tmp_path / f"here{suffix}", is_target=True)
    again = ckread.compat(there, here, way=way, skip_mismatch=skips)
    assert recorded.outcomes(again) == recorded.outcomes(forecast)


def check_code(forecast: RestoreForecast, model: Any, source: str, path: str) -> None:
    """Run the code, and see that the model then has all that it promises, bit for bit."""
    exec(compile("\n".join(forecast.python), "<forecast>", "exec"), {"model": model})
    after, there = values_of(save(model, path)), values_of(source)
    promised = [(a.key or "", b.key or "") for a, b in forecast.renames]
    for key, place in promised:
        assert after[place].tobytes() == there[key].tobytes(), place
    by_name = [cure.brings for cure in forecast.cures if (cure.command or "").endswith("--python")]
    assert by_name in ([], [len(promised)])
    assert f": {len(promised)} of its " in " ".join(forecast.python).replace(" # ", " ")


@pytest.mark.parametrize(("saved", "target"), [(0, 1), (1, 0), (1, 1), (1, 2), (0, 0)])
def test_weights_of_the_model_itself(saved: int, target: int, tmp_path: Path) -> None:
    """A legacy file lists them apart, if only that there are none."""

    class Own(tf_keras.Model):  # type: ignore[misc,name-defined]
        def __init__(self, n: int) -> None:
            super().__init__(name="own")
            self.layer = tf_keras.layers.Dense(2, name="layer")
            for i in range(n):
                weight = self.add_weight(name=f"own{i}", shape=(i + 1,), initializer="ones")
                setattr(self, f"own{i}", weight)

        def call(self, x: Any) -> Any:
            return self.layer(x)

    def made(n: int) -> Any:
        model = Own(n)
        model(np.ones((1, 3), "f"))
        return model

    there, here = (str(tmp_path / name) for name in ("there.h5", "here.h5"))
    made(saved).save_weights(there)
    made(target).save_weights(here)
    for way in (Way.H5_IN_ORDER, Way.H5_BY_NAME):
        for skips in (False, True):
            found = ckread.compat(there, here, way=way, skip_mismatch=skips)
            error = load(made(target), there, way, skips=skips)
            assert (found.raises[0].type if found.raises else None) == error
            assert len(found) == 2 + target
            assert found.complete is (error is None and saved >= target)
