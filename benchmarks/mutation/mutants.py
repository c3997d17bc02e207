"""mutmut's mutants of one room: made, run and read again, each with what it changes."""

from __future__ import annotations

import ast
import difflib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.mutation.equivalents import is_equivalent
from benchmarks.mutation.rooms import PACKAGE, Room

LEFT_OUT = 34
"""mutmut's exit code of a mutant that is skipped: those that were not drawn."""
_KILLED = {1, 3, 24, 36, 37, 152, -24, -9, -11}
"""Failed, internal error, out of time in several ways, and crashed."""
_UNNOTICED = {0: "survived", 5: "no test", 33: "no test"}


@dataclass(frozen=True)
class Mutant:
    """One change, and what came of it: `killed`, `survived`, `no test` (reaches it), `unclear` (pytest could not run
    them) or `not run`."""

    name: str
    file: str
    change: str
    result: str

    @property
    def equivalent(self) -> bool:
        """Whether it makes no difference."""
        return is_equivalent(self.file, self.change)


def run_mutmut(root: Path, room: Room, folder: Path, sample: int | None) -> None:
    """Make the mutants and run those that have no result yet; of more than `sample`, so many."""
    (folder / "mutants" / "src").mkdir(parents=True, exist_ok=True)  # Python never looks again where there was nothing
    for name in ("src", "tests"):
        if not (folder / name).exists():
            (folder / name).symlink_to(root / name, target_is_directory=True)
    without = ["-k", f"not ({' or '.join(room.slow)})"] if room.slow else []
    settings: dict[str, Any] = {
        "source_paths": ["src"],
        "only_mutate": [str(PACKAGE / file) for file in room.files(root)],
        "pytest_add_cli_args_test_selection": room.tests(root),
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-p", "no:xdist", *without],
        "use_git_change_detection": False,
        "on_dependency_change": "ignore",
        "timeout_constant": 40.0,  # the clock of `runner.py` is stricter
        "process_isolation": "forkserver",  # a process in which polars has worked cannot be forked
    }
    table = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
    content = f"{(root / 'pyproject.toml').read_text('utf-8')}\n[tool.mutmut]\n{table}"
    pyproject = folder / "pyproject.toml"
    if not pyproject.exists() or pyproject.read_text("utf-8") != content:
        pyproject.write_text(content, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(folder / "mutants" / "src"), "CI": "1", "OMP_NUM_THREADS": "1"}

    def mutmut(command: str) -> None:
        runner = Path(__file__).parent / "runner.py"
        subprocess.run([sys.executable, str(runner), command], cwd=folder, env=environment, check=True)

    mutmut("make")
    _draw(room, folder, sample)
    _forget_survivors(room, folder)
    mutmut("run")


def _metas(room: Room, folder: Path) -> Iterator[tuple[str, Path]]:
    for file in room.files(folder):
        path = folder / "mutants" / PACKAGE / f"{file}.meta"
        if path.exists():
            yield file, path


def _draw(room: Room, folder: Path, sample: int | None) -> None:
    """Leave out all mutants but `sample`, those with the smallest hashes: the same ones every time; None is all."""
    results = {path: json.loads(path.read_text("utf-8")) for _, path in _metas(room, folder)}
    names = [name for meta in results.values() for name in meta["exit_code_by_key"]]
    drawn = set(sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[:sample])
    for path, meta in results.items():
        codes = meta["exit_code_by_key"]
        for name, code in codes.items():
            codes[name] = LEFT_OUT if name not in drawn else None if code == LEFT_OUT else code
        path.write_text(json.dumps(meta), "utf-8")


def _forget_survivors(room: Room, folder: Path) -> None:
    """Have mutants run again that no test noticed: there may be new tests. For these, the others need not."""
    stats = folder / "mutants" / "mutmut-stats.json"
    if stats.exists():  # mutmut would have all run again for a test file more
        content = json.loads(stats.read_text("utf-8"))
        stats.write_text(json.dumps({**content, "config_fingerprint": {}}), "utf-8")
    for _, path in _metas(room, folder):
        meta = json.loads(path.read_text("utf-8"))
        codes = meta["exit_code_by_key"]
        meta["exit_code_by_key"] = {
            name: code if code in _KILLED or code == LEFT_OUT else None for name, code in codes.items()
        }
        path.write_text(json.dumps(meta), "utf-8")


def made_by_mutmut(room: Room, folder: Path) -> Iterator[Mutant]:
    """The mutants of a room, with their results."""
    for file, path in _metas(room, folder):
        source = (folder / "mutants" / PACKAGE / file).read_text("utf-8")
        for name, code in json.loads(path.read_text("utf-8"))["exit_code_by_key"].items():
            result = (
                "not run"
                if code in (None, LEFT_OUT)
                else "killed"
                if code in _KILLED
                else _UNNOTICED.get(code, "unclear")
            )
            yield Mutant(name.removeprefix("efficient_empathy."), file, _change(source, name), result)


def _change(source: str, name: str) -> str:
    """The lines that a mutant has in place of the function's own, as in a diff without its head."""
    mangled = name.rpartition(".")[2]
    original = mangled.rpartition("__mutmut_")[0] + "__mutmut_orig"
    before, after = (_body(source, function) for function in (original, mangled))
    lines = difflib.unified_diff(before, after, lineterm="", n=0)
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines if line[:3] not in ("---", "+++", "@@ "))


@cache
def _functions(source: str) -> dict[str, list[str]]:
    lines = source.splitlines()
    return {
        node.name: [line.replace(node.name, "_") for line in lines[node.lineno - 1 : node.end_lineno]]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "__mutmut_" in node.name
    }


def _body(source: str, function: str) -> list[str]:
    return _functions(source)[function]
