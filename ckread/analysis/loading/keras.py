"""What Keras would run, import or read for a model's configuration.

    object    {"module", "class_name", "config", "registered_name"}
    function  the same with `class_name` "function", whose config is its name
    Lambda    config["function"]: an object `__lambda__` with base64 code, or in files of
              Keras 2 a list [code, defaults, closure]; else the name of a function

Versions are those of the advisories. Keras before 3.9 imported any module that a
configuration names (CVE-2025-1550). Before 3.11 functions of Keras itself that read, write or
download could be called in it (CVE-2025-8747, -9906; now `NON_MODELING_APIS`). In an `.h5` a
Lambda was not held back by `safe_mode` before 3.11.3 (CVE-2025-9905); tf_keras loads it still.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.analysis.loading.bytecode import describe, is_code_text
from ckread.analysis.loading.records import UNREAD_CODE, LoadFact, What

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_KERAS = {"keras", "tf_keras", "tensorflow"}
_MODELING = {
    "activations", "backend", "constraints", "dtype_policies", "initializers", "layers", "losses",
    "metrics", "models", "ops", "optimizers", "quantizers", "random", "regularizers", "src",
    "legacy", "engine", "common", "api", "python", "keras", "_tf_keras", "preprocessing",
    "applications", "distribution", "trainers",
}  # fmt: skip
"""Parts of Keras's modules that hold what models are made of."""
_GADGETS = {
    "get_file": What.NETWORK,
    "load_model": What.READS_FILES,
    "load_weights": What.READS_FILES,
    "load_img": What.READS_FILES,
    "image_dataset_from_directory": What.READS_FILES,
    "text_dataset_from_directory": What.READS_FILES,
    "audio_dataset_from_directory": What.READS_FILES,
    "save_model": What.WRITES_FILES,
    "save_weights": What.WRITES_FILES,
    "save_img": What.WRITES_FILES,
    "model_from_json": What.RUNS_PYTHON,
    "deserialize_keras_object": What.RUNS_PYTHON,
    "enable_unsafe_deserialization": What.RUNS_PYTHON,
}
"""Functions of Keras that no model is made of, and what they do."""
_BUILTINS = {
    "eval", "exec", "compile", "open", "__import__", "input", "breakpoint", "getattr", "setattr",
    "delattr", "globals", "locals", "vars",
}  # fmt: skip
_LOOKUPS = {"StringLookup", "IntegerLookup", "IndexLookup", "TextVectorization"}
_SHORTEST_CODE = 60
_REFUSED = "load_model refuses it unless safe_mode=False"
_REFUSED_LATELY = f"{_REFUSED}, Keras before 3.11.3 and tf_keras run it"
_OF_SAVED_MODEL = "load_model of tf_keras reads it as code, tf.saved_model.load does not"
_MAX_DEPTH = 200


class Configuration(NamedTuple):
    """What a configuration holds.

    Attributes:
        facts: what Keras would do for it.
        n_objects: how many objects it describes.
        own: classes that the program has to register.
    """

    facts: list[LoadFact]
    n_objects: int
    own: tuple[str, ...]


def read_through(config: Any, member: str, *, is_legacy: bool) -> Configuration:
    """Tell what Keras would do for a configuration, the parsed JSON of a member or attribute.

    An `.h5` is legacy: Keras of other versions holds other things in it back.
    """
    walk = _Walk(member, _REFUSED_LATELY if is_legacy else _REFUSED, imports=True)
    facts = list(walk.told(config, ()))
    return Configuration(facts, walk.n_objects, tuple(walk.own))


def metadata_facts(documents: Sequence[str]) -> list[LoadFact]:
    """Tell what Keras would do for the metadata that objects of a SavedModel have."""
    walk = _Walk("keras_metadata.pb", _OF_SAVED_MODEL, imports=False)
    facts: dict[LoadFact, None] = {}
    for text in documents:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            continue
        facts.update(dict.fromkeys(walk.told(found, ())))
    # A model's metadata hold those of its layers once more.
    by_what = {(fact.what, fact.place[-1:], fact.detail): fact for fact in facts}
    return list(by_what.values())


class _Walk:
    """Goes through a configuration, object by object."""

    def __init__(self, member: str, refused: str, *, imports: bool) -> None:
        self._member = member
        self._refused = refused
        self._imports = imports
        self.n_objects = 0
        self.own: dict[str, None] = {}

    def told(self, value: Any, place: tuple[str, ...], depth: int = 0) -> Iterator[LoadFact]:
        """Yield what is told of a value and all that is in it; `place` is the layers around it."""
        if depth > _MAX_DEPTH:
            return
        if isinstance(value, list):
            for one in value:
                yield from self.told(one, place, depth + 1)
        elif isinstance(value, dict):
            inner = place
            if isinstance(value.get("class_name"), str):
                self.n_objects += 1
                config = value.get("config")
                named = config.get("name") if isinstance(config, dict) else None
                names = [one for one in (named, value.get("name")) if isinstance(one, str)]
                inner = (*place, *names[:1])
                yield from self._object(value, inner)
            for key, one in value.items():
                is_code = value.get(f"{key}_type") == "lambda" or key == "code"
                if not is_code:
                    yield from self.told(one, inner, depth + 1)
        elif isinstance(value, str) and len(value) > _SHORTEST_CODE and is_code_text(value):
            detail = f"{describe(value)}, at a place where Keras reads no code"
            where = (self._member, *place, "code")
            yield LoadFact(What.RUNS_PYTHON, "nothing", "nothing", where, UNREAD_CODE, detail)

    def _object(self, entry: dict[str, Any], place: tuple[str, ...]) -> Iterator[LoadFact]:
        class_name, config = entry["class_name"], entry.get("config")
        module = entry.get("module")
        if class_name == "__lambda__" and isinstance(config, dict):
            yield self._code(config.get("code"), place)
            return
        if class_name == "Lambda" and isinstance(config, dict):
            yield from self._lambda(config, place)
        if class_name in _LOOKUPS and isinstance(config, dict):
            vocabulary = config.get("vocabulary")
            if isinstance(vocabulary, str):
                detail = f'{class_name} reads its vocabulary at "{vocabulary}"'
                yield self._fact(What.READS_FILES, place, class_name, detail, (vocabulary,))
        if not isinstance(module, str) or not module or not self._imports:
            if entry.get("registered_name") and class_name != "function":
                self.own[class_name] = None
            return
        name = config if class_name == "function" and isinstance(config, str) else class_name
        first, *parts = module.split(".")
        if module == "builtins":
            if name in _BUILTINS:
                detail = f"calls {name} of Python"
                yield self._fact(What.RUNS_PYTHON, place, name, detail, ())
        elif first not in _KERAS:
            kind = "function" if class_name == "function" else "class"
            detail = (
                f"{kind} {name} of module {module}; Keras before 3.9 imports it, "
                "later ones ask the program for it"
            )
            yield self._fact(What.IMPORTS, place, f"{module}.{name}", detail, ())
        elif name in _GADGETS or (class_name == "function" and not _MODELING.issuperset(parts)):
            what = _GADGETS.get(name, What.RUNS_PYTHON)
            refused = "; Keras 3.15 refuses it" if name in _GADGETS else ""
            detail = f"calls {module}.{name}{refused}"
            constants = tuple(text for text in _texts(entry) if "/" in text)
            yield self._fact(what, place, f"{module}.{name}", detail, constants)

    def _lambda(self, config: dict[str, Any], place: tuple[str, ...]) -> Iterator[LoadFact]:
        """Tell what a Lambda calls; code in an object `__lambda__` is told of where that is."""
        for key in ("function", "output_shape", "mask"):
            function = config.get(key)
            if isinstance(function, dict) and function.get("class_name") == "__tuple__":
                function = function.get("items")
            if isinstance(function, dict) and function.get("class_name") in ("function", None):
                function = function.get("config")
            if isinstance(function, list) and function and config.get(f"{key}_type") == "lambda":
                yield self._code(function[0], place)
            elif isinstance(function, str) and key == "function":
                if config.get("function_type") == "lambda":
                    yield self._code(function, place)
                    continue
                detail = f"Lambda layer {place[-1] if place else ''} calls {function}, a function "
                detail += "that the program has to give"
                yield self._fact(What.RUNS_PYTHON, place, "Lambda", detail, ())

    def _code(self, code: Any, place: tuple[str, ...]) -> LoadFact:
        told = describe(code) if isinstance(code, str) else "code of a form that is not known"
        detail = f"Lambda layer {place[-1] if place else ''}: {told}. {self._refused}"
        return self._fact(What.RUNS_PYTHON, place, "Lambda", detail, ())

    def _fact(
        self,
        what: What,
        place: tuple[str, ...],
        op: str,
        detail: str,
        constants: tuple[str, ...],
    ) -> LoadFact:
        return LoadFact(what, "load_model", "load", (self._member, *place), op, detail, constants)


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield the texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)) and depth < _MAX_DEPTH:
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one, depth + 1)
