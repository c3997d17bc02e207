import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from efficient_empathy.evaluation.robustness import TuneSettings, tune
from efficient_empathy.evaluation.robustness.records import TuningRecord
from efficient_empathy.evaluation.robustness.summary import tune_summary
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.recipe import Recipe
from efficient_empathy.selection import select


def test_a_share_is_met_by_what_select_then_gives(run, quiet) -> None:
    result = tune(run, TuneSettings(target="share=0.6"), console=quiet).model_dump(mode="json")
    told = select(run, policy="paper", **result["choice"])
    share = 1 - told.subsets["discard"] / 237
    assert abs(share - 0.6) < 0.05
    assert result["choice_on_all"] == pytest.approx(share)
    assert result["subsets"] == told.subsets
    assert len(result["folds"]) == 5
    nearest = min(abs(cell["value"] - 0.6) for cell in result["cells"])
    assert abs(share - 0.6) <= nearest + 0.01
    assert result["better_than_default"] == (result["difference"]["high"] < 0)


def test_the_fragment_is_a_recipe_when_pasted(run, quiet, tmp_path) -> None:
    select(run, decide="scores")
    result = tune(run, TuneSettings(target="samples=150"), console=quiet).model_dump(mode="json")
    fragment = (run.tuning / "select.yaml").read_text()
    (tmp_path / "recipe.yaml").write_text(f"name: mine\n{fragment}")
    recipe = Recipe.load(tmp_path / "recipe.yaml")
    assert (recipe.select.alpha, recipe.select.beta) == (result["choice"]["alpha"], result["choice"]["beta"])
    assert recipe.select.model_dump()["decide"] == "scores"
    assert result["text"] in fragment
    again = select(run, **recipe.select.model_dump(exclude_none=True))
    assert again.subsets == result["subsets"]


def test_the_file_holds_what_is_returned_and_nothing_is_done_twice(run, quiet) -> None:
    settings = TuneSettings(target="share=0.6", alphas="4:6", betas="4:7")
    result = tune(run, settings, console=quiet)
    of_stage = {"path", "fragment", "skipped"}
    assert TuningRecord.read(Path(result.path)).model_dump() == result.model_dump(exclude=of_stage)
    places = {"path": str(run.tuning / "tuning.json"), "fragment": str(run.tuning / "select.yaml")}
    written = json.loads((run.tuning / "tuning.json").read_text())
    assert {**written, **places, "skipped": False} == result.model_dump(mode="json")
    again = tune(run, settings, console=quiet)
    assert again == result.model_copy(update={"skipped": True})
    assert "(Nothing had changed.)" in tune_summary(again, run.root)
    whole = (run.tuning / "select.yaml").read_bytes()
    (run.tuning / "select.yaml").write_bytes(whole[:20])
    assert tune(run, settings, console=quiet) == result
    assert (run.tuning / "select.yaml").read_bytes() == whole
    assert tune(run, settings, console=quiet, force=True) == result
    assert not tune(run, settings.model_copy(update={"seed": 1}), console=quiet).skipped


def test_one_subset_may_be_what_is_counted(run, quiet) -> None:
    result = tune(run, TuneSettings(target="samples=60", subset="sensibility"), console=quiet).model_dump(mode="json")
    assert abs(result["subsets"]["sensibility"] - 60) <= 0.05 * 237


def test_what_cannot_be_reached_names_the_nearest(run, quiet) -> None:
    settings = TuneSettings(target="share=0.02", alphas="4,5", betas="5")
    with pytest.raises(UserError) as told:
        tune(run, settings, console=quiet)
    kept = {a: 1 - select(run, alpha=a, beta=5).subsets["discard"] / 237 for a in (4, 5)}
    alpha = min(kept, key=kept.get)
    assert f"the nearest is {kept[alpha]:.1%}, at α = {alpha}, β = 5" in str(told.value)
    assert not (run.tuning / "tuning.json").exists()
    with pytest.raises(UserError, match=r"no cell has a share from 0\.99 to 1 of union; the nearest is"):
        tune(run, TuneSettings(target="balance", least=0.99, alphas="5", betas="5"), console=quiet)


def test_when_nothing_is_better_the_default_stays(run, quiet) -> None:
    at_default = 1 - select(run).subsets["discard"] / 237
    result = tune(run, TuneSettings(target=f"share={at_default:.4f}"), console=quiet).model_dump(mode="json")
    assert result["choice"] == result["default"] == {"alpha": 5, "beta": 5}
    assert not result["better_than_default"]
    assert "the default itself is chosen" in result["text"]
    assert yaml.safe_load((run.tuning / "select.yaml").read_text()) == {
        "select": {"policy": "paper", "alpha": 5, "beta": 5}
    }


def test_balance_keeps_within_its_shares(run, quiet) -> None:
    found = tune(run, TuneSettings(target="balance", least=0.4, most=0.7), console=quiet)
    result = found.model_dump(mode="json")
    kept = 1 - result["subsets"]["discard"] / 237
    assert 0.4 <= kept <= 0.7
    assert result["value"] >= 0
    assert "Next: efficient-empathy select --run" in tune_summary(found, run.root)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"target": "share=0.6", "folds": 61}, "120 dialogues are too few for 61 folds"),
        ({"target": "share=0.6", "policy": "top"}, "the policy 'top' has no thresholds to move"),
        ({"target": "share=0.6", "subset": "both"}, "the policy paper has no subset 'both'"),
        ({"target": "quality"}, "no target"),
        ({"target": "share=0.6", "alphas": "40:50"}, "threshold alpha .* is 40, which is not on the scale of sensi"),
    ],
)
def test_a_users_error(run, quiet, settings, said) -> None:
    with pytest.raises(UserError, match=said):
        tune(run, TuneSettings(**settings), console=quiet)


def test_balance_without_categories_is_refused(run, quiet) -> None:
    pl.read_parquet(run.samples).with_columns(category=pl.lit("sad")).write_parquet(run.samples)
    with pytest.raises(UserError, match="only 'sad'"):
        tune(run, TuneSettings(target="balance"), console=quiet)


def test_a_run_without_scores_says_the_command(tmp_path, quiet) -> None:
    with pytest.raises(UserError, match="`efficient-empathy score SOURCE"):
        tune(Workspace(tmp_path / "nowhere"), TuneSettings(target="balance"), console=quiet)


def test_thresholds_of_any_name_are_chosen(warm_run, warm_policy, quiet) -> None:
    settings = TuneSettings(target="share=0.5", policy=warm_policy, grids={"long": "5:8"}, tolerance=0.1)
    found = tune(warm_run, settings, console=quiet)
    record = found
    assert set(record.choice) == {"hope", "tact", "long"}
    assert len(record.cells) == 3 * 4 * 4
    kept = 1 - record.subsets["rest"] / 120
    assert kept == pytest.approx(record.choice_on_all)
    assert abs(kept - 0.5) <= min(abs(cell.value - 0.5) for cell in record.cells) + 0.01
    section = yaml.safe_load(Path(found.fragment).read_text())["select"]
    assert section == {"policy": warm_policy, "thresholds": record.choice}
    assert f"--threshold hope={record.choice['hope']:g}" in tune_summary(found, warm_run.root)
    assert "hope = " in record.text


def test_one_threshold_is_chosen(lone_run, lone_policy, quiet) -> None:
    settings = TuneSettings(target="samples=80", policy=lone_policy, subset="helpful")
    record = tune(lone_run, settings, console=quiet)
    assert record.choice == {"bar": 2}
    assert record.subsets == {"helpful": 80, "useless": 40}
    assert record.default == {"bar": 3}
