"""The replay judge: judgements that were collected earlier, from the released judged JSON or from another ledger."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from efficient_empathy.dialogues import Sample, read_evaluations
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.judges.contract import JudgeContext, Judgement, JudgeSettings, JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.parser import to_judgement
from efficient_empathy.scoring.record import ScoreRecord
from efficient_empathy.scoring.rubric import Rubric


class ReplaySettings(JudgeSettings):
    """Where the judgements were collected."""

    FORMS: ClassVar[tuple[str, ...]] = (":FILE",)
    READS_REPLIES: ClassVar[bool] = True
    REPEATS_ITSELF: ClassVar[bool] = True

    replies: Path | None = None
    """judged JSON, a ledger, or a run's folder; the source itself by default."""

    @classmethod
    def from_detail(cls, detail: str) -> dict[str, Any]:
        """`FILE`."""
        return {"replies": detail}

    def build(self, context: JudgeContext) -> ReplayJudge:
        """The judge."""
        path = self.replies or context.source
        if path is None:
            raise UserError("the judge replay needs --replies: judged JSON, a ledger.sqlite or a run's folder")
        return ReplayJudge.load(path, context.rubric)


class ReplayJudge:
    """Answers with the judgement that was once given to the same context and response; costs nothing.

    A sample without a collected one gets an `api_error` that says so.
    """

    name = "replay"
    batch_size = 512
    concurrency = 1

    def __init__(self, judgements: Mapping[str, Judgement], rubric: Rubric, origin: str) -> None:
        self._judgements = judgements
        self._rubric = rubric.hash
        self.spec = JudgeSpec(judge="replay", rubric=rubric.hash, settings={"origin": origin})

    @classmethod
    def load(cls, path: Path, rubric: Rubric) -> ReplayJudge:
        """From a judged JSON file (`context`, `response`, `evaluation`), a run's folder, or a `ledger.sqlite`.

        Of a run, the judgements of its last `score` are taken; a ledger by itself must hold those of one judge only,
        or of one that was asked by this rubric.
        """
        run = Workspace(path) if path.is_dir() else Workspace(path.parent)
        nothing = UserError(
            f"{path} holds no collected replies: pass judged JSON (context, response, evaluation), a ledger or a run's "
            "folder"
        )
        if path.is_dir() and run.ledger.exists():
            path = run.ledger
        if not path.is_file():
            raise nothing
        with path.open("rb") as handle:
            is_ledger = handle.read(16) == b"SQLite format 3\0"
        judgements = _from_ledger(path, run, rubric) if is_ledger else _from_judged_file(path, rubric)
        if not judgements:
            raise nothing
        return cls(judgements, rubric, file_hash(path)[:16])

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """One judgement per sample, in order."""
        return [self._judgements.get(sample.id) or self._absent(sample) for sample in samples]

    def _absent(self, sample: Sample) -> Judgement:
        reason = "no reply was collected for this context and response"
        return Judgement(sample.id, "api_error", self.name, self._rubric, reason=reason, created_at=time.time())

    def drain(self) -> None:
        """Nothing goes out."""

    async def close(self) -> None:
        """Nothing is held open."""


def _from_judged_file(path: Path, rubric: Rubric) -> dict[str, Judgement]:
    replies = read_evaluations(path, ReadingSettings(on_bad_row="skip"))
    return {sample.id: to_judgement(sample.id, reply, rubric, "replay") for sample, reply in replies}


def _from_ledger(path: Path, run: Workspace, rubric: Rubric) -> dict[str, Judgement]:
    with Ledger(path, read_only=True) as ledger:
        specs = ledger.specs()
        record = run.stage("score", ScoreRecord) if path == run.ledger else None
        spec = record.panel.specs[0] if record else None
        if spec not in specs:
            specs = [one for one in specs if one.rubric == rubric.hash] or specs
            if len(specs) > 1:
                raise UserError(
                    f"{path} holds the judgements of {len(specs)} judges: pass the folder of a scored run, or a "
                    "ledger with those of one"
                )
            spec = specs[0] if specs else None
        judgements: dict[str, Judgement] = {}
        for judgement in ledger.judgements(spec) if spec else ():
            earlier = judgements.get(judgement.sample_id)
            if earlier is None or earlier.state != "ok":
                judgements[judgement.sample_id] = _again(judgement, rubric)
    return judgements


def _again(judgement: Judgement, rubric: Rubric) -> Judgement:
    """As it was, under the same rubric; else its reply parsed anew. Free either way."""
    if judgement.rubric == rubric.hash:
        return replace(judgement, cost_usd=0.0, prompt_tokens=0, completion_tokens=0, requests=0)
    return to_judgement(judgement.sample_id, judgement.raw, rubric, judgement.judge)
