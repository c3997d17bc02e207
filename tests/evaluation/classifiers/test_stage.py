import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

pytest.importorskip("scipy", reason='needs the extra "eval"')

from efficient_empathy.evaluation.classifiers import load
from efficient_empathy.evaluation.classifiers.data import read_epitome
from efficient_empathy.evaluation.classifiers.kinds import DIMENSIONS, FitSettings
from efficient_empathy.evaluation.classifiers.stage import FitResult, fit_metric
from efficient_empathy.foundation.errors import UserError
from rated_responses import dialogue_rows, epitome_rows, jsonl


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    steps: list[tuple[str, int, int]] = []
    result = fit_metric(
        "epitome", jsonl(folder / "rated.jsonl", epitome_rows()), folder / "epitome", FitSettings(folds=3),
        on_step=lambda *at: steps.append(at),
    )  # fmt: skip
    assert steps[0] == ("reading texts", 1, 90)
    assert steps[-1] == ("all rows", 1, 1)
    (folder / "result.json").write_text(result.model_dump_json())
    return folder


def test_levels_are_learnt_and_cross_validated(fitted: Path) -> None:
    result = json.loads((fitted / "result.json").read_text())
    assert all(result["figures"][name]["quadratic_kappa"] > 0.8 for name in DIMENSIONS)
    assert result["rows"] == 90
    assert result["groups"] == 45
    assert sum(result["counts"]["explorations"].values()) == 90
    assert "explorations: quadratic kappa" in FitResult(**result).summary()


def test_the_folder_decides_as_it_was_fitted_and_without_torch_or_pickle(fitted: Path) -> None:
    data = read_epitome(fitted / "rated.jsonl")
    decided = load(fitted / "epitome", "epitome").decide(data.pairs)
    assert decided.shape == (90, 3)
    assert (decided == np.stack([one.values for one in data.dimensions], 1)).mean() > 0.9
    assert {path.name for path in (fitted / "epitome").iterdir()} == {"README.md", "metric.json", "weights.npz"}
    assert load(fitted / "epitome", "epitome").decide([]).shape == (0, 3)


def test_the_card_says_data_figures_and_whose_terms(fitted: Path) -> None:
    card = (fitted / "epitome" / "README.md").read_text()
    result = json.loads((fitted / "result.json").read_text())
    assert "90 labelled texts of 45 seekers' posts, from `rated.jsonl`" in card
    assert f"| explorations | {result['figures']['explorations']['quadratic_kappa']:.3f} |" in card
    assert "inherit its terms" in card
    assert "cat ran away" not in card + (fitted / "epitome" / "metric.json").read_text()


def test_the_same_data_and_seed_give_the_same_weights(fitted: Path, tmp_path: Path) -> None:
    again = fit_metric("epitome", fitted / "rated.jsonl", tmp_path / "again", FitSettings(folds=3))
    assert again.figures == json.loads((fitted / "result.json").read_text())["figures"]
    assert load(tmp_path / "again", "epitome").weights_hash == load(fitted / "epitome", "epitome").weights_hash


def test_emotions_are_learnt_from_openings_and_responses(tmp_path: Path) -> None:
    result = fit_metric(
        "emotion", jsonl(tmp_path / "talk.jsonl", dialogue_rows()), tmp_path / "emotion", FitSettings(folds=3)
    )
    assert result.figures["responses"]["accuracy"] > 0.9
    assert set(result.figures) == {"emotion", "openings", "responses"}
    classifier = load(tmp_path / "emotion", "emotion")
    labels = classifier.heads[0].labels
    assert labels[classifier.decide([((), "congratulations , how wonderful")])[0, 0]] == "joyful"


def test_what_cannot_be_fitted(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "few.jsonl", epitome_rows(20))
    with pytest.raises(UserError, match="has 20 labelled rows; fitting needs 50 or more"):
        fit_metric("epitome", path, tmp_path / "out")
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        FitSettings(folds=1)
    with pytest.raises(UserError, match="there is no metric 'warmth' to fit: choose of epitome, emotion"):
        fit_metric("warmth", path, tmp_path / "out")
    same = [row | {"seeker_post": "my cat ran away"} for row in epitome_rows(60)]
    with pytest.raises(UserError, match="5 folds need 5 different contexts or more"):
        fit_metric("epitome", jsonl(tmp_path / "same.jsonl", same), tmp_path / "out")
