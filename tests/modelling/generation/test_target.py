from __future__ import annotations

import json

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.permissions import allow
from efficient_empathy.modelling.generation.target import file_name, fingerprint, resolve
from efficient_empathy.modelling.moe.record import ComparisonRecord
from tiny_models import tiny_model
from trained_runs import write_comparison


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("gpt-4o", "gpt-4o"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "meta-llama--Meta-Llama-3-8B-Instruct"),
        ("/models/my base/", "models--my-base".replace("my-base", "my--base")),
        ("../../etc/passwd", "etc--passwd"),
    ],
)
def test_any_name_becomes_one_file_s(name, kept):
    assert file_name(name) == kept


@pytest.mark.parametrize("name", ["", "..", "../..", "/", "…"])
def test_a_name_of_nothing_is_refused(name):
    with pytest.raises(UserError, match="--name"):
        file_name(name)


def test_a_run_s_models_come_before_folders_and_hub_names(run, tiny, tmp_path, monkeypatch, nothing_allowed):
    workspace = run(2)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sensibility").mkdir()
    weights = workspace.experts / "sensibility" / "model.safetensors"
    weights.unlink()
    weights.symlink_to(tiny / weights.name)
    with pytest.raises(UserError, match="a model of the run, asks to read"):
        resolve("sensibility", workspace)
    with allow([f"read:{tiny}"]):
        found = resolve("sensibility", workspace)
    assert (found.path, found.label, found.kind) == (workspace.experts / "sensibility", "Sensibility expert", "model")
    with pytest.raises(UserError, match=f"asks to read {tiny}, .* add --allow read:{tiny}"):
        resolve("base", workspace)
    with allow([f"read:{tiny}"]):
        assert resolve("base", workspace).path == tiny.resolve()
    assert resolve("org/name", workspace).path == "org/name"
    assert resolve(str(tiny), None, "mine").name == "mine"


def test_a_model_is_called_as_in_the_comparison(run, tiny):
    workspace = run(2)
    workspace.moe.symlink_to(tiny)
    assert resolve("moe", workspace).label == "MoE, routers trained"
    write_comparison(workspace)
    table = ComparisonRecord.read(workspace.comparison)
    (mixture,) = (model for model in table.models if model.name == "moe")
    renamed = mixture.model_copy(update={"label": "MoE, routers untrained"})
    table.model_copy(update={"models": (renamed,)}).write(workspace.comparison)
    assert resolve("moe", workspace).label == "MoE, routers untrained"
    workspace.comparison.write_text("{")
    assert resolve("moe", workspace).label == "MoE, routers trained"


def test_a_model_is_known_by_its_content_and_an_adapter_by_its_base_too(tmp_path):
    one, same, other = (tiny_model(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    found = set()
    for base in (one, other):
        (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
        found.add(fingerprint(adapter).partition(" on ")[2])
    assert found == {fingerprint(one), fingerprint(other)}
