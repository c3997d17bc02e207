"""The rooms whose mutants are run, each with its files and the tests that are for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path("src/efficient_empathy")


@dataclass(frozen=True)
class Room:
    """Files below src/efficient_empathy, and test files below tests, as patterns."""

    sources: tuple[str, ...]
    test_files: tuple[str, ...]
    others: tuple[str, ...] = ()
    """Names of files that are another room's."""
    slow: tuple[str, ...] = ()
    """Tests that start processes, which mutmut leaves out: each of its mutants would wait for them."""

    def files(self, root: Path) -> list[str]:
        """The files that are mutated, below the package."""
        return self._matches(root / PACKAGE, self.sources)

    def tests(self, root: Path) -> list[str]:
        """The test files, below `root`."""
        return [f"tests/{name}" for name in self._matches(root / "tests", self.test_files)]

    def _matches(self, folder: Path, patterns: Iterable[str]) -> list[str]:
        paths = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
        return [path.relative_to(folder).as_posix() for path in paths if path.name not in self.others]


ROOMS = {
    "ledger": Room(
        ("scoring/ledger.py",),
        ("scoring/test_ledger*.py",),
        slow=("test_two_processes_write_at_once_and_nothing_is_lost",),
    ),
    "workspace": Room(
        ("foundation/run/workspace.py", "foundation/run/files.py", "foundation/run/manifest.py"),
        ("foundation/run/test_manifest*.py", "foundation/run/test_files*.py", "foundation/run/test_workspace*.py"),
        slow=("test_what_a_killed_process_left_is_swept", "test_the_lock_is_for_one_process_and_goes_with_it"),
    ),
    "budget": Room(("llm/budget.py",), ("llm/test_budget*.py",)),
    "security": Room(
        ("studio/server/security.py", "studio/server/links.py"),
        ("studio/server/test_links*.py", "studio/server/test_security*.py"),
    ),
    "client": Room(("llm/*.py",), ("llm/test_*.py",), others=("__init__.py", "budget.py", "settings.py")),
}
