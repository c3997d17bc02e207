import numpy as np
import polars as pl
import pytest
import yaml

from browser import Page
from efficient_empathy.evaluation.agreement import AgreementSettings, measure_agreement
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.record import Estimate
from rated_panels import dialogue_samples, judge_run, near, people_frame, scores

SAMPLES = dialogue_samples(100)


def test_agreement_on_subsets_is_that_of_the_rule() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    first = scores(100)
    second = {axis: near(values, 0.8, 3) for axis, values in first.items()}
    found = measure_agreement(
        {"t": people_frame(SAMPLES, {"a": first, "b": second})}, settings=AgreementSettings(resamples=50)
    )
    [pair] = found.subsets.pairs

    def by_rule(one):
        s, r = one["sensibility"], one["rationality"]
        return np.select([r > 5, (s > 5) & (r < 5)], ["rationality", "sensibility"], "discard")

    a, b = by_rule(first), by_rule(second)
    figures = pair.figures
    assert figures["same"].value == pytest.approx((a == b).mean())
    assert figures["kappa"].value == pytest.approx(metrics.cohen_kappa_score(a, b))
    assert figures["f1 sensibility"].value == pytest.approx(
        metrics.f1_score(a, b, labels=["sensibility"], average=None)[0]
    )
    assert np.sum(pair.confusion.counts) == 100
    assert found.subsets.shares["a"]["rationality"] == pytest.approx((a == "rationality").mean())


def test_without_both_axes_there_are_no_subsets() -> None:
    frames = {name: pl.DataFrame({"item_id": ["x", "y"], "sensibility": [1, 2]}) for name in ("a", "b")}
    assert measure_agreement(frames, settings=AgreementSettings(resamples=0)).subsets is None


def test_thresholds_by_name_move_the_subsets() -> None:
    first, second = scores(100), {axis: near(values, 0.8, 3) for axis, values in scores(100).items()}
    frame = people_frame(SAMPLES, {"a": first, "b": second})
    for options in ({"beta": 8}, {"thresholds": {"beta": 8}}):
        found = measure_agreement({"t": frame}, settings=AgreementSettings(resamples=0, **options)).subsets
        assert found.thresholds == {"alpha": 5, "beta": 8}
        assert found.shares["a"]["rationality"] == pytest.approx((first["rationality"] > 8).mean())
    with pytest.raises(UserError, match="paper has no threshold gamma: it has alpha, beta"):
        measure_agreement({"t": frame}, settings=AgreementSettings(thresholds={"gamma": 3}))
    with pytest.raises(UserError, match=r"the threshold alpha .* is 50, which is not on the scale of sensibility"):
        measure_agreement({"t": frame}, settings=AgreementSettings(alpha=50))


WARM = {
    "name": "warm",
    "thresholds": {"least": 3},
    "rules": [{"plain": "response_words < 8"}, {"warm": "warmth >= least and clarity > 1"}],
    "otherwise": "cold",
}


def test_any_rules_on_any_axes_and_facts(tmp_path) -> None:
    policy = tmp_path / "warm.yaml"
    policy.write_text(yaml.safe_dump(WARM))
    rng = np.random.default_rng(0)
    values = {name: {axis: rng.integers(1, 6, 100).astype(float) for axis in ("clarity", "warmth")} for name in "ab"}
    runs = []
    for name, scored in values.items():
        workspace = judge_run(tmp_path / name, SAMPLES, scored, scale=[1, 5])
        runs.append(str(workspace.root))
    settings = AgreementSettings(resamples=0, policy=str(policy), thresholds={"least": 4})
    found = measure_agreement(runs, tmp_path / "out", settings)
    short = np.array([len(sample.response.split()) < 8 for sample in SAMPLES])
    warm = ~short & (values["a"]["warmth"] >= 4) & (values["a"]["clarity"] > 1)
    assert found.subsets.names == ("plain", "warm", "cold")
    assert found.subsets.shares["a"] == pytest.approx(
        {"plain": short.mean(), "warm": warm.mean(), "cold": (~short & ~warm).mean()}
    )
    assert "Where the policy warm puts each sample, least = 4:" in Page(tmp_path / "out" / "agreement.html").text


def test_rules_on_three_axes_are_calibrated_on_the_judges_distributions(tmp_path) -> None:
    policy = tmp_path / "sum.yaml"
    policy.write_text(yaml.safe_dump({"name": "sure", "rules": [{"yes": "a > 1 and b > 1 and c > 1"}]}))
    rng = np.random.default_rng(0)
    samples = dialogue_samples(400)
    tables = {axis: rng.dirichlet(np.full(4, 0.5), 400) for axis in "abc"}
    drawn = {axis: (t.cumsum(1) < rng.random((400, 1))).sum(1).clip(0, 3).astype(float) for axis, t in tables.items()}
    judge = judge_run(
        tmp_path / "judge", samples, {axis: t @ np.arange(4) for axis, t in tables.items()}, scale=[0, 3],
        probabilities={axis: t.astype(np.float32) for axis, t in tables.items()},
    )  # fmt: skip
    truth = judge_run(tmp_path / "truth", samples, drawn, scale=[0, 3])
    settings = AgreementSettings(resamples=0, policy=str(policy))
    found = {
        row.axis: row for row in measure_agreement([str(judge.root), str(truth.root)], settings=settings).calibration
    }
    subset = found["subset"]
    expected = np.prod([table[:, 2:].sum(1) for table in tables.values()], axis=0)
    assert {level.level: level.predicted for level in subset.levels}["yes"] == pytest.approx(expected.mean(), abs=1e-3)
    assert subset.figures["ece"].value < subset.chance.high * 1.3


def test_a_policy_that_does_not_fit_is_refused_when_it_is_named(tmp_path) -> None:
    frames = {name: pl.DataFrame({"item_id": ["x", "y"], "empathy": [1, 2]}) for name in "ab"}
    with pytest.raises(UserError, match=r"the policy exclusive looks at .*: there are empathy"):
        measure_agreement(frames, settings=AgreementSettings(policy="exclusive", resamples=0))
    policy = tmp_path / "short.yaml"
    policy.write_text(yaml.safe_dump({"name": "best", "top": 0.3}))
    with pytest.raises(UserError, match="best puts a sample where it ranks among all: name a policy of rules"):
        measure_agreement(frames, settings=AgreementSettings(policy=str(policy), resamples=0))
    policy.write_text(yaml.safe_dump({"name": "short", "rules": [{"short": "response_words < 5 and empathy > 1"}]}))
    bare = {name: frame.with_columns(response=pl.lit("oh no")) for name, frame in frames.items()}
    assert measure_agreement(bare, settings=AgreementSettings(policy=str(policy), resamples=0)).subsets is not None
    policy.write_text(yaml.safe_dump({"name": "asked", "rules": [{"asked": "questions > 0 and empathy > 1"}]}))
    with pytest.raises(UserError, match="asked asks for questions of each sample, which no rater's source has"):
        measure_agreement(frames, settings=AgreementSettings(policy=str(policy), resamples=0))


ITEMS = [sample.id for sample in dialogue_samples(80)]


def asked_again(values, chance):
    rounds = [{axis: near(v, chance, k) for axis, v in values.items()} for k in range(3)]
    return pl.concat(
        pl.DataFrame({"sample_id": ITEMS, "round": [k + 1] * len(ITEMS), **one}) for k, one in enumerate(rounds)
    ), rounds


def test_a_judge_alone_is_held_against_itself() -> None:
    frame, rounds = asked_again(scores(80), 0.3)
    found = measure_agreement({"j": frame}, settings=AgreementSettings(resamples=100))
    assert found.pairs == ()
    rows = {row.axis: row for row in found.repeats}
    assert list(rows) == ["sensibility", "rationality", "subset"]
    given = np.stack([one["sensibility"] for one in rounds], axis=1)
    figures = rows["sensibility"].figures
    assert figures["all_same"].value == pytest.approx((np.ptp(given, axis=1) == 0).mean())
    assert figures["spread"].value == pytest.approx(np.sqrt(given.var(axis=1, ddof=1).mean()))
    exact = np.mean([(given[:, a] == given[:, b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))])
    assert figures["exact"].value == pytest.approx(exact)
    assert rows["subset"].figures["all_same"].value > figures["all_same"].value
    assert rows["sensibility"].rounds == 3


def test_a_judge_that_never_changes_is_the_same_throughout() -> None:
    frame, _ = asked_again(scores(80), 0)
    [first, *_] = measure_agreement({"j": frame}, settings=AgreementSettings(resamples=50)).repeats
    assert first.figures["all_same"] == Estimate(value=1, low=1, high=1)
    assert first.figures["spread"].value == 0
