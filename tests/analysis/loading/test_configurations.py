"""What is told of configurations of Keras, whole facts: no file, no Keras."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ckread.analysis.loading.bytecode import describe
from ckread.analysis.loading.keras import metadata_facts, read_through
from ckread.analysis.loading.records import LoadFact, What
from tests.analysis.loading.test_bytecode import code, items, short

MARSHALLED = base64.b64encode(code(short("HOME" * 8), names=items(short("os")))).decode()
TOLD = describe(MARSHALLED)
REFUSED = "load_model refuses it unless safe_mode=False"
LATELY = f"{REFUSED}, Keras before 3.11.3 and tf_keras run it"
OF_SAVED_MODEL = "load_model of tf_keras reads it as code, tf.saved_model.load does not"


def entry(class_name: str, config: Any, module: Any = None, **more: Any) -> dict[str, Any]:
    found = {"class_name": class_name, "config": config, **more}
    return found if module is None else {"module": module, **found}


def fact(what: What, place: tuple[str, ...], op: str, detail: str, *constants: str) -> LoadFact:
    return LoadFact(what, "load_model", "load", ("config.json", *place), op, detail, constants)


def told(config: Any) -> list[LoadFact]:
    return read_through(config, "config.json", is_legacy=False).facts


IMPORTED = "; Keras before 3.9 imports it, later ones ask the program for it"
ENTRIES: list[tuple[dict[str, Any], LoadFact | None]] = [
    (entry("Dense", {"name": "a"}, "keras.layers"), None),
    (entry("Dense", {"name": "a"}, "keras.src.layers.core"), None),
    (entry("function", "relu", "keras.activations"), None),
    (entry("function", "relu", "tensorflow.python.keras.activations"), None),
    (entry("function", "len", "builtins"), None),
    (entry("Dense", {"name": "a"}), None),
    (entry("Dense", {"name": "a"}, ""), None),
    (entry("Dense", {"name": "a"}, 7), None),
    (
        entry("Mine", {"name": "a"}, "mine.layers"),
        fact(
            What.IMPORTS, ("a",), "mine.layers.Mine",
            f"class Mine of module mine.layers{IMPORTED}",
        ),
    ),
    (
        entry("zebra", {"name": "a"}, "mine"),
        fact(What.IMPORTS, ("a",), "mine.zebra", f"class zebra of module mine{IMPORTED}"),
    ),
    (
        entry("function", "system", "os"),
        fact(What.IMPORTS, (), "os.system", f"function system of module os{IMPORTED}"),
    ),
    (
        entry("function", {"name": "f"}, "os"),
        fact(What.IMPORTS, ("f",), "os.function", f"function function of module os{IMPORTED}"),
    ),
    (
        entry("function", "eval", "builtins"),
        fact(What.RUNS_PYTHON, (), "eval", "calls eval of Python"),
    ),
    (
        entry("function", "pad_sequences", "keras.utils"),
        fact(What.RUNS_PYTHON, (), "keras.utils.pad_sequences", "calls keras.utils.pad_sequences"),
    ),
    (entry("Progbar", {"name": "p"}, "keras.utils"), None),  # a class is made, nothing is called
    (
        entry("function", "get_file", "keras.utils", args=["https://x/y", "name", {"a": "b/c"}]),
        fact(
            What.NETWORK, (), "keras.utils.get_file",
            "calls keras.utils.get_file; Keras 3.15 refuses it", "https://x/y", "b/c",
        ),
    ),
    (
        entry("load_model", {"name": "m", "path": "/tmp/m"}, "tf_keras.models"),
        fact(
            What.READS_FILES, ("m",), "tf_keras.models.load_model",
            "calls tf_keras.models.load_model; Keras 3.15 refuses it", "/tmp/m",
        ),
    ),
    (
        entry("StringLookup", {"name": "w", "vocabulary": "/etc/passwd"}, "keras.layers"),
        fact(
            What.READS_FILES, ("w",), "StringLookup",
            'StringLookup reads its vocabulary at "/etc/passwd"', "/etc/passwd",
        ),
    ),
    (
        entry("TextVectorization", {"vocabulary": "v.txt"}),
        fact(
            What.READS_FILES, (), "TextVectorization",
            'TextVectorization reads its vocabulary at "v.txt"', "v.txt",
        ),
    ),
    (entry("StringLookup", {"name": "w", "vocabulary": ["a", "b"]}, "keras.layers"), None),
    (entry("StringLookup", "/etc/passwd", "keras.layers"), None),
    (entry("Other", {"name": "w", "vocabulary": "/etc/passwd"}, "keras.layers"), None),
    (
        entry("Lambda", {"name": "l", "function": "mine"}, "keras.layers"),
        fact(
            What.RUNS_PYTHON, ("l",), "Lambda",
            "Lambda layer l calls mine, a function that the program has to give",
        ),
    ),
    (
        entry("Lambda", {"name": "l", "function": entry("function", "mine")}),
        fact(
            What.RUNS_PYTHON, ("l",), "Lambda",
            "Lambda layer l calls mine, a function that the program has to give",
        ),
    ),
    (
        entry("Lambda", {"function": "mine"}),
        fact(
            What.RUNS_PYTHON, (), "Lambda",
            "Lambda layer  calls mine, a function that the program has to give",
        ),
    ),
    (
        entry("Lambda", {"name": "l", "function": MARSHALLED, "function_type": "lambda"}),
        fact(What.RUNS_PYTHON, ("l",), "Lambda", f"Lambda layer l: {TOLD}. {REFUSED}"),
    ),
    (
        entry("Lambda", {"name": "l", "function": [MARSHALLED, None], "function_type": "lambda"}),
        fact(What.RUNS_PYTHON, ("l",), "Lambda", f"Lambda layer l: {TOLD}. {REFUSED}"),
    ),
    (
        entry(
            "Lambda",
            {
                "name": "l", "function_type": "lambda",
                "function": {"class_name": "__tuple__", "items": [MARSHALLED, None]},
            },
        ),
        fact(What.RUNS_PYTHON, ("l",), "Lambda", f"Lambda layer l: {TOLD}. {REFUSED}"),
    ),
    (
        entry("Lambda", {"name": "l", "mask": [MARSHALLED, None], "mask_type": "lambda"}),
        fact(What.RUNS_PYTHON, ("l",), "Lambda", f"Lambda layer l: {TOLD}. {REFUSED}"),
    ),
    (
        entry("Lambda", {"name": "l", "output_shape": [7], "output_shape_type": "lambda"}),
        fact(
            What.RUNS_PYTHON, ("l",), "Lambda",
            f"Lambda layer l: code of a form that is not known. {REFUSED}",
        ),
    ),
    (entry("Lambda", {"name": "l", "output_shape": "mine", "mask": "mine"}), None),
    (entry("Lambda", {"name": "l", "output_shape": [3, 4], "function": []}), None),
    (
        entry("Lambda", {"name": "l", "function": entry("__lambda__", {"code": MARSHALLED})}),
        fact(What.RUNS_PYTHON, ("l",), "Lambda", f"Lambda layer l: {TOLD}. {REFUSED}"),
    ),
    (entry("__lambda__", "text"), None),
    (
        {"name": "n", "settings": MARSHALLED},
        LoadFact(
            What.RUNS_PYTHON, "nothing", "nothing", ("config.json", "code"), "code",
            f"{TOLD}, at a place where Keras reads no code",
        ),
    ),
    ({"code": MARSHALLED}, None),
    ({"settings": "4w" + "x" * 80}, None),
]  # fmt: skip


@pytest.mark.parametrize(("config", "expected"), ENTRIES)
def test_one_entry(config: dict[str, Any], expected: LoadFact | None) -> None:
    assert told(config) == ([] if expected is None else [expected])


GADGETS = {
    What.NETWORK: "get_file",
    What.READS_FILES: (
        "load_model load_weights load_img image_dataset_from_directory "
        "text_dataset_from_directory audio_dataset_from_directory"
    ),
    What.WRITES_FILES: "save_model save_weights save_img",
    What.RUNS_PYTHON: "model_from_json deserialize_keras_object enable_unsafe_deserialization",
}


@pytest.mark.parametrize("what", GADGETS)
def test_functions_of_keras_that_no_model_is_made_of(what: What) -> None:
    for name in GADGETS[what].split():
        op = f"keras.models.{name}"
        expected = fact(what, (), op, f"calls {op}; Keras 3.15 refuses it")
        assert told(entry("function", name, "keras.models")) == [expected]


BUILTINS = (
    "eval exec compile open __import__ input breakpoint getattr setattr delattr globals locals vars"
)


@pytest.mark.parametrize("name", BUILTINS.split())
def test_functions_of_python(name: str) -> None:
    detail = f"calls {name} of Python"
    assert told(entry("function", name, "builtins")) == [fact(What.RUNS_PYTHON, (), name, detail)]


MODELING = (
    "activations backend constraints dtype_policies initializers layers losses metrics "
    "models ops optimizers quantizers random regularizers src legacy engine common api python "
    "keras _tf_keras preprocessing applications distribution trainers"
)


@pytest.mark.parametrize("part", MODELING.split())
def test_modules_that_models_are_made_of(part: str) -> None:
    for first in ("keras", "tf_keras", "tensorflow"):
        assert told(entry("function", "f", f"{first}.{part}")) == []
        assert len(told(entry("function", "f", f"{first}.{part}.utils"))) == 1


def test_where_it_is_and_how_many_there_are() -> None:
    lambda_ = entry("Lambda", {"name": "l", "function": "f"}, registered_name="Lambda")
    inner = entry("Functional", {"name": "inner", "layers": [lambda_]}, "keras")
    own = entry("Own", {"x": 1}, name="o", registered_name="mine>Own", kernel=lambda_)
    whole = entry("Functional", {"name": "top", "layers": [inner, own]}, "keras")
    found = read_through(whole, "config.json", is_legacy=False)
    assert [one.place for one in found.facts] == [
        ("config.json", "top", "inner", "l"), ("config.json", "top", "o", "l"),
    ]  # fmt: skip
    assert (found.n_objects, found.own) == (5, ("Lambda", "Own"))


def test_what_the_program_registers() -> None:
    """With a module it is imported; a function is asked for where it is called."""
    assert read_through(entry("A", {}, registered_name="m>A"), "m", is_legacy=False).own == ("A",)
    for one in (
        entry("A", {}),
        entry("function", "f", registered_name="f"),
        entry("A", {}, "keras.layers", registered_name="A"),
        {"registered_name": "A"},
    ):
        assert read_through(one, "m", is_legacy=False).own == ()  # fmt: skip


@pytest.mark.parametrize(("depth", "n"), [(200, 1), (201, 0)])
def test_how_deep_it_is_followed(depth: int, n: int) -> None:
    config: Any = entry("function", "eval", "builtins")
    for _ in range(depth):
        config = [config]
    assert len(told(config)) == n
    config = entry("function", "eval", "builtins")
    for _ in range(depth):
        config = {"x": config}
    assert len(told(config)) == n
    texts: Any = "a/b"
    for _ in range(depth - 1):
        texts = [texts]
    one = entry("function", "get_file", "keras.utils", arguments=texts)
    assert told(one)[0].constants == (("a/b",) if n else ())


def test_a_legacy_file_is_not_held_back() -> None:
    lambda_ = entry("Lambda", {"name": "l", "function": MARSHALLED, "function_type": "lambda"})
    [found] = read_through(lambda_, "model_config", is_legacy=True).facts
    assert found.place == ("model_config", "l")
    assert found.detail == f"Lambda layer l: {TOLD}. {LATELY}"


def test_metadata_of_a_saved_model() -> None:
    """A layer is in that of its model too; modules are not imported; what is no JSON is none."""
    lambda_ = entry("Lambda", {"name": "l", "function": MARSHALLED, "function_type": "lambda"})
    model = entry("Functional", {"name": "top", "layers": [lambda_, entry("X", {}, "mine")]})
    texts = [json.dumps(lambda_), "no json", "[" * 100_000, json.dumps(model), json.dumps(lambda_)]
    assert metadata_facts(texts) == [
        LoadFact(
            What.RUNS_PYTHON, "load_model", "load", ("keras_metadata.pb", "top", "l"), "Lambda",
            f"Lambda layer l: {TOLD}. {OF_SAVED_MODEL}",
        )
    ]  # fmt: skip
