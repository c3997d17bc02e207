from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.studio.pages.live.timeline import PAUSE_S, STEPS, Timeline

moments = st.lists(st.tuples(st.floats(0, PAUSE_S - 1), st.floats(0, 0.1)), min_size=1, max_size=300)


@given(moments)
def test_every_judgement_of_a_sitting_is_in_a_step_and_steps_stay_few(gaps) -> None:
    timeline, at = Timeline(), 1e9
    for gap, cost in gaps:
        at += gap
        timeline.add(at, cost)
    pace = timeline.pace()
    assert sum(pace.counts) == len(gaps)
    assert abs(sum(pace.cost_usd) - sum(cost for _, cost in gaps)) < 1e-4
    assert len(pace.counts) == len(pace.cost_usd) <= STEPS
    assert pace.step_s * len(pace.counts) >= sum(gap for gap, _ in gaps[1:])


def test_after_a_pause_the_new_sitting_is_shown_alone_and_a_late_one_counts_for_its_first_step() -> None:
    timeline = Timeline()
    timeline.add(0, 1)
    timeline.add(PAUSE_S + 1, 2)
    timeline.add(PAUSE_S - 5, 3)
    assert timeline.pace().counts == (2,)
    assert timeline.pace().cost_usd == (5,)
