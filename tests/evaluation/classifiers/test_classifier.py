import json
from pathlib import Path

import numpy as np
import pytest

from efficient_empathy.evaluation.classifiers import Classifier, load
from efficient_empathy.evaluation.classifiers.classifier import ClassifierRecord, Fit, Head, Weights
from efficient_empathy.evaluation.classifiers.features import BUCKETS, LAYERS, LayerEncoder, Scale
from efficient_empathy.foundation.errors import UserError


def classifier(kind: str = "emotion") -> Classifier:
    width = 384 * 3 * len(LAYERS)
    rng = np.random.default_rng(0)
    weights = Weights(*(rng.normal(size=s).astype(np.float32) for s in ((width, 2), (BUCKETS, 2), (2,))))
    fit = Fit(
        data="talk.jsonl", sha256="0" * 64, rows=60, groups=30, folds=5, seed=0, counts={}, figures={}, left_out={},
        seconds=1.0,
    )  # fmt: skip
    record = ClassifierRecord(
        kind=kind, encoder=LayerEncoder(context=False).hash, heads=(Head(name="emotion", labels=("glad", "sad")),),
        fit=fit,
    )  # fmt: skip
    scale = Scale(np.zeros(width, np.float32), np.ones(width, np.float32), np.ones(BUCKETS, np.float32))
    return Classifier(record, scale, {"emotion": weights})


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    one = classifier()
    one.save(tmp_path, "a card")
    texts = [((), text) for text in ("i am glad", "so sad", "", "so sad")]
    other = load(tmp_path, "emotion")
    assert np.array_equal(one.decide(texts), other.decide(texts))
    assert np.array_equal(one.probabilities(texts)["emotion"], other.probabilities(texts)["emotion"])
    assert (tmp_path / "README.md").read_text() == "a card"


def test_levels_are_cut_and_categories_are_the_most_probable() -> None:
    probabilities = np.array([[0.6, 0.4, 0.0], [0.4, 0.3, 0.3], [0.1, 0.1, 0.8]], np.float32)
    head = Head(name="explorations", labels=("0", "1", "2"))
    assert head.decide(probabilities).tolist() == [0, 0, 2]
    assert head.model_copy(update={"cuts": (0.5, 1.0)}).decide(probabilities).tolist() == [0, 1, 2]


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no fitted metric .*fit-metric emotion DATA -o"):
        load(tmp_path / "nothing", "emotion")
    classifier().save(tmp_path, "")
    with pytest.raises(UserError, match="holds the fitted metric emotion, not epitome"):
        load(tmp_path, "epitome")
    config = json.loads((tmp_path / "metric.json").read_text())
    (tmp_path / "metric.json").write_text(json.dumps(config | {"encoder": "0" * 16}))
    with pytest.raises(UserError, match="another encoder than this installation has"):
        load(tmp_path, "emotion")
    (tmp_path / "metric.json").write_text(json.dumps(config | {"version": 1}))
    with pytest.raises(
        UserError, match=r"metric\.json \(it has version 1 and this program reads version 2\).*fit-metric"
    ):
        load(tmp_path, "emotion")
    (tmp_path / "metric.json").write_text(json.dumps(config | {"heads": 3}))
    with pytest.raises(UserError, match=r"cannot read .*metric\.json \(heads: .*fit-metric"):
        load(tmp_path, "emotion")
    (tmp_path / "metric.json").write_text(json.dumps(config))
    with np.load(tmp_path / "weights.npz") as archive:
        arrays = dict(archive)
    arrays["emotion.dense"][3, 1] = np.nan
    np.savez(tmp_path / "weights.npz", **arrays)
    with pytest.raises(UserError, match=r"weights\.npz is damaged \(emotion\.dense has numbers that are not finite\)"):
        load(tmp_path, "emotion")
    (tmp_path / "weights.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(UserError, match=r"weights\.npz is damaged"):
        load(tmp_path, "emotion")
