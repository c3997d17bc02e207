from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.modelling.generation.batches import plan


@given(st.lists(st.integers(1, 400), max_size=60), st.integers(1, 9), st.integers(50, 2000))
def test_every_prompt_is_in_one_batch_within_both_limits(lengths, size, tokens):
    batches = plan(lengths, 20, size, tokens)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * (max(lengths[i] for i in batch) + 20) <= tokens
        assert len(batch) <= size


def test_the_longest_come_first_and_like_lengths_together():
    assert plan([5, 90, 6, 80], 10, 2, 10_000) == [[1, 3], [2, 0]]
