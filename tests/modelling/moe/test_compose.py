import json
import shutil

import numpy as np
import pytest

pytest.importorskip("transformers", reason='needs the extra "train"')

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import nn

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe import folder as folders
from efficient_empathy.modelling.moe.compose import average, compose
from efficient_empathy.modelling.moe.tensors import read_folder
from tiny_models import weights_with

NORM = "model.norm.weight"
FAMILIES = ("llama", "llama3.1", "mistral", "qwen2", "qwen3")
TOKENS = torch.arange(5, 395)[torch.randperm(390, generator=torch.Generator().manual_seed(3))][:120].view(3, 40)


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def logits(model):
    with torch.no_grad():
        return model(TOKENS).logits


def continued(model):
    prompt = TOKENS[:, :8]
    mask = torch.ones_like(prompt)
    return model.generate(prompt, attention_mask=mask, max_new_tokens=24, do_sample=False, eos_token_id=None,
                          pad_token_id=0)  # fmt: skip


def same_but_mlp(first, second, target):
    """`second` with everything but its feed-forward blocks from `first`."""
    shutil.copytree(second, target)
    weights = load_file(second / "model.safetensors")
    weights |= {name: tensor for name, tensor in load_file(first / "model.safetensors").items() if ".mlp." not in name}
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return target


class PlainMixture(nn.Module):
    """The definition, written out: softmax of the router's logits, the top k renormalised, a sum over whole experts."""

    def __init__(self, router, experts, top_k):
        super().__init__()
        self.router, self.experts, self.top_k = router, experts, top_k

    def forward(self, hidden):
        odds = (hidden @ self.router.T).softmax(-1)
        kept = torch.zeros_like(odds).scatter(-1, odds.topk(self.top_k).indices, 1.0) * odds
        kept = kept / kept.sum(-1, keepdim=True)
        return sum(kept[..., number, None] * expert(hidden) for number, expert in enumerate(self.experts))


def reference(folders, routers, top_k):
    """The first dense model, its feed-forward blocks replaced by mixtures of all the models' own."""
    models = [load(folder) for folder in folders]
    for layer, router in enumerate(routers):
        blocks = [model.model.layers[layer].mlp for model in models]
        models[0].model.layers[layer].mlp = PlainMixture(torch.from_numpy(router), blocks, top_k)
    return models[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_identical_experts_are_the_dense_model(made, tmp_path, family) -> None:
    dense = made(family)
    rng = np.random.default_rng(0)
    routers = [rng.standard_normal((3, 32)).astype(np.float32) for _ in range(2)]
    record = compose([dense] * 3, tmp_path / "moe", top_k=2, routers=routers)
    mixed, expected = load(tmp_path / "moe"), load(dense)
    torch.testing.assert_close(logits(mixed), logits(expected), rtol=0, atol=1e-5)
    assert torch.equal(continued(mixed), continued(expected))
    on_disk = sum(tensor.nbytes for tensor in read_folder(tmp_path / "moe").values())
    assert (record.parameters, record.bytes) == (on_disk // 4, on_disk)
    tied = family == "llama3.1"
    assert record.parameters == sum(parameter.numel() for parameter in mixed.parameters())
    assert ("lm_head.weight" not in read_folder(tmp_path / "moe")) == tied


def test_tied_embeddings_are_written_twice_where_llama_cpp_wants_an_output(made, tmp_path) -> None:
    """llama.cpp's Qwen2Moe has no tied embeddings (src/models/qwen2moe.cpp); its Mixtral and Qwen3Moe do."""
    dense = made("qwen2", tie_word_embeddings=True)
    compose([dense, dense], tmp_path / "moe")
    stored = read_folder(tmp_path / "moe")
    head, embeddings = (stored[name].read(0, 400) for name in ("lm_head.weight", "model.embed_tokens.weight"))
    np.testing.assert_array_equal(head, embeddings)
    torch.testing.assert_close(logits(load(tmp_path / "moe")), logits(load(dense)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_different_experts_are_a_plain_mixture_of_their_blocks(made, tmp_path, family, top_k) -> None:
    first = made(family)
    experts = [first, *(same_but_mlp(first, made(family, seed), tmp_path / str(seed)) for seed in (1, 2))]
    rng = np.random.default_rng(1)
    routers = [rng.standard_normal((3, 32)).astype(np.float32) for _ in range(2)]
    compose(experts, tmp_path / "moe", top_k=top_k, routers=routers)
    mixed, expected = load(tmp_path / "moe"), reference(experts, routers, top_k)
    torch.testing.assert_close(logits(mixed), logits(expected), rtol=1e-5, atol=1e-5)
    assert (logits(mixed) - logits(load(first))).abs().max() > 0.01
    assert torch.equal(continued(mixed), continued(expected))


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_again_it_keeps_every_name_and_number(made, tmp_path, family) -> None:
    compose([made(family), made(family, 1)], tmp_path / "moe")
    mixed = load(tmp_path / "moe")
    mixed.save_pretrained(tmp_path / "again")
    ours, theirs = read_folder(tmp_path / "moe"), read_folder(tmp_path / "again")
    assert set(ours) == set(theirs)
    for name, tensor in ours.items():
        rows = tensor.shape[0]
        np.testing.assert_array_equal(tensor.read(0, rows), theirs[name].read(0, rows), err_msg=name)
    torch.testing.assert_close(logits(load(tmp_path / "again")), logits(mixed), rtol=0, atol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_missing_unexpected_or_initialised_on_loading(made, tmp_path, family) -> None:
    compose([made(family), made(family, 1)], tmp_path / "moe")
    loaded, told = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "moe", output_loading_info=True)
    assert not any(told[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    dense = transformers.AutoConfig.from_pretrained(made(family))
    for key in (
        "rope_parameters",
        "hidden_size",
        "vocab_size",
        "rms_norm_eps",
        "max_position_embeddings",
        "eos_token_id",
    ):
        assert getattr(loaded.config, key) == getattr(dense, key), key
    assert loaded.config.sliding_window in ({"mistral": 16}.get(family), 0)
    assert loaded.generation_config.eos_token_id == 3
    legacy = json.loads((tmp_path / "moe" / "config.json").read_text())
    assert legacy["rope_theta"] == dense.rope_parameters["rope_theta"]
    assert (legacy["rope_scaling"] or {}).get("factor") == dense.rope_parameters.get("factor")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_shared_is_the_mean_or_the_bases(made, tmp_path, dtype) -> None:
    folders = []
    for seed in (0, 1, 2):
        model = load(made("qwen2", seed)).to(getattr(torch, dtype))
        folders.append(tmp_path / f"{dtype}-{seed}")
        model.save_pretrained(folders[-1])
        transformers.AutoTokenizer.from_pretrained(made("qwen2")).save_pretrained(folders[-1])
    weights = [load_file(folder / "model.safetensors") for folder in folders]
    compose(folders[:2], tmp_path / "moe")
    compose(folders[:2], tmp_path / "on-base", shared="base", base=folders[2])
    average(folders[:2], tmp_path / "average")
    loaded = {name: load_all(tmp_path / name) for name in ("moe", "on-base", "average")}
    for name in weights[0]:
        mean = ((weights[0][name].float() + weights[1][name].float()) / 2).to(getattr(torch, dtype))
        assert torch.equal(loaded["average"][name], mean), name
        if ".mlp." in name:
            for number in (0, 1):
                expert = name.replace(".mlp.", f".mlp.experts.{number}.")
                assert torch.equal(loaded["moe"][expert], weights[number][name])
        else:
            assert torch.equal(loaded["moe"][name], mean), name
            assert torch.equal(loaded["on-base"][name], weights[2][name]), name
    with torch.no_grad():
        assert load(tmp_path / "average")(TOKENS).logits.isfinite().all()


def load_all(folder):
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def test_adapters_are_mixed_without_being_merged_on_disk(made, adapter, tmp_path) -> None:
    import peft

    base = made("llama")
    adapters = [adapter(base, seed, target_modules=["gate_proj", "up_proj", "down_proj"]) for seed in (1, 2)]
    compose(adapters, tmp_path / "moe", names=["sensibility", "rationality"])
    merged = []
    for number, folder in enumerate(adapters):
        merged.append(tmp_path / f"merged-{number}")
        peft.PeftModel.from_pretrained(load(base), folder).merge_and_unload().save_pretrained(merged[-1])
    expected = reference(merged, [np.zeros((2, 32), np.float32)] * 2, 2)
    torch.testing.assert_close(logits(load(tmp_path / "moe")), logits(expected), rtol=1e-5, atol=1e-5)
    record = json.loads((tmp_path / "moe" / "composition.json").read_text())
    assert record["experts"] == ["sensibility", "rationality"]


def test_the_routers_lie_in_a_last_shard_and_shards_keep_their_size(made, tmp_path) -> None:
    compose([made("llama"), made("llama", 1)], tmp_path / "moe", shard_bytes=60_000)
    files = sorted((tmp_path / "moe").glob("*.safetensors"))
    assert len(files) > 3
    names = [set(load_file(file)) for file in files]
    assert names[-1] == {f"model.layers.{i}.block_sparse_moe.gate.weight" for i in (0, 1)}
    assert all(len(group) == 1 or file.stat().st_size < 62_000 for group, file in zip(names, files, strict=True))
    assert load(tmp_path / "moe")


def test_the_end_of_a_turn_is_where_generation_stops(made, tmp_path) -> None:
    """Base models say <|end_of_text|> only; the chat template closes turns with <|eot_id|>."""
    folders = [shutil.copytree(made("llama", seed), tmp_path / str(seed)) for seed in (0, 1)]
    for folder in folders:
        for name in ("config.json", "generation_config.json"):
            content = json.loads((folder / name).read_text())
            (folder / name).write_text(json.dumps(content | {"eos_token_id": 1}))
    assert compose(folders, tmp_path / "moe").end_of_turn == (1, 3)
    assert json.loads((tmp_path / "moe" / "generation_config.json").read_text())["eos_token_id"] == [1, 3]
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "moe")
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}], add_generation_prompt=True, tokenize=False
    )
    assert asked.endswith("<|start_header_id|>assistant<|end_header_id|>\n\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"top_k": 3}, "from 1 to 2"),
        ({"top_k": 0}, "from 1 to 2"),
        ({"shared": "base"}, "--base"),
        ({"shared": "first"}, "average or base"),
        ({"names": ["a"]}, "as many names"),
        ({"routers": [np.zeros((2, 31), np.float32)] * 2}, "router of layer 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(made, tmp_path, options, said) -> None:
    with pytest.raises(UserError, match=said):
        compose([made("llama"), made("llama", 1)], tmp_path / "moe", **options)
    assert not (tmp_path / "moe").exists()


def test_one_adapter_alone_is_merged_as_peft_does_it(made, adapter, tmp_path) -> None:
    import peft

    base = made("llama")
    folder = adapter(base, 1)
    record = average([folder], tmp_path / "merged", names=["warm"])
    merged = peft.PeftModel.from_pretrained(load(base), folder).merge_and_unload()
    torch.testing.assert_close(logits(load(tmp_path / "merged")), logits(merged), rtol=1e-5, atol=1e-5)
    assert (record.kind, record.experts) == ("merged", ("warm",))
    assert "its adapter merged into its base" in (tmp_path / "merged" / "README.md").read_text()


@pytest.mark.parametrize(("dtype", "stored"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_weights_are_stored_as_asked_rounded_once(made, tmp_path, dtype, stored) -> None:
    folders = [made("llama"), made("llama", 1)]
    for make, name in ((average, "average"), (compose, "moe")):
        make(folders, tmp_path / name)
        assert make(folders, tmp_path / dtype / name, dtype=dtype).dtype == str(stored).removeprefix("torch.")
        exact, rounded = load_all(tmp_path / name), load_all(tmp_path / dtype / name)
        assert all(torch.equal(exact[key].to(stored), rounded[key]) for key in exact)
        config = json.loads((tmp_path / dtype / name / "config.json").read_text())
        assert config["dtype"] == str(stored).removeprefix("torch.")


def test_one_expert_is_no_mixture_and_a_folder_must_exist(made, tmp_path) -> None:
    with pytest.raises(UserError, match="two or more"):
        compose([made("llama")], tmp_path / "moe")
    with pytest.raises(UserError, match="there is no folder /nowhere"):
        compose([made("llama"), "/nowhere"], tmp_path / "moe")


def test_a_disk_that_is_too_small_is_found_before_writing(made, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(1, 1, 1000))
    with pytest.raises(UserError, match=r"needs 0\.07 GB on the disk of .*, which has 0\.00 GB free"):
        compose([made("llama"), made("llama", 1)], tmp_path / "moe")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_finite_leave_nothing(made, tmp_path) -> None:
    bad = shutil.copytree(made("llama", 1), tmp_path / "bad")
    weights_with(lambda w: w[NORM].fill_(float("nan")))(bad)
    with pytest.raises(UserError, match=rf"^{NORM} in .*bad/model\.safetensors has numbers that are not finite"):
        compose([made("llama"), bad], tmp_path / "moe")
    with pytest.raises(UserError, match=rf"^{NORM} in .*bad/model\.safetensors has numbers that are not finite"):
        compose([made("llama"), made("llama", 2)], tmp_path / "moe", base=bad, shared="base")
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_an_experts_own_block_is_copied_only_where_it_is_finite(made, tmp_path) -> None:
    bad = shutil.copytree(made("llama", 1), tmp_path / "bad")
    weights_with(lambda w: w["model.layers.1.mlp.up_proj.weight"][3, 5].fill_(float("inf")))(bad)
    with pytest.raises(UserError, match=r"^model\.layers\.1\.mlp\.up_proj\.weight in .*bad/model\.safetensors"):
        compose([made("llama"), bad], tmp_path / "moe")


def test_a_folder_of_something_else_is_left_alone(made, tmp_path) -> None:
    experts = [shutil.copytree(made("llama", seed), tmp_path / str(seed)) for seed in (0, 1)]
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("dear")
    for out, said in ((tmp_path / "notes", "not composed here"), (experts[0], "what is to be mixed"),
                      (tmp_path, "what is to be mixed"), (experts[0] / "config.json", "not a folder")):  # fmt: skip
        with pytest.raises(UserError, match=said):
            compose(experts, out)
    compose(experts, tmp_path / "moe")
    first = load_all(tmp_path / "moe")
    compose(experts[::-1], tmp_path / "moe")
    name = "model.layers.0.block_sparse_moe.experts.{}.w1.weight"
    assert torch.equal(load_all(tmp_path / "moe")[name.format(1)], first[name.format(0)])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0", "1", "moe", "notes"]
