from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.prompts.compare.comparison import word_diff

TEXTS = st.text(alphabet=st.sampled_from("ab c\n\té"), max_size=60)


def words(pieces, *kinds: str) -> list[str]:
    return [word for kind, text, _ in pieces if kind in kinds for word in text.split()]


def test_words_are_marked_not_characters_or_lines() -> None:
    result = word_diff("Rate the response.\nBe kind and fair.", "Rate the response.\nBe kind and unfair.")
    assert result == [
        ("same", "Rate the response.\nBe kind and", 6),
        ("removed", " fair.", 1),
        ("added", " unfair.", 1),
    ]


def test_texts_that_only_wrap_elsewhere_are_the_same() -> None:
    assert [piece.kind for piece in word_diff("one two\nthree", "one\ntwo three")] == ["same"]


def test_a_word_between_two_changes_counts_as_changed() -> None:
    result = word_diff("start here old the old end now", "start here new the new end now")
    assert [piece.text.strip() for piece in result] == ["start here", "old the old", "new the new", "end now"]


@given(TEXTS, TEXTS)
def test_the_pieces_are_both_texts(first: str, second: str) -> None:
    pieces = word_diff(first, second)
    assert words(pieces, "same", "removed") == first.split()
    assert words(pieces, "same", "added") == second.split()
    assert sum(n for _, _, n in pieces) == len(words(pieces, "same", "removed", "added"))


def test_long_prompts_take_no_time() -> None:
    long = " ".join(f"word{i % 700}" for i in range(6_000))
    began = time.process_time()
    word_diff(long, long.replace("word7 ", "other "))
    assert time.process_time() - began < 3
