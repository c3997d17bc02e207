"""Rounds of a run that grows: make what it lacks, judge again where its scores are uncertain, select; and again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, ClassVar

from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import redact
from efficient_empathy.foundation.figures.formatting import plural
from efficient_empathy.foundation.run.record import Part, StageRecord
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.refresh.record import RefreshResult
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.scoring.record import READ, SCORE, ReadRecord, ScoreRecord
from efficient_empathy.selection import SelectSettings, select
from efficient_empathy.selection.stage import SelectResult
from efficient_empathy.synthesis.record import SynthesisRecord, SynthesisResult
from efficient_empathy.synthesis.settings import SynthesisSettings
from efficient_empathy.synthesis.stage import synthesize


class RoundRefresh(Part):
    """What a round judged again."""

    targets: int
    changed: int | None
    """Those that the policy now puts elsewhere; None without a policy."""


class Round(Part):
    """One round, and what the run was after it."""

    number: int
    requests: int
    """Samples asked for in all, earlier rounds included."""
    kept: int
    """Synthetic samples that the run has."""
    wanted: int
    cost_usd: float
    """Of the generating model, earlier rounds included."""
    judge_cost_usd: float
    """Of the judge that sifts them, in this round."""
    refresh: RoundRefresh | None = None
    """None where the recipe has no section `refresh`."""
    subsets: dict[str, int]
    """Samples of each subset, real and synthetic."""
    synthetic: dict[str, int]
    """Those of them that a model has made."""


class RoundsRecord(StageRecord):
    """The rounds that are over."""

    STAGE: ClassVar[str] = "rounds"
    REMEDY: ClassVar[str] = "`efficient-empathy run RECIPE`"

    key: str
    """SHA-256 of what they were made by: settings, models, and the source with its first judgements."""
    rounds: tuple[Round, ...] = ()
    made: int = 0
    """The last round whose samples are made, be it over or not."""


class RoundResult(Round):
    """A round, of how many, and whether it had been there already."""

    of: int
    skipped: bool


class Rounds:
    """The rounds of a run by these settings; each is kept when it is over, so that a call goes on after the last one.

    `samples` of the settings are made in every round, on top of those before; nothing is proved. `training` is as of
    `synthesize`. `refresh` judges again, if it is given; `refreshed_by` tells apart what it does that by. `complete`
    raises `UserError` for a synthesis that stopped early.
    """

    def __init__(
        self,
        workspace: Workspace,
        model: str,
        settings: SynthesisSettings,
        endpoint: EndpointOptions | None,
        selecting: SelectSettings | None,
        *,
        training: TrainingSettings | None = None,
        refresh: Callable[[], RefreshResult] | None = None,
        refreshed_by: Any = None,
        complete: Callable[[SynthesisResult], SynthesisResult],
        repeat: int = 1,
    ) -> None:
        self._workspace, self._model, self._settings = workspace, model, settings.without_proof
        self._endpoint, self._training = endpoint, training
        self._selecting, self._refresh, self._complete, self._repeat = selecting, refresh, complete, repeat
        self._made_by = [
            model,
            self._settings.model_dump(mode="json"),
            redact(endpoint.base_url) if endpoint else None,
            selecting.model_dump(mode="json") if selecting else None,
            refreshed_by,
        ]

    def run(self, number: int, console: Console, *, force: bool = False) -> RoundResult:
        """One round, unless it is over. Raises `UserError` as the stages do."""
        workspace, key = self._workspace, self._key()
        last = workspace.last(RoundsRecord.STAGE, RoundsRecord)
        if last is None or last.key != key or not workspace.whole(SynthesisRecord.STAGE, workspace.synthetic):
            last = RoundsRecord(key=key)
        if number <= len(last.rounds) and not force:
            if number == len(last.rounds):
                select(workspace, self._selecting)
            return RoundResult(**dict(last.rounds[number - 1]), of=self._repeat, skipped=True)
        wanted = number * self._settings.samples
        made = self._make(number, wanted, last, console, force=force)
        now = RoundsRecord(key=key, rounds=last.rounds[: number - 1], made=number)
        workspace.record(RoundsRecord.STAGE, now)
        refreshed = self._refresh() if self._refresh is not None else None
        selected = select(workspace, self._selecting, force=force)
        one = _round(number, made, wanted, refreshed, selected)
        workspace.record(RoundsRecord.STAGE, now.model_copy(update={"rounds": (*now.rounds, one)}))
        return RoundResult(**dict(one), of=self._repeat, skipped=False)

    def _make(self, number: int, wanted: int, last: RoundsRecord, console: Console, *, force: bool) -> SynthesisResult:
        """The samples of a round; those that are there when a call ended between them and the end of the round."""
        record = self._workspace.last(SynthesisRecord.STAGE, SynthesisRecord)
        if last.made == number and record is not None and not force:
            return SynthesisResult.of(record, skipped=True)
        settings = self._settings.model_copy(update={"samples": wanted})
        anew = force and number == 1
        made = synthesize(
            self._workspace, self._model, settings, endpoint=self._endpoint, training=self._training, console=console,
            force=anew,
        )  # fmt: skip
        return self._complete(made)

    def _key(self) -> str:
        scored, reading = self._workspace.stage(SCORE, ScoreRecord), self._workspace.stage(READ, ReadRecord)
        source = reading.source.model_dump(mode="json") if reading and reading.source else None
        judged = scored.first_pass.model_dump(mode="json") if scored and scored.first_pass else None
        content = json.dumps([self._made_by, source, judged], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def _round(
    number: int, made: SynthesisResult, wanted: int, refreshed: RefreshResult | None, selected: SelectResult
) -> Round:
    again = None
    if refreshed is not None:
        again = RoundRefresh(**{name: getattr(refreshed, name) for name in RoundRefresh.model_fields})
    return Round(
        number=number,
        requests=made.requests,
        kept=made.kept,
        wanted=wanted,
        cost_usd=made.cost_usd,
        judge_cost_usd=made.judge_cost_usd,
        refresh=again,
        subsets=selected.subsets,
        synthetic=selected.synthetic,
    )


def round_text(one: RoundResult) -> str:
    """A round in words."""
    what = f"Round {one.number} of {one.of}: " if one.of > 1 else ""
    parts = [
        f"{name} {count:,} (synthetic {one.synthetic.get(name, 0):,})" for name, count in one.subsets.items() if count
    ]
    again = f" {plural(one.refresh.targets, 'sample')} judged again." if one.refresh is not None else ""
    made = f"{plural(one.kept, 'synthetic sample')} of {plural(one.requests, 'request')}"
    return f"{what}{made}.{again} Then {', '.join(parts)}."
