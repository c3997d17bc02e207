import json

import numpy as np
import pytest

from efficient_empathy.dialogues import Sample, Utterance, open_source
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.labelling.distillation.reference import (
    FILE,
    Measuring,
    Reference,
    count_bins,
    piece_features,
    text_features,
    write_reference,
)
from efficient_empathy.recipe import DIALOGUES
from efficient_empathy.scoring import Rubric
from efficient_empathy.scoring.judges.distilled import BUNDLED, DistilledJudge


@pytest.fixture(scope="module")
def judge() -> DistilledJudge:
    return DistilledJudge(Rubric.load())


@pytest.fixture
def folder(tmp_path):
    for name in ("model.onnx", "judge.json", "tokenizer.json"):
        (tmp_path / name).symlink_to(BUNDLED / name)
    return tmp_path


@pytest.fixture(scope="module")
def some() -> list[Sample]:
    return [*open_source(DIALOGUES / "test.jsonl")][:24]


def test_the_bundled_reference_is_of_the_bundled_judge_and_holds_figures_only(judge) -> None:
    reference = Reference.load(BUNDLED, judge)
    assert reference.samples == 5734
    assert 0.005 < reference.outside == reference.usual_outside < 0.02
    assert all(sum(feature.counts) == 5734 for feature in reference.features)
    assert (BUNDLED / FILE).stat().st_size < 200_000

    def texts(value) -> list[str]:
        if isinstance(value, dict):
            return [text for inner in value.values() for text in texts(inner)]
        return [text for inner in value for text in texts(inner)] if isinstance(value, list) else [str(value)]

    words = [text for text in texts(json.loads((BUNDLED / FILE).read_text())) if text.strip("-.0123456789e")]
    assert sorted(words) == sorted([reference.model, *(feature.name for feature in reference.features)])


def test_a_reference_does_not_change_the_key_of_a_judgement(judge, folder) -> None:
    assert not (folder / FILE).exists()
    assert DistilledJudge(Rubric.load(), folder).spec == judge.spec


def test_what_is_written_is_read_back_and_measures_alike(judge, folder, some) -> None:
    tables = judge.probabilities(some)
    written = write_reference(judge, folder, some, tables)
    read = Reference.load(folder, judge)
    assert read == written
    values = Measuring(read, folder, judge)(some, tables)
    assert values.shape == (24, len(read.features))
    for feature, column in zip(read.features, values.T, strict=True):
        if feature.name not in ("surprise", "response_surprise", "unseen"):  # measured without their own conversation
            assert feature.count(column).tolist() == list(feature.counts)
            whole = (0, 10) if feature.name.endswith("_score") else (column.min(), column.max())
            assert (feature.low, feature.high) == whole
    assert read.usual_outside > read.outside


def test_a_folder_without_or_with_another_reference_says_so(judge, folder, some) -> None:
    assert Reference.load(folder, judge) is None
    written = write_reference(judge, folder, some[:5], judge.probabilities(some[:5]))
    for changed, message in (
        ({"model": "another"}, "belongs to another judge"),
        ({"pieces": [1]}, "do not fit together"),
        ({"format": 2}, "is no reference"),
        ({"features": [{"name": "turns", "low": 1, "high": 3, "edges": [2], "counts": [1]}]}, "is no reference"),
    ):
        (folder / FILE).write_text(json.dumps({**json.loads(written.model_dump_json()), **changed}))
        with pytest.raises(UserError, match=message):
            Reference.load(folder, judge)


def test_words_are_counted_alike_however_a_text_is_tokenised() -> None:
    def of(response: str) -> list[float]:
        return text_features([Sample.of([Utterance("speaker", "Well, I'm fine.")], response)])[0].tolist()

    assert of("I can't, it's late!") == of("i can not , it is late !") == [6, 4, 1]


def test_a_conversations_own_rare_words_do_not_look_familiar() -> None:
    counts = np.array([0, 40.0, 40.0, 3.0, 0])
    pieces = [(np.array([1, 3, 2]), 1), (np.array([1, 3, 3]), 1), (np.array([1, 2]), 1)]
    plain = piece_features(pieces, counts)
    apart = piece_features(pieces, counts, ["a", "a", "b"])
    assert plain[:2, 2].tolist() == [0, 0]
    assert apart[:, 2].tolist() == pytest.approx([1 / 3, 2 / 3, 0])
    assert (apart[:2, 0] > plain[:2, 0]).all()


def test_an_edge_belongs_to_the_bin_below() -> None:
    assert count_bins([1, 3], np.array([0, 1, 2, 3, 4])).tolist() == [2, 2, 1]
