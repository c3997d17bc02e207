import numpy as np
import pytest

from efficient_empathy.scoring import Rubric

pytest.importorskip("scipy", reason='needs the extra "train"')

from efficient_empathy.distillation.data import Lessons
from efficient_empathy.distillation.quality import agreement, fit_temperatures
from samples import make_samples

RNG = np.random.default_rng(0)


def one_hot(scores: np.ndarray) -> np.ndarray:
    return np.eye(11, dtype=np.float32)[scores]


def test_overconfident_logits_are_cooled_and_calibrated_ones_left_alone() -> None:
    logits = RNG.normal(0, 1, (4000, 2, 11)).astype(np.float32)
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    drawn = (RNG.random((4000, 2, 1)) < probabilities.cumsum(-1)).argmax(-1)
    sharp = logits * np.array([2.0, 1.0], np.float32)[None, :, None]
    first, second = fit_temperatures(sharp, one_hot(drawn))
    assert first == pytest.approx(2.0, rel=0.1)
    assert second == pytest.approx(1.0, rel=0.1)


def test_a_perfect_student_agrees_perfectly() -> None:
    scores = RNG.integers(0, 11, (200, 2))
    lessons = Lessons(make_samples(200), one_hot(scores), np.arange(200).astype(str))
    figures = agreement(one_hot(scores) * 50, lessons, Rubric.load(), [1.0, 1.0])
    assert [axis["spearman"] for axis in figures["axes"].values()] == [1.0, 1.0]
    label = figures["paper_label"]
    assert label["accuracy_most_probable"] == label["accuracy_shares_matched"] == 1.0
    assert label["shares_true"] == label["shares_expected"]


def test_a_student_that_knows_nothing_still_expects_the_right_shares() -> None:
    scores = np.stack([RNG.choice([3, 8], 1000, p=[0.2, 0.8]), RNG.choice([2, 7], 1000, p=[0.7, 0.3])], 1)
    lessons = Lessons(make_samples(1000), one_hot(scores), np.arange(1000).astype(str))
    prior = np.log(one_hot(scores).mean(0) + 1e-6)
    figures = agreement(np.repeat(prior[None], 1000, 0).astype(np.float32), lessons, Rubric.load(), [1.0, 1.0])
    label = figures["paper_label"]
    assert label["shares_most_probable"]["discard"] == 0
    assert label["shares_expected"]["discard"] == pytest.approx(label["shares_true"]["discard"], abs=0.02)
