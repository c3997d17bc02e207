import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.prompts.golden.making import allocate, draw_strata

STRATA = st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz"))


def numbered(strata, seed=0):
    rng = random.Random(seed)
    return [(stratum, rng.getrandbits(60)) for stratum in strata]


@given(st.lists(STRATA, min_size=1, max_size=80), st.integers(1, 90))
def test_each_stratum_is_there_if_there_is_room_and_weights_give_back_its_size(strata, n) -> None:
    rows = numbered(strata)
    result = draw_strata(rows, n)
    assert len(result) == min(n, len(rows))
    cells, sizes = Counter(cell for cell, _ in strata), Counter(rows[i][0][0] for i in result)
    if n >= len(cells):
        assert sizes.keys() == cells.keys()
        for cell, size in cells.items():
            assert abs(sum(w for i, w in result.items() if rows[i][0][0] == cell) - size) < 1e-9
    assert abs(sum(result.values()) - len(rows)) < 1e-9


def test_it_does_not_depend_on_the_order_of_rows() -> None:
    rows = numbered([(a, x) for a in "abc" for x in "xyz" for _ in range(7)])
    shuffled = rows[:]
    random.Random(1).shuffle(shuffled)
    first, second = draw_strata(rows, 20), draw_strata(shuffled, 20)
    assert {rows[i] for i in first} == {shuffled[i] for i in second}


def test_seats_are_in_proportion() -> None:
    assert allocate([600, 300, 99, 1], 10) == [5, 3, 1, 1]
    assert allocate([1, 1, 5], 7) == [1, 1, 5]
