"""Vocabularies of lookup layers: which a file holds, and which come back empty."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import numpy as np
import pytest

import ckread
from ckread.analysis import vocabulary
from ckread.analysis.check.check import check
from ckread.analysis.findings import Code
from ckread.analysis.vocabulary import (
    Vocabulary,
    find_vocabulary,
    missing_vocabularies,
    vocabulary_names,
)
from ckread.cli.main import main
from ckread.readers.contract import Format
from tests.analysis.array_checkpoint import checkpoint
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

DIGITS = FIXTURES / "digits_files" / "digits.keras"


def _layer(class_name: str, name: str, vocabulary: Any) -> dict[str, Any]:
    return {
        "module": "keras.layers",
        "class_name": class_name,
        "config": {"name": name, "vocabulary": vocabulary},
        "registered_name": None,
    }


def _with(path: Path, layers: list[dict[str, Any]], assets: dict[str, str]) -> str:
    """Write the digits anew with further layers in the configuration, and members."""
    with zipfile.ZipFile(DIGITS) as source, zipfile.ZipFile(path, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            if info.filename == "config.json":
                config = json.loads(data)
                config["config"]["layers"] += layers
                data = json.dumps(config).encode()
            target.writestr(info.filename, data)
        for name, text in assets.items():
            target.writestr(name, text)
    return str(path)


ASSET = "assets/layers/text_vectorization/vocabulary.txt"


def test_words_in_the_configuration_and_in_an_asset(tmp_path: Path) -> None:
    layers = [
        _layer("StringLookup", "colour", ["red", "grün"]),
        _layer("IntegerLookup", "age", [3, 5]),
        _layer("TextVectorization", "text", None),
    ]
    path = _with(tmp_path / "m.keras", layers, {ASSET: "\n[UNK]\nthe cat\n"})
    with ckread.open(path) as checkpoint:
        assert missing_vocabularies(checkpoint) == []
        colour = find_vocabulary(checkpoint, "colour")
        assert colour == Vocabulary("colour", "the configuration", ("red", "grün"))
        age = find_vocabulary(checkpoint, "age")
        assert age is not None
        assert age.words == ("3", "5")
        for name in ("text", ASSET, "vocabulary.txt", "text_vectorization/vocabulary.txt"):
            found = find_vocabulary(checkpoint, name)
            assert found is not None
            assert (found.source, found.words) == (ASSET, ("", "[UNK]", "the cat"))
        assert find_vocabulary(checkpoint, "hidden") is None
    assert not [f for f in check(path).findings if f.code is Code.VOCABULARY]


@pytest.mark.parametrize("class_name", ["StringLookup", "IntegerLookup", "TextVectorization"])
def test_words_that_are_not_there_come_back_empty(tmp_path: Path, class_name: str) -> None:
    path = _with(tmp_path / "m.keras", [_layer(class_name, "lookup", None)], {})
    (told,) = [f for f in check(path).findings if f.code is Code.VOCABULARY]
    assert told.message == "the file holds no vocabulary of lookup: it comes back empty"
    own = _layer(class_name, "lookup", None) | {"registered_name": "My>Lookup"}
    for layer in (own, _layer(class_name, "lookup", "words.txt"), _layer("Dense", "x", None)):
        with ckread.open(_with(tmp_path / "other.keras", [layer], {})) as checkpoint:
            assert missing_vocabularies(checkpoint) == []


def test_show_prints_the_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers = [_layer("StringLookup", "colour", ["red", "\x1b[1mgreen"])]
    path = _with(tmp_path / "m.keras", layers, {})
    assert main(["show", path, "colour"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "red\n\\x1b[1mgreen\n"
    assert "2 words of colour, from the configuration" in captured.err
    assert main(["show", path, "colour", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["values"] == ["red", "\x1b[1mgreen"]
    assert document["vocabulary"] == "the configuration"
    assert main(["show", path, "colours"]) == 2
    assert main(["show", path, "colour", "-o", str(tmp_path / "x.npy")]) == 2


@pytest.mark.oracle
def test_live_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A checkpoint of objects keeps the counts of the words alone, an export the words."""
    import keras
    import tensorflow as tf

    text = keras.layers.TextVectorization(output_sequence_length=3, name="text")
    text.adapt(["the cat sat", "the dog ran"])
    words = keras.Input((), dtype="string")
    model = keras.Model(words, keras.layers.Embedding(9, 2)(text(words)))
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    tf.train.Checkpoint(model=model).write(str(tmp_path / "ckpt"))
    model.export(tmp_path / "export")
    with ckread.open(tmp_path / "export") as checkpoint:
        assert missing_vocabularies(checkpoint) == []
        (constant,) = vocabulary_names(checkpoint)
        for name in (constant, "vocabulary"):
            found = find_vocabulary(checkpoint, name)
            assert found is not None
            assert list(found.words) == text.get_vocabulary(include_special_tokens=False)
    assert main(["show", str(tmp_path / "export"), "nothing"]) == 2
    assert f"Vocabularies:\n  {constant}\n" in capsys.readouterr().err
    with ckread.open(tmp_path / "m.keras") as checkpoint:
        found = find_vocabulary(checkpoint, "text")
        assert found is not None
        assert list(found.words) == text.get_vocabulary()
        assert missing_vocabularies(checkpoint) == []
    with ckread.open(tmp_path / "m.h5") as checkpoint:
        assert missing_vocabularies(checkpoint) == ["text"]
    with ckread.open(tmp_path / "ckpt") as checkpoint:
        assert len(missing_vocabularies(checkpoint)) == 1


def test_the_only_vocabulary_of_a_graph_needs_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    made = checkpoint({"w": np.ones(2)})
    monkeypatch.setattr(vocabulary, "_assets", lambda _: ())
    for constants, found in (
        ({"c1": ("a", "b")}, Vocabulary("c1", "the constant c1 of its graph", ("a", "b"))),
        ({"c1": ("a", "b"), "c2": ("c", "d")}, None),
        ({}, None),
    ):  # fmt: skip
        monkeypatch.setattr(vocabulary, "_constants", lambda _, constants=constants: constants)
        assert find_vocabulary(made, "vocabulary") == found
        named = find_vocabulary(made, "c1")
        assert named == (None if not constants else Vocabulary("c1", "the constant c1 of its graph",
                                                               ("a", "b")))  # fmt: skip


def test_an_asset_of_a_saved_model_is_read_from_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "v.txt").write_bytes(b"one\ntwo\n")
    made = Mock(format=Format.SAVED_MODEL, path=str(tmp_path))
    assert vocabulary._assets(made) == ("assets/v.txt",)
    assert vocabulary._read(made, "assets/v.txt") == b"one\ntwo\n"
    made.evidence.saved_model = None
    made.reader.contents = None
    for name in ("v.txt", "assets/v.txt"):
        found = find_vocabulary(made, name)
        assert found == Vocabulary(name, "assets/v.txt", ("one", "two"))
    assert find_vocabulary(made, "other") is None
