import shutil

import numpy as np
import polars as pl
import pytest

pytest.importorskip("trl", reason='needs the extra "train"')

import torch
import transformers
from safetensors.torch import load_file

from efficient_empathy.modelling.moe import routers as module
from efficient_empathy.modelling.moe.compose import compose, rewrite
from efficient_empathy.modelling.moe.record import RouterTraining
from efficient_empathy.modelling.moe.router_statistics import centred_means, observe, routers, statistics
from efficient_empathy.modelling.moe.routers import digests, train_routers
from efficient_empathy.modelling.moe.settings import MixSettings
from efficient_empathy.modelling.training.examples import EncodedSample
from efficient_empathy.modelling.training.settings import TrainingSettings

TRAINING = TrainingSettings(max_length=64, precision="fp32", batch_size=4)
FAST = {"learning_rate": 1e-2, "batch_size": 4}
MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


def rows(n=16):
    return pl.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(n)],
            "prompt": [[{"role": "user", "content": f"I lost my keys {i}"}] for i in range(n)],
            "completion": [[{"role": "assistant", "content": "That sounds so frustrating"}] for _ in range(n)],
        },
        schema_overrides={"prompt": MESSAGES, "completion": MESSAGES},
    )


def samples(n=6, length=20, seed=0):
    rng = np.random.default_rng(seed)
    return [EncodedSample(f"s{i}", rng.integers(5, 390, length + i).tolist(), 8 + i) for i in range(n)]


@pytest.fixture
def mixture(made, tmp_path):
    def make(family="llama", experts=2, **options):
        compose([made(family, seed) for seed in range(experts)], tmp_path / "moe", **options)
        return tmp_path / "moe"

    return make


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def tensors(folder):
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def training_of(routed, train):
    fitted = routed.fit.record
    names = ("samples", "steps", "seconds", "tokens", "trainable_parameters", "history")
    return RouterTraining(
        key="k",
        train=train,
        router_data="union",
        changed_tensors=tuple(routed.changed_tensors),
        unchanged_count=routed.unchanged_count,
        **{name: getattr(fitted, name) for name in names},
    )


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_exactly_the_routers_move(mixture, tmp_path, family) -> None:
    folder = mixture(family)
    before = tensors(folder)
    routed = train_routers(folder, rows(), MixSettings(**FAST), TRAINING, tmp_path / "work")
    assert routed.changed_tensors == [f"model.layers.{i}.mlp.gate.weight" for i in (0, 1)]
    assert routed.unchanged_count == len(digests(load(folder))) - 2
    assert routed.fit.record.trainable_parameters == 2 * 2 * 32
    untouched = [path.stat().st_ino for path in sorted(folder.glob("*.safetensors"))][:-1]
    rewrite(folder, routed.arrays, training=training_of(routed, "gates"))
    assert [path.stat().st_ino for path in sorted(folder.glob("*.safetensors"))][:-1] == untouched
    after = tensors(folder)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.endswith(".gate.weight")}
    trained = load(folder)
    for (name, gate), expected in zip(routers(trained), routed.arrays.values(), strict=True):
        np.testing.assert_array_equal(gate.weight.detach().numpy(), expected, err_msg=name)
    assert (trained.config.use_cache, trained.config.output_router_logits) == (True, False)
    assert "trained on 16 samples" in (folder / "README.md").read_text()


@pytest.mark.parametrize("family", ["mistral", "qwen3"])
def test_the_released_way_moves_every_gate_proj_as_well_and_says_so(mixture, tmp_path, family) -> None:
    folder = mixture(family)
    before = tensors(folder)
    routed = train_routers(folder, rows(), MixSettings(train="gates+gate_proj", **FAST), TRAINING, tmp_path / "work")
    kinds = ("mlp.gate.weight", "mlp.experts.gate_proj")
    assert set(routed.changed_tensors) == {f"model.layers.{i}.{kind}" for i in (0, 1) for kind in kinds}
    rewrite(folder, routed.arrays, training=training_of(routed, "gates+gate_proj"))
    after = tensors(folder)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    suffixes = (".gate.weight", ".w1.weight" if family == "mistral" else ".gate_proj.weight")
    assert changed == {name for name in before if name.endswith(suffixes)}
    model = load(folder)
    parts = dict(module.parts(routed.fit.model))
    for name, tensor in module.parts(model):
        torch.testing.assert_close(tensor, parts[name], rtol=0, atol=0)
    assert "every expert's gate_proj" in (folder / "README.md").read_text()


def test_whatever_else_moves_is_an_error(mixture, tmp_path, monkeypatch) -> None:
    folder = mixture()
    monkeypatch.setattr(module, "GATES", r"(\.mlp\.gate|\.norm)\.weight$")
    with pytest.raises(RuntimeError, match=r"moved model\.norm\.weight"):
        train_routers(folder, rows(), MixSettings(**FAST), TRAINING, tmp_path / "work")


@pytest.mark.parametrize(("experts", "balanced"), [(2, False), (3, True)])
def test_loads_are_balanced_only_where_top_k_is_less_than_the_experts(
    mixture, tmp_path, monkeypatch, experts, balanced
) -> None:
    folder, seen = mixture(experts=experts, top_k=2), {}

    def caught(*arguments, **options):
        seen.update(options)
        return fit(*arguments, **options)

    fit = module.fit
    monkeypatch.setattr(module, "fit", caught)
    routed = train_routers(folder, rows(), MixSettings(aux_loss=0.5, **FAST), TRAINING, tmp_path / "work")
    assert seen["router_aux_loss_coef"] == (0.5 if balanced else 0.0)
    first = routed.fit.record.history[0].loss
    plain = train_routers(folder, rows(), MixSettings(aux_loss=0.0, **FAST), TRAINING, tmp_path / "work")
    assert (first - plain.fit.record.history[0].loss > 0.5) == balanced


def test_observing_sees_the_positions_that_responses_are_predicted_from(mixture) -> None:
    model, given = load(mixture()), samples()
    embeddings = model.get_input_embeddings()
    seen = {}

    def see(index, entered, left, owners) -> None:
        for row, owner in zip(left[0], owners.tolist(), strict=True):
            seen.setdefault(owner, []).append(row)

    observe(model, given, [embeddings_of(model)], see)
    with torch.no_grad():
        for i, sample in enumerate(given):
            expected = embeddings(torch.tensor(sample.ids[sample.start - 1 : -1]))
            torch.testing.assert_close(torch.stack(seen[i]), expected)


def embeddings_of(model):
    """A module that passes the embeddings on: the first layer's norm with weights that undo nothing."""
    norm = model.model.layers[0].input_layernorm
    norm.forward = lambda hidden: hidden
    return norm


def by_hand(model, given):
    """Router inputs and outputs at the response positions of each sample, one sample at a time."""
    found = []
    for sample in given:
        layers = []
        handles = [
            gate.register_forward_hook(lambda _, inputs, output, layers=layers: layers.append((inputs[0], output)))
            for _, gate in routers(model)
        ]
        with torch.no_grad():
            model(torch.tensor([sample.ids]))
        for handle in handles:
            handle.remove()
        at = slice(sample.start - 1, len(sample.ids) - 1)
        found.append([(entered.reshape(-1, 32)[at], *(part[at] for part in output)) for entered, output in layers])
    return found


def test_statistics_are_those_of_the_definition(made, tmp_path) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((3, 32)).astype(np.float32) for _ in range(2)]
    compose([made("llama", seed) for seed in range(3)], tmp_path / "moe", top_k=2, routers=arrays)
    model, given = load(tmp_path / "moe"), samples()
    groups = {"even": {"s0", "s2", "s4"}, "all": {sample.sample_id for sample in given}, "none": set()}
    told: list[tuple[int, int]] = []
    usage, entropy = statistics(model, given, groups, lambda *at: told.append(at))
    assert told[-1] == (6, 6)
    assert set(usage) == set(entropy) == {"even", "all"}
    seen = by_hand(model, given)
    for name, chosen in (("even", (0, 2, 4)), ("all", range(6))):
        for layer in (0, 1):
            logits = torch.cat([seen[i][layer][1] for i in chosen])
            odds = logits.softmax(-1)
            taken = torch.zeros_like(odds).scatter(-1, odds.topk(2).indices, 1.0) * odds
            expected = (taken / taken.sum(-1, keepdim=True)).mean(0)
            np.testing.assert_allclose(usage[name][layer], expected, atol=1e-5)
            assert sum(usage[name][layer]) == pytest.approx(1, abs=1e-6)
            assert entropy[name][layer] == pytest.approx(-(odds * odds.log()).sum(-1).mean().item(), abs=1e-5)


def test_uniform_routers_have_the_entropy_of_chance(mixture) -> None:
    usage, entropy = statistics(load(mixture()), samples(), {"all": {"s0", "s1"}})
    np.testing.assert_allclose(usage["all"], [[0.5, 0.5]] * 2, atol=1e-6)
    np.testing.assert_allclose(entropy["all"], [np.log(2)] * 2, atol=1e-6)


@pytest.mark.parametrize("experts", [2, 3])
def test_routers_start_at_their_own_samples_centred_means(mixture, experts) -> None:
    model = load(mixture(experts=experts, top_k=2))
    groups = [samples(seed=seed) for seed in range(experts)]
    arrays = centred_means(model, groups)
    assert [array.shape for array in arrays] == [(experts, 32)] * 2
    assert [gate.top_k for _, gate in routers(model)] == [2, 2]
    for gate in (gate for _, gate in routers(model)):
        gate.top_k = experts
    for layer in (0, 1):
        means = torch.stack([torch.cat([seen[layer][0] for seen in by_hand(model, group)]).mean(0) for group in groups])
        centred = means - means.mean(0)
        expected = centred / centred.norm(dim=-1, keepdim=True)
        np.testing.assert_allclose(arrays[layer], expected, atol=1e-4)


def test_killed_and_called_again_router_training_ends_with_the_same_weights(mixture, tmp_path) -> None:
    folder = mixture()
    settings = MixSettings(**FAST)
    undisturbed = train_routers(folder, rows(), settings, TRAINING, tmp_path / "undisturbed")

    class KilledError(Exception):
        pass

    def die(step, steps, loss) -> None:
        if step == 3:
            raise KilledError

    with pytest.raises(KilledError):
        train_routers(folder, rows(), settings, TRAINING, tmp_path / "work", on_step=die)
    resumed = train_routers(folder, rows(), settings, TRAINING, tmp_path / "work")
    assert resumed.fit.record.resumed_from == 2
    for name, array in undisturbed.arrays.items():
        np.testing.assert_array_equal(resumed.arrays[name], array)


def test_a_rewrite_that_does_not_fit_leaves_the_folder(mixture) -> None:
    from efficient_empathy.foundation.errors import UserError

    folder = mixture()
    before = {name: tensor.clone() for name, tensor in tensors(folder).items()}
    for arrays in ({"nothing": np.ones((2, 32), np.float32)},
                   {"model.layers.0.block_sparse_moe.gate.weight": np.ones((3, 32), np.float32)}):  # fmt: skip
        with pytest.raises(UserError, match="has no"):
            rewrite(folder, arrays)
    assert all(torch.equal(tensors(folder)[name], tensor) for name, tensor in before.items())
    shutil.rmtree(folder)
