"""The same corpus under another Keras than today's, in an environment of its own.

Which one, a variable says; without it nothing is run. As for Keras 3.5 and 3.10:

    python -m venv /tmp/keras35
    /tmp/keras35/bin/pip install -e '.[test]' 'keras==3.5.*'
    CKREAD_OTHER_KERAS=/tmp/keras35/bin/python pytest tests/analysis/compat/test_other_keras.py
"""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.places import ROOT

OTHER = os.environ.get("CKREAD_OTHER_KERAS", "")

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.slow,
    pytest.mark.skipif(not OTHER, reason="CKREAD_OTHER_KERAS names no other python"),
]


@pytest.mark.parametrize("corpus", ["test_keras_files.py", "test_live.py"])
def test_the_corpus_under_another_keras(corpus: str) -> None:
    path = str(ROOT / "tests" / "analysis" / "compat" / corpus)
    command = [OTHER, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", path]
    if corpus == "test_keras_files.py":
        command += ["-k", "not tf_keras"]  # which is the same in both
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
