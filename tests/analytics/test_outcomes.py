import numpy as np
import polars as pl
import pytest

from efficient_empathy.analytics.outcomes import files, outcomes, word_f1
from efficient_empathy.analytics.table import read_table
from efficient_empathy.dialogues import sample_id, scan_samples
from efficient_empathy.evaluation.judging import evaluation_of
from efficient_empathy.scoring import Judgement, Ledger


def test_a_run_without_models_or_raters_has_none(make_run) -> None:
    run = make_run(dialogues=4)
    assert outcomes(run, read_table(run)) == []
    assert files(run) == []


def test_responses_are_compared_and_what_a_judge_said_is_found_again(make_run) -> None:
    run = make_run(dialogues=6)
    samples = [one for chunk in scan_samples(run.samples) for one in chunk]
    said = [*(one.response for one in samples[:3]), "zzz", None]
    run.generations.mkdir()
    frame = pl.DataFrame({"sample_id": [one.id for one in samples[:5]], "response": said})
    frame.write_parquet(run.generations / "moe.parquet")
    folder = evaluation_of(run.root).create()
    key = sample_id(samples[3].context, "zzz")
    with Ledger(folder.ledger) as ledger:
        ledger.record("quality", [Judgement(key, "ok", "gpt", "r", {"empathy": 2.0})])
    found = {one.name: one.values for one in outcomes(run, read_table(run))}
    assert list(found) == ["moe: word F1", "moe: empathy"]
    assert found["moe: word F1"][:4].tolist() == [1, 1, 1, 0]
    assert np.isnan(found["moe: word F1"][4:]).all()
    assert found["moe: empathy"][3] == 2
    assert np.isnan(found["moe: empathy"]).sum() == 11


def test_ratings_are_means_over_raters_without_repeats(make_run) -> None:
    run = make_run(dialogues=4)
    ids = read_table(run).rows["sample_id"].to_list()
    rows = [
        ("ann", "likert", ids[0], ["moe", "base"], "empathy", 4.0, False),
        ("bo", "likert", ids[0], ["moe", "base"], "empathy", 2.0, False),
        ("bo", "likert", ids[0], ["moe", "base"], "empathy", 1.0, True),
        ("bo", "likert", ids[2], ["moe"], "coherence", 5.0, False),
        ("bo", "ab", ids[1], ["moe"], "overall", 1.0, False),
    ]
    names = ["rater", "task", "sample_id", "models", "question", "value", "repeat"]
    run.ratings.mkdir()
    pl.DataFrame(rows, schema=names, orient="row").write_parquet(run.ratings / "ratings.parquet")
    found = {one.name: one.values for one in outcomes(run, read_table(run))}
    assert list(found) == ["base: empathy", "moe: coherence", "moe: empathy"]
    assert found["moe: empathy"][0] == found["base: empathy"][0] == 3
    assert found["moe: coherence"][2] == 5


def test_word_f1() -> None:
    found = word_f1(["I am so sorry", "", "dog dog", ""], ["so sorry!", "x", "a dog", ""])
    assert found == pytest.approx([2 * 2 / 6, 0, 0.5, 0])
