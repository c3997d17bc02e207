"""mutmut with tests in the order in which they are likely to fail, each with a time limit of its own.

    cd FOLDER && python …/benchmarks/mutation/runner.py make | run

A process to itself, in a room's folder: mutmut changes the working directory, the modules and the environment. Which
tests reach a function it finds out itself. Here those for the file that is mutated come first, quick ones before slow
ones; a test that hangs is ended by its own usual duration, not by that of all; and hypothesis looks for no smaller
example of a failure.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import Phase
from mutmut import __main__ as mutmut
from mutmut.mutation.trampoline import get_mutant_under_test
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.workers import isolation
from mutmut.workers.isolation import ForkServerRunner

_QUICK_S = 0.3
_PATIENCE_S, _TIMES = 30.0, 10.0
"""A test has so many seconds of CPU, and so many times as long as it takes on the program as it is."""
_LOOK_S, _IDLE_S = 60.0, 0.1
"""It is looked at so often; one that has taken less CPU than this since the last look waits for what never comes."""
_TIMEOUT = 36
"""mutmut's exit code of a mutant that hangs."""


class Plugin:
    """What is otherwise for a test under mutation."""

    def __init__(self, hurried: bool) -> None:
        self._hurried = hurried
        self._limit = self._taken = 0.0

    def pytest_configure(self, config: pytest.Config) -> None:
        """Leave out the search for a smaller example; the tests' own profile stays as it is otherwise."""
        phases = [Phase.explicit, Phase.generate]
        profile = hypothesis.settings.get_profile(hypothesis.settings.get_current_profile_name())
        hypothesis.settings.register_profile("mutation", profile, phases=phases)
        hypothesis.settings.load_profile("mutation")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Set the clock. It counts CPU, so that a busy machine kills no mutant."""
        if self._hurried:
            self._taken = time.process_time()
            self._limit = self._taken + _PATIENCE_S + _TIMES * state().duration_by_test.get(nodeid, 0.0)
            signal.signal(signal.SIGALRM, self._look)
            signal.setitimer(signal.ITIMER_REAL, _LOOK_S, _LOOK_S)

    def _look(self, *_: object) -> None:
        before, self._taken = self._taken, time.process_time()
        if self._taken > self._limit or self._taken - before < _IDLE_S:
            os._exit(_TIMEOUT)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Say which test fails without a mutation, which mutmut keeps to itself."""
        if report.failed and not self._hurried and get_mutant_under_test() != "fail":
            print(
                f"\n{report.nodeid} fails without any mutation\n{report.longreprtext}", file=sys.__stderr__, flush=True
            )


class Runner(PytestRunner):
    """mutmut's runner, with the plugin, and the tests in order."""

    _hurried = False

    def execute_pytest(self, params: list[str], **kwargs: Any) -> int:
        """See `PytestRunner`."""
        return super().execute_pytest(params, plugins=[*kwargs.pop("plugins", ()), Plugin(self._hurried)], **kwargs)

    def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        """See `PytestRunner`."""
        if not mutant_name:
            return super().run_tests(mutant_name=mutant_name, tests=tests)
        stem = mutant_name.rpartition(".")[0].rpartition(".")[2]
        self._hurried = True
        return super().run_tests(mutant_name=mutant_name, tests=in_order(tests, stem))


class Server(ForkServerRunner):
    """mutmut's server, without the run of all tests that says what the one that finds out their reach has just said."""

    _sound = False

    def collect_stats(self, tests: Iterable[str] | None) -> int:
        """See `ForkServerRunner`."""
        given = list(tests or ())
        code = super().collect_stats(given)
        self._sound = not given and code == 0
        return code

    def run_clean_tests(self, tests: Iterable[str]) -> int:
        """See `ForkServerRunner`."""
        return 0 if self._sound else super().run_clean_tests(tests)


def in_order(tests: Iterable[str], stem: str) -> list[str]:
    """Quick tests before slow ones, the module's own first; each file's together, since they share fixtures."""

    def place(test: str) -> tuple[bool, bool, str, float]:
        file, duration = test.partition("::")[0], state().duration_by_test.get(test, 0.0)
        return (duration > _QUICK_S, not Path(file).name.startswith(f"test_{stem}"), file, duration)

    return sorted(tests, key=place)


def make() -> None:
    """Make the mutants, and run none."""
    Path("mutants").mkdir(exist_ok=True)
    mutmut.copy_src_dir()
    mutmut.copy_also_copy_files()
    mutmut.setup_source_paths()
    mutmut.create_mutants(1)


if __name__ == "__main__":
    sys.path.pop(0)  # this folder's, whose modules are no part of what is mutated
    isolation.PytestRunner, isolation.ForkServerRunner = Runner, Server  # type: ignore[misc]
    if sys.argv[1] == "make":
        make()
    else:
        mutmut.cli(["run", "--max-children", "1"])
