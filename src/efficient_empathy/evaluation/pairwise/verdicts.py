"""From the answers in both orders to verdicts, and from verdicts to rates.

Judging in both orders, and a win only where both agree, is the remedy of Zheng et al. 2023 (MT-Bench, arXiv 2306.05685,
section 3.4) against a judge that prefers a position; their consistency is `consistency_rate` here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.dialogues import Utterance
from efficient_empathy.evaluation.metric import Sums, Values
from efficient_empathy.evaluation.pairwise.question import Pair, choice_of
from efficient_empathy.evaluation.pairwise.record import COUNTED, Verdict
from efficient_empathy.scoring.judgement import Judgement

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
            found = [judgements.get(pair.id) for pair in question]
            answers = (_winner(found[0], "a", "b"), _winner(found[1], "b", "a"))
            verdict = "unjudged" if None in found else _verdict(*answers)
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
    counted = verdict.is_in(COUNTED).to_numpy().astype(float)
    asked = counted - identical
    firsts = [(decided[f"{side}_first"] == side).fill_null(value=False).to_numpy() for side in "ab"]
    named = [decided[f"{side}_first"].is_in(["a", "b"]).fill_null(value=False).to_numpy() for side in "ab"]
    points = win + (counted - win - lose) / 2
    columns = (points, counted, asked - inconsistent, asked, asked * np.sum(firsts, 0), asked * np.sum(named, 0))
    return Sums(np.stack(columns, 1), _ratios)


def _ratios(sums: npt.NDArray[np.float64]) -> Values:
    with np.errstate(invalid="ignore", divide="ignore"):
        return {name: sums[:, 2 * i] / sums[:, 2 * i + 1] for i, name in enumerate(RATES)}


def sign_test(wins: int, losses: int) -> float:
    """Two-sided exact p of as many wins and losses under even chances, ties left out (Dixon & Mood 1946); 1 of none."""
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
