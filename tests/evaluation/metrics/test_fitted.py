import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("scipy", reason='needs the extra "eval"')

from efficient_empathy.evaluation.classifiers.kinds import FitSettings
from efficient_empathy.evaluation.classifiers.stage import fit_metric
from efficient_empathy.evaluation.metric import MetricOptions
from efficient_empathy.evaluation.metrics.fitted import Emotion, Epitome
from efficient_empathy.foundation.errors import UserError
from rated_responses import ASK, EMOTIONS, FEEL, KNOW, dialogue_rows, epitome_rows, jsonl

AFRAID, JOYFUL, SAD = (said for _, said in EMOTIONS.values())


@pytest.fixture(scope="module")
def emotions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    fit_metric("emotion", jsonl(folder / "talk.jsonl", dialogue_rows()), folder / "emotion", FitSettings(folds=2))
    return folder / "emotion"


def emotion_rows(categories: list[str | None] | None = None) -> pl.DataFrame:
    ids = [f"r{i}" for i in range(4)]
    frame = pl.DataFrame(
        {"id": ids, "dialogue_id": ids, "prediction": [SAD, SAD, JOYFUL, ""], "reference": [SAD, AFRAID, JOYFUL, ""]}
    )
    return frame if categories is None else frame.with_columns(category=pl.Series(categories, dtype=pl.String))


def figures(emotions: Path, frame: pl.DataFrame) -> dict[str, float]:
    measured = Emotion(MetricOptions(classifiers={"emotion": emotions})).measure(frame)
    return {name: float(value[0]) for name, value in measured.under().items()}


def test_a_match_is_the_same_emotion_as_the_references(emotions: Path) -> None:
    assert figures(emotions, emotion_rows())["emotion_match"] == 75


def test_accuracy_is_of_rows_that_have_a_category(emotions: Path) -> None:
    found = figures(emotions, emotion_rows(["Sad", "afraid", "sad", None]))
    assert found["emotion_accuracy"] == pytest.approx(100 / 3)
    assert found["emotion_accuracy_reference"] == pytest.approx(200 / 3)
    without = figures(emotions, emotion_rows([None] * 4))
    assert math.isnan(without["emotion_accuracy"])
    assert math.isnan(figures(emotions, emotion_rows())["emotion_accuracy"])
    assert without["emotion_match"] == 75


def test_a_missing_folder_and_an_unknown_category_are_named(emotions: Path) -> None:
    with pytest.raises(
        UserError, match="empathy fit-metric emotion DATA -o FOLDER`, and name the folder with --emotion"
    ):
        Emotion(MetricOptions())
    with pytest.raises(UserError, match="row r1 has the category 'bored', which the classifier was not fitted on"):
        figures(emotions, emotion_rows(["sad", "bored", "sad", "sad"]))
    about = Emotion(MetricOptions(classifiers={"emotion": emotions})).about
    assert about["categories"] == 3
    assert set(about["cross_validated_accuracy"]) == {"emotion", "openings", "responses"}


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    fit_metric("epitome", jsonl(folder / "rated.jsonl", epitome_rows()), folder / "epitome", FitSettings(folds=2))
    return folder / "epitome"


def level_rows(predictions: list[str], references: list[str]) -> pl.DataFrame:
    ids = [f"r{i}" for i in range(len(predictions))]
    context = [{"role": "speaker", "text": "my cat ran away and it is day 3"}]
    return pl.DataFrame(
        {
            "id": ids,
            "dialogue_id": ids,
            "prediction": predictions,
            "reference": references,
            "context": [context] * len(ids),
        }
    )


def test_levels_and_differences_to_the_reference(levels: Path) -> None:
    strong, weak, none = f"well {FEEL[2]}", f"well {FEEL[1]}", "well"
    measured = Epitome(MetricOptions(classifiers={"epitome": levels})).measure(
        level_rows([strong, strong, weak, none], [none, strong, strong, none])
    )
    found = {name: float(value[0]) for name, value in measured.under().items()}
    assert found["epitome_er"] == (2 + 2 + 1 + 0) / 4
    assert found["diff_epitome_er"] == (4 + 0 + 1 + 0) / 4
    assert found["diff_epitome_abs_er"] == (2 + 0 + 1 + 0) / 4
    assert found["diff_epitome_mean_er"] == (2 + 0 - 1 + 0) / 4
    assert found["epitome_ex"] == found["diff_epitome_ex"] == 0
    assert set(found) == {figure.name for figure in Epitome.figures}
    under = measured.under(np.array([[1.0, 0, 0, 0], [0, 0, 0, 0]]))
    assert under["diff_epitome_er"][0] == 4
    assert math.isnan(under["diff_epitome_er"][1])


def test_each_way_of_showing_empathy_is_told_from_the_others(levels: Path) -> None:
    found = (
        Epitome(MetricOptions(classifiers={"epitome": levels}))
        .measure(level_rows([f"well {KNOW[2]}", f"well {ASK[2]}"], ["", ""]))
        .under(np.eye(2))
    )
    assert found["epitome_ip"].tolist() == [2, 0]
    assert found["epitome_ex"].tolist() == [0, 2]


def test_an_empty_prediction_is_scored(levels: Path) -> None:
    found = Epitome(MetricOptions(classifiers={"epitome": levels})).measure(level_rows([""], ["oh no"])).under()
    assert np.isfinite(found["epitome_er"]).all()


def test_a_reader_is_told_what_the_classifier_is(levels: Path) -> None:
    about = Epitome(MetricOptions(classifiers={"epitome": levels})).about
    assert about["fitted_on"] == "rated.jsonl: 90 rows"
    assert set(about["cross_validated_kappa"]) == {"er", "ip", "ex"}


def test_what_is_missing_is_told(levels: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fit-metric epitome DATA -o FOLDER`, and name the folder with --epitome"):
        Epitome(MetricOptions())
    with pytest.raises(UserError, match="holds no fitted metric"):
        Epitome(MetricOptions(classifiers={"epitome": tmp_path}))
    metric, frame = Epitome(MetricOptions(classifiers={"epitome": levels})), level_rows(["a", "b"], ["c", "d"])
    with pytest.raises(UserError, match="reads each row's context"):
        metric.measure(frame.drop("context"))
    with pytest.raises(UserError, match="row r1 has no context"):
        metric.measure(frame.with_columns(context=pl.when(pl.col("id") == "r1").then(None).otherwise("context")))
