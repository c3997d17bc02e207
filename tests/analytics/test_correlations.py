import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.analytics import correlations as module
from efficient_empathy.analytics.correlations import Outcome, Ranks, correlations, outcome_files, outcomes, word_f1
from efficient_empathy.analytics.table import read_table
from efficient_empathy.dialogues import sample_id, scan_samples
from efficient_empathy.evaluation.judging import evaluation_of
from efficient_empathy.scoring import Judgement, Ledger
from judge_specs import spec_of

NUMBERS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 3)), min_size=3, max_size=30)


def test_rationality_goes_with_length_and_nothing_else(make_run) -> None:
    table = read_table(make_run())
    result = {(one.axis, one.other): one for one in correlations(table, [])}
    length = result["rationality", "response_words"]
    assert length.value > 0.9
    assert length.low > 0.85
    assert length.high < 1
    assert (length.samples, length.dialogues) == (480, 240)
    turn = result["rationality", "turn"]
    assert turn.low < 0 < turn.high
    assert ("sensibility", "rationality") in result
    assert ("rationality", "sensibility") not in result
    assert result["rationality", "exclamations"].value is None


def test_outcomes_are_measured_on_the_samples_that_have_one(make_run) -> None:
    table = read_table(make_run())
    values = np.where(np.arange(480) < 100, -table.column("sensibility"), np.nan)
    result = correlations(table, [Outcome("rating", "reference: empathy", values)], resamples=50)
    (one,) = [one for one in result if one.kind == "rating" and one.axis == "sensibility"]
    assert one.value == pytest.approx(-1)
    assert (one.samples, one.other) == (100, "reference: empathy")
    few = Outcome("rating", "x", np.where(np.arange(480) < 5, 1.0 * np.arange(480), np.nan))
    assert correlations(table, [few], resamples=0)[-1].value is None


def test_intervals_are_wider_where_samples_hang_together(make_run) -> None:
    """The same numbers, once as 240 dialogues of two samples that are nearly alike, once as 480 dialogues."""
    table = read_table(make_run(sensibility=lambda i, _: (i * 7919) % 10))
    level = Outcome("metric", "m", np.repeat(np.random.default_rng(0).permutation(240), 2) * 1.0)
    together = correlations(table, [level])[-2]
    object.__setattr__(table, "dialogues", np.arange(480))
    apart = correlations(table, [level])[-2]
    assert together.value == apart.value
    assert together.high - together.low > 1.2 * (apart.high - apart.low)


def test_of_many_samples_whole_dialogues_are_drawn(make_run, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 100)
    result = correlations(read_table(make_run()), [], resamples=20)
    assert {(one.samples, one.dialogues) for one in result} == {(100, 50)}
    assert next(one for one in result if one.other == "response_words" and one.axis == "rationality").value > 0.9


@settings(max_examples=40)
@given(NUMBERS)
def test_weighted_ranks_are_those_of_repeated_rows(rows) -> None:
    stats = pytest.importorskip("scipy.stats", reason="comes with the extra eval")
    a, b, weights = (np.array(column, float) for column in zip(*rows, strict=True))
    result = Ranks({"a": a, "b": b}, [("a", "b")]).under(weights[None])["a ~ b"][0]
    again = [np.repeat(values, weights.astype(int)) for values in (a, b)]
    if any(len(np.unique(values)) < 2 for values in again):
        assert np.isnan(result)
    else:
        assert result == pytest.approx(stats.spearmanr(*again).statistic, abs=1e-9)


def test_a_run_without_models_or_raters_has_none(make_run) -> None:
    run = make_run(dialogues=4)
    assert outcomes(run, read_table(run)) == []
    assert outcome_files(run) == []


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
        ledger.record(spec_of("quality"), [Judgement(key, "ok", "gpt", "r", {"empathy": 2.0})])
    result = {one.name: one.values for one in outcomes(run, read_table(run))}
    assert list(result) == ["moe: word F1", "moe: empathy"]
    assert result["moe: word F1"][:4].tolist() == [1, 1, 1, 0]
    assert np.isnan(result["moe: word F1"][4:]).all()
    assert result["moe: empathy"][3] == 2
    assert np.isnan(result["moe: empathy"]).sum() == 11


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
    (run.ratings / "main").mkdir(parents=True)
    pl.DataFrame(rows, schema=names, orient="row").write_parquet(run.ratings / "main" / "ratings.parquet")
    result = {one.name: one.values for one in outcomes(run, read_table(run))}
    assert list(result) == ["base: empathy", "moe: coherence", "moe: empathy"]
    assert result["moe: empathy"][0] == result["base: empathy"][0] == 3
    assert result["moe: coherence"][2] == 5
    (run.ratings / "pilot").mkdir()
    pl.DataFrame(rows[3:4], schema=names, orient="row").write_parquet(run.ratings / "pilot" / "ratings.parquet")
    assert [one.name for one in outcomes(run, read_table(run))][2:] == ["moe: empathy (main)", "moe: coherence (pilot)"]


def test_word_f1() -> None:
    result = word_f1(["I am so sorry", "", "dog dog", ""], ["so sorry!", "x", "a dog", ""])
    assert result == pytest.approx([2 * 2 / 6, 0, 0.5, 0])
