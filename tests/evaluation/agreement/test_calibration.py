import numpy as np

from efficient_empathy.evaluation.agreement.calibration import calibrations
from efficient_empathy.evaluation.agreement.raters import align_raters
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.evaluation.agreement.sources import read_raters
from efficient_empathy.evaluation.agreement.subsets import subsets_of
from rated_panels import AXES, dialogue_samples, judge_run

N = 600


def rows(tmp_path, *, sharpened: float):
    """A judge with distributions against one whose scores were drawn from them, before they were sharpened."""
    rng = np.random.default_rng(0)
    samples = dialogue_samples(N)
    tables = {axis: rng.dirichlet(np.full(11, 0.3), N) for axis in AXES}
    drawn = {a: (t.cumsum(1) < rng.random((N, 1))).sum(1).clip(0, 10).astype(float) for a, t in tables.items()}
    said = {a: t**sharpened / (t**sharpened).sum(1, keepdims=True) for a, t in tables.items()}
    means = {axis: table @ np.arange(11) for axis, table in said.items()}
    judge = judge_run(
        tmp_path / "judge", samples, means, probabilities={a: t.astype(np.float32) for a, t in said.items()}
    )
    truth = judge_run(tmp_path / "truth", samples, drawn)
    settings = AgreementSettings(resamples=100)
    rated = align_raters(read_raters([str(judge.root), str(truth.root)]), settings)
    return {row.axis: row for row in calibrations(rated, subsets_of(rated, settings), settings)}


def test_exact_probabilities_are_off_by_no_more_than_chance(tmp_path) -> None:
    found = rows(tmp_path, sharpened=1)
    assert list(found) == ["sensibility", "rationality", "subset"]
    for row in found.values():
        assert (row.judge, row.reference, row.items) == ("judge", "truth", N)
        assert row.figures["ece"].value < row.chance.high * 1.3
        assert abs(row.figures["confidence"].value - row.figures["accuracy"].value) < 0.05
        assert sum(one.items for one in row.bins) == N
        assert (
            sum(level.predicted for level in row.levels) == 1
            or abs(sum(level.predicted for level in row.levels) - 1) < 1e-6
        )
    assert found["sensibility"].sharpness.std > 0


def test_a_judge_that_is_too_sure_is_found_out(tmp_path) -> None:
    for row in rows(tmp_path, sharpened=4).values():
        assert row.figures["ece"].low > row.chance.high
        assert row.figures["confidence"].value > row.figures["accuracy"].value
