import numpy as np
import polars as pl
import pytest

from efficient_empathy.evaluation.agreement import AgreementSettings, measure_agreement
from rated_panels import dialogue_samples, near, people_frame, scores

SAMPLES = dialogue_samples(100)


def test_agreement_on_subsets_is_that_of_the_rule() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    first = scores(100)
    second = {axis: near(values, 0.8, 3) for axis, values in first.items()}
    found = measure_agreement(
        {"t": people_frame(SAMPLES, {"a": first, "b": second})}, settings=AgreementSettings(draws=50)
    )
    [pair] = found["subsets"]["pairs"]

    def by_rule(one):
        s, r = one["sensibility"], one["rationality"]
        return np.select([r > 5, (s > 5) & (r < 5)], ["rationality", "sensibility"], "discard")

    a, b = by_rule(first), by_rule(second)
    figures = pair["figures"]
    assert figures["same"]["value"] == pytest.approx((a == b).mean())
    assert figures["kappa"]["value"] == pytest.approx(metrics.cohen_kappa_score(a, b))
    assert figures["f1 sensibility"]["value"] == pytest.approx(
        metrics.f1_score(a, b, labels=["sensibility"], average=None)[0]
    )
    assert np.sum(pair["confusion"]["counts"]) == 100
    assert found["subsets"]["shares"]["a"]["rationality"] == pytest.approx((a == "rationality").mean())


def test_without_both_axes_there_are_no_subsets() -> None:
    frames = {name: pl.DataFrame({"item_id": ["x", "y"], "sensibility": [1, 2]}) for name in ("a", "b")}
    assert measure_agreement(frames, settings=AgreementSettings(draws=0))["subsets"] == {}
