"""Property tests: no deadline, since machines differ in speed; in CI the same examples every time.

The few files that take longest come first, so that of two processes none is left alone with them at the end.

Ctrl-C interrupts, as on a terminal, wherever the tests run: a shell has its background processes ignore it.
"""

import os
import signal

import pytest
from hypothesis import settings

LONGEST = ("test_readme.py", "test_pipeline.py", "test_benchmarks.py")

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)
