import pytest

from efficient_empathy.evaluation.robustness.settings import (
    TuneSettings,
    generation_settings,
    proxy_settings,
    training_settings,
)
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace


def test_models_are_trained_as_the_runs_recipe_says(tmp_path) -> None:
    workspace = Workspace(tmp_path)
    assert training_settings(workspace).epochs == 1
    (tmp_path / "recipe.yaml").write_text(
        "name: mine\ntrain:\n  experts: [sensibility]\n  epochs: 3\n  lora: {r: 4}\n  seed: 7\n"
        "generate:\n  models: [base]\n  samples: 9\n"
    )
    found = training_settings(workspace, None, {"lora.alpha": "16", "batch_size": "4"})
    assert (found.epochs, found.lora.r, found.lora.alpha, found.batch_size, found.seed) == (3, 4, 16, 4, 7)
    assert generation_settings(workspace).samples == 9
    assert generation_settings(workspace, {"samples": 3}).samples == 3


def test_a_file_stands_in_for_the_recipe(tmp_path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: mine\ntrain: {epochs: 3}\n")
    (tmp_path / "other.yaml").write_text("max_length: 128\n")
    found = training_settings(Workspace(tmp_path), tmp_path / "other.yaml")
    assert (found.epochs, found.max_length) == (1, 128)
    with pytest.raises(UserError, match="not valid in the training settings: epoch is no key: did you mean epochs"):
        training_settings(Workspace(tmp_path), None, {"epoch": 2})


def test_proxies_are_quick_unless_told_otherwise() -> None:
    settings = TuneSettings(target="proxy-loss", proxy_steps=7, seed=3)
    found = proxy_settings(settings, {"max_length": "64"})
    assert (found.max_steps, found.seed, found.max_length, found.save_every) == (7, 3, 64, 0)
