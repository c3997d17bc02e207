import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("scipy", reason='needs the extra "eval"')

from efficient_empathy.evaluation.classifiers.stage import fit_metric
from efficient_empathy.evaluation.metric import MetricOptions
from efficient_empathy.evaluation.metrics.epitome import Epitome
from efficient_empathy.foundation.errors import UserError
from rated_responses import ASK, FEEL, KNOW, epitome_rows, jsonl


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    fit_metric("epitome", jsonl(folder / "rated.jsonl", epitome_rows()), folder / "epitome", folds=2)
    return folder / "epitome"


def rows(predictions: list[str], references: list[str]) -> pl.DataFrame:
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


def test_levels_and_differences_to_the_reference(fitted: Path) -> None:
    strong, weak, none = f"well {FEEL[2]}", f"well {FEEL[1]}", "well"
    measured = Epitome(MetricOptions(epitome=fitted)).measure(
        rows([strong, strong, weak, none], [none, strong, strong, none])
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


def test_each_way_of_showing_empathy_is_told_from_the_others(fitted: Path) -> None:
    found = (
        Epitome(MetricOptions(epitome=fitted))
        .measure(rows([f"well {KNOW[2]}", f"well {ASK[2]}"], ["", ""]))
        .under(np.eye(2))
    )
    assert found["epitome_ip"].tolist() == [2, 0]
    assert found["epitome_ex"].tolist() == [0, 2]


def test_an_empty_prediction_is_scored(fitted: Path) -> None:
    found = Epitome(MetricOptions(epitome=fitted)).measure(rows([""], ["oh no"])).under()
    assert np.isfinite(found["epitome_er"]).all()


def test_a_reader_is_told_what_the_classifier_is(fitted: Path) -> None:
    about = Epitome(MetricOptions(epitome=fitted)).about
    assert about["fitted_on"] == "rated.jsonl: 90 rows"
    assert set(about["cross_validated_kappa"]) == {"er", "ip", "ex"}


def test_what_is_missing_is_told(fitted: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fit-metric epitome DATA -o FOLDER`, and name the folder with --epitome"):
        Epitome(MetricOptions())
    with pytest.raises(UserError, match="holds no fitted metric"):
        Epitome(MetricOptions(epitome=tmp_path))
    metric, frame = Epitome(MetricOptions(epitome=fitted)), rows(["a", "b"], ["c", "d"])
    with pytest.raises(UserError, match="reads each row's context"):
        metric.measure(frame.drop("context"))
    with pytest.raises(UserError, match="row r1 has no context"):
        metric.measure(frame.with_columns(context=pl.when(pl.col("id") == "r1").then(None).otherwise("context")))
