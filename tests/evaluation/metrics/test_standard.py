import numpy as np
import pytest

from efficient_empathy.evaluation.metric import MetricOptions, compute
from efficient_empathy.evaluation.metrics.standard import Standard
from efficient_empathy.evaluation.pairs import pair_texts, read_pairs
from efficient_empathy.foundation.errors import UserError
from shared_data import FOLDER, needs_shared_data

sacrebleu = pytest.importorskip("sacrebleu", reason='needs the extra "eval"')
rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer", reason='needs the extra "eval"')

PREDICTIONS = ["I am so sorry to hear that.", "Oh no!", "", "That is a great thing to hear, and I am glad of it."]
REFERENCES = ["I am sorry to hear that.", "Oh no, what happened?", "Why?", "That is a great thing to hear."]


def test_the_figures_are_the_libraries() -> None:
    found = compute(Standard(MetricOptions()), PREDICTIONS, REFERENCES)
    assert found["sacrebleu"] == pytest.approx(sacrebleu.corpus_bleu(PREDICTIONS, [REFERENCES]).score)
    scorer = rouge_scorer.RougeScorer(["rougeL"])
    scores = [scorer.score(r, p)["rougeL"].fmeasure for p, r in zip(PREDICTIONS, REFERENCES, strict=True)]
    assert found["rougeL_score"] == pytest.approx(100 * np.mean(scores))


def test_multibleu_is_sacrebleu_without_tokenising_and_smoothing() -> None:
    bleu = sacrebleu.BLEU(lowercase=True, tokenize="none", smooth_method="none")
    found = compute(Standard(MetricOptions()), PREDICTIONS, REFERENCES)
    assert found["multibleu"] == pytest.approx(bleu.corpus_score(PREDICTIONS, [REFERENCES]).score)
    assert compute(Standard(MetricOptions()), ["oh no"], ["oh yes"])["multibleu"] == 0


def test_draws_are_of_rows() -> None:
    weights = np.array([[2, 0, 1, 1], [0, 0, 0, 0]], np.float64)
    found = Standard(MetricOptions()).measure(pair_texts(PREDICTIONS, REFERENCES)).under(weights)
    drawn = [0, 0, 2, 3]
    alone = sacrebleu.corpus_bleu([PREDICTIONS[i] for i in drawn], [[REFERENCES[i] for i in drawn]])
    assert found["sacrebleu"].tolist() == pytest.approx([alone.score, 0])
    assert np.isnan(found["rouge1_score"][1])


def test_the_signature_is_told() -> None:
    assert "tok:13a" in Standard(MetricOptions()).about["sacrebleu"]


def test_without_the_libraries_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sacrebleu.metrics.bleu", None)
    with pytest.raises(UserError, match=r"efficient-empathy\[eval\]"):
        Standard(MetricOptions())


@needs_shared_data
@pytest.mark.parametrize(("output", "published"), [("greedy", 2.76), ("beam", 3.13), ("topk", 1.76)])
def test_mime_has_the_bleu_that_it_published(output: str, published: float) -> None:
    file = FOLDER / "baseline_outputs" / "ed_test.jsonl.gz"
    found = Standard(MetricOptions()).measure(read_pairs(file, system=f"MIME_repo/mime_{output}")).under()
    assert round(float(found["multibleu"][0]), 2) == published
