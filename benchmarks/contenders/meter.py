"""Wall and CPU seconds of a block, and the process tree's peak memory; printed as the last line, in JSON."""

import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def meter() -> Iterator[None]:
    before, began = os.times(), time.perf_counter()
    yield
    seconds, after = time.perf_counter() - began, os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak}), flush=True)
