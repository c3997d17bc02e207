from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("bert_score", reason='needs the extra "bertscore"')

import torch
import transformers

from efficient_empathy.evaluation.metric import MetricOptions
from efficient_empathy.evaluation.metrics.bertscore import BertScore
from efficient_empathy.foundation.errors import UserError

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *["i", "lost", "my", "keys", "that", "is", "so", "sad", "did", "you", "find", "them", "oh", "no", ".", "?"],
]
PREDICTIONS, REFERENCES = ["oh no .", "", "so sad"], ["oh no .", "oh no", "did you find them ?"]


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    transformers.BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)}).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=24,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def rows(predictions: list[str], references: list[str]) -> pl.DataFrame:
    ids = [str(i) for i in range(len(predictions))]
    return pl.DataFrame({"id": ids, "dialogue_id": ids, "prediction": predictions, "reference": references})


def test_equal_texts_score_one_and_an_empty_prediction_nothing(tiny_bert: Path) -> None:
    measured = BertScore(MetricOptions(bertscore_model=f"{tiny_bert}@2")).measure(rows(PREDICTIONS, REFERENCES))
    each = measured.under(np.eye(3))
    assert each["bertscore_f1"][:2] == pytest.approx([1, 0], abs=1e-5)
    assert 0 < each["bertscore_f1"][2] < 1
    assert measured.under()["bertscore_f1"][0] == pytest.approx(each["bertscore_f1"].mean())


def test_it_is_the_greedy_matching_of_the_paper(tiny_bert: Path) -> None:
    model = transformers.BertModel.from_pretrained(tiny_bert, num_hidden_layers=2).eval()
    prediction, reference = (
        [2, *(WORDS.index(word) for word in text.split()), 3] for text in (PREDICTIONS[2], REFERENCES[2])
    )
    with torch.no_grad():
        x, y = (torch.nn.functional.normalize(model(torch.tensor([ids])).last_hidden_state[0], dim=-1)
                for ids in (prediction, reference))  # fmt: skip
    # [CLS] and [SEP] may be matched, but without idf weights they count in no mean.
    similar = (x @ y.T)[1:-1]
    precision = similar.max(1).values.mean().item()
    found = BertScore(MetricOptions(bertscore_model=f"{tiny_bert}@2")).measure(rows(PREDICTIONS[2:], REFERENCES[2:]))
    assert found.under()["bertscore_p"][0] == pytest.approx(precision, abs=1e-5)


def test_texts_longer_than_the_model_are_cut(tiny_bert: Path) -> None:
    found = BertScore(MetricOptions(bertscore_model=f"{tiny_bert}@2")).measure(rows(["so sad " * 50], ["so sad " * 60]))
    assert found.under()["bertscore_f1"][0] == pytest.approx(1, abs=1e-5)


def test_what_is_needed_to_get_the_same_numbers_is_told(tiny_bert: Path) -> None:
    about = BertScore(MetricOptions(bertscore_model=f"{tiny_bert}@2")).about
    assert about["hash"].startswith(f"{tiny_bert.name}_L2_no-idf_version=")
    assert len(about["weights"]) == 16
    assert about["rescaled"] is False


def test_a_rerun_reads_what_was_kept(tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = BertScore(MetricOptions(bertscore_model=f"{tiny_bert}@2", work=tmp_path))
    first = metric.measure(rows(PREDICTIONS, REFERENCES)).under()
    monkeypatch.setattr(BertScore, "_count", None)
    assert metric.measure(rows(PREDICTIONS, REFERENCES)).under() == first


def test_a_model_that_is_missing_or_unknown_is_told(tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="with --bertscore-model"):
        BertScore(MetricOptions())
    with pytest.raises(UserError, match="there is no folder"):
        BertScore(MetricOptions(bertscore_model=str(tmp_path / "nothing")))
    with pytest.raises(UserError, match=r"no config\.json"):
        BertScore(MetricOptions(bertscore_model=str(tmp_path)))
    with pytest.raises(UserError, match=r"no best layer .* \(1 to 3\), as in --bertscore-model .*@2"):
        BertScore(MetricOptions(bertscore_model=str(tiny_bert)))
    with pytest.raises(UserError, match="cannot load"):
        BertScore(MetricOptions(bertscore_model=f"{tiny_bert}@9")).measure(rows(PREDICTIONS, REFERENCES))


def test_a_folder_named_after_a_known_model_has_its_layer(tiny_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "roberta-large").symlink_to(tiny_bert)
    assert "_L17_" in BertScore(MetricOptions(bertscore_model="roberta-large")).about["hash"]
