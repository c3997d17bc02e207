from pathlib import Path

import pytest
import yaml

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.labelling.cascade.settings import CascadeSettings
from efficient_empathy.recipe import DIALOGUES, RECIPES, Recipe, bundled_recipes

ROOT = Path(__file__).parent.parent


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("name", bundled_recipes())
def test_every_recipe_that_ships_is_valid_and_explains_every_key(name: str) -> None:
    recipe = Recipe.load(name)
    assert recipe.name == name
    lines = (RECIPES / f"{name}.yaml").read_text("utf-8").splitlines()
    assert any(f"efficient-empathy run recipes/{name}.yaml" in line for line in lines[:3])
    if name == "demo":
        bare = [line for line in lines if ": " in line and "#" not in line and not line.startswith("name")]
        assert not bare


def test_the_recipes_of_the_repository_are_those_of_the_package() -> None:
    assert {path.stem for path in (ROOT / "recipes").glob("*.yaml")} == set(bundled_recipes())


def test_the_papers_settings() -> None:
    llama = Recipe.load("paper-llama3-8b").train
    assert llama is not None
    assert (llama.lora.r, llama.lora.alpha, llama.lora.dropout) == (8, 32, 0.1)
    assert (llama.learning_rate, llama.batch_size, llama.epochs, llama.max_length) == (1e-4, 16, 1, 512)
    qwen = Recipe.load("paper-qwen").train
    assert qwen is not None
    assert (qwen.method, qwen.learning_rate, qwen.scheduler, qwen.weight_decay) == ("full", 1e-5, "cosine", 0.1)
    assert qwen.batch_size * qwen.gradient_accumulation == 16


def test_what_is_absent_is_not_run_and_the_rest_has_defaults(tmp_path: Path) -> None:
    recipe = Recipe.load(write(tmp_path, "name: small\nselect:\n  alpha: 6\n"))
    assert recipe.folder == Path("runs/small")
    assert recipe.data.place == DIALOGUES
    assert recipe.select is not None
    assert (recipe.select.policy, recipe.select.values) == ("paper", {"alpha": 6})
    assert recipe.train is recipe.mix is recipe.generate is None


def test_the_seed_goes_to_every_stage_that_names_none(tmp_path: Path) -> None:
    text = "name: x\nseed: 7\nselect: {}\ntrain:\n  seed: 3\nmix:\n  top_k: 2\ngenerate: {}\n"
    recipe = Recipe.load(write(tmp_path, text))
    stages = (recipe.select, recipe.train, recipe.mix, recipe.generate)
    assert [stage.seed for stage in stages if stage is not None] == [7, 3, 7, 7]


def test_keys_are_set_from_the_command_line(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\nselect:\ntrain:\n  lora:\n    r: 4\n")
    changes = {"train.lora.r": "32", "train.epochs": "0.5", "select.policy": "exclusive", "train.experts": "[both]"}
    recipe = Recipe.load(path, changes)
    assert recipe.select is not None
    assert recipe.train is not None
    assert (recipe.train.lora.r, recipe.train.epochs, recipe.select.policy) == (32, 0.5, "exclusive")
    assert recipe.train.experts == ("both",)


def test_an_empty_section_has_its_defaults_and_null_takes_one_out(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\nselect:\ntrain:\nmix:\n")
    assert Recipe.load(path).mix is not None
    assert Recipe.load(path, {"mix": "null"}).mix is None


def test_options_of_the_judge_are_read(tmp_path: Path) -> None:
    text = "name: x\nscore:\n  judge: openai\n  model: m\n  max_cost: 2\n  logprobs: true\n"
    section = Recipe.load(write(tmp_path, text)).score
    assert section is not None
    assert (section.judge, section.model_extra) == (("openai",), {"model": "m", "max_cost": 2, "logprobs": True})


def test_a_cascade_and_a_refresh_have_sections_of_their_own(tmp_path: Path) -> None:
    text = (
        "name: x\nseed: 7\ncascade:\n  step: [distilled, openai:gpt-4o-mini]\n  expert: openai\n  model: gpt-4o\n"
        "  error: 0.1\n"
        "refresh:\n  rounds: 2\n  judge: openai:m\n"
    )
    recipe = Recipe.load(write(tmp_path, text))
    assert recipe.cascade is not None
    assert recipe.refresh is not None
    assert (recipe.score, recipe.refresh.rounds) == (None, 2)
    steps = ("distilled", "openai:gpt-4o-mini")
    assert recipe.cascade.settings == CascadeSettings(expert="openai", step=steps, error=0.1, seed=7)
    assert recipe.cascade.model_extra == {"model": "gpt-4o"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "name: x\ntrain:\n  learning_rat: 1\nselect: {}\n",
            "train.learning_rat is no key: did you mean learning_rate?",
        ),
        ("name: x\ntrain:\n  lora:\n    rank: 1\nselect: {}\n", "train.lora.rank is no key"),
        ("name: x\nscore:\n  modle: 1\n", "modle is no key: did you mean model?"),
        ("name: x\nscore:\n  judge: oracle\n", "'oracle' names no judge"),
        ("name: x\nselect:\n  workspace: y\n", "select.workspace is no key"),
        ("name: x\nselect:\n  force: true\n", "select.force is no key"),
        ("name: x\nselect:\n  top: 3\n", "select: the policy paper has rules and takes no top"),
        ("name: x\nselect:\n  decide: whole\n", "select.decide: Input should be"),
        ("name: x\nselect:\n  policy: top\n  quotas: 5\n", "select.quotas: Input should be a valid dictionary"),
        ("name: x\nselect:\n  gamma: 12\n", "select.gamma is no key"),
        ("name: x\nselect:\n  thresholds: {gamma: 12}\n", "select: the policy paper has no threshold gamma"),
        ("name: x\nselect:\n  policy: top\n  top: 3\n  beta: 5\n", "select: the policy top has no threshold beta"),
        ("name: x\nscore:\n  temprature: 1\n", "score: temprature is no key: did you mean temp"),
        ("name: x\nscore:\n  judge: openai\n  temperature: hot\n", "score: temperature: Input should be a valid"),
        ("name: x\nscore:\n  judge: openai\n  temperature: -1\n", "score: temperature: Input should be"),
        ("name: x\nscore:\n  judge: openai\n  max_tokens: 0\n", "score: max_tokens: Input should be"),
        ("name: x\nscore:\n  judge: openai\n  reply: xml\n", "score: reply: Input should be"),
        ("name: x\nscore:\n  judge: openai\n  concurrency: 0\n", "score: concurrency: Input should be"),
        ("name: x\nscore:\n  judge: openai\n  timeout_s: soon\n", "score: timeout_s: Input should be"),
        ("name: x\nscore:\n  judge: openai\n  prices: [1]\n", "score: prices: Input is not a valid path"),
        ("name: x\nscore:\n  model: m\n", "score: model is an option of the judge openai or anthropic"),
        ("name: x\ncascade:\n  error: 0.1\n  f1: 0.9\n", "cascade: error and f1 are two guarantees"),
        ("name: x\ncascade:\n  modle: m\n", "cascade: modle is no key: did you mean model?"),
        ("name: x\nrefresh:\n  which: some\n", "refresh.which: Input should be"),
        ("name: x\nscore: {}\ncascade: {}\n", "`score` or a section `cascade`, not both"),
        ("name: x\nselect:\n  policy: best\n", "there is no policy 'best'"),
        ("name: x\ntrain: {}\n", "a section `train` needs a section `select`"),
        ("name: x\nmix: {}\nselect: {}\n", "a section `mix` needs a section `train`"),
        ("name: x\nselect: {}\nmix: {}\ntrain:\n  experts: [all]\n", "two or more train.experts"),
        ("name: ../x\n", "name: "),
        ("- a\n", "must be a mapping"),
        ("name: [\n", "is not YAML"),
        ("nam: x\n", "is no key: did you mean name?"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_key(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        Recipe.load(path)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)


OFF_SCALE = "the threshold alpha of the policy paper is 50, which is not on the scale of sensibility"
WARM = "name: warm\nthresholds: {low: 4}\nrules:\n  - warm: warmth > low\notherwise: cold\n"
NO_WARMTH = "warmth stands there, but it is neither an axis of the rubric (sensibility, rationality)"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("select: {alpha: 50}", f"select: {OFF_SCALE}"),
        ("cascade: {}\nselect: {alpha: 50}", f"select: {OFF_SCALE}"),
        ("select: {}\nsweep: {alphas: [5, 50]}", f"sweep: {OFF_SCALE}"),
        ("select: {}\nsweep: {policy: [best]}", "sweep: there is no policy 'best'"),
        ("select: {}\ntune: {target: balance, grids: {alpha: 50}}", f"tune: {OFF_SCALE}"),
        ("select: {}\ntune: {target: balanced}", "tune: 'balanced' is no target"),
        ("select: {policy: FOLDER/warm.yaml}", NO_WARMTH),
        ("select: {}\nsweep: {policy: [paper, FOLDER/warm.yaml]}", NO_WARMTH),
        ("select: {}\ntune: {target: balance, policy: FOLDER/warm.yaml}", NO_WARMTH),
        ("select: {policy: top, top: {warmth: 3}}", "takes the top of warmth, and the rubric has no such axis"),
        ("score: {rubric: quality}\nselect: {}", "but it is neither an axis of the rubric (naturalness, coherence"),
        ("score: {rubric: FOLDER/none.yaml}", "score: cannot read the rubric"),
    ],
)
def test_a_policy_that_does_not_fit_the_rubric_is_refused_before_scores_are_paid_for(
    tmp_path: Path, text: str, error: str
) -> None:
    (tmp_path / "warm.yaml").write_text(WARM, "utf-8")
    with pytest.raises(UserError) as caught:
        Recipe.load(write(tmp_path, f"name: x\n{text.replace('FOLDER', str(tmp_path))}\n"))
    assert error in str(caught.value)


def test_a_recipe_that_is_nowhere_names_those_there_are() -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml is no recipe: .*demo"):
        Recipe.load("nowhere.yaml")


@pytest.mark.parametrize(("key", "value"), [("name.first", "1"), ("train.epochs", "[")])
def test_a_change_that_cannot_be_made_is_told(key: str, value: str) -> None:
    with pytest.raises(UserError, match=f"cannot set {key}"):
        Recipe.load("demo", {key: value})


def test_what_a_recipe_dumps_is_a_recipe(tmp_path: Path) -> None:
    recipe = Recipe.load("paper-llama3-8b")
    text = yaml.safe_dump(recipe.model_dump(mode="json", exclude_unset=True), sort_keys=False)
    assert Recipe.load(write(tmp_path, text)) == recipe


def test_every_subset_that_the_policy_selects_becomes_an_expert_by_default(tmp_path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: x\nselect: {policy: both}\ntrain: {}\nmix: {}\n")
    assert set(Recipe.load(path).experts) == {"both", "sensibility", "rationality"}
    assert Recipe.load(path, {"train.experts": "[both, sensibility]"}).experts == ("both", "sensibility")
