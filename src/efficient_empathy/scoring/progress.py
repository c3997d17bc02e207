"""The progress of a scoring run: a live display on the terminal, and `progress.json` for those who watch from outside.

Output that is no terminal gets plain lines. The file is written at most once a second, whole or not at all, and costs
the run nothing: no fsync, and a full disk is no error here. Scoring never reads it back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from efficient_empathy.foundation.console import Console, bar, pace
from efficient_empathy.foundation.errors import redact
from efficient_empathy.foundation.figures.formatting import duration
from efficient_empathy.foundation.run.files import temporary_name
from efficient_empathy.foundation.run.record import Part, Record
from efficient_empathy.llm import Window
from efficient_empathy.llm.runner import SessionEnding, Watcher
from efficient_empathy.scoring.judges.contract import STATES, Judgement, JudgeSpec

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LINE_EVERY_S = 10.0
PROGRESS = "progress.json"
WRITE_EVERY_S = 1.0
Whole = Annotated[int, Field(ge=0, le=10**15)]
"""A count: a file from elsewhere may hold anything."""
State = Literal["running", "stopping"] | SessionEnding


class Counts(Part):
    """How far a judge has come."""

    total: Whole
    """Samples, as `done` and `done_at_start`."""
    done: Whole
    done_at_start: Whole
    states: dict[str, Whole] = Field(default_factory=dict)
    """This call's judgements by state, as `requests` and `cost_usd`."""
    requests: Whole = 0
    cost_usd: float = 0.0
    concurrency: Whole | None = None
    """The window's ceiling now; None for a judge without an endpoint."""
    in_flight: Whole | None = None


class Progress(Record):
    """`progress.json`: what one judge's scoring tells of itself."""

    PLACE: ClassVar[str] = "progress.json"
    REMEDY: ClassVar[str] = "`efficient-empathy score SOURCE`"

    state: State
    """running, stopping; or how it ended, with its `reason`."""
    reason: str = ""
    stopped_by: tuple[str, ...] = ()
    """The signals, such as SIGTERM, that let the calls in flight finish."""
    judge: str
    spec: JudgeSpec
    pid: int = Field(ge=1, lt=1 << 31)
    host: str
    command: list[str] | None = None
    """The arguments; None where it is no command, or where one could hold a secret."""
    folder: str = ""
    """Where it was started."""
    started_at: float
    """Unix seconds, as `written_at`."""
    written_at: float
    counts: Counts


class ProgressDisplay:
    """Done of total, rate, time left, running cost, failures by kind, concurrency now. Writes to `console` (stderr)."""

    def __init__(
        self, console: Console, total: int, done: int, window: Window | None, *, has_pace: bool = True
    ) -> None:
        """`has_pace` is False where answers come in batches: a rate would say nothing of when the rest does."""
        self.states: Counter[str] = Counter()
        self.cost_usd = 0.0
        self.requests = 0
        self._console, self._total, self._done = console, total, done
        self._window, self._has_pace = window, has_pace
        self._started = self._line_at = time.monotonic()
        self._at_start = done
        self._bar: Bar | None = None
        if console.is_terminal:
            self._bar = bar(console, *(("rate",) if has_pace else ()), "rest")
            self._task = self._bar.add_task("scoring", total=total, completed=done, rate="", rest="")

    def __enter__(self) -> ProgressDisplay:
        if self._bar:
            self._bar.start()
        elif self._done < self._total:
            self._line()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()
        elif self._done > self._at_start:
            self._line()

    def update(self, judgements: Sequence[Judgement], again: int = 0) -> None:
        """Count judgements that have just been recorded; the samples of `again` of them are asked about once more."""
        self.count(
            Counter(judgement.state for judgement in judgements),
            sum(judgement.requests for judgement in judgements),
            sum(judgement.cost_usd for judgement in judgements),
            again,
        )

    def count(self, states: Mapping[str, int], requests: int, cost_usd: float, again: int = 0) -> None:
        """The same of judgements that are known by their number in each state, and by what they took."""
        self.states.update(states)
        self.requests += requests
        self.cost_usd += cost_usd
        self._done += sum(states.values()) - again
        if self._bar:
            rate = self._pace() if self._has_pace else ""
            self._bar.update(self._task, completed=self._done, rate=rate, rest=self._rest())
        elif time.monotonic() - self._line_at >= LINE_EVERY_S:
            self._line()

    def counts(self) -> Counts:
        """The counts so far."""
        window = self._window
        return Counts(
            total=self._total,
            done=self._done,
            done_at_start=self._at_start,
            states=dict(self.states),
            requests=self.requests,
            cost_usd=self.cost_usd,
            concurrency=int(window.limit) if window else None,
            in_flight=window.in_flight if window else None,
        )

    def _pace(self) -> str:
        return pace(self._done - self._at_start, time.monotonic() - self._started)

    def _rest(self) -> str:
        failures = [f"{self.states[state]} {state}" for state in STATES if state != "ok" and self.states[state]]
        parts = [f"${self.cost_usd:.4f}"] if self.cost_usd else []
        parts += failures
        if self._window:
            parts.append(f"concurrency {int(self._window.limit)}")
        return " · ".join(parts)

    def _line(self) -> None:
        self._line_at = time.monotonic()
        parts = [self._pace()] if self._has_pace else []
        if self._has_pace and self._at_start < self._done < self._total:
            each = (time.monotonic() - self._started) / (self._done - self._at_start)
            parts.append(f"{duration((self._total - self._done) * each)} left")
        told, rest = ", ".join(filter(None, parts)), self._rest()
        text = f"scored {self._done:,} of {self._total:,}" + (f" ({told})" if told else "")
        self._console.print(text + (f" · {rest}" if rest else ""))


class ProgressFile(Watcher):
    """Keeps `progress.json` in a folder up to date while a judge is at work."""

    def __init__(self, folder: Path, judge: str, spec: JudgeSpec, display: ProgressDisplay, console: Console) -> None:
        super().__init__(console)
        self._path, self._judge, self._spec, self._display = folder / PROGRESS, judge, spec, display
        self._stopped_by: tuple[str, ...] = ()
        self._started_at = time.time()
        self._command = command_of(sys.argv)

    def signals(self, names: Sequence[str]) -> None:
        """See `Watcher`."""
        self._stopped_by = tuple(names)

    def stopping(self) -> None:
        """See `Watcher`."""
        super().stopping()
        self.write("stopping")

    async def watch(self) -> None:
        """Write now and once a second, until cancelled."""
        self._state: State = "running"
        while True:
            self.write(self._state)
            await asyncio.sleep(WRITE_EVERY_S)

    def end(self, state: State, reason: str = "") -> None:
        """Write how it ended, for good."""
        self._stopped_by = ()
        self.write(state, reason)

    def write(self, state: State, reason: str = "") -> None:
        """Write what is known now; a failure to is passed over."""
        self._state = state
        progress = Progress(
            state=state,
            reason=reason,
            stopped_by=self._stopped_by,
            judge=self._judge,
            spec=self._spec,
            pid=os.getpid(),
            host=socket.gethostname(),
            command=self._command,
            folder=str(Path.cwd()),
            started_at=self._started_at,
            written_at=time.time(),
            counts=self._display.counts(),
        )
        temporary = self._path.with_name(temporary_name(PROGRESS))
        with contextlib.suppress(OSError):
            temporary.write_text(progress.model_dump_json(), "utf-8")
            temporary.replace(self._path)


def command_of(argv: Sequence[str]) -> list[str] | None:
    """The arguments that this program was started with.

    None for another program, and where a URL carries a query or a user, which may be a secret.
    """
    program = Path(argv[0])
    ours = program.name == "efficient-empathy" or program.parts[-2:] == ("efficient_empathy", "__main__.py")
    return list(argv[1:]) if ours and not any(redact(part) != part for part in argv[1:]) else None
