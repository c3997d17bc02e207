"""The contract of a judge: its judgements, the key that they are kept under, and the settings that it is built from.

`CheckedJudge` is a judge as the runner relies on it: with defaults for what it leaves out, and every answer checked.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, get_args

from pydantic import Field, JsonValue

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import Settings
from efficient_empathy.llm import Window
from efficient_empathy.scoring.rubric import Axis, Rubric

if TYPE_CHECKING:
    from efficient_empathy.llm import CallFailed, Completion
    from efficient_empathy.llm.batches.client import BatchClient

State = Literal["ok", "parse_error", "api_error", "refused"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One judge's answer on one sample. Failure is a state, never a number: only `ok` has scores.

    `scores` has one entry per axis of the rubric. `probabilities` has, where the judge gives one, the distribution over
    the axis's whole numbers, lowest first; the score is then its expectation, and `dependence` has one number for each
    pair of axes in the order of `itertools.combinations` (see `scoring.dependence`), none for independent axes. `raw`
    is the reply as it came; `reason` says why a judgement is not `ok`. Costs are in US dollars, latency in seconds,
    `created_at` in Unix seconds.
    """

    sample_id: str
    state: State
    judge: str
    rubric: str
    scores: Mapping[str, float] = field(default_factory=dict)
    probabilities: Mapping[str, Sequence[float]] = field(default_factory=dict)
    dependence: Sequence[float] = ()
    raw: str = ""
    reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    latency_s: float = 0.0
    requests: int = 0
    created_at: float = 0.0


JudgeOptions = Mapping[str, Any]
"""Options of judges by name; each judge takes those that its settings have."""


REDACTS = "redact"
"""The key of a spec's settings that a judge which redacts what it sends has, with the version of the rules."""


class JudgeSpec(Part):
    """What a judgement is kept under: whatever would change an answer. The ledger has it as JSON beside its `key`."""

    judge: str
    """The judge's name among those there are, or its own where it is an object."""
    rubric: str
    """The rubric's hash."""
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """What else would change an answer, such as model and temperature."""
    round: int = Field(default=1, ge=1)
    """How often the same judge is asked by then; each round is kept apart, so none is paid for twice."""

    @cached_property
    def key(self) -> str:
        """SHA-256 over all of it, first 16 hexadecimal digits."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def in_round(self, number: int) -> JudgeSpec:
        """The same in its `number`-th round (1, 2, …)."""
        return JudgeSpec(judge=self.judge, rubric=self.rubric, settings=self.settings, round=number)

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        parts = {"judge": self.judge, **self.settings, "rubric": self.rubric}
        parts |= {"round": self.round} if self.round > 1 else {}
        return " ".join(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
                        for name, value in parts.items())  # fmt: skip


class JudgeReference(Part):
    """A judge with all its options, as files keep it for whoever asks the same judge later."""

    judge: str
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """Those that are not the default."""


class Judge(Protocol):
    """Anything that scores samples. `name` and `judge` are enough; `CheckedJudge` sees to the rest.

    The runner hands over `batch_size` samples a call and keeps `concurrency` calls under way.
    """

    name: str
    spec: JudgeSpec
    batch_size: int
    concurrency: int

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """One judgement per sample, in order. Raises `UserError` when no sample at all can be judged."""
        ...

    def drain(self) -> None:
        """Let nothing new go out; what is under way goes on to its end."""
        ...

    async def close(self) -> None:
        """Release connections and sessions."""
        ...


@dataclass(frozen=True)
class JudgeContext:
    """What a judge is built for."""

    rubric: Rubric
    workspace: Workspace
    """The folder whose ledger keeps the judgements and what was spent on them."""
    source: Path | None = None
    """What is scored, where it is a file."""
    threads: int = 0
    """For a judge that computes in this process; 0 for one per processor."""

    def spent_usd(self) -> float:
        """US dollars that the ledger has come to."""
        if not self.workspace.ledger.exists():
            return 0.0
        from efficient_empathy.scoring.ledger import Ledger

        with Ledger(self.workspace.ledger, read_only=True) as ledger:
            return ledger.spent_usd()


class JudgeSettings(Settings):
    """The settings of one judge, which is what makes it a plug-in: a subclass has its options as fields, and builds it.

    Options that mean the same in two judges have the same name. The module should import what the judge itself needs
    within `build`, since the settings are read for every `--help`.
    """

    FORMS: ClassVar[tuple[str, ...]] = ("",)
    """How a reference goes on behind the judge's name, such as `:FILE`."""
    READS_RUBRIC: ClassVar[bool] = True
    """Whether another rubric could change an answer."""
    READS_REPLIES: ClassVar[bool] = False
    """Whether scores are read from a reply in words."""
    REPEATS_ITSELF: ClassVar[bool] = False
    """Whether it gives the same answer however often it is asked."""

    @classmethod
    def from_detail(cls, detail: str) -> dict[str, Any]:
        """The options that stand in a reference behind the colon. Raises `ValueError` for what cannot."""
        raise ValueError("it takes nothing behind a colon")

    def resolve(self) -> Self:
        """The same with what was left to defaults or to the environment, for whoever wants this judge later.

        It is kept in files, so it holds no secret.
        """
        return self

    @property
    def gpus_each(self) -> int | None:
        """GPUs that each process with this judge has to itself; None for a judge without an engine of its own.

        Processes share out what a judge without one may ask at a time.
        """
        return None

    def elsewhere(self, concurrency: int) -> Self:
        """The same for a process in another folder, with at most so many requests under way where it makes any."""
        fields: dict[str, Any] = {key: value for key, value in self if isinstance(value, Path)}
        changes = {key: path.absolute() for key, path in fields.items()}
        if "concurrency" in type(self).model_fields:
            changes["concurrency"] = concurrency
        return self.model_copy(update=changes)

    def build(self, context: JudgeContext) -> Judge:
        """The judge. Raises `UserError` where it cannot be had."""
        raise NotImplementedError


@dataclass(frozen=True)
class Blueprint:
    """What a judge can be built from once more, in another process: its settings, or a judge that is an object."""

    judge: JudgeSettings | Any
    rubric: Rubric
    source: Path | None = None

    def build(self, workspace: Workspace, threads: int = 0) -> CheckedJudge:
        """The judge; `workspace` and `threads` as of `JudgeContext`. Raises `UserError` where it cannot be had."""
        if not isinstance(self.judge, JudgeSettings):
            return CheckedJudge(self.judge, self.rubric, blueprint=self)
        judge = self.judge.build(JudgeContext(self.rubric, workspace, self.source, threads))
        return CheckedJudge(judge, self.rubric, repeats_itself=self.judge.REPEATS_ITSELF, blueprint=self)

    def elsewhere(self, concurrency: int) -> Blueprint:
        """See `JudgeSettings`."""
        if not isinstance(self.judge, JudgeSettings):
            return self
        return replace(self, judge=self.judge.elsewhere(concurrency), source=self.source and self.source.absolute())

    @property
    def gpus_each(self) -> int | None:
        """See `JudgeSettings`."""
        return self.judge.gpus_each if isinstance(self.judge, JudgeSettings) else None


TOLERANCE = 0.01
"""How far a distribution's sum may be from 1; it is then scaled to 1."""


class CheckedJudge:
    """A judge and a rubric, with every part of the `Judge` contract even if the judge has only `name` and `judge`."""

    def __init__(
        self, judge: Any, rubric: Rubric, *, repeats_itself: bool = False, blueprint: Blueprint | None = None
    ) -> None:
        self._judge, self._rubric, self.repeats_itself = judge, rubric, repeats_itself
        self.blueprint = blueprint or Blueprint(judge, rubric)
        self.name: str = judge.name
        self.spec: JudgeSpec = getattr(judge, "spec", None) or JudgeSpec(judge=judge.name, rubric=rubric.hash)
        self.batch_size: int = getattr(judge, "batch_size", 1)
        self.concurrency: int = getattr(judge, "concurrency", 1)
        self.note: str = getattr(judge, "note", "")
        self.endpoint: Any = getattr(judge, "endpoint", None)
        self.window: Window | None = getattr(self.endpoint, "window", None)
        self.request: Any = getattr(judge, "request", None)

    def in_round(self, number: int) -> CheckedJudge:
        """The same judge as it is asked for the `number`-th time (1, 2, …)."""
        other = copy(self)
        other.spec = self.spec.in_round(number)
        return other

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """The judge's answers, each checked; raises `UserError` for one that breaks the contract."""
        judgements = await self._judge.judge(samples)
        if [j.sample_id for j in judgements] != [sample.id for sample in samples]:
            raise self._error("it must answer with one judgement per sample, in order")
        return [self._check_judgement(judgement) for judgement in judgements]

    @property
    def has_batches(self) -> bool:
        """Whether it can be asked through a batch API."""
        return hasattr(self._judge, "open_batches")

    def open_batches(self, sleep: Callable[[float], Awaitable[None]]) -> BatchClient:
        """The batch API that its requests can go through."""
        client: BatchClient = self._judge.open_batches(sleep)
        return client

    def read(self, sample_id: str, answer: Completion | CallFailed) -> Judgement:
        """The judgement that an answer from a batch is, checked."""
        return self._check_judgement(self._judge.read(sample_id, answer))

    def check(self) -> None:
        """Raise what its endpoint has found wrong for all calls, even if each was answered."""
        if hasattr(self.endpoint, "check"):
            self.endpoint.check()

    def drain(self) -> None:
        """Let nothing new go out; what is under way goes on."""
        if hasattr(self._judge, "drain"):
            self._judge.drain()

    async def close(self) -> None:
        """Release what the judge holds."""
        if hasattr(self._judge, "close"):
            await self._judge.close()

    def _check_judgement(self, judgement: Judgement) -> Judgement:
        if judgement.state not in STATES:
            raise self._error(f"there is no state {judgement.state!r}: it must be one of {', '.join(STATES)}")
        if judgement.state != "ok":
            return replace(judgement, scores={}, probabilities={})
        axes = self._rubric.axes
        scores = {axis.name: self._score(judgement.scores, axis) for axis in axes}
        answers = judgement.probabilities
        return replace(
            judgement, scores=scores, probabilities={a.name: self._table(answers, a) for a in axes} if answers else {}
        )

    def _score(self, scores: Mapping[str, float], axis: Axis) -> float:
        value = float(scores.get(axis.name, math.nan))
        if not axis.scale[0] <= value <= axis.scale[1]:
            raise self._error(f"{axis.name} is {value}, not on its scale {axis.scale[0]}–{axis.scale[1]}")
        return value

    def _table(self, probabilities: Mapping[str, Sequence[float]], axis: Axis) -> list[float]:
        table = [float(p) for p in probabilities.get(axis.name, ())]
        total = sum(table)
        if len(table) != len(axis.values) or min(table) < 0 or not abs(total - 1) <= TOLERANCE:
            raise self._error(f"the probabilities of {axis.name} must be {len(axis.values)} numbers that sum to 1")
        return [p / total for p in table]

    def _error(self, how: str) -> UserError:
        return UserError(f"the judge {self.name!r} breaks its contract: {how}")
