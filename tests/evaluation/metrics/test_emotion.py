import math
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("scipy", reason='needs the extra "eval"')

from efficient_empathy.evaluation.classifiers.stage import fit_metric
from efficient_empathy.evaluation.metric import MetricOptions
from efficient_empathy.evaluation.metrics.emotion import Emotion
from efficient_empathy.foundation.errors import UserError
from rated_responses import EMOTIONS, dialogue_rows, jsonl

AFRAID, JOYFUL, SAD = (said for _, said in EMOTIONS.values())


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    fit_metric("emotion", jsonl(folder / "talk.jsonl", dialogue_rows()), folder / "emotion", folds=2)
    return folder / "emotion"


def rows(categories: list[str | None] | None = None) -> pl.DataFrame:
    ids = [f"r{i}" for i in range(4)]
    frame = pl.DataFrame(
        {"id": ids, "dialogue_id": ids, "prediction": [SAD, SAD, JOYFUL, ""], "reference": [SAD, AFRAID, JOYFUL, ""]}
    )
    return frame if categories is None else frame.with_columns(category=pl.Series(categories, dtype=pl.String))


def figures(fitted: Path, frame: pl.DataFrame) -> dict[str, float]:
    measured = Emotion(MetricOptions(emotion=fitted)).measure(frame)
    return {name: float(value[0]) for name, value in measured.under().items()}


def test_a_match_is_the_same_emotion_as_the_references(fitted: Path) -> None:
    assert figures(fitted, rows())["emotion_match"] == 75


def test_accuracy_is_of_rows_that_have_a_category(fitted: Path) -> None:
    found = figures(fitted, rows(["Sad", "afraid", "sad", None]))
    assert found["emotion_accuracy"] == pytest.approx(100 / 3)
    assert found["emotion_accuracy_reference"] == pytest.approx(200 / 3)
    without = figures(fitted, rows([None] * 4))
    assert math.isnan(without["emotion_accuracy"])
    assert math.isnan(figures(fitted, rows())["emotion_accuracy"])
    assert without["emotion_match"] == 75


def test_what_is_missing_or_unknown_is_told(fitted: Path) -> None:
    with pytest.raises(
        UserError, match="empathy fit-metric emotion DATA -o FOLDER`, and name the folder with --emotion"
    ):
        Emotion(MetricOptions())
    with pytest.raises(UserError, match="row r1 has the category 'bored', which the classifier was not fitted on"):
        figures(fitted, rows(["sad", "bored", "sad", "sad"]))
    about = Emotion(MetricOptions(emotion=fitted)).about
    assert about["categories"] == 3
    assert set(about["cross_validated_accuracy"]) == {"emotion", "openings", "responses"}
