"""Mutations of own.yaml: those that mutmut cannot make."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from benchmarks.mutation.mutants import Mutant
from benchmarks.mutation.rooms import PACKAGE, ROOMS

_PATIENCE_S = 300
"""A test that goes on for longer waits for something that the mutation has taken away."""


def run_own(root: Path, room: str, folder: Path, *, run: bool) -> Iterator[Mutant]:
    """A room's mutants of own.yaml, with their results; those of unchanged files and tests are remembered."""
    entries = yaml.safe_load((Path(__file__).parent / "own.yaml").read_text("utf-8")) or []
    memory = folder / "own.json"
    results: dict[str, str] = json.loads(memory.read_text("utf-8")) if memory.exists() else {}
    for entry in (one for one in entries if one["room"] == room):
        tests = entry.get("tests") or ROOMS[room].tests(root)
        source = (root / PACKAGE / entry["file"]).read_text("utf-8")
        if source.count(entry["find"]) != 1:
            sys.exit(f"own.yaml: {entry['name']!r} is to replace a text that is {source.count(entry['find'])} times in "
                     f"{entry['file']}: bring it up to date")  # fmt: skip
        mutated = source.replace(entry["find"], entry["replace"])
        parts = [mutated, *((root / test).read_text("utf-8") for test in tests)]
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        if key not in results and run:
            _require_sound(root, folder, entry["file"], source, tests)
            results[key] = _try(root, folder / "own", entry["file"], mutated, tests)
            memory.parent.mkdir(parents=True, exist_ok=True)
            memory.write_text(json.dumps(results), "utf-8")
        change = f"- {entry['find']}\n+ {entry['replace']}"
        yield Mutant(entry["name"], entry["file"], change, results.get(key, "not run"))


_SOUND: set[tuple[str, ...]] = set()
"""Tests that pass on the program as it is."""


def _require_sound(root: Path, folder: Path, file: str, source: str, tests: list[str]) -> None:
    """End where tests fail without any mutation: they would seem to notice every one."""
    if tuple(tests) not in _SOUND and _try(root, folder / "own", file, source, tests) == "killed":
        sys.exit(f"these tests fail on the program as it is: {' '.join(tests)}")
    _SOUND.add(tuple(tests))


def _try(root: Path, copy: Path, file: str, mutated: str, tests: list[str]) -> str:
    """Run the tests over the package with one file changed."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(root / "src", copy, copy_function=os.symlink, ignore=shutil.ignore_patterns("__pycache__"))
    target = copy / PACKAGE.relative_to("src") / file
    target.unlink()
    target.write_text(mutated, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(copy), "CI": "1", "OMP_NUM_THREADS": "1"}
    patience = ["-o", f"faulthandler_timeout={_PATIENCE_S}", "-o", "faulthandler_exit_on_timeout=true"]
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *patience]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False)
    return "survived" if done.returncode == 0 else "killed"
