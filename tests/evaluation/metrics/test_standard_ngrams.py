from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from efficient_empathy.evaluation.metrics.standard import Normaliser, f_measures, normalise, overlap
from efficient_empathy.evaluation.tokens import Ragged, Vocabulary

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
    found = overlap(ours, theirs, 4, subsequence=True)
    assert found.longest is not None
    assert found.longest.tolist() == [longest(*row) for row in rows]
    assert found.matches.tolist() == [[matches(*row, n) for n in (1, 2, 3, 4)] for row in rows]


WORDS = st.lists(st.sampled_from(["the", "a", "sad", "n't", "x-ray", ".", "``", "’", "é", "i", "an-a", "..."]), max_size=8)  # fmt: skip  # noqa: E501


class Words:
    """What rouge-score takes as a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return [word for token in text.split() for word in normalise(token)] or [""]


@pytest.mark.parametrize(("token", "bare"), [("the", []), ("don't", ["don", "t"]), ("a-b", ["b"]), ("“", ["“"])])
def test_punctuation_and_articles_go(token: str, bare: list[str]) -> None:
    assert normalise(token) == bare


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4))
@example([([], [])])
def test_it_is_rouge_score_on_the_normalised_words(pairs: list[tuple[list[str], list[str]]]) -> None:
    vocabulary = Vocabulary()
    texts = [Ragged.of([[vocabulary[token] for token in pair[i]] for pair in pairs]) for i in (0, 1)]
    normalise = Normaliser(vocabulary)
    found = f_measures(*map(normalise, texts))
    rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer", reason='needs the extra "eval"')
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=Words())
    for row, (ours, theirs) in zip(found, pairs, strict=True):
        scores = scorer.score(" ".join(theirs), " ".join(ours))
        assert row.tolist() == pytest.approx([score.fmeasure for score in scores.values()])
