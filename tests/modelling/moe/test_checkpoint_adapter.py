import json
import shutil

import numpy as np
import pytest

pytest.importorskip("peft", reason='needs the extra "train"')

import peft
import transformers
from safetensors.numpy import load_file, save_file

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.checkpoint import open_checkpoint, scale


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True, "lora_alpha": 3},
        {"rank_pattern": {"down_proj": 2}, "alpha_pattern": {"layers.1.mlp.up_proj": 32, "q_proj": 1}},
        {"target_modules": ["gate_proj", "up_proj", "down_proj"]},
        {"modules_to_save": ["lm_head", "input_layernorm"]},
    ],
    ids=["plain", "rank-stabilised", "patterns", "feed-forward only", "modules saved whole"],
)
def test_merging_on_the_fly_is_merge_and_unload(made, adapter, options) -> None:
    base = made("llama")
    folder = adapter(base, **options)
    loaded = peft.PeftModel.from_pretrained(transformers.AutoModelForCausalLM.from_pretrained(base), folder)
    expected = loaded.merge_and_unload().state_dict()
    opened = open_checkpoint(folder)
    assert set(opened.tensors) == set(expected)
    changed = 0
    for name, tensor in opened.tensors.items():
        found = tensor.read(0, tensor.shape[0])
        np.testing.assert_allclose(found, expected[name].numpy(), rtol=1e-5, atol=1e-5, err_msg=name)
        original = opened.base.tensors[name]
        changed += not np.array_equal(found, original.read(0, original.shape[0]))
    assert changed >= 6


def test_what_an_adapter_leaves_alone_is_the_bases_own_bytes(made, adapter) -> None:
    opened = open_checkpoint(adapter(made("llama"), target_modules=["up_proj"]))
    same = [name for name, tensor in opened.tensors.items() if tensor == opened.base.tensors[name]]
    assert set(opened.tensors) - set(same) == {f"model.layers.{i}.mlp.up_proj.weight" for i in (0, 1)}


def test_scales() -> None:
    config = {"r": 4, "lora_alpha": 8, "alpha_pattern": {"up_proj": 2}, "rank_pattern": {"^model.layers.0.+": 1}}
    assert scale("model.layers.1.mlp.down_proj", config) == 2
    assert scale("model.layers.1.mlp.up_proj", config) == 0.5
    assert scale("model.layers.0.mlp.down_proj", config) == 8
    assert scale("x", {"r": 16, "lora_alpha": 8, "use_rslora": True}) == 2


def changed(folder, tmp_path, **changes):
    copy = shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((copy / "adapter_config.json").read_text())
    (copy / "adapter_config.json").write_text(json.dumps(config | changes))
    return copy


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"lora_bias": True}, "lora_bias"),
        ({"layer_replication": [[0, 1]]}, "layer_replication"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"something_new": 3}, "something_new"),
        ({"init_lora_weights": "pissa_niter_4"}, "pissa_niter_4"),
        ({"peft_type": "LOHA"}, "LOHA"),
    ],
)
def test_an_adapter_that_is_not_plain_lora_is_refused_by_name(made, adapter, tmp_path, changes, named) -> None:
    with pytest.raises(UserError, match=named):
        open_checkpoint(changed(adapter(made("llama")), tmp_path, **changes))


def test_an_adapter_of_another_base_is_refused(made, adapter) -> None:
    folder = adapter(made("llama"))
    with pytest.raises(UserError, match="does not fit the base"):
        open_checkpoint(folder, base=made("llama", hidden_size=64))
    with pytest.raises(UserError, match="does not fit the base"):
        open_checkpoint(folder, base=made("llama", num_hidden_layers=1))


def test_an_adapter_without_base_or_weights_is_refused(made, adapter, tmp_path) -> None:
    folder = changed(adapter(made("llama")), tmp_path, base_model_name_or_path=None)
    with pytest.raises(UserError, match="does not say which base"):
        open_checkpoint(folder)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(UserError, match="a pickle"):
        open_checkpoint(folder, base=made("llama"))


def test_embeddings_that_are_input_and_output_alike_cannot_be_replaced_in_one(made, adapter) -> None:
    base = made("llama3.1")
    folder = adapter(base)
    weights = load_file(folder / "adapter_model.safetensors")
    embeddings = load_file(base / "model.safetensors")["model.embed_tokens.weight"]
    save_file(weights | {"base_model.model.model.embed_tokens.weight": embeddings + 1},
              folder / "adapter_model.safetensors")  # fmt: skip
    with pytest.raises(UserError, match=r"embed_tokens\.weight, which its base uses for input and output"):
        open_checkpoint(folder)
    save_file(weights | {"base_model.model.model.embed_tokens.lora_embedding_A": embeddings},
              folder / "adapter_model.safetensors")  # fmt: skip
    with pytest.raises(UserError, match="lora_embedding_A, which cannot be merged on the fly"):
        open_checkpoint(folder)
