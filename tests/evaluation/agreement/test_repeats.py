import numpy as np
import polars as pl
import pytest

from efficient_empathy.evaluation.agreement import AgreementSettings, measure_agreement
from efficient_empathy.foundation.run.record import Estimate
from rated_panels import dialogue_samples, near, scores

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
