"""Property tests: no deadline, since machines differ in speed; in CI the same examples every time.

The few files that take longest come first, so that of two processes none is left alone with them at the end.

Nothing that collecting makes is garbage, so the collector waits: it would take a quarter of that time.

Ctrl-C interrupts, as on a terminal, wherever the tests run: a shell has its background processes ignore it. So does
`nohup` with the loss of a terminal; these tests may outlive theirs too, but the programs that they start do not.

What tests write lies in memory where there is room, and is removed once they have passed: runs are synced to their disk
at each step, which takes a disk milliseconds. Another place: TMPDIR.
"""

import atexit
import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from browser import chromium
from efficient_empathy.foundation import permissions

MEMORY = Path("/dev/shm")
ROOM = 4 << 30
"""Bytes, far more than they take at once."""
LONGEST = (
    "/docs/test_handbook.py",
    "/synthesis/test_stage.py",
    "/test_readme.py",
    "/test_pipeline.py",
    "/test_benchmarks.py",
)


def has_room(folder: Path) -> bool:
    """Whether tests may write there, and start programs that they have written."""
    if not os.access(folder, os.W_OK):
        return False
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize > ROOM and not disk.f_flag & os.ST_NOEXEC


settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)  # what is handled here is as it was by default in a new program
gc.disable()
if "TMPDIR" not in os.environ and has_room(MEMORY):
    os.environ["TMPDIR"] = str(MEMORY)  # for the processes that tests start
    tempfile.tempdir = None
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="state-")  # what tests allow is not remembered for their user
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONGEST))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture
def nothing_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has allowed nothing, and asked for nothing before."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv(permissions.VARIABLE, raising=False)
    monkeypatch.setattr(permissions, "_session", set())


@pytest.fixture(scope="module")
def browser_of_the_file() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(browser_of_the_file: Any) -> Iterator[Any]:
    """One browser for the tests of a file.

    What a test opened is closed after it: pages left open would go on asking and drawing beside the tests that follow.
    """
    yield browser_of_the_file
    for context in browser_of_the_file.contexts:
        context.close()
