import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from awkward_texts import AWKWARD_TEXTS
from efficient_empathy.evaluation import tokens
from efficient_empathy.evaluation.tokens import Encoder, split, words


def decoded(encode: Encoder, texts: list[str]) -> list[list[str]]:
    found = encode(texts)
    tokens = list(encode.vocabulary)
    ids = iter(found.ids.tolist())
    return [[tokens[next(ids)] for _ in range(length)] for length in found.lengths.tolist()]


def slow(text: str) -> list[str]:
    return [word for sentence in split(text.lower()) for word in words(sentence)]


@given(st.lists(AWKWARD_TEXTS, max_size=5))
@example(['so it goes. "no" he said.', "x's'", "really.) yes", 'stop!" she', "'' a. b", " a", "gımme cannot wanna"])
@settings(max_examples=400)
def test_the_tokens_are_those_of_whole_sentences(texts: list[str]) -> None:
    assert decoded(Encoder(split), texts) == [*map(slow, texts)]


def test_it_forgets_when_it_has_seen_much_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MOST_CHUNKS", 3)
    monkeypatch.setattr(tokens, "_MOST_TEXTS", 2)
    texts = ["oh no, not again.", "i know. it is late.", "come in!", "oh no, not again."]
    assert decoded(Encoder(split), texts) == [*map(slow, texts)]


def test_another_splitter_is_asked_where_a_sentence_may_end_inside() -> None:
    encode = Encoder(lambda text: [text])
    assert decoded(encode, ["it hurt. a lot.", "it hurt . a lot ."]) == [
        ["it", "hurt.", "a", "lot", "."],
        ["it", "hurt", ".", "a", "lot", "."],
    ]
