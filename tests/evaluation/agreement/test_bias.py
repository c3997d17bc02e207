import numpy as np
import polars as pl

from efficient_empathy.evaluation.agreement.bias import biases, groups, permutation_tests
from efficient_empathy.evaluation.agreement.raters import ABOUT, align_raters
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.evaluation.agreement.sources import read_raters
from rated_panels import dialogue_samples, judge_run, near, scores


def found_in(tmp_path, samples, first, second):
    runs = [judge_run(tmp_path / name, samples, values) for name, values in (("a", first), ("b", second))]
    settings = AgreementSettings(resamples=100, axes=("sensibility",))
    return biases(align_raters(read_raters([str(run.root) for run in runs]), settings), settings)


def test_a_judge_that_likes_long_responses_is_found_out_and_nothing_else(tmp_path) -> None:
    samples, first = dialogue_samples(300), scores(300)
    words = np.array([len(s.response.split()) for s in samples])
    second = {**first, "sensibility": np.clip(near(first["sensibility"], 0.3, 1) + (words > 23) * 1.0, 0, 10)}
    rows = found_in(tmp_path, samples, first, second)
    biased = {(row.kind, row.group) for row in rows if row.verdict == "bias"}
    assert {kind for kind, _ in biased} == {"length"}
    longest = next(row for row in rows if row.kind == "length" and row.group.endswith("–30 words"))
    assert longest.verdict == "bias"
    assert longest.excess.low > 0
    assert longest.p_holm >= longest.p


def test_noise_is_not_called_bias(tmp_path) -> None:
    samples, called = dialogue_samples(200), 0
    for seed in range(5):
        first = scores(200, seed)
        second = {**first, "sensibility": near(first["sensibility"], 0.4, 50 + seed)}
        called += any(row.verdict == "bias" for row in found_in(tmp_path / str(seed), samples, first, second))
    assert called <= 1


def test_small_groups_are_not_tested(tmp_path) -> None:
    samples = dialogue_samples(40)
    rows = found_in(tmp_path, samples, scores(40), scores(40, 1))
    assert {row.verdict for row in rows if row.kind == "category" and row.dialogues < 10} == {"untested"}


def test_a_few_rare_differences_are_not_taken_for_certain() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for seed in range(40):
        differences = (rng.random(300) < 0.03).astype(float)
        marks = np.zeros((300, 1))
        marks[:12] = 1
        alarms += permutation_tests(differences, marks, [str(i) for i in range(300)], seed, 499)[0] < 0.05
    assert alarms <= 6


def test_dialogues_are_dealt_whole() -> None:
    dialogues = np.repeat(np.arange(40), 10).astype(str).tolist()
    rng = np.random.default_rng(0)
    alarms = 0
    for seed in range(40):
        differences = np.repeat(rng.normal(size=40), 10)
        marks = (np.repeat(rng.random(40) < 0.5, 10)[:, None]).astype(float)
        alarms += permutation_tests(differences, marks, dialogues, seed, 199)[0] < 0.05
    assert alarms <= 6


def test_equal_differences_have_no_p() -> None:
    assert np.isnan(permutation_tests(np.ones(20), np.eye(20)[:, :1], [str(i) for i in range(20)], 0, 99)).all()


def test_groups_by_quartile_and_turn() -> None:
    about = pl.DataFrame(
        [{"item": str(i), "response_words": i + 1, "turn": 2 * i, "category": None} for i in range(8)], schema=ABOUT
    )
    found = groups(about)
    assert list(found) == ["length", "position"]
    assert sorted(set(found["length"])) == ["1–2 words", "3–4 words", "5–6 words", "7–8 words"]
    assert found["position"] == ["turn 0", "turn 2", "turn 4", "turn 6", *["turn 8 or later"] * 4]
