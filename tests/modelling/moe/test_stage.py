import io
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("trl", reason='needs the extra "train"')

import torch
from rich.console import Console
from safetensors.torch import load_file, save_file

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.model_folder import model_hash
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.integrity import check
from efficient_empathy.modelling.generation import GenerationSettings, generate
from efficient_empathy.modelling.moe import stage
from efficient_empathy.modelling.moe.compare import sizes
from efficient_empathy.modelling.moe.record import ComparisonRecord, RouterRecord
from efficient_empathy.modelling.moe.settings import MixSettings
from efficient_empathy.modelling.moe.stage import mix, summary
from efficient_empathy.modelling.moe.tensors import read_folder
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.selection import select
from forked_command import ForkedCommand
from manifest_entries import write_entry
from scored_runs import write_run
from trained_runs import training_record

SETTINGS = MixSettings(batch_size=8, learning_rate=1e-2, resamples=200, init_samples=20)
TRAINING = TrainingSettings(max_length=96, held_out=0.2, precision="fp32", batch_size=8)
MODELS = ["base", "rationality", "sensibility", "union", "average", "moe_untrained", "moe"]


def quiet():
    return Console(file=io.StringIO())


def sample(i):
    said = "I am sorry, that is a lot to carry" if i % 2 else "What would help you right now?"
    return Sample.of([Utterance("speaker", f"I lost my keys {i}")], f"{said} {i}", dialogue_id=f"d{i // 2}")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, made, adapter):
    """A run with two experts and a union model, all of them adapters on one tiny base."""
    samples = [sample(i) for i in range(80)]
    root = tmp_path_factory.mktemp("prepared") / "run"
    warm = [8.0 if i % 2 else 2.0 for i in range(80)]
    run = write_run(root, samples, {"sensibility": warm, "rationality": [10 - w for w in warm]})
    select(run)
    base = made("llama")
    for seed, name in enumerate(("sensibility", "rationality", "union"), 1):
        folder = run.experts / name
        shutil.copytree(adapter(base, seed, target_modules=["gate_proj", "up_proj", "down_proj"]), folder)
        for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(base / file, folder / file)
        record = training_record(name, base=str(base), base_hash=model_hash(base), settings=TRAINING)
        record.write(folder / "training.json")
    return root


@pytest.fixture
def run(prepared, tmp_path):
    return Workspace(shutil.copytree(prepared, tmp_path / "run"))


@pytest.fixture(scope="module")
def mixed(prepared, tmp_path_factory):
    """The run after an undisturbed `mix`, and its result; not to be changed."""
    run = Workspace(shutil.copytree(prepared, tmp_path_factory.mktemp("mixed") / "run"))
    return run, mix(run, SETTINGS, console=quiet())


def weights(folder):
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def same(first, second):
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)


def test_every_model_is_in_the_table(mixed) -> None:
    run, result = mixed
    table = ComparisonRecord.read(run.comparison).model_dump(mode="json")
    assert [model["name"] for model in table["models"]] == MODELS
    assert set(table["subsets"]) == {"sensibility", "rationality", "all"}
    assert table["part"] == "held_out"
    by_name = {model["name"]: model for model in table["models"]}
    for model in table["models"]:
        low, high = model["interval"]["all"]
        assert low <= model["loss"]["all"] <= high
        total = sum(model["loss"][s] * table["subsets"][s]["tokens"] for s in ("sensibility", "rationality"))
        assert model["loss"]["all"] == pytest.approx(total / table["subsets"]["all"]["tokens"])
    dense, mixture = by_name["average"], by_name["moe"]
    blocks = 2 * 3 * 32 * 64
    assert mixture["parameters"] == dense["parameters"] + blocks + 2 * 2 * 32
    assert mixture["active_parameters"] == mixture["parameters"]
    assert mixture["bytes"] == 4 * mixture["parameters"]
    assert by_name["base"]["parameters"] == by_name["union"]["parameters"] == dense["parameters"]
    assert result.verdict.model_dump(mode="json") == table["verdict"]
    assert table["verdict"]["best"] == min(by_name.values(), key=lambda model: model["loss"]["all"])["name"]


def test_losses_are_those_of_the_models_on_disk(mixed) -> None:
    from efficient_empathy.modelling.training.examples import assign_parts, held_out_rows
    from efficient_empathy.modelling.training.loss import mean_losses, response_losses
    from efficient_empathy.modelling.training.models import load_model, load_tokenizer

    run, result = mixed
    rows = held_out_rows(assign_parts(RunTable(run), TRAINING), TRAINING)
    for model in result.models:
        if model.name == "moe_untrained":
            continue
        measured = response_losses(load_model(model.path), load_tokenizer(model.path), rows["all"], max_length=96)
        assert model.loss == pytest.approx(mean_losses(rows, measured), abs=1e-5), model["name"]


def test_experts_are_measured_as_they_would_be_stored_and_the_rest_as_it_is(run) -> None:
    from efficient_empathy.modelling.moe.compose import average
    from efficient_empathy.modelling.training.examples import assign_parts, held_out_rows
    from efficient_empathy.modelling.training.loss import mean_losses, response_losses
    from efficient_empathy.modelling.training.models import load_model, load_tokenizer

    exact = mix(run, SETTINGS.model_copy(update={"train": "none"}), console=quiet())
    assert all(model.rounding is None for model in exact.models)
    result = mix(run, SETTINGS.model_copy(update={"train": "none", "dtype": "bf16"}), console=quiet())
    rows = held_out_rows(assign_parts(RunTable(run), TRAINING), TRAINING)
    for before, model in zip(exact.models, result.models, strict=True):
        folder = Path(model.path)
        if model.rounding is not None:
            folder = run.root / "merged" / model.name
            average([model.path], folder, dtype="bf16")
            lost = {name: model.loss[name] - before.loss[name] for name in rows}
            assert model.rounding == pytest.approx(lost, abs=1e-6)
        stored = response_losses(load_model(folder, dtype="fp32"), load_tokenizer(folder), rows["all"], max_length=96)
        assert model.loss == pytest.approx(mean_losses(rows, stored), abs=1e-5), model.name
    assert [model.name for model in result.models if model.rounding] == ["rationality", "sensibility", "union"]


def test_routers_are_told(mixed) -> None:
    run, result = mixed
    record = json.loads(RouterRecord.read(run.moe / "routers.json").json_text())
    assert record["changed_tensors"] == [f"model.layers.{i}.mlp.gate.weight" for i in (0, 1)]
    assert record["unchanged_count"] > 10
    assert (record["layers"], record["experts"], record["top_k"]) == (2, ["rationality", "sensibility"], 2)
    assert (record["init"], record["train"]) == ("zero", "gates")
    assert [line["step"] for line in record["history"]]
    assert np.shape(record["usage"]["all"]) == (2, 2)
    assert np.shape(record["entropy"]["sensibility"]) == (2,)
    assert result.routers.usage == record["usage"]


def test_the_summary_is_the_table_and_the_verdict(mixed) -> None:
    run, result = mixed
    text = summary(result, run.root)
    for model in result.models:
        assert f"{model.loss['all']:.4f}" in text
    assert result.verdict.text in text
    assert f"generate --run {run.root} --model moe" in text


def test_a_second_time_nothing_is_done_and_force_does_it_again(run, monkeypatch) -> None:
    first = mix(run, SETTINGS, console=quiet())
    assert not first.skipped
    calls = []
    monkeypatch.setattr(stage, "measure", lambda *_, **__: calls.append(1))
    again = mix(run, SETTINGS, console=quiet())
    assert again == first.model_copy(update={"skipped": True})
    assert calls == []
    monkeypatch.undo()
    before = weights(run.moe)
    run.comparison.write_bytes(run.comparison.read_bytes()[:200])
    monkeypatch.setattr(stage, "train_routers", lambda *_, **__: calls.append(1))
    monkeypatch.setattr(stage, "compose", lambda *_, **__: calls.append(1))
    rebuilt = mix(run, SETTINGS, console=quiet())
    assert calls == []
    assert rebuilt.models == first.models
    monkeypatch.undo()
    forced = mix(run, SETTINGS, console=quiet(), force=True)
    assert not forced.skipped
    assert same(weights(run.moe), before)


def test_other_training_starts_from_the_composition_and_measures_only_what_is_new(mixed, tmp_path, monkeypatch) -> None:
    run = Workspace(shutil.copytree(mixed[0].root, tmp_path / "run"))
    measured = []
    real = stage.measure
    monkeypatch.setattr(
        stage, "measure", lambda contender, *a, **o: measured.append(contender.name) or real(contender, *a, **o)
    )
    cache = {path.name for path in (run.root / stage.CACHE).iterdir()}
    mix(run, SETTINGS.model_copy(update={"learning_rate": 0.05}), console=quiet())
    fresh = {path.name for path in (run.root / stage.CACHE).iterdir()} - cache
    assert len(fresh) == 1
    assert not same(weights(run.moe), weights(mixed[0].moe))


def test_ties_stands_beside_the_average_and_may_be_asked_for_later(mixed, tmp_path, monkeypatch) -> None:
    run = Workspace(shutil.copytree(mixed[0].root, tmp_path / "run"))
    measured, cache = [], {path.name for path in (run.root / stage.CACHE).iterdir()}
    real, before = stage.measure, {folder: weights(folder) for folder in (run.moe, run.average)}
    monkeypatch.setattr(stage, "compose", lambda *_, **__: measured.append("composed anew"))
    monkeypatch.setattr(stage, "train_routers", lambda *_, **__: measured.append("trained anew"))
    monkeypatch.setattr(
        stage, "measure", lambda contender, *a, **o: measured.append(contender.name) or real(contender, *a, **o)
    )
    result = mix(run, SETTINGS.model_copy(update={"ties": True}), console=quiet())
    assert [model.name for model in result.models] == [*MODELS[:5], "ties", *MODELS[5:]]
    assert {"composed anew", "trained anew"}.isdisjoint(measured)
    assert len({path.name for path in (run.root / stage.CACHE).iterdir()} - cache) == 1
    assert all(same(weights(folder), there) for folder, there in before.items())
    assert not same(weights(run.ties), weights(run.average))
    text = summary(result, run.root)
    assert f"The TIES merge: {run.ties}" in text
    assert "TIES merge of the experts" in text
    merged = next(model for model in result.models if model.name == "ties")
    average = next(model for model in result.models if model.name == "average")
    assert (merged.parameters, merged.bytes) == (average.parameters, average.bytes)
    assert set(merged.loss) == set(average.loss)
    faults = [[one.path for one in check(each, console=quiet()).problems] for each in (run, mixed[0])]
    assert faults[0] == faults[1]
    answered = generate(run, "ties", GenerationSettings(samples=2, max_new_tokens=4), console=quiet())
    assert answered.label == "TIES merge of the experts"
    again = mix(run, SETTINGS.model_copy(update={"ties": True}), console=quiet())
    assert again.skipped
    assert again.ties == str(run.ties)
    without = mix(run, SETTINGS, console=quiet())
    assert [model.name for model in without.models] == MODELS
    assert not run.ties.exists()
    assert without.ties is None


def test_a_flipped_byte_in_a_shard_is_refused_by_name_and_mixing_again_makes_it_whole(mixed, tmp_path) -> None:
    run = Workspace(shutil.copytree(mixed[0].root, tmp_path / "run"))
    shard = sorted(run.moe.glob("*.safetensors"))[0]
    content = bytearray(shard.read_bytes())
    content[-5] ^= 1
    shard.write_bytes(content)
    with pytest.raises(UserError, match=rf"moe/{shard.name} has changed since it was written: run .*mix --run "):
        generate(run, "moe", GenerationSettings(max_new_tokens=2, part="held_out"), console=quiet())
    assert not mix(run, SETTINGS, console=quiet()).skipped
    assert same(weights(run.moe), weights(mixed[0].moe))
    weights_of_expert = run.experts / "sensibility" / "adapter_model.safetensors"
    write_entry(run, "train:sensibility", {}, weights_of_expert.parent.iterdir())
    weights_of_expert.write_bytes(weights_of_expert.read_bytes()[:-4] + b"abcd")
    with pytest.raises(UserError, match=r"adapter_model.safetensors has changed since it was written"):
        mix(run, SETTINGS, console=quiet())


KILL = """
import io, os, sys
from rich.console import Console
from efficient_empathy.modelling.moe import routers, stage
from efficient_empathy.modelling.moe.stage import mix
from efficient_empathy.modelling.moe.settings import MixSettings
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.integrity import check

def dying(function):
    def call(*arguments, **options):
        result = function(*arguments, **options)
        os.kill(os.getpid(), 9)
    return call

place, name = sys.argv[1].split(".")
module = {"stage": stage, "routers": routers}[place]
setattr(module, name, dying(getattr(module, name)))
mix(Workspace(sys.argv[2]), MixSettings.model_validate_json(sys.argv[3]), console=Console(file=io.StringIO()))
"""


@pytest.mark.parametrize("at", ["stage.compose", "routers.fit"])
def test_killed_after_any_step_the_rerun_ends_as_the_undisturbed_run(run, mixed, at) -> None:
    killed = ForkedCommand(at, run.root, SETTINGS.model_dump_json(), program=KILL)
    said = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, said
    assert not run.comparison.exists()
    result = mix(run, SETTINGS, console=quiet())
    assert same(weights(run.moe), weights(mixed[0].moe))
    assert same(weights(run.average), weights(mixed[0].average))
    losses = {model.name: model.loss for model in result.models}
    for model in mixed[1].models:
        assert losses[model.name] == pytest.approx(model.loss, abs=1e-6)
    assert not [path.name for path in run.root.iterdir() if path.name.endswith((".work", ".old"))]
    assert not (run.root / stage.WORK).exists()


def test_without_training_there_is_one_mixture(run) -> None:
    result = mix(run, SETTINGS.model_copy(update={"train": "none", "init": "centred_means"}), console=quiet())
    assert [model.name for model in result.models] == [*MODELS[:-2], "moe"]
    assert result.models[-1].label == "MoE, routers untrained"
    assert result.routers.changed_tensors == ()
    gates = [tensor for name, tensor in weights(run.moe).items() if name.endswith("gate.weight")]
    for gate in gates:
        torch.testing.assert_close(gate.norm(dim=-1), torch.ones(2))
        torch.testing.assert_close(gate[0], -gate[1])


def test_top_1_needs_fewer_active_parameters(run) -> None:
    mix(run, SETTINGS.model_copy(update={"top_k": 1}), experts=["sensibility", "rationality"], console=quiet())
    found = sizes(run.moe)
    assert found["parameters"] - found["active_parameters"] == 2 * 3 * 32 * 64
    assert json.loads((run.moe / "routers.json").read_text())["experts"] == ["sensibility", "rationality"]


def recorded(run, name, **changes):
    card = run.experts / name / "training.json"
    content = json.loads(card.read_text())
    content["settings"] |= changes
    card.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("spoil", "options", "said"),
    [
        (lambda run: shutil.rmtree(run.experts), {}, "there is none in"),
        (lambda run: shutil.rmtree(run.experts / "sensibility"), {}, "there is only rationality"),
        (lambda run: None, {"experts": ["sensibility", "kindness"]}, "no expert 'kindness'"),
        (lambda run: (run.experts / "sensibility").rename(run.experts / "base"), {}, "cannot be called base"),
        (lambda run: recorded(run, "sensibility", seed=7), {}, "seed 0, sensibility with 7"),
        (lambda run: recorded(run, "sensibility", template="speaker_listener"), {}, "template chat"),
        (lambda run: None, {"settings": SETTINGS.model_copy(update={"router_data": "held_back"})}, "hold_back"),
        (lambda run: None, {"settings": SETTINGS.model_copy(update={"top_k": 3})}, "from 1 to 2"),
        (lambda run: None, {"settings": SETTINGS.model_copy(update={"batch_size": 500})}, "too few"),
        (
            lambda run: (run.experts / "union" / "training.json").write_text("{}"),
            {},
            "union/training.json .*run `efficient-empathy train`",
        ),
        (lambda run: run.assignments.unlink(), {}, "select"),
    ],
)
def test_what_a_run_lacks_is_one_sentence(run, spoil, options, said) -> None:
    spoil(run)
    with pytest.raises(UserError, match=said):
        mix(run, options.pop("settings", SETTINGS), console=quiet(), **options)
    assert not run.comparison.exists()


def test_routers_can_learn_from_what_the_experts_did_not_see(run, monkeypatch) -> None:
    from efficient_empathy.modelling.training.examples import assign_parts

    for name in ("sensibility", "rationality", "union"):
        recorded(run, name, hold_back=0.5)
    seen = []
    real = stage.train_routers
    monkeypatch.setattr(
        stage,
        "train_routers",
        lambda folder, rows, *a, **o: seen.extend(rows["sample_id"]) or real(folder, rows, *a, **o),
    )
    mix(run, SETTINGS.model_copy(update={"router_data": "held_back"}), console=quiet())
    frame = assign_parts(RunTable(run), TRAINING.model_copy(update={"hold_back": 0.5}))
    assert set(seen) == set(frame.filter(part="router")["sample_id"])
    assert not set(seen) & set(frame.filter(part="fit")["sample_id"])


def test_average_and_mixture_are_made_of_the_experts(mixed) -> None:
    run, _ = mixed
    mixture, plain = read_folder(run.moe), read_folder(run.average)
    for name, tensor in plain.items():
        if ".mlp." not in name:
            np.testing.assert_array_equal(tensor.read(0, 5), mixture[name].read(0, 5))
    name = "model.layers.0.block_sparse_moe.experts.{}.w1.weight"
    experts = [mixture[name.format(number)].read(0, 64) for number in (0, 1)]
    np.testing.assert_allclose(plain["model.layers.0.mlp.gate_proj.weight"].read(0, 64), np.mean(experts, 0), atol=1e-6)


def test_an_expert_that_is_not_finite_is_refused_by_all_who_read_it(run) -> None:
    path = run.experts / "sensibility" / "adapter_model.safetensors"
    tensors = load_file(path)
    tensors[max(tensors)][0, 0] = float("nan")
    save_file(tensors, path)
    with pytest.raises(UserError, match=rf"{max(tensors)} in {path} has numbers that are not finite"):
        mix(run, SETTINGS, console=quiet())
    assert not run.moe.exists()
    with pytest.raises(UserError, match=rf"{max(tensors)} in {path} has numbers that are not finite"):
        generate(run, "sensibility", GenerationSettings(max_new_tokens=4), console=quiet())


def test_two_mixings_of_the_same_say_the_same(run, mixed) -> None:
    _, first = mixed
    again = mix(run, SETTINGS, console=quiet())
    assert again.verdict == first.verdict
    assert "second" not in summary(again, run.root) + again.verdict.text
    assert [m.model_dump(exclude={"path"}) for m in again.models] == [
        m.model_dump(exclude={"path"}) for m in first.models
    ]
