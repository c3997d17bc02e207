import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.synthesis.diversity.self_bleu import self_bleu

bleu = pytest.importorskip("sacrebleu.metrics.bleu", reason='needs the extra "eval"')

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "don't", "."]), max_size=7).map(" ".join)


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "c", "don't", "."]), max_size=7).map(" ".join), min_size=2, max_size=8)
)
def test_it_is_the_mean_of_sacrebleus_sentences(texts) -> None:
    metric = bleu.BLEU(effective_order=True)
    scores = [metric.sentence_score(text, texts[:i] + texts[i + 1 :]).score for i, text in enumerate(texts)]
    value, signature = self_bleu(texts)
    assert value == pytest.approx(sum(scores) / len(scores))
    assert "tok:13a" in signature


def test_it_tells_repetition_from_variety() -> None:
    same = ["i am sorry to hear that , it must be hard"] * 5
    varied = ["i am sorry to hear that", "what happened next ?", "congratulations on the job", "my cat does the same"]
    assert self_bleu(same)[0] == pytest.approx(100)
    assert self_bleu(varied)[0] < 20
    assert (self_bleu(["alone"])[0], self_bleu([])[0]) == (None, None)
