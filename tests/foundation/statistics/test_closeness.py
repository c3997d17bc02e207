import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.foundation.statistics.closeness import FIGURES, closeness
from efficient_empathy.foundation.statistics.resampling import dialogue_draws

SCALE = (0, 10)
whole = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=2, max_size=40)
thirds = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=30)


def figures(first, second, scale=SCALE, **options):
    return {name: one.value for name, one in closeness(first, second, scale=scale, draws=0, **options).items()}


def reference(first, second):
    """The figures by other people's libraries, nan where these give none."""
    metrics, stats = pytest.importorskip("sklearn.metrics"), pytest.importorskip("scipy.stats")
    krippendorff = pytest.importorskip("krippendorff")
    varied = len(np.unique([first, second])) > 1
    rated = varied and len(np.unique(first)) > 1 and len(np.unique(second)) > 1
    steps = [np.rint(np.multiply(one, 3)).astype(int) for one in (first, second)]
    kappa = metrics.cohen_kappa_score(*steps, weights="quadratic", labels=range(31)) if varied else np.nan
    alpha = krippendorff.alpha([first, second], level_of_measurement="ordinal") if varied else np.nan
    return kappa, alpha, stats.spearmanr(first, second).statistic if rated else np.nan


@given(whole | thirds.map(lambda pairs: [(a / 3, b / 3) for a, b in pairs]))
@settings(deadline=None, max_examples=60)
def test_kappa_alpha_and_spearman_are_those_of_the_usual_libraries(pairs) -> None:
    first, second = np.array(pairs, dtype=float).T
    found = figures(first, second)
    ours = [found[name] for name in ("kappa_quadratic", "alpha_ordinal", "spearman")]
    assert ours == pytest.approx(reference(first, second), abs=1e-9, nan_ok=True)


@given(whole)
@settings(deadline=None, max_examples=20)
def test_a_draw_is_the_figure_of_its_rows_written_out(pairs) -> None:
    first, second = np.array(pairs, dtype=float).T
    clusters = [f"d{i // 2}" for i in range(len(first))]
    found = closeness(first, second, scale=SCALE, clusters=clusters, draws=40, seed=3)
    weights = dialogue_draws(clusters, 40, 3).astype(int)
    drawn = [figures(np.repeat(first, w), np.repeat(second, w)) for w in weights]
    for name in FIGURES:
        values = np.array([one[name] for one in drawn])
        bounds = [np.nan, np.nan]
        if len(set(clusters)) > 1 and np.isnan(values).mean() <= 0.1 and not np.isnan(found[name].value):
            bounds = np.nanquantile(values, [0.025, 0.975])
        assert found[name][1:] == pytest.approx(bounds, abs=1e-9, nan_ok=True)


def test_the_plain_figures_by_hand() -> None:
    found = figures([8, 8, 2, 3, np.nan, 5], [8, 7, 4, 3, 5, np.nan])
    assert found["exact"] == 0.5
    assert found["within_one"] == 0.75
    assert found["mean_shift"] == pytest.approx(0.25)
    assert found["mean_absolute"] == pytest.approx(0.75)


def test_missing_scores_leave_out_the_item() -> None:
    first, second = [1, 2, 3, np.nan, 9, 4], [1, 3, 3, 7, np.nan, 5]
    assert figures(first, second) == figures([1, 2, 3, 4], [1, 3, 3, 5])


def test_swapping_the_raters_turns_the_shift_alone() -> None:
    first, second = np.random.default_rng(0).integers(0, 11, (2, 50))
    there, back = figures(first, second), figures(second, first)
    assert there.pop("mean_shift") == pytest.approx(-back.pop("mean_shift"))
    assert there == pytest.approx(back)


@pytest.mark.parametrize(("first", "second"), [([], []), ([np.nan, 3], [2, np.nan])])
def test_without_shared_items_every_figure_is_nan(first, second) -> None:
    assert all(np.isnan(one).all() for one in closeness(first, second, scale=SCALE).values())


def test_scores_that_do_not_vary_have_no_kappa_but_a_shift() -> None:
    found = closeness([8.0] * 20, [8.0] * 20, scale=SCALE)
    assert found["exact"] == (1, 1, 1)
    assert found["mean_shift"] == (0, 0, 0)
    assert all(np.isnan(found[name]).all() for name in ("kappa_quadratic", "alpha_ordinal", "spearman"))


def test_an_interval_that_hangs_on_one_item_is_not_given() -> None:
    found = closeness([8.0] * 20, [8.0] * 19 + [7.0], scale=SCALE)
    assert found["alpha_ordinal"].value == 0
    assert np.isnan(found["alpha_ordinal"].low)
    assert found["exact"].low < 0.95 <= found["exact"].high


def test_rows_of_a_dialogue_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    first = np.repeat(rng.integers(0, 11, 60), 5)
    second = np.clip(first + np.repeat(rng.integers(-3, 4, 60), 5), 0, 10)
    by_row = closeness(first, second, scale=SCALE)["mean_shift"]
    by_dialogue = closeness(first, second, scale=SCALE, clusters=np.repeat(np.arange(60), 5))["mean_shift"]
    assert by_dialogue.high - by_dialogue.low > 1.7 * (by_row.high - by_row.low)


def test_categories_are_counted_in_places() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    first, second = [1, 2, 5, 5, 1], [2, 2, 5, 1, 1]
    assert figures(first, second, scale=(1, 2, 5))["kappa_quadratic"] == pytest.approx(
        metrics.cohen_kappa_score(first, second, weights="quadratic")
    )
    assert figures(first, second, scale=range(1, 6)) == pytest.approx(figures(first, second, scale=(1, 5)))


def test_a_score_off_the_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="11 is not on the scale 0 to 10"):
        closeness([1, 11], [1, 2], scale=SCALE)
    with pytest.raises(ValueError, match="not on the scale: 1, 2, 5"):
        closeness([1, 3], [1, 2], scale=(1, 2, 5))


def test_many_items_are_quick() -> None:
    first, second = np.random.default_rng(0).integers(0, 11, (2, 5734))
    begin = time.process_time()
    closeness(first, second, scale=SCALE)
    assert time.process_time() - begin < 5
