import numpy as np
import polars as pl
import pytest

from efficient_empathy.evaluation.robustness.models import compare_models

ROWS = pl.DataFrame(
    {"sample_id": [f"s{i}" for i in range(120)], "dialogue_id": [f"d{i // 3}" for i in range(120)],
     "subset": ["sensibility" if i % 3 else "rationality" for i in range(120)]}
)  # fmt: skip
GROUPS = {
    "sensibility": ROWS.filter(subset="sensibility"),
    "rationality": ROWS.filter(subset="rationality"),
    "all": ROWS,
}


def losses(mean, *, on_rationality=0.0, noise=0.02, seed=0):
    """Ten tokens a response; dialogues are hard or easy for all models alike."""
    hard = np.repeat(np.random.default_rng(9).normal(0, 1, 40), 3)
    own = np.random.default_rng(seed).normal(0, noise, 120)
    extra = np.where(ROWS["subset"] == "rationality", on_rationality, 0)
    return ROWS.select("sample_id", tokens=pl.lit(10, pl.Int32), nll=pl.Series(10 * (mean + hard + own + extra)))


def compare(**models):
    cells = [name for name in models if name.startswith("cell")]
    named = {name.replace("_seed", " (seed ") + (")" if "_seed" in name else ""): one for name, one in models.items()}
    return compare_models(named, GROUPS, cells, "cell5", draws=400, seed=0)


def test_losses_intervals_and_paired_differences() -> None:
    told, together = compare(
        cell5=losses(3.0), cell6=losses(2.9, seed=1), all=losses(3.0, seed=2), random_seed1=losses(3.1, seed=3),
        random_seed2=losses(3.3, seed=4),
    )  # fmt: skip
    one = told["cell6"]
    low, high = one.interval
    assert low < one.loss < high
    assert high - low > 0.3  # dialogues differ, but alike for all:
    assert one.against["default"].value == pytest.approx(-0.1, abs=0.01)
    assert one.against["default"].high < -0.08
    assert one.against["random"].value == pytest.approx(-0.3, abs=0.01)
    assert one.subset_losses["all"] == pytest.approx(one.loss)
    assert "default" not in told["cell5"].against
    assert "random" not in told["random (seed 1)"].against
    assert told["all"].against["random"].high < 0
    assert together.order[0] == together.best == "cell6"
    assert together.best_in_draws == 1
    assert together.better_than == {"default": 1, "all": 1, "random": 2}
    assert together.range["random"] == pytest.approx([3.1 + one.loss - 2.9, 3.3 + one.loss - 2.9], abs=0.01)


def test_an_order_that_depends_on_what_is_measured_is_seen() -> None:
    _, together = compare(
        cell5=losses(3.0), cell6=losses(2.9, on_rationality=1.0, seed=1), cell7=losses(3.1, on_rationality=-0.5, seed=2)
    )
    assert together.agreement["rationality"] > together.agreement["sensibility"]
    assert together.agreement["sensibility"] < 0


def test_ties_leave_the_best_open() -> None:
    _, together = compare(cell5=losses(3.0, seed=1, noise=0.3), cell6=losses(3.0, seed=2, noise=0.3))
    assert 0.05 < together.best_in_draws < 1
    assert together.better_than == {"default": 0}
