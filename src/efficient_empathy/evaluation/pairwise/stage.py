"""The stage `pairwise`: an LLM judge says which of two models' responses is better, in both orders."""

from __future__ import annotations

import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from efficient_empathy.evaluation.judging import evaluation_of, judge_samples
from efficient_empathy.evaluation.pairwise.question import REFERENCE, Pair, PairRubric, read_pairs
from efficient_empathy.evaluation.pairwise.record import (
    COUNTED,
    VERDICTS,
    PairwiseRecord,
    PairwiseResult,
    RubricName,
)
from efficient_empathy.evaluation.pairwise.settings import PairwiseSettings
from efficient_empathy.evaluation.pairwise.verdicts import both_orders, decide, rates, sign_test
from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.foundation.run.workspace import Workspace, atomic, file_hash
from efficient_empathy.foundation.statistics.resampling import interval
from efficient_empathy.scoring.judges.contract import Judge, JudgeOptions
from efficient_empathy.scoring.judges.registry import build_judge
from efficient_empathy.scoring.plan import plan_samples


def pairwise(
    workspace: Workspace,
    a: str,
    b: str,
    judge: str | Judge = "openai",
    rubric: PairRubric | None = None,
    options: JudgeOptions | None = None,
    settings: PairwiseSettings | None = None,
    *,
    console: Console | None = None,
) -> PairwiseResult:
    """Compare the responses of `a` and `b` (models of `generations/`, or `reference`) sample by sample.

    Two calls a sample; the same text twice is a tie without one. Every answer is kept in `evaluation/ledger.sqlite` as
    it comes, so that after Ctrl-C or a kill the same call asks only for what is missing; failed ones are asked for
    again. Once nothing is left to ask, writes `evaluation/pairwise/<a>--<b>.json` and, row by row, `.parquet`.
    Raises `UserError`; what was answered until then is kept.
    """
    if find_spec("scipy") is None:
        raise missing_extra("pairwise", "eval")
    if options and options.get("logprobs"):
        raise UserError("pairwise takes the response that the judge names, not an average: leave logprobs out")
    console, rubric = console or Console(stderr=True), rubric or PairRubric.load()
    settings = settings or PairwiseSettings()
    rows = read_pairs(workspace, a, b, settings.samples)
    started = time.monotonic()
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        questions = both_orders(rows)
        folder = evaluation_of(workspace.root)
        judged = judge_samples(_flat(questions), judge, rubric, options, folder, console)
        decided = decide(rows, questions, judged.judgements)
        complete = judged.ending == "complete"
        record = PairwiseRecord(
            a=a,
            b=b,
            **_counts(decided),
            **(_figures(decided, settings) if complete else {}),
            **settings.model_dump(include={"resamples", "confidence", "seed"}),
            judge=judged.judge,
            spec=judged.spec,
            rubric=RubricName(name=rubric.name, version=rubric.version, hash=rubric.hash),
        )
        output = _write(workspace, folder, record, decided) if complete else None
    return PairwiseResult(
        **dict(record),
        states=judged.states,
        reasons=judged.reasons,
        unjudged=record.verdicts["unjudged"],
        requests=judged.requests,
        cost_usd=judged.cost_usd,
        seconds=round(time.monotonic() - started, 2),
        ending=judged.ending,
        output=str(output) if output else None,
    )


def plan_pairwise(
    workspace: Workspace,
    a: str,
    b: str,
    judge: str = "openai",
    rubric: PairRubric | None = None,
    options: JudgeOptions | None = None,
    settings: PairwiseSettings | None = None,
) -> dict[str, Any]:
    """What `pairwise` would ask for and cost, without asking; see `scoring.plan.plan_samples`."""
    questions = both_orders(read_pairs(workspace, a, b, settings.samples if settings else None))
    folder = evaluation_of(workspace.root)
    return plan_samples(_flat(questions), build_judge(judge, rubric or PairRubric.load(), folder, options), folder)


def _flat(questions: list[tuple[Pair, Pair] | None]) -> list[Pair]:
    return [pair for both in questions if both is not None for pair in both]


def _counts(decided: pl.DataFrame) -> dict[str, Any]:
    counts = Counter(decided["verdict"])
    verdicts = {name: counts[name] for name in VERDICTS}
    n, win, lose = sum(verdicts[name] for name in COUNTED), verdicts["win"], verdicts["lose"]
    sizes = {"samples": len(decided), "dialogues": decided["dialogue_id"].n_unique(), "n": n}
    return {**sizes, "win": win, "tie": n - win - lose, "lose": lose, "verdicts": verdicts}


def _figures(decided: pl.DataFrame, settings: PairwiseSettings) -> dict[str, Any]:
    measured, counts = rates(decided), Counter(decided["verdict"])
    intervals = interval(
        measured, decided["dialogue_id"].to_list(),
        draws=settings.resamples, confidence=settings.confidence, seed=settings.seed,
    )  # fmt: skip
    return {
        "p": sign_test(counts["win"], counts["lose"]),
        "values": {name: round(float(value[0]), 6) for name, value in measured.under().items()},
        "intervals": {name: (round(low, 6), round(high, 6)) for name, (low, high) in intervals.items()},
    }


def _write(workspace: Workspace, folder: Workspace, record: PairwiseRecord, decided: pl.DataFrame) -> Path:
    a, b = record.a, record.b
    output = folder.root / "pairwise" / f"{a}--{b}.json"
    with atomic(output.with_suffix(".parquet")) as path:
        decided.write_parquet(path, compression="zstd")
    record.write(output)
    inputs = {name: file_hash(workspace.generations / f"{name}.parquet") for name in (a, b) if name != REFERENCE}
    workspace.record(f"pairwise:{a}:{b}", {**record.model_dump(mode="json"), "inputs": inputs})
    return output
