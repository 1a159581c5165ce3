"""Counts of the house: `python -m tests.house [PACKAGE]`, and the files that commands enter.

Files, lines, folders, functions and what is private and called once are counted over the syntax
trees; imports past a door and circles are those that the contracts in pyproject.toml excuse.
"""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

from tests.places import FIXTURES, ROOT

Function = ast.FunctionDef | ast.AsyncFunctionDef

_RUN = str(FIXTURES / "digits_run")
COMMANDS = {
    "info": ["info", f"{_RUN}/ckpt-10"],
    "ls": ["ls", f"{_RUN}/ckpt-10"],
    "diff": ["diff", f"{_RUN}/ckpt-2", f"{_RUN}/ckpt-3"],
    "stats": ["stats", f"{_RUN}/ckpt-10"],
    "check": ["check", f"{_RUN}/ckpt-10"],
    "drift": ["drift", _RUN],
}
"""Commands whose way through the house is counted."""

_COUNTS_FILES = """
import sys, threading
entered = set()
def see(frame, event, argument):
    path = frame.f_code.co_filename
    if event == "call" and "/ckread/" in path and frame.f_code.co_name != "<module>":
        entered.add(path)
from ckread.cli.main import main
sys.setprofile(see)
main(sys.argv[1:])
sys.setprofile(None)
sys.stderr.write(f"\\n{len(entered)}")
"""


def files_entered(words: list[str], root: Path) -> int:
    """Count the files of the package in which something runs after it was imported."""
    done = subprocess.run(
        [sys.executable, "-c", _COUNTS_FILES, *words],
        capture_output=True,
        check=True,
        cwd=root,
    )
    return int(done.stderr.splitlines()[-1])


def called_once(trees: dict[Path, ast.Module]) -> tuple[int, int, list[str]]:
    """Count functions, those that are private and referred to once, and name the latter."""
    n_functions = 0
    private: list[tuple[Path, str]] = []
    references: Counter[str] = Counter()
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                n_functions += 1
                if node.name.startswith("_") and not node.name.startswith("__"):
                    private.append((path, node.name))
            elif isinstance(node, ast.Name):
                references[f"{path}:{node.id}"] += 1
            elif isinstance(node, ast.Attribute):
                references[f"{path}:{node.attr}"] += 1
    once = [f"{path}:{name}" for path, name in private if references[f"{path}:{name}"] == 1]
    return n_functions, len(once), once


def excused(root: Path) -> tuple[list[str], list[str]]:
    """Give the imports past a door, and those that close a circle, which contracts excuse."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    ignored: dict[str, list[str]] = {"protected": [], "acyclic_siblings": [], "layers": []}
    for contract in contracts:
        ignored[contract["type"]] += contract.get("ignore_imports", [])
    return ignored["protected"], ignored["acyclic_siblings"]


def main() -> None:
    """Print the counts of the package below a root, this project's own by default."""
    root = Path(sys.argv[1]) if sys.argv[1:] else ROOT
    package = root / "ckread"
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    lines = [len(text.splitlines()) for text in texts.values()]
    folders = Counter(str(path.parent.relative_to(root)) for path in texts)
    n_functions, n_once, once = called_once(trees)
    past, circles = excused(root)
    rows = {
        "files": len(texts),
        "lines": f"{sum(lines):,}",
        "lines of a file": f"mean {statistics.mean(lines):.0f}, median "
        f"{statistics.median(lines):.0f}, p90 {sorted(lines)[len(lines) * 9 // 10]}, "
        f"longest {max(lines)}",
        "files in a folder": ", ".join(f"{name} {n}" for name, n in folders.most_common(4)),
        "functions": n_functions,
        "private, called once": f"{n_once} ({n_once / n_functions:.1%})",
        "imports past a door": len(past),
        "imports that close a circle": len(circles),
    }
    rows |= {
        f"files entered by {name}": files_entered(words, root) for name, words in COMMANDS.items()
    }
    for name, value in rows.items():
        sys.stdout.write(f"{name:28}  {value}\n")
    if "--once" in sys.argv:
        sys.stdout.write("\n".join(once) + "\n")


if __name__ == "__main__":
    main()
