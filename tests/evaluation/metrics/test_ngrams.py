from collections import Counter

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from efficient_empathy.evaluation.metrics.ngrams import shared
from efficient_empathy.evaluation.tokens import Ragged

TOKENS = st.lists(st.integers(0, 5), max_size=12)


def matches(ours: list[int], theirs: list[int], n: int) -> int:
    one, other = (Counter(tuple(t[i : i + n]) for i in range(len(t) - n + 1)) for t in (ours, theirs))
    return (one & other).total()


def longest(ours: list[int], theirs: list[int]) -> int:
    table = np.zeros((len(ours) + 1, len(theirs) + 1), int)
    for i, a in enumerate(ours):
        for j, b in enumerate(theirs):
            table[i + 1, j + 1] = table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
    return int(table[-1, -1])


@given(st.lists(st.tuples(TOKENS, TOKENS), max_size=6))
@example([([], []), ([1], []), ([], [1])])
@example([([1, 2, 3] * 40, [3, 2, 1] * 40), ([1, 2] * 32, [2, 1] * 32), ([4], [4] * 65)])
def test_matches_and_subsequences_are_those_of_each_row_by_itself(rows: list[tuple[list[int], list[int]]]) -> None:
    ours, theirs = (Ragged.of([row[i] for row in rows]) for i in (0, 1))
    found = shared(ours, theirs, 4, subsequence=True)
    assert found.longest is not None
    assert found.longest.tolist() == [longest(*row) for row in rows]
    assert found.matches.tolist() == [[matches(*row, n) for n in (1, 2, 3, 4)] for row in rows]
