import sys
from pathlib import Path

import pytest

from efficient_empathy import score
from efficient_empathy.cluster.settings import ClusterSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.settings import load
from efficient_empathy.recipe import DIALOGUES, Recipe


@pytest.mark.parametrize("cluster", ["ray", "ray://auto", "ray://10.0.0.1:6379", "ray://[::1]:6379", "ray://head:1"])
def test_a_cluster_is_this_machine_or_an_address(cluster: str) -> None:
    assert load(ClusterSettings, None, "the options", {"cluster": cluster}).cluster == cluster


@pytest.mark.parametrize("cluster", ["", "spark", "10.0.0.1:6379", "ray://head", "ray://head:6379/x", "http://head:1"])
def test_what_is_no_cluster_is_refused_with_what_there_is(cluster: str) -> None:
    with pytest.raises(UserError, match="write ray, ray://auto or ray://HOST:PORT"):
        load(ClusterSettings, None, "the options", flags={"cluster": ("--on", cluster)})


def test_the_port_of_ray_client_is_refused_with_the_one_to_take() -> None:
    with pytest.raises(UserError, match=r"port of Ray Client.* 6379 by default"):
        load(ClusterSettings, None, "the options", flags={"cluster": ("--on", "ray://head:10001")})


def test_workers_without_a_cluster_are_refused() -> None:
    with pytest.raises(UserError, match="add --on ray"):
        load(ClusterSettings, None, "the options", {"workers": 2})


def test_a_recipe_that_names_somebodys_cluster_needs_permission(nothing_allowed: None, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: far\nscore: {judge: distilled, cluster: 'ray://evil.example:6379'}\n")
    with pytest.raises(UserError, match=r"--allow host:evil\.example:6379 --allow code"):
        Recipe.load(recipe)
    changed = Recipe.load(recipe, {"score.cluster": "ray"})
    assert changed.score is not None
    assert changed.score.cluster == "ray"
    assert Recipe.load(recipe, {"score.cluster": "ray://mine:6379"}).score is not None


def test_ray_that_is_not_installed_is_told_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r'--on ray needs .*pip install "efficient-empathy\[ray\]"'):
        score(DIALOGUES, tmp_path / "run", cluster="ray", quiet=True)


def test_a_cluster_has_nothing_to_do_where_a_provider_judges_in_batches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    with pytest.raises(UserError, match="--batch has the provider do the work, so --on has nothing to do: leave one"):
        score(DIALOGUES, tmp_path / "run", judge="openai:gpt-4o", batches={"batch": True}, cluster="ray", quiet=True)
