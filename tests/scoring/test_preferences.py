"""A judge held against preference data, by the command as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.preferences import preferences_of
from efficient_empathy.scoring.record import ScoreRecord
from efficient_empathy.scoring.stage import score, summary

WARM, COLD = "Oh no, that must have hurt so much. How are you feeling today, my friend?", "Whatever. Buy another one."
ROWS = [{"prompt": f"I lost ring number {n} in the sea.", "chosen": WARM, "rejected": f"{COLD} {n}"} for n in range(4)]


def test_the_bundled_judge_is_held_against_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    run = Workspace(tmp_path / "run")
    result = score(path, run, reading=ReadingSettings(side="both"))
    frame = pl.concat([pl.read_parquet(run.samples), pl.read_parquet(run.scores).drop("sample_id")], how="horizontal")
    chosen, rejected = (frame.filter(side=side)["sensibility"].to_list() for side in ("chosen", "rejected"))
    [sensibility, _] = result.preferences
    assert sensibility.axis == "sensibility"
    assert sensibility.chosen == sum(a > b for a, b in zip(chosen, rejected, strict=True))
    assert sensibility.pairs == 4
    assert sensibility.text() in summary(result, run.root)
    record = run.stage("score", ScoreRecord)
    assert record is not None
    assert record.preferences == result.preferences


def test_ties_missing_scores_and_lone_sides_are_told_apart(tmp_path: Path) -> None:
    rows = [
        ("d1", 1, "chosen", 7.0), ("d1", 1, "rejected", 3.0), ("d1", 1, "chosen", 4.0), ("d1", 1, "rejected", 4.0),
        ("d2", 1, "chosen", None), ("d2", 1, "rejected", 2.0), ("d3", 1, "chosen", 2.0), ("d4", 1, "rejected", 9.0),
        ("d5", 3, "chosen", 1.0), ("d5", 3, "rejected", 2.0), ("d6", 1, None, 5.0),
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=["dialogue_id", "turn", "side", "warmth"], orient="row")
    frame.write_parquet(tmp_path / "both.parquet")
    [record] = preferences_of(tmp_path / "both.parquet", tmp_path / "both.parquet", ["warmth"])
    assert (record.chosen, record.equal, record.rejected) == (1, 1, 1)
    assert record.text() == (
        "Of 3 pairs, warmth is higher for the chosen reply in 33%, equal in 33%, higher for the rejected one in 33%."
    )


def test_samples_without_sides_have_no_preferences(tmp_path: Path) -> None:
    frame = pl.DataFrame({"dialogue_id": ["a", "b"], "turn": [1, 1], "side": [None, None], "warmth": [1.0, 2.0]})
    frame.write_parquet(tmp_path / "none.parquet")
    assert preferences_of(tmp_path / "none.parquet", tmp_path / "none.parquet", ["warmth"]) == ()
