"""A scoring process's sign of life: `progress.json` beside the ledger, for whoever watches from outside.

It is written at most once a second, whole or not at all, and costs the run nothing: no fsync, and a disk that is full
is no error here. Nothing is ever read back by scoring itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from efficient_empathy.foundation.redaction import redact

NAME = "progress.json"
EVERY_S = 1.0
"""A URL with a user, a query or a fragment."""
State = Literal["running", "stopping", "complete", "stopped", "budget", "error"]


class Heartbeat:
    """What one judge's scoring tells of itself, as one JSON object.

    `state` (running, stopping; or how it ended: complete, stopped, budget, error, with its `reason`), `judge` and
    `spec`, what `counts` gives (`ScoringProgress.record`), `pid` and `host`, `stopped_by` (the signals, such as
    SIGTERM, that let the calls in flight finish), `command` (its arguments, None where it is no command or one could
    hold a secret) and `folder` (where it was started), `started_at` and `written_at` in Unix seconds.
    """

    def __init__(self, path: Path, judge: str, spec: str, counts: Callable[[], dict[str, Any]]) -> None:
        self.state: State = "running"
        self.reason = ""
        self.stopped_by: list[str] = []
        self._path, self._counts = path, counts
        self._about = {
            "judge": judge,
            "spec": spec,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "command": command_of(sys.argv),
            "folder": str(Path.cwd()),
            "started_at": time.time(),
        }

    async def beat(self) -> None:
        """Write now and once a second, until cancelled."""
        while True:
            self.write()
            await asyncio.sleep(EVERY_S)

    def end(self, state: State, reason: str = "") -> None:
        """Write how it ended, for good."""
        self.state, self.reason, self.stopped_by = state, reason, []
        self.write()

    def write(self) -> None:
        """Write what is known now; a failure to is passed over."""
        told = {"state": self.state, "reason": self.reason, "stopped_by": self.stopped_by, **self._about}
        temporary = self._path.with_name(f".{NAME}.{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps({**told, **self._counts(), "written_at": time.time()}), "utf-8")
            temporary.replace(self._path)


def command_of(argv: Sequence[str]) -> list[str] | None:
    """The arguments that this program was started with.

    None for another program, and where a URL carries a query or a user, which may be a secret.
    """
    program = Path(argv[0])
    ours = program.name == "efficient-empathy" or program.parts[-2:] == ("efficient_empathy", "__main__.py")
    return list(argv[1:]) if ours and not any(redact(part) != part for part in argv[1:]) else None
