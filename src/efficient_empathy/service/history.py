"""A service's counts while it runs: the present, the last hours, the drift that they tell of, and what is on disk."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from efficient_empathy.service.scorer import Answer
from efficient_empathy.service.serving import Served
from efficient_empathy.service.traffic import (
    DRIFT_MINUTES,
    Counting,
    Minute,
    TrafficFolder,
    add,
    drift_verdict,
    total,
)

SECONDS = 10
"""How often counts are written: what a kill loses at most."""
TRAFFIC, SERVED = "traffic", "served.json"
log = logging.getLogger(__name__)


class History:
    """Counts of a service; with a `folder` they are kept there, and those of earlier services there count too.

    Raises `UserError` where the folder cannot be read or written.
    """

    def __init__(self, served: Served, folder: Path | None) -> None:
        self._served = served
        self._counting = Counting(served.record)
        self._folder = TrafficFolder(folder / TRAFFIC) if folder is not None else None
        self._unwritten: list[Minute] = []
        self._writing = threading.Lock()
        self._minutes: dict[int, Minute] = {}
        if folder is not None and self._folder is not None:
            folder.mkdir(0o700, parents=True, exist_ok=True)
            served.record.write(folder / SERVED)
            self._minutes = self._folder.read(_now() - DRIFT_MINUTES, served.record)
        self.drift: dict[str, Any] = {}
        self.fault = ""
        """Why counts cannot be written, where they cannot."""
        self._update()

    @property
    def level(self) -> str:
        """The level of drift: ok, watch, alarm; none without samples, unknown without a reference."""
        return f"{self.drift['verdict']}"

    def add_request(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self._counting.add_request(status, seconds)

    def add_item(self, state: str, answers: Sequence[Answer]) -> None:
        """Count a conversation."""
        self._counting.add_item(state, answers)

    async def run(self) -> None:
        """Write the counts, and tell the drift anew, until it is cancelled."""
        while True:
            await asyncio.sleep(SECONDS)
            self.take()
            await asyncio.to_thread(self.write)

    def take(self) -> None:
        """Add what was counted since the last time to the minutes, and tell the drift anew."""
        if (minute := self._counting.take()) is not None:
            add(self._minutes, minute)
            if self._folder is not None:
                self._unwritten.append(minute)
        self._update()

    def write(self) -> None:
        """Write the minutes that are not written, in any thread. Those that the disk does not take wait for the next
        time."""
        with self._writing:
            while self._folder is not None and self._unwritten:
                try:
                    self._folder.append(self._unwritten[0])
                except OSError as error:
                    fault = f"cannot write the counts in {self._folder.folder}: {error.strerror}"
                    if fault != self.fault:
                        log.error("%s", fault)
                    self.fault = fault
                    del self._unwritten[:-DRIFT_MINUTES]
                    return
                self.fault = ""
                del self._unwritten[0]

    def _update(self) -> None:
        now = _now()
        for number in [number for number in self._minutes if number < now - DRIFT_MINUTES]:
            del self._minutes[number]
        self.drift = drift_verdict(self._served.record.reference, self._minutes, now)

    def status(self) -> dict[str, Any]:
        """What is served, the last hour's counts, and the drift."""
        record, now = self._served.record, _now()
        hour = total(minute for number, minute in self._minutes.items() if number > now - 60)
        return {
            "version": version("efficient-empathy"),
            "judge": record.judge,
            "axes": {axis: list(scale) for axis, scale in record.scales.items()},
            "policy": record.policy,
            "subsets": list(record.subsets),
            "reference": record.reference.of if record.reference else None,
            "uptime_s": round(time.time() - record.started_at),
            "last_hour": {
                "requests": hour.requests if hour else {},
                "items": hour.items if hour else {},
                "subsets": hour.subsets if hour else {},
            },
            "drift": self.drift,
            **({"fault": self.fault} if self.fault else {}),
        }


def _now() -> int:
    return int(time.time() // 60)
