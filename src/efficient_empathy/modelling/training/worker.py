"""One of the processes that `accelerate launch` starts: python -m efficient_empathy.modelling.training.worker JOB.json.

The first process prints one JSON object a line: `{"step", "steps", "loss"}`, or `{"error"}` before it stops with 1.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.training.jobs import Job, run

PARENT = "EFFICIENT_EMPATHY_PARENT"
"""The process id of the command that started the training."""


def main() -> None:
    """Run the job; end with the command that started it, however that ended."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = Job.read(Path(sys.argv[1]))
    first = os.environ.get("RANK", "0") == "0"
    try:
        run(job, lambda step, steps, loss: _say(step=step, steps=steps, loss=loss), main=first)
    except UserError as error:
        _say(error=str(error))
        sys.exit(1)


def _say(**what: Any) -> None:
    os.write(1, f"{json.dumps(what)}\n".encode())  # in one piece, whatever the other processes write


def _end_with_parent() -> None:
    parent = int(os.environ.get(PARENT, "0"))
    while parent:
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            os._exit(1)
        time.sleep(0.3)


if __name__ == "__main__":
    main()
