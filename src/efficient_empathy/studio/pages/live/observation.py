"""One look at a run: its sign of life, and what its ledger holds by now, kept up to date from the new rows alone."""

from __future__ import annotations

import statistics
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import polars as pl

from efficient_empathy.foundation.run.record import Part
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.judges.contract import Judgement, JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.progress import Counts, State
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.scoring.rubric import read_rubric
from efficient_empathy.studio.pages.live.control import Condition, Control, Controls, ScoringState, scoring_state
from efficient_empathy.studio.pages.live.timeline import Pace, Timeline

RECENT = 20
REASONS = 8
HIGHEST = 100
"""Scores above are not drawn."""
Cell = tuple[int, int, int, int]
"""The places of two of the rubric's axes, and a whole score on each; of one axis both are the same."""
_STEP = 20_000
_CLIP = 240


class SeenJudgement(Part):
    """A judgement as the page lists it; `number` is its row in the ledger."""

    number: int
    sample_id: str
    state: str
    scores: dict[str, float]
    reason: str
    raw: str
    latency_s: float
    at: float
    """Unix seconds."""

    @classmethod
    def of(cls, number: int, judgement: Judgement) -> SeenJudgement:
        """The judgement of one row, its texts cut."""
        return cls(
            number=number,
            sample_id=judgement.sample_id,
            state=judgement.state,
            scores={axis: round(value, 2) for axis, value in judgement.scores.items()},
            reason=judgement.reason[:_CLIP],
            raw=judgement.raw[:_CLIP],
            latency_s=round(judgement.latency_s, 3),
            at=judgement.created_at,
        )


class FailureReason(Part):
    """Why samples have no good judgement, how many, and when the last one failed so."""

    state: str
    reason: str
    count: int
    at: float


class Process(Counts):
    """What the process tells of itself, with its rate, and the seconds that are left at that rate."""

    state: State
    reason: str
    pid: int
    host: str
    started_at: float
    written_at: float
    rate: float | None
    left_s: float | None


class Frame(Part):
    """What a run looks like now."""

    condition: Condition
    control: Controls
    process: Process | None
    samples: int | None
    """Different ones; None before there are any."""
    judge: str | None
    ok: int
    failed: dict[str, int]
    reasons: tuple[FailureReason, ...]
    asked_again: int
    axes: tuple[tuple[str, int, int], ...]
    """Of the map, upwards first, with their scales."""
    cost_usd: float
    requests: int
    tokens: int
    latency_s: float | None
    pace: Pace
    reading: bool


class JudgementCounts:
    """Counts of a spec's judgements: samples by how they stand, the map of their scores, reasons, dollars, the last."""

    def __init__(self, spec: JudgeSpec | None) -> None:
        self.spec = spec
        self.last = 0
        """The number of the last row that was read."""
        self.ok = 0
        self.cells: Counter[Cell] = Counter()
        self.axes: list[str] = []
        self.cost_usd = 0.0
        self.requests = 0
        self.tokens = 0
        self.timeline = Timeline()
        self._recent: deque[tuple[int, Judgement]] = deque(maxlen=RECENT)
        self._failures: dict[str, tuple[str, str]] = {}
        self._failed_judgements = 0
        self._last_failure: dict[tuple[str, str], float] = {}
        self._latencies: deque[float] = deque(maxlen=200)

    def read(self, ledger: Ledger) -> bool:
        """Count what is new, up to 20,000 rows of it; whether there is more."""
        rows = ledger.since(self.spec, self.last, _STEP) if self.spec else []
        for number, judgement in rows:
            self._count(number, judgement)
        return len(rows) == _STEP

    def failed(self) -> dict[str, int]:
        """Samples without a good judgement, by the state of the last one."""
        return dict(Counter(state for state, _ in self._failures.values()))

    @property
    def asked_again(self) -> int:
        """Failed judgements that do not stand: they were answered later, or failed again."""
        return self._failed_judgements - len(self._failures)

    def recent(self) -> tuple[SeenJudgement, ...]:
        """The last judgements, oldest first."""
        return tuple(SeenJudgement.of(number, judgement) for number, judgement in self._recent)

    def reasons(self) -> tuple[FailureReason, ...]:
        """Why the samples of `failed` have no good judgement: the latest first."""
        counts = Counter(self._failures.values())
        latest = sorted(counts, key=lambda one: -self._last_failure[one])[:REASONS]
        return tuple(
            FailureReason(state=one[0], reason=one[1], count=counts[one], at=self._last_failure[one]) for one in latest
        )

    def latency_s(self) -> float | None:
        """The median of the last 200 judgements that took time."""
        return statistics.median(self._latencies) if self._latencies else None

    def _count(self, number: int, judgement: Judgement) -> None:
        self.last = number
        self.cost_usd += judgement.cost_usd
        self.timeline.add(judgement.created_at, judgement.cost_usd)
        self.requests += judgement.requests
        self.tokens += judgement.prompt_tokens + judgement.completion_tokens
        if judgement.latency_s > 0:
            self._latencies.append(judgement.latency_s)
        if judgement.state == "ok":
            self.ok += 1
            self._failures.pop(judgement.sample_id, None)
            self._place(judgement)
        else:
            failure = (judgement.state, judgement.reason[:_CLIP])
            self._failures[judgement.sample_id] = failure
            self._last_failure[failure] = judgement.created_at
            self._failed_judgements += 1
        self._recent.append((number, judgement))

    def _place(self, judgement: Judgement) -> None:
        if not self.axes:
            self.axes = list(judgement.scores)
        if not self.axes or not set(self.axes) <= judgement.scores.keys():
            return
        scores = [int(judgement.scores[axis] + 0.5) for axis in self.axes]
        for first, second in combinations(range(len(scores)), 2) if len(scores) > 1 else [(0, 0)]:
            if 0 <= scores[first] <= HIGHEST and 0 <= scores[second] <= HIGHEST:
                self.cells[first, second, scores[first], scores[second]] += 1


RATE_OVER_S = 15.0
USUAL = 10
"""The highest score of an axis whose scale is not known yet."""


@dataclass(frozen=True)
class Observation:
    """What was seen. `recent` are the last judgements, oldest first."""

    spec: JudgeSpec | None
    frame: Frame
    cells: dict[Cell, int]
    recent: tuple[SeenJudgement, ...]
    behind: bool
    """Whether the ledger holds more than has been read yet."""


class Observer:
    """Looks at one run, one look at a time, in any thread. The ledger is opened read-only for each."""

    def __init__(self, workspace: Workspace, control: Control) -> None:
        self._workspace, self._control = workspace, control
        self._counts = JudgementCounts(None)
        self._file = 0
        self._scales: Mapping[str, tuple[int, int]] = {}
        self._progress: deque[tuple[float, int]] = deque(maxlen=64)
        self._behind = False

    def look(self) -> Observation:
        """What there is to see now. Raises `UserError` where the manifest or the ledger cannot be read."""
        scoring = scoring_state(self._workspace)
        self._control.see(scoring)
        if scoring.report:
            record, spec = self._workspace.last(SCORE, ScoreRecord), scoring.report.spec
            return self._observation(scoring, record, self._read(spec))
        record = self._workspace.stage(SCORE, ScoreRecord)
        return self._observation(scoring, record, self._read(record.panel.specs[0] if record else None))

    def nothing(self) -> Observation:
        """What is shown of a run that cannot be read."""
        return self._observation(ScoringState(condition="none"), None, 0.0)

    def _observation(self, scoring: ScoringState, record: ScoreRecord | None, cost_usd: float) -> Observation:
        counts, judging = self._counts, scoring.report or record
        frame = Frame(
            condition=scoring.condition,
            control=self._control.describe(scoring),
            process=_of_process(scoring, self._rate(scoring)),
            samples=_samples(self._workspace, record),
            judge=judging.judge if judging else None,
            ok=counts.ok,
            failed=counts.failed(),
            reasons=counts.reasons(),
            asked_again=counts.asked_again,
            axes=self._axes(record),
            cost_usd=cost_usd,
            requests=counts.requests,
            tokens=counts.tokens,
            latency_s=counts.latency_s(),
            pace=counts.timeline.pace(),
            reading=self._behind,
        )
        return Observation(counts.spec, frame, dict(counts.cells), counts.recent(), self._behind)

    def _axes(self, record: ScoreRecord | None) -> tuple[tuple[str, int, int], ...]:
        """The axes with their scales: of the rubric, else as the run was scored before, else as far as scores go."""
        counts = self._counts
        scales = self._scales or (record.rubric.axes if record else {})
        highest: Counter[int] = Counter()
        for first, second, a, b in counts.cells:
            highest[first], highest[second] = max(highest[first], a), max(highest[second], b)
        return tuple(
            (axis, *(scales[axis] if axis in scales else (0, max(USUAL, highest[place]))))
            for place, axis in enumerate(counts.axes)
        )

    def _read(self, spec: JudgeSpec | None) -> float:
        """Count what is new; what all judgements have cost."""
        if not self._workspace.ledger.exists():
            self._counts, self._behind = JudgementCounts(spec), False
            return 0.0
        with Ledger(self._workspace.ledger, read_only=True) as ledger:
            spec = spec or next(reversed(ledger.specs()), None)
            file = self._workspace.ledger.stat().st_ino
            if (spec, file) != (self._counts.spec, self._file):
                self._counts, self._file = JudgementCounts(spec), file
                rubric = read_rubric(self._workspace, spec.rubric) if spec else None
                self._scales = rubric.scales if rubric else {}
                self._progress.clear()
            self._behind = self._counts.read(ledger)
            return ledger.judged_usd()

    def _rate(self, scoring: ScoringState) -> float | None:
        """Samples a second over the last quarter of a minute; None while nobody works."""
        if scoring.report is None or not scoring.working:
            self._progress.clear()
            return None
        counts = scoring.report.counts
        now, done = scoring.report.written_at, counts.done
        if not self._progress or done < self._progress[-1][1]:
            self._progress.clear()
            self._progress.append((scoring.report.started_at, counts.done_at_start))
        if now > self._progress[-1][0]:
            self._progress.append((now, done))
        while len(self._progress) > 2 and now - self._progress[1][0] > RATE_OVER_S:
            self._progress.popleft()
        (began, before), (at, after) = self._progress[0], self._progress[-1]
        return (after - before) / (at - began) if at - began > 0.2 else None


def _of_process(scoring: ScoringState, rate: float | None) -> Process | None:
    """What the process tells, with its rate and the seconds that are left at that rate."""
    report = scoring.report
    if report is None:
        return None
    remaining = max(0, report.counts.total - report.counts.done)
    return Process(
        **dict(report.counts),
        state=report.state,
        reason=report.reason,
        pid=report.pid,
        host=report.host,
        started_at=report.started_at,
        written_at=report.written_at,
        rate=rate,
        left_s=remaining / rate if rate else None,
    )


def _samples(workspace: Workspace, record: ScoreRecord | None) -> int | None:
    """How many different samples the run has; None before there are any."""
    if record is not None:
        return record.samples - record.duplicates
    try:
        return int(pl.scan_parquet(workspace.samples, glob=False).select(pl.len()).collect().item())
    except (OSError, pl.exceptions.PolarsError):
        return None
