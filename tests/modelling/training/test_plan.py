from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.modelling.training.loss import by_length
from efficient_empathy.modelling.training.plan import epoch_order

HALVES = (slice(0, 800), slice(800, None))
LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=200)


@given(lengths=LENGTHS, batch=st.integers(1, 17), epoch=st.integers(0, 3), group_by_length=st.booleans())
@settings(max_examples=60, deadline=None)
def test_an_epoch_sees_every_sample_once(lengths, batch, epoch, group_by_length) -> None:
    order = epoch_order(lengths, batch, seed=1, epoch=epoch, group_by_length=group_by_length)
    assert sorted(order) == list(range(len(lengths)))
    assert order == epoch_order(lengths, batch, seed=1, epoch=epoch, group_by_length=group_by_length)


def padding(lengths: list[int], order: list[int], batch: int) -> float:
    cut = [[lengths[i] for i in order[at : at + batch]] for at in range(0, len(order), batch)]
    return sum(len(part) * max(part) for part in cut) / sum(lengths)


def test_batches_of_like_length_have_next_to_no_padding() -> None:
    lengths = [20 + (i * 7919) % 180 for i in range(1600)]
    assert padding(lengths, epoch_order(lengths, 16, seed=0, epoch=0, group_by_length=False), 16) > 1.5
    assert padding(lengths, epoch_order(lengths, 16, seed=0, epoch=0), 16) < 1.05


def test_lengths_do_not_rise_or_fall_over_an_epoch() -> None:
    lengths = [20 + (i * 7919) % 180 for i in range(1600)]
    orders = [epoch_order(lengths, 16, seed=0, epoch=epoch) for epoch in range(40)]
    first, second = (sum(lengths[i] for order in orders for i in order[half]) for half in HALVES)
    assert abs(first - second) / first < 0.06
    assert orders[0] != orders[1]


@given(lengths=LENGTHS, most=st.integers(1, 600))
@settings(max_examples=60, deadline=None)
def test_evaluation_batches_keep_the_budget(lengths, most) -> None:
    batches = by_length(lengths, most)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= most
