import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_runs import ABOUT, CATEGORIES
from efficient_empathy.analytics.table import words
from efficient_empathy.analytics.topics import clusters, embed, telling, topics
from efficient_empathy.foundation.errors import UserError


@pytest.fixture
def texts(rng) -> list[str]:
    return ["It was about " + " ".join(rng.permutation(ABOUT[CATEGORIES[i % 4]].split())[:5]) for i in range(160)]


def test_planted_topics_are_found_with_their_words(texts) -> None:
    labels, result, note = topics(texts, 4)
    assert note == ""
    assert [one.dialogues for one in result] == [40, 40, 40, 40]
    for place, one in enumerate(result):
        (topic,) = {CATEGORIES[i % 4] for i in np.flatnonzero(labels.codes == place)}
        assert set(one.words) == set(ABOUT[topic].split())
        assert one.name == ", ".join(one.words[:3])
    again = topics(texts, 4)
    assert again[0].codes.tolist() == labels.codes.tolist()
    assert again[1] == result


def test_few_texts_have_no_topics(texts) -> None:
    labels, result, note = topics(texts[:40])
    assert (labels.names, result) == ([], [])
    assert labels.codes.tolist() == [-1] * 40
    assert "too few" in note
    assert len(topics(texts)[1]) == 6


def test_a_text_without_words_has_no_topic(texts) -> None:
    labels, result, _ = topics([*texts, "", "…"], 4)
    assert labels.codes[-2:].tolist() == [-1, -1]
    assert sum(one.dialogues for one in result) == 160


def test_telling_words_are_of_one_topic() -> None:
    split = words(
        pl.Series(["the dog barks", "the dog sleeps", "the dog", "the rain", "the rain falls", "the rain"] * 5)
    )
    result = telling(split, np.array([0, 0, 0, 1, 1, 1] * 5), 2)
    assert result == [["dog", "barks", "sleeps"], ["rain", "falls"]]


def test_words_that_all_topics_have_tell_none_in_any_language() -> None:
    """Words of grammar are in less than a fifth of the texts, so that how common they are does not betray them."""
    nouns = ["Hund", "Regen", "Prüfung", "Reise", "Garten"]
    grammar = ["mit dem", "wegen einer", "obwohl seine", "zwischen unseren", "damals trotzdem", "vielleicht keine"]
    texts = [f"{grammar[i // 5 % 6]} {nouns[i % 5]}" for i in range(180)]
    result = telling(words(pl.Series(texts)), np.arange(180) % 5, 5)
    assert result == [[noun.lower()] for noun in nouns]


@settings(max_examples=20)
@given(st.integers(2, 30), st.integers(2, 6), st.integers(0, 5))
def test_every_row_has_a_cluster(rows, number, seed) -> None:
    vectors = np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    result = clusters(vectors, number, seed)
    assert result.shape == (rows,)
    assert 0 <= result.min() <= result.max() < number


PAIRS = [
    ("My dog ran away and I am looking for the puppy.", "The kitten needs to see a vet, my pet is ill."),
    ("I failed the exam in mathematics.", "My teacher gave me a bad grade at school."),
    ("We flew to the beach for our holiday.", "The trip to the island was a great vacation."),
    ("My boss fired me from the company.", "I lost my job at the office, they let employees go."),
    ("Dinner was delicious, the pasta and the soup.", "I cooked rice and vegetables to eat for lunch."),
]


def test_alike_things_lie_together() -> None:
    vectors = embed([text for pair in PAIRS for text in pair])
    near = vectors @ vectors.T
    np.fill_diagonal(near, -1)
    assert [int(place) for place in near.argmax(1)] == [i ^ 1 for i in range(len(vectors))]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(vectors)), abs=1e-5)


def test_texts_without_words_are_zero() -> None:
    vectors = embed(["hello there", "", "good morning to you", "rain"])
    assert not vectors[1].any()
    assert vectors[0].any()
    assert embed(["", ""]).any() == False  # noqa: E712
    assert len(embed([])) == 0


def test_a_folder_without_a_model_is_the_users_error(tmp_path) -> None:
    from efficient_empathy.scoring.judges.distilled import BUNDLED

    (tmp_path / "tokenizer.json").write_bytes((BUNDLED / "tokenizer.json").read_bytes())
    with pytest.raises(UserError, match="no usable encoder"):
        embed(["hello"], tmp_path)
