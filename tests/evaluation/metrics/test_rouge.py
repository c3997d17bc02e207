import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from efficient_empathy.evaluation.metrics.rouge import Normaliser, f_measures, normalised
from efficient_empathy.evaluation.tokens import Ragged, Vocabulary

rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer", reason='needs the extra "eval"')

TOKENS = st.lists(st.sampled_from(["the", "a", "sad", "n't", "x-ray", ".", "``", "’", "é", "i", "an-a", "..."]), max_size=8)  # fmt: skip  # noqa: E501


class Words:
    """What rouge-score takes as a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return [word for token in text.split() for word in normalised(token)] or [""]


@pytest.mark.parametrize(("token", "bare"), [("the", []), ("don't", ["don", "t"]), ("a-b", ["b"]), ("“", ["“"])])
def test_punctuation_and_articles_go(token: str, bare: list[str]) -> None:
    assert normalised(token) == bare


@given(st.lists(st.tuples(TOKENS, TOKENS), min_size=1, max_size=4))
@example([([], [])])
def test_it_is_rouge_score_on_the_normalised_words(pairs: list[tuple[list[str], list[str]]]) -> None:
    vocabulary = Vocabulary()
    texts = [Ragged.of([[vocabulary[token] for token in pair[i]] for pair in pairs]) for i in (0, 1)]
    normalise = Normaliser(vocabulary)
    found = f_measures(*map(normalise, texts))
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=Words())
    for row, (ours, theirs) in zip(found, pairs, strict=True):
        scores = scorer.score(" ".join(theirs), " ".join(ours))
        assert row.tolist() == pytest.approx([score.fmeasure for score in scores.values()])
