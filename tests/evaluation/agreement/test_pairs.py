import numpy as np
import pytest

from efficient_empathy.evaluation.agreement.pairs import ceilings
from efficient_empathy.evaluation.agreement.raters import align_raters
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.evaluation.agreement.sources import read_raters
from efficient_empathy.foundation.statistics.agreement import cohen_kappa
from rated_panels import dialogue_samples, near, people_frame, scores

SAMPLES = dialogue_samples(120)
TRUTH = scores(120)["sensibility"]


def ceiling(by_rater, people):
    frame = people_frame(SAMPLES, {name: {"empathy": values} for name, values in by_rater.items()})
    settings = AgreementSettings(people=people, scales=("0-10",), resamples=200)
    [one] = ceilings(align_raters(read_raters({"t": frame}), settings), settings)
    return one


PEOPLE = {name: near(TRUTH, 0.6, seed) for seed, name in enumerate(("ann", "bo", "cy"))}


def test_the_peoples_own_agreement_is_the_mean_over_every_two() -> None:
    one = ceiling({**PEOPLE, "j": TRUTH}, tuple(PEOPLE))
    names = list(PEOPLE)
    kappas = [cohen_kappa(PEOPLE[a], PEOPLE[b], scale=range(11)) for a, b in (names[:2], names[1:], names[::2])]
    assert one.people.pairwise["kappa_quadratic"].value == pytest.approx(np.mean(kappas))
    median = np.median(list(PEOPLE.values()), axis=0)
    assert one.judges[0].median["kappa_quadratic"].value == pytest.approx(cohen_kappa(median, TRUTH, scale=range(11)))
    assert "mean_shift" in one.judges[0].median
    assert "mean_shift" not in one.people.pairwise


def test_a_judge_like_a_person_is_within_and_a_careless_one_below() -> None:
    careless = np.where(np.arange(120) % 2, TRUTH, np.random.default_rng(5).integers(0, 11, 120))
    one = ceiling({**PEOPLE, "alike": near(TRUTH, 0.6, 9), "careless": careless, "exact": TRUTH}, tuple(PEOPLE))
    assert [judge.verdict for judge in one.judges] == ["within", "below", "above"]
    below = one.judges[1].less.pairwise["kappa_quadratic"]
    assert below.low < below.value < below.high < 0


def test_one_person_has_no_ceiling_and_it_is_said() -> None:
    one = ceiling({"ann": PEOPLE["ann"], "j": TRUTH}, ("ann",))
    assert one.people.pairwise == {}
    assert one.judges[0].verdict == "unknown"
    assert one.judges[0].median["exact"].value == pytest.approx((PEOPLE["ann"] == TRUTH).mean())
    assert "no ceiling" in one.note
