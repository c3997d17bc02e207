from dataclasses import replace

import numpy as np
import pytest

from efficient_empathy.scoring import Rubric

pytest.importorskip("scipy", reason='needs the extra "train"')

from efficient_empathy.labelling.distillation.examples import Examples
from efficient_empathy.labelling.distillation.quality import agreement, fit_heads, noise
from efficient_empathy.scoring.judges.distilled import calibrate
from efficient_empathy.selection.policies import load_policy
from samples import make_samples

RNG = np.random.default_rng(0)


def one_hot(scores: np.ndarray) -> np.ndarray:
    return np.eye(11, dtype=np.float32)[scores]


def test_logits_are_cooled_and_the_shares_of_levels_set_right() -> None:
    logits = RNG.normal(0, 1, (6000, 2, 11)).astype(np.float32)
    true = logits + np.array([np.zeros(11), np.linspace(-1, 1, 11)])
    probabilities = np.exp(true) / np.exp(true).sum(-1, keepdims=True)
    drawn = (RNG.random((6000, 2, 1)) < probabilities.cumsum(-1)).argmax(-1)
    sharp = logits * np.array([2.0, 1.0], np.float32)[:, None]
    heads = fit_heads(sharp, one_hot(drawn), Rubric.load())
    assert [head.temperature for head in heads] == pytest.approx([2.0, 1.0], rel=0.1)
    assert heads[1].bias[10] - heads[1].bias[0] == pytest.approx(2, abs=0.3)
    result = calibrate(sharp, heads)
    assert np.abs(result.mean(0) - one_hot(drawn).mean(0)).max() < 0.005


def test_levels_that_were_never_seen_keep_a_little_probability() -> None:
    logits = RNG.normal(0, 1, (200, 2, 11)).astype(np.float32)
    heads = fit_heads(logits, one_hot(np.full((200, 2), 8)), Rubric.load())
    assert all(0 < p < 0.01 for p in calibrate(logits, heads).mean(0)[0, :8])


def test_a_perfect_student_agrees_perfectly() -> None:
    scores = RNG.integers(0, 11, (200, 2))
    examples = Examples(make_samples(200), one_hot(scores), np.arange(200).astype(str))
    figures = agreement(one_hot(scores), examples, Rubric.load(), policy=load_policy("paper"))
    assert [axis["spearman"] for axis in figures["axes"].values()] == [1.0, 1.0]
    label = figures["labels"]
    assert label["accuracy_most_probable"] == label["accuracy_shares_matched"] == 1.0
    assert label["shares_true"] == label["shares_expected"]


def test_a_student_that_knows_nothing_still_expects_the_right_shares() -> None:
    scores = np.stack([RNG.choice([3, 8], 1000, p=[0.2, 0.8]), RNG.choice([2, 7], 1000, p=[0.7, 0.3])], 1)
    examples = Examples(make_samples(1000), one_hot(scores), np.arange(1000).astype(str))
    prior = np.repeat(one_hot(scores).mean(0)[None], 1000, 0)
    label = agreement(prior, examples, Rubric.load(), policy=load_policy("paper"))["labels"]
    assert label["shares_most_probable"]["discard"] == 0
    assert label["shares_expected"]["discard"] == pytest.approx(label["shares_true"]["discard"], abs=0.02)


def test_noise_is_told_by_samples_that_have_the_same_response() -> None:
    n, spread = 6000, np.array([2.0, 1.0])
    minds, blur = RNG.normal(0, spread, (n // 2, 2)), RNG.normal(0, 1.0, (n, 2))
    scores = np.clip(np.round(5 + np.repeat(minds, 2, 0) + blur), 0, 10).astype(int)
    samples = [replace(sample, response=f"Reply  {i // 2}.") for i, sample in enumerate(make_samples(n))]
    figures = noise(Examples(samples, one_hot(scores), np.arange(n).astype(str)), Rubric.load())
    assert figures is not None
    assert (figures["groups"], figures["samples"]) == (n // 2, n)
    for axis, mind in zip(figures["axes"].values(), spread, strict=True):
        low, high = axis["interval"]
        assert low < axis["correlation"] < high
        assert axis["correlation"] == pytest.approx(mind / np.sqrt(mind**2 + 13 / 12), abs=0.03)  # rounding blurs, too


def test_noise_is_not_told_by_a_few_samples() -> None:
    examples = Examples(make_samples(100), one_hot(RNG.integers(0, 11, (100, 2))), np.arange(100).astype(str))
    assert noise(examples, Rubric.load()) is None
