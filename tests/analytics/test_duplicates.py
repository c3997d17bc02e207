import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.analytics.duplicates import LEAST_WORDS, near_duplicates
from efficient_empathy.analytics.table import words

SENTENCE = "my brother called last night and said that he will not come to the wedding after all because of work"
TEXTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=12).map(" ".join), max_size=25)


def groups(texts, **options):
    return [group.rows for group in near_duplicates(words(pl.Series(texts, dtype=pl.String)), **options)]


def test_planted_duplicates_are_found_among_others() -> None:
    rng = np.random.default_rng(0)
    vocabulary = [f"word{i}" for i in range(400)]
    texts = [" ".join(rng.choice(vocabulary, 20)) for _ in range(2000)]
    texts[100] = texts[900] = SENTENCE
    texts[1500] = SENTENCE.replace("wedding", "party").upper() + "!!"  # 15 of 21 sequences are the same: too few
    texts[700] = SENTENCE + " again"
    texts[1999] = texts[3]
    assert groups(texts) == [[100, 700, 900], [3, 1999]]
    assert groups(texts, similarity=0.6) == [[100, 700, 900, 1500], [3, 1999]]
    assert groups(texts, seed=9) == groups(texts)


def test_short_texts_are_alike_by_nature() -> None:
    assert groups(["I am so sorry"] * 5) == []
    assert groups(["I am so sorry to hear"] * 3) == [[0, 1, 2]]
    assert groups([]) == []
    assert groups(["", ""]) == []


def test_thousands_of_one_text_take_no_longer() -> None:
    assert groups([SENTENCE] * 5000 + [f"{SENTENCE} {i}" for i in range(500)]) == [list(range(5500))]


@settings(max_examples=40)
@given(TEXTS)
def test_as_comparing_all_pairs_would_have_it(texts) -> None:
    """At 0.5 candidates may be missed, at 0.8 next to never; none is made up."""

    def shingles(text):
        some = text.split()
        return {tuple(some[i : i + 3]) for i in range(len(some) - 2)} if len(some) >= LEAST_WORDS else set()

    sets = [shingles(text) for text in texts]
    part = list(range(len(texts)))
    for a in range(len(texts)):
        for b in range(a):
            if sets[a] and sets[b] and len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= 0.8:
                part = [part[b] if place == part[a] else place for place in part]
    expected = [[i for i, place in enumerate(part) if place == p] for p in dict.fromkeys(part)]
    assert groups(texts) == sorted((g for g in expected if len(g) > 1), key=lambda g: (-len(g), g))
