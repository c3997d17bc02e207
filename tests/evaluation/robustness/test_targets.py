import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.evaluation.robustness.grid import Cell, load_policies
from efficient_empathy.evaluation.robustness.labels import ScoredSamples
from efficient_empathy.evaluation.robustness.settings import TuneSettings
from efficient_empathy.evaluation.robustness.targets import (
    Target,
    amount_criterion,
    balance_criterion,
    loss_criterion,
    target_of,
)
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable


def scored_of(run):
    return ScoredSamples(RunTable(run), load_policies(["paper"]))


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("share=0.6", Target("share", 0.6)),
        (" share = 1 ", Target("share", 1)),
        ("samples=20000", Target("samples", 20000)),
        ("balance", Target("balance")),
        ("proxy-loss", Target("proxy-loss")),
    ],
)
def test_targets(text, target) -> None:
    assert target_of(text) == target
    assert target_of(str(target)) == target


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("size=3", "no target: take share=0.6, samples=20000, balance, or proxy-loss"),
        ("", "no target"),
        ("share", "write share=0.6"),
        ("share=60", "up to 1"),
        ("share=0", "above 0"),
        ("share=nan", "write share"),
        ("samples=0.5", "a whole number"),
        ("samples=1e3.5", "a whole number"),
        ("balance=2", "the target balance has no amount: leave out =2"),
    ],
)
def test_what_is_none_says_what_to_write(text, said) -> None:
    with pytest.raises(UserError, match=said):
        target_of(text)


@given(st.text(max_size=15))
def test_any_text_is_a_target_or_a_users_error(text) -> None:
    with contextlib.suppress(UserError):
        assert target_of(text).kind in ("share", "samples", "balance", "proxy-loss")


def test_a_share_is_of_the_scored_samples(run) -> None:
    scored, cell = scored_of(run), Cell.of("paper", {"alpha": 5, "beta": 5})
    one = amount_criterion(scored, Target("share", 0.5), TuneSettings(target="share=0.5", tolerance=0.1))
    sums = one.counts(cell).sum(axis=0)
    kept = scored.labels(cell).within("union").mean()
    assert one.value(sums) == pytest.approx(kept)
    assert one.miss(one.value(sums)) == pytest.approx(abs(kept - 0.5))
    assert one.fault(sums) == pytest.approx(max(0, abs(kept - 0.5) - 0.1))
    number = amount_criterion(scored, Target("samples", 100), TuneSettings(target="samples=100"))
    assert number.value(sums / 2) == pytest.approx(kept * 237)  # a part counts for the whole


def test_more_than_there_are_is_refused(run) -> None:
    with pytest.raises(UserError, match="there are 237 scored samples, so 500"):
        amount_criterion(scored_of(run), Target("samples", 500), TuneSettings(target="samples=500"))


def test_balance_is_the_divergence_of_the_categories(run) -> None:
    stats = pytest.importorskip("scipy.stats", reason='needs the extra "eval"')
    scored, cell = scored_of(run), Cell.of("paper", {"alpha": 7, "beta": 6})
    one = balance_criterion(scored, TuneSettings(target="balance", least=0.9))
    names, place = scored.categories()
    kept = scored.labels(cell).within("union")
    p, q = (np.bincount(place[m], minlength=len(names)) for m in (kept, np.ones_like(kept)))
    sums = one.counts(cell).sum(axis=0)
    assert one.value(sums) == pytest.approx(stats.entropy(p, q))
    assert one.fault(sums) == pytest.approx(0.9 - kept.mean())
    nothing = np.concatenate([np.zeros(4), q])
    assert one.value(nothing) == np.inf
    assert one.value(np.concatenate([q, q])) == pytest.approx(0)


def test_balance_needs_categories_and_a_range(run, tmp_path) -> None:
    scored = scored_of(run)
    with pytest.raises(UserError, match=r"the least share, 0\.9, is above the most, 0\.5"):
        balance_criterion(scored, TuneSettings(target="balance", least=0.9, most=0.5))
    scored.rows = scored.rows.with_columns(category=scored.rows["sample_id"].replace_strict({}, default=None))
    with pytest.raises(UserError, match="two or more categories, and these have none"):
        balance_criterion(scored, TuneSettings(target="balance"))


def test_losses_are_per_token_and_missing_ones_are_worst() -> None:
    one = loss_criterion(lambda cell: np.zeros((1, 2)))
    assert one.value(np.array([[12.0, 4.0], [0.0, 0.0]])).tolist() == [3.0, np.inf]
