import json
import shutil

import pytest

pytest.importorskip("transformers", reason='needs the extra "train"')

import torch

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.compose import average, compose
from tiny_models import weights_with
from trained_runs import training_record


def config_with(**changes):
    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return change


def cut(folder):
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(10_000)


def other_tokens(folder):
    content = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    first, second = list(vocabulary)[50:52]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (folder / "tokenizer.json").write_text(json.dumps(content))


def other_template(folder):
    (folder / "chat_template.jinja").write_text("{{ messages }}")


def without_tokenizer(folder):
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).unlink()


def trained_on(base_hash):
    def record(folder):
        training_record(base_hash=base_hash).write(folder / "training.json")

    return record


BIAS = "model.layers.0.self_attn.q_proj.bias"
MLP_BIAS = "model.layers.1.mlp.up_proj.bias"
NORM = "model.norm.weight"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (weights_with(lambda w: w.update({BIAS: torch.ones(32)})), BIAS),
        (weights_with(lambda w: w.update({MLP_BIAS: torch.ones(64)})), MLP_BIAS),
        (weights_with(lambda w: w.pop(NORM)), f"lacks {NORM}"),
        (weights_with(lambda w: w.update({NORM: torch.ones(33)})), NORM),
        (weights_with(lambda w: w.update({NORM: w[NORM].half()})), f"{NORM} is F32 in .* and F16 in"),
        (weights_with(lambda w: w.update({NORM: w[NORM].to(torch.int8)})), "quantised"),
        (config_with(rope_theta=5e5, rope_parameters=None), "rope_parameters is"),
        (config_with(rms_norm_eps=1e-5), "rms_norm_eps is"),
        (config_with(hidden_act="gelu"), "hidden_act"),
        (config_with(quantization_config={"bits": 4}), "quantization_config"),
        (config_with(model_type="gpt2"), "gpt2"),
        (config_with(model_type="mistral"), "different families"),
        (config_with(hidden_size=None), "lacks hidden_size"),
        (cut, "no whole safetensors file"),
        (other_tokens, "different tokenizers"),
        (other_template, "different chat templates"),
        (without_tokenizer, "no tokenizer"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot read .*config.json"),
        (lambda folder: (folder / "config.json").unlink(), "no checkpoint and no adapter"),
        (trained_on("b"), "different bases"),
    ],
)
def test_what_does_not_map_is_refused_by_name_before_anything_is_written(made, tmp_path, spoil, said) -> None:
    good = shutil.copytree(made("llama"), tmp_path / "good")
    trained_on("a")(good)
    bad = shutil.copytree(made("llama", 1), tmp_path / "bad")
    spoil(bad)
    with pytest.raises(UserError, match=said):
        compose([good, bad], tmp_path / "out" / "moe")
    with pytest.raises(UserError, match=said):
        average([good, bad], tmp_path / "out" / "average")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (("llama", {}), ("llama", {"vocab_size": 500}), "vocab_size is 400 in one, 500 in the other"),
        (("llama", {}), ("llama", {"intermediate_size": 128}), "intermediate_size"),
        (("llama", {}), ("qwen2", {}), "llama and qwen2"),
        (("llama", {"attention_bias": True}), ("llama", {"attention_bias": True}), r"self_attn\.[qkvo]_proj\.bias"),
        (("llama", {"mlp_bias": True}), ("llama", {"mlp_bias": True}), r"mlp\.(gate|up|down)_proj\.bias"),
        (("qwen2", {"use_sliding_window": True}), ("qwen2", {"use_sliding_window": True}), "use_sliding_window"),
    ],
)
def test_models_that_no_standard_mixture_can_hold_are_refused(made, tmp_path, first, second, said) -> None:
    folders = [made(family, seed, **config) for seed, (family, config) in enumerate((first, second))]
    with pytest.raises(UserError, match=said):
        compose(folders, tmp_path / "moe")
    assert not (tmp_path / "moe").exists()


def test_adapters_of_different_bases_are_refused(made, adapter, tmp_path) -> None:
    adapters = [adapter(made("llama", seed)) for seed in (0, 1)]
    with pytest.raises(UserError, match="different bases"):
        compose(adapters, tmp_path / "moe")
