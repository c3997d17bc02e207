import numpy as np
import pytest

from efficient_empathy.analytics.embedding import embed
from efficient_empathy.foundation.errors import UserError

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
