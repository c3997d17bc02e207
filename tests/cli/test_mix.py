import json
import shutil

import pytest
from typer.testing import CliRunner

pytest.importorskip("safetensors", reason='needs the extra "train"')
pytest.importorskip("transformers", reason='needs the extra "train"')

from efficient_empathy.cli import app
from efficient_empathy.modelling import moe
from tiny_models import tiny_model


def run(*arguments):
    return CliRunner().invoke(app, ["mix", *map(str, arguments)])


@pytest.fixture(scope="module")
def experts(tmp_path_factory):
    root = tmp_path_factory.mktemp("experts")
    return [tiny_model(root / name, "llama", seed=seed) for seed, name in enumerate(("warm", "clear"))]


def test_two_checkpoints_are_mixed_without_a_run(experts, tmp_path) -> None:
    done = run("--expert", experts[0], "--expert", experts[1], "-o", tmp_path / "mixture", "--top-k", 1, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert (result["experts"], result["top_k"], result["family"]) == (["warm", "clear"], 1, "mixtral")
    assert json.loads((tmp_path / "mixture" / "config.json").read_text())["num_experts_per_tok"] == 1
    told = run("--expert", experts[0], "--expert", experts[1], "-o", tmp_path / "mixture", "--top-k", 1)
    assert "train the routers before you use it" in told.stdout
    assert f"transformers serve {tmp_path / 'mixture'}" in told.stdout.replace("\n", "")


def test_or_averaged(experts, tmp_path) -> None:
    done = run("--expert", experts[0], "--expert", experts[1], "-o", tmp_path / "mean", "--average")
    assert done.exit_code == 0, done.output
    assert "The average of warm, clear" in done.stdout
    assert json.loads((tmp_path / "mean" / "config.json").read_text())["model_type"] == "llama"


def test_or_merged_by_ties(experts, tmp_path) -> None:
    named = ["--expert", experts[0], "--expert", experts[1], "-o", tmp_path / "merged", "--ties"]
    done = run(*named)
    assert done.exit_code == 1
    assert "do not say what their base is: give it with --base" in " ".join(done.stderr.split())
    base = tiny_model(tmp_path / "base", "llama", seed=9)
    done = run(*named, "--base", base)
    assert done.exit_code == 0, done.output
    assert "Merged by TIES: warm, clear" in done.stdout
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["model_type"] == "llama"
    assert "give one of them" in run(*named, "--base", base, "--average").stderr


def test_the_base_may_give_what_is_shared(experts, tmp_path) -> None:
    base = shutil.copytree(experts[0], tmp_path / "base")
    done = run("--expert", experts[0], "--expert", experts[1], "-o", tmp_path / "m", "--shared", "base", "--base", base,
               "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["shared"] == "base"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say what to mix"),
        (["--expert", "a"], "say what to mix"),
        (["--expert", "./a", "-o", "out"], "there is no folder ./a"),
        (["--expert", "./a", "--expert", "./b", "-o", "out"], "there is no folder ./a"),
        (["--expert", "./a", "--expert", "./b", "-o", "out", "--init", "centred_means"], "--init needs a run"),
        (["--expert", "./a", "--expert", "./b", "-o", "out", "--learning-rate", "1"], "--learning-rate needs a run"),
        (["--run", "nowhere"], "no run's folder"),
        (["--run", "r", "-o", "out"], "go without --run"),
        (["--run", "r", "--set", "topk=1"], "top_k"),
        (["--run", "r", "--set", "top_k=many"], "settings for mixing: top_k: "),
        (["--run", "r", "--settings", "nowhere.yaml"], "cannot read the settings for mixing"),
    ],
)
def test_a_users_error_is_one_sentence_and_exit_1(arguments, said) -> None:
    done = run(*arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert said in " ".join(done.stderr.split())
    assert done.stdout == ""


def test_options_and_the_file_of_settings_reach_the_stage(tmp_path, monkeypatch) -> None:
    seen = {}

    def mix(workspace, settings, *, experts, console, force):
        seen.update(run=workspace.root, settings=settings, experts=experts, force=force)
        return {"done": True}

    monkeypatch.setattr(moe, "mix", mix)
    monkeypatch.setattr(moe, "summary", lambda result, run: f"mixed {run}")
    file = tmp_path / "mix.yaml"
    file.write_text("epochs: 3\nbatch_size: 4\n")
    done = run("--run", tmp_path / "r", "--expert", "a", "--expert", "b", "--settings", file, "--epochs", 2,
               "--train", "gates+gate_proj", "--init", "centred_means", "--router-data", "held_back", "--force",
               "--set", "aux_loss=0.1")  # fmt: skip
    assert done.exit_code == 0, done.output
    settings = seen["settings"]
    assert (settings.epochs, settings.batch_size, settings.aux_loss) == (2, 4, 0.1)
    assert (settings.train, settings.init, settings.router_data) == ("gates+gate_proj", "centred_means", "held_back")
    assert (seen["experts"], seen["force"]) == (["a", "b"], True)
