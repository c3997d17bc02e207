"""What a process that scores tells of itself, as a test would have it."""

from __future__ import annotations

import json
import os
import socket

from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.progress import PROGRESS
from scored_runs import SPEC


def told(run: Workspace, **changed: object) -> None:
    """Let a run's `progress.json` say that this process scores it, but for what is `changed`."""
    record = {
        "version": 1, "state": "running", "judge": "j", "spec": SPEC.model_dump(mode="json"),
        "pid": os.getpid(), "host": socket.gethostname(), "command": ["score", "x", "--run", "run"], "folder": "/",
        "stopped_by": ["SIGINT", "SIGTERM"], "started_at": 1.0, "written_at": 1.0,
        "counts": {"total": 5, "done": 1, "done_at_start": 0},
    }  # fmt: skip
    with atomic(run.root / PROGRESS) as path:  # as the one who scores writes it, while a page may read
        path.write_text(json.dumps(record | changed))
