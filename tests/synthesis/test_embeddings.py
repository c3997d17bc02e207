import numpy as np
import pytest

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.synthesis.embeddings import Embedder

EMBEDDER = Embedder()
PAIRS = [
    ("My dog ran away last night.", "The puppy escaped from the garden yesterday."),
    ("I failed my maths exam.", "I got a terrible grade in the algebra test."),
    ("We are flying to the beach for our holiday.", "Our vacation on the island starts on Monday."),
    ("My boss fired me this morning.", "I just lost my job at the office."),
    ("That is wonderful, congratulations!", "Wow, well done, I am so happy for you!"),
]


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return EMBEDDER.texts([text for pair in PAIRS for text in pair])


def test_texts_about_the_same_are_nearest(rows) -> None:
    similarity = rows @ rows.T - 2 * np.eye(len(rows))
    assert similarity.argmax(1).tolist() == [place ^ 1 for place in range(len(rows))]
    others = similarity[~np.kron(np.eye(len(PAIRS)), np.ones((2, 2))).astype(bool)]
    assert abs(others.mean()) < 0.25


def test_rows_have_length_one_and_depend_on_their_own_text_alone(rows) -> None:
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.array_equal(EMBEDDER.texts([PAIRS[1][0]])[0], rows[2])


def test_a_text_without_words_has_a_row_too() -> None:
    rows = EMBEDDER.texts(["", "  ", "\x00", "x" * 100_000])
    assert np.isfinite(rows).all()
    assert np.array_equal(rows[0], rows[1])
    assert EMBEDDER.texts([]).shape == (0, rows.shape[1])


def test_a_sample_is_its_context_and_its_response() -> None:
    def sample(context: str, response: str) -> Sample:
        return Sample.of([Utterance("speaker", context)], response)

    done: list[int] = []
    rows = EMBEDDER.samples(
        [
            sample("My dog ran away.", "I hope that you find him."),
            sample("My dog is gone.", "I hope you find it again."),
            sample("I won the lottery!", "I hope that you find him."),
            sample("My dog ran away.", "Congratulations, what a great day!"),
        ],
        done.append,
    )
    assert (rows @ rows[0])[1:].argmax() == 0
    assert (rows @ rows[0])[1:].max() < 1
    assert done == [4]
