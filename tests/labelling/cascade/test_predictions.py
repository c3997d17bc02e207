"""The judge's head, fitted anew."""

from __future__ import annotations

import numpy as np

from efficient_empathy.labelling.cascade import predictions


def judge(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Distributions of a judge, and whole scores drawn from them; shapes (n, 2, 11) and (n, 2)."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(1, 9, (n, 2, 1))
    tables = np.exp(-((np.arange(11) - centre) ** 2) / 3).astype(np.float32)
    tables /= tables.sum(-1, keepdims=True)
    scores = (tables.cumsum(-1) < rng.random((n, 2, 1))).sum(-1)
    return tables, np.minimum(scores, 10).astype(np.float64)


def refit(tables: np.ndarray, taught: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return np.stack(predictions.refit(list(np.moveaxis(tables, 1, 0)), taught, scores), axis=1)


def log_loss(tables: np.ndarray, scores: np.ndarray) -> float:
    rows = np.arange(len(scores))
    return float(-np.mean([np.log(tables[rows, axis, scores[:, axis].astype(int)] + 1e-9) for axis in (0, 1)]))


def test_it_learns_the_habits_of_another_expert() -> None:
    tables, scores = judge(3000)
    harsher = np.maximum(0, scores - [3, 1])
    taught = np.arange(1000)
    result = refit(tables, taught, harsher[taught])
    assert np.allclose(result.sum(-1), 1, atol=1e-5)
    assert log_loss(result[1000:], harsher[1000:]) < log_loss(tables[1000:], harsher[1000:]) - 0.5
    means = result[1000:, 0] @ np.arange(11)
    before = tables[1000:, 0] @ np.arange(11)
    wanted = harsher[1000:, 0].mean()
    assert abs(means.mean() - wanted) < abs(before.mean() - wanted) / 4


def test_what_it_already_knows_it_hardly_unlearns() -> None:
    tables, scores = judge(3000)
    taught = np.arange(60)
    result = refit(tables, taught, scores[taught])
    assert log_loss(result[60:], scores[60:]) < log_loss(tables[60:], scores[60:]) + 0.1


def test_it_learns_from_what_was_bought_for_its_uncertainty_without_bias_elsewhere() -> None:
    tables, scores = judge(3000)
    harsher = np.maximum(0, scores - [3, 0])
    taught = np.argsort(tables.max(-1).min(-1))[:900]  # the least sure ones alone
    rest = np.setdiff1d(np.arange(3000), taught)
    result = refit(tables, taught, harsher[taught])
    assert log_loss(result[rest], harsher[rest]) < log_loss(tables[rest], harsher[rest])


def test_scores_between_two_whole_numbers_teach_both() -> None:
    tables, _ = judge(400)
    result = refit(tables, np.arange(400), np.full((400, 2), 4.5))
    assert result[:, 0, 4:6].sum(-1).mean() > 0.8
    assert abs(result[:, 0, 4].mean() - result[:, 0, 5].mean()) < 0.1


def test_it_learns_from_a_trial_what_another_judge_is_worth() -> None:
    tables, scores = judge(3000)
    rng, taught = np.random.default_rng(1), np.arange(200)
    parts = list(np.moveaxis(tables, 1, 0))
    losses = {}
    for name, other in {
        "near": np.clip(scores + rng.integers(-1, 2, scores.shape), 0, 10),
        "near but harsher": np.clip(scores - 3 + rng.integers(-1, 2, scores.shape), 0, 10),
        "blind": rng.integers(0, 11, scores.shape).astype(float),
    }.items():
        result = np.stack(predictions.refit(parts, taught, scores[taught], other), axis=1)
        losses[name] = log_loss(result[200:], scores[200:])
    alone = log_loss(tables[200:], scores[200:])
    assert losses["near"] < alone - 0.3
    assert losses["near but harsher"] < alone - 0.15
    assert losses["blind"] < alone + 0.1


def test_axes_of_other_scales_are_fitted_side_by_side() -> None:
    tables, scores = judge(2000)
    short = np.exp(-((np.arange(4) - np.clip(scores[:, :1], 0, 3)) ** 2)).astype(np.float32)
    short /= short.sum(-1, keepdims=True)
    truth = np.column_stack([scores[:, 0], np.minimum(scores[:, 0], 2)])
    taught = np.arange(800)
    long, small = predictions.refit([tables[:, 0], short], taught, truth[taught])
    assert (long.shape, small.shape) == ((2000, 11), (2000, 4))
    rows = np.arange(800, 2000)
    right = small[rows, truth[rows, 1].astype(int)]
    assert np.log(right + 1e-9).mean() > np.log(short[rows, truth[rows, 1].astype(int)] + 1e-9).mean()
