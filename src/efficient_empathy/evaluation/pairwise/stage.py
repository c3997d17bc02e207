"""The stage `pairwise`: an LLM judge says which of two models' responses is better, in both orders.

Judging in both orders, and a win only where both agree, is the remedy of Zheng et al. 2023 (MT-Bench, arXiv 2306.05685,
section 3.4) against a judge that prefers a position; their consistency is `consistency_rate` here.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.dialogues import Utterance
from efficient_empathy.evaluation.judging import evaluation_of, judge_samples
from efficient_empathy.evaluation.metric import Sums, Values
from efficient_empathy.evaluation.pairwise.question import REFERENCE, Pair, PairRubric, choice_of, read_pairs
from efficient_empathy.evaluation.pairwise.record import (
    RATED_VERDICTS,
    VERDICTS,
    PairwiseRecord,
    PairwiseResult,
    PairwiseStageRecord,
    RubricName,
    Verdict,
)
from efficient_empathy.evaluation.pairwise.settings import PairwiseSettings
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.statistics.resampling import interval
from efficient_empathy.scoring.judges.contract import Judge, Judgement, JudgeOptions
from efficient_empathy.scoring.judges.registry import build_judge
from efficient_empathy.scoring.plan import ScorePlan, plan_samples

RATES = ("win_rate", "consistency_rate", "first_position_rate")


def both_orders(rows: pl.DataFrame) -> list[tuple[Pair, Pair] | None]:
    """Of each row of `read_pairs` the two questions, `a` first and `b` first; None where nobody need be asked."""
    return [_questions(row) for row in rows.iter_rows(named=True)]


def _questions(row: Mapping[str, Any]) -> tuple[Pair, Pair] | None:
    a, b = row["a"], row["b"]
    if a is None or b is None or a == b:
        return None
    context = tuple(Utterance(turn["role"], turn["text"]) for turn in row["context"])
    return Pair.of_two(context, a, b, row["dialogue_id"]), Pair.of_two(context, b, a, row["dialogue_id"])


def decide(
    rows: pl.DataFrame, questions: Sequence[tuple[Pair, Pair] | None], judgements: Mapping[str, Judgement]
) -> pl.DataFrame:
    """`sample_id`, `dialogue_id`, `verdict`, and `a_first`, `b_first`: who won in which order (a, b or tie; null where
    there is no ok judgement)."""
    decided = []
    for row, question in zip(rows.iter_rows(named=True), questions, strict=True):
        answers: tuple[str | None, str | None] = (None, None)
        if question is None:
            verdict: Verdict = "missing" if row["a"] is None or row["b"] is None else "identical"
        else:
            pair_judgements = [judgements.get(pair.id) for pair in question]
            answers = (_winner(pair_judgements[0], "a", "b"), _winner(pair_judgements[1], "b", "a"))
            verdict = "unjudged" if None in pair_judgements else _verdict(*answers)
        decided.append((row["sample_id"], row["dialogue_id"], verdict, *answers))
    schema = pl.Schema(dict.fromkeys(("sample_id", "dialogue_id", "verdict", "a_first", "b_first"), pl.String()))
    return pl.DataFrame(decided, schema=schema, orient="row")


def _winner(judgement: Judgement | None, first: str, second: str) -> str | None:
    choice = choice_of(judgement) if judgement is not None else None
    return {"first": first, "second": second, "tie": "tie", None: None}[choice]


def _verdict(a_first: str | None, b_first: str | None) -> Verdict:
    if a_first is None or b_first is None:
        return "failed"
    if a_first != b_first:
        return "inconsistent"
    verdicts: dict[str, Verdict] = {"a": "win", "b": "lose", "tie": "tie"}
    return verdicts[a_first]


def rates(decided: pl.DataFrame) -> Sums:
    """`win_rate` of `a` ((wins + ties ÷ 2) ÷ rows with a verdict), `consistency_rate` (both orders agree ÷ rows asked
    about), `first_position_rate` (the response shown first won ÷ answers that name a winner, of rows asked about; .5
    without a preference, since either response is first once)."""
    verdict = decided["verdict"]
    win, lose, inconsistent, identical = (
        (verdict == name).to_numpy().astype(float) for name in ("win", "lose", "inconsistent", "identical")
    )
    has_verdict = verdict.is_in(RATED_VERDICTS).to_numpy().astype(float)
    is_question = has_verdict - identical
    firsts = [(decided[f"{side}_first"] == side).fill_null(value=False).to_numpy() for side in "ab"]
    winners = [decided[f"{side}_first"].is_in(["a", "b"]).fill_null(value=False).to_numpy() for side in "ab"]
    points = win + (has_verdict - win - lose) / 2
    columns = (
        points,
        has_verdict,
        is_question - inconsistent,
        is_question,
        is_question * np.sum(firsts, 0),
        is_question * np.sum(winners, 0),
    )
    return Sums(np.stack(columns, 1), _ratios)


def _ratios(sums: npt.NDArray[np.float64]) -> Values:
    with np.errstate(invalid="ignore", divide="ignore"):
        return {name: sums[:, 2 * i] / sums[:, 2 * i + 1] for i, name in enumerate(RATES)}


def sign_test(wins: int, losses: int) -> float:
    """Two-sided exact p of as many wins and losses under even chances, ties left out (Dixon & Mood 1946); 1 of none."""
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


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
    began = time.monotonic()
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        questions = both_orders(rows)
        folder = evaluation_of(workspace.root)
        judging = judge_samples(_flat(questions), judge, rubric, options, folder, console)
        decided = decide(rows, questions, judging.judgements)
        complete = judging.ending == "complete"
        record = PairwiseRecord(
            a=a,
            b=b,
            **_counts(decided),
            **(_figures(decided, settings) if complete else {}),
            **settings.model_dump(include={"resamples", "confidence", "seed"}),
            judge=judging.judge,
            spec=judging.spec,
            rubric=RubricName(name=rubric.name, version=rubric.version, hash=rubric.hash),
        )
        output = _write(workspace, folder, record, decided) if complete else None
    return PairwiseResult(
        **dict(record),
        states=judging.states,
        reasons=judging.reasons,
        unjudged=record.verdicts["unjudged"],
        requests=judging.requests,
        cost_usd=judging.cost_usd,
        seconds=round(time.monotonic() - began, 2),
        ending=judging.ending,
        output=str(output) if output else None,
    )


def require_verdicts(result: PairwiseResult) -> None:
    """Raise `UserError` with the reasons where no pair that the judge was asked about has a verdict."""
    verdicts = result.verdicts
    if verdicts["failed"] and result.n == verdicts["identical"] and result.ending == "complete":
        reasons = "; ".join(f"{count:,} × {reason}" for reason, count in result.reasons.items())
        raise UserError(f"no pair that the judge was asked about has a verdict, since answers failed: {reasons}")


def plan_pairwise(
    workspace: Workspace,
    a: str,
    b: str,
    judge: str = "openai",
    rubric: PairRubric | None = None,
    options: JudgeOptions | None = None,
    settings: PairwiseSettings | None = None,
) -> ScorePlan:
    """What `pairwise` would ask for and cost, without asking; see `scoring.plan.plan_samples`."""
    questions = both_orders(read_pairs(workspace, a, b, settings.samples if settings else None))
    folder = evaluation_of(workspace.root)
    return plan_samples(_flat(questions), build_judge(judge, rubric or PairRubric.load(), folder, options), folder)


def _flat(questions: list[tuple[Pair, Pair] | None]) -> list[Pair]:
    return [pair for both in questions if both is not None for pair in both]


def _counts(decided: pl.DataFrame) -> dict[str, Any]:
    counts = Counter(decided["verdict"])
    verdicts = {name: counts[name] for name in VERDICTS}
    n, win, lose = sum(verdicts[name] for name in RATED_VERDICTS), verdicts["win"], verdicts["lose"]
    sizes = {"samples": len(decided), "dialogues": decided["dialogue_id"].n_unique(), "n": n}
    return {**sizes, "win": win, "tie": n - win - lose, "lose": lose, "verdicts": verdicts}


def _figures(decided: pl.DataFrame, settings: PairwiseSettings) -> dict[str, Any]:
    measure, counts = rates(decided), Counter(decided["verdict"])
    intervals = interval(
        measure, decided["dialogue_id"].to_list(),
        draws=settings.resamples, confidence=settings.confidence, seed=settings.seed,
    )  # fmt: skip
    return {
        "p": sign_test(counts["win"], counts["lose"]),
        "values": {name: round(float(value[0]), 6) for name, value in measure.under().items()},
        "intervals": {name: (round(low, 6), round(high, 6)) for name, (low, high) in intervals.items()},
    }


def _write(workspace: Workspace, folder: Workspace, record: PairwiseRecord, decided: pl.DataFrame) -> Path:
    a, b = record.a, record.b
    output = folder.root / "pairwise" / f"{a}--{b}.json"
    with atomic(output.with_suffix(".parquet")) as path:
        decided.write_parquet(path, compression="zstd")
    record.write(output)
    replies = [workspace.generations / f"{name}.parquet" for name in (a, b) if name != REFERENCE]
    entry = PairwiseStageRecord(**dict(record), inputs=workspace.hashes([workspace.samples, *replies]))
    workspace.record(f"{entry.STAGE}:{a}:{b}", entry, [output, output.with_suffix(".parquet")])
    return output
