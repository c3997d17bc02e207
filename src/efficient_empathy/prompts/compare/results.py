"""Results of `prompts test` as a side of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.dialogues import SAMPLE_SCHEMA
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.axis import Axis
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.prompts.compare.samples import BUNDLED
from efficient_empathy.prompts.compare.sides import Kept, Side, rubric_at_hand
from efficient_empathy.prompts.golden.golden_set import read_golden
from efficient_empathy.prompts.testing.results import read_result
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.panel import Panel

LEDGER_ABOVE = 2
"""Results lie in `results/`, beside the ledger of the test."""


def result_side(kept: Kept, golden: str | None) -> Side:
    """A result's side: each item's score is the mean over its rounds. The dialogues are those of `golden`, or of the
    package's golden set, where their ids are those of the result; else they are not shown.

    Raises `UserError` for a file that is no result.
    """
    result = read_result(kept.path)
    try:
        axes = tuple(Axis(name, *map(int, scale)) for name, scale in result["rubric"]["axes"].items())
        items, spec = result["items"], JudgeSpec(**result["judge"]["spec"])
        scores = pl.DataFrame([_scored(item, axes) for item in items], schema=_schema(axes))
        samples = pl.DataFrame([*_samples(items, golden)], schema=SAMPLE_SCHEMA)
        specs = tuple(spec.in_round(number) for number in result["rounds"])
        judge, thresholds = str(result["judge"]["name"]), dict(result.get("thresholds") or {})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{kept.path} is a damaged result ({error!r}): run `prompts test` again") from error
    folder = kept.path.resolve().parents[LEDGER_ABOVE - 1]
    about, prompt = rubric_at_hand(result["rubric"], folder)
    panel = Panel.of(specs, "mean" if len(specs) > 1 else "first")
    return Side(
        kept.name, judge, panel, about, prompt, axes, scores, samples, Workspace(folder).ledger, thresholds
    )  # fmt: skip


def _schema(axes: Sequence[Axis]) -> pl.Schema:
    return pl.Schema({"sample_id": pl.String(), "state": pl.String(), **{axis.name: pl.Float32() for axis in axes}})


def _scored(item: Mapping[str, Any], axes: Sequence[Axis]) -> dict[str, Any]:
    ok = [one["scores"] for one in item["rounds"] if one["state"] == "ok"]
    failed = next((one["state"] for one in item["rounds"] if one["state"] != "ok"), None)
    means = {axis.name: float(np.mean([scores[axis.name] for scores in ok])) if ok else None for axis in axes}
    return {"sample_id": item["id"], "state": "ok" if ok else failed, **means}


def _samples(items: Sequence[Mapping[str, Any]], golden: str | None) -> list[dict[str, Any]]:
    """The items' dialogues, without turns where they are not known."""
    known = {sample.id: sample.row() for sample in read_golden(golden or BUNDLED).samples}
    bare = {"turn": 0, "context": [], "response": "", "split": None, "source": None}
    return [
        known.get(item["id"])
        or {**bare, "sample_id": item["id"], "dialogue_id": item["dialogue_id"], "category": item["category"]}
        for item in items
    ]
