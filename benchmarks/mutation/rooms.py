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
    """Tests that start processes, take seconds or fail on a busy machine, which mutmut leaves out."""

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
        ("scoring/ledger/*.py",),
        ("scoring/ledger/test_*.py",),
        slow=(
            "test_two_processes_write_at_once_and_nothing_is_lost",
            "test_what_a_killed_worker_wrote_is_taken_in_when_the_ledger_is_opened",
        ),
    ),
    "workspace": Room(
        tuple(f"foundation/run/{name}.py" for name in ("files", "manifest", "workspace", "known_hashes", "sealed")),
        tuple(
            f"foundation/run/test_{name}*.py" for name in ("files", "manifest", "workspace", "known_hashes", "sealed")
        ),
        slow=("test_what_a_killed_process_left_is_swept", "test_the_lock_is_for_one_process_and_goes_with_it"),
    ),
    "budget": Room(("llm/budget.py",), ("llm/test_budget*.py",)),
    "security": Room(
        (
            "studio/server/security.py",
            "studio/server/links.py",
            "web/addresses.py",
            "web/connections.py",
            "web/rates.py",
            "web/requests.py",
            "foundation/permissions.py",
            "foundation/guard.py",
            "foundation/errors.py",
            "foundation/spreadsheets.py",
            "evaluation/ratings/draws.py",
        ),
        (
            "studio/server/test_links.py",
            "studio/server/test_security*.py",
            "web/test_*.py",
            "foundation/test_permissions.py",
            "test_recipe_permissions.py",
            "dialogues/test_links.py",
            "foundation/test_errors.py",
            "foundation/test_spreadsheets.py",
            "evaluation/ratings/test_draws.py",
        ),
        slow=(
            "test_processes_that_are_started_inherit_what_is_allowed",
            "test_half_open_connections_shut_nobody_out_and_are_ended",
            "test_nothing_else_is_a_link",
            "test_whoever_replays_the_design_without_its_secret_guesses_no_better_than_chance",
        ),
    ),
    "client": Room(
        ("llm/*.py", "llm/wire/*.py"),
        ("llm/test_*.py", "llm/wire/test_*.py"),
        others=("__init__.py", "budget.py", "settings.py"),
        slow=("test_every_call_ends_whatever_the_server_does",),
    ),
}
