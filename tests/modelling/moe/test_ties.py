import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("transformers", reason='needs the extra "train"')

import torch
import transformers
from safetensors.torch import load_file, save_file

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.compose import average, merge_by_ties
from efficient_empathy.modelling.moe.record import COMPOSITION, CompositionRecord
from efficient_empathy.modelling.moe.tensors import from_array
from efficient_empathy.modelling.moe.ties import least_kept, ties


def load_all(folder):
    """The tensors of a checkpoint by name, from however many files."""
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def tensors(*rows):
    return [from_array(np.array([row], np.float32), "F32") for row in rows]


def test_the_papers_example_by_hand() -> None:
    """Trimmed, the models are (3, 0, 0, -2) and (-1, 2, 0, -4): signs + + 0 -, means of those that have them."""
    base, first, second = tensors([1, 1, 1, 1], [4, 1.5, 1, -1], [0, 3, 0.5, -3])
    merged = ties(base, [first, second], [1.0, 1.0])
    np.testing.assert_array_equal(merged.read(0, 1), [[4, 3, 1, -2]])


def test_where_no_model_has_changed_anything_the_bases_own_bytes_are_taken() -> None:
    (base,) = tensors([1, 2, 3, 4])
    assert ties(base, [base, base], [1.0, 1.0]) is base
    assert least_kept({"w": base}, {"w": base}) == 0
    other = from_array(base.read(0, 1).copy(), "F32")  # other bytes, the same numbers
    assert least_kept({"w": other}, {"w": base}) == 0
    np.testing.assert_array_equal(ties(base, [other, other], [0.0, 0.0]).read(0, 1), base.read(0, 1))


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 3000), st.integers(0, 3000),
    st.sampled_from([0.01, 0.2, 0.5, 1.0]), st.floats(1e-30, 1e30),
)  # fmt: skip
def test_a_fifth_of_what_has_changed_is_kept_whatever_its_size(seed, changed, unchanged, density, size) -> None:
    draw = np.random.default_rng(seed)
    update = np.concatenate([draw.normal(0, size, changed), np.zeros(unchanged)]).astype(np.float32)[:, None]
    base = {"w": from_array(np.zeros_like(update), "F32")}
    least = least_kept({"w": from_array(update, "F32")}, base, density)
    sizes = np.sort(np.abs(update[update != 0]))
    exact = sizes[-max(1, round(density * len(sizes)))]
    kept = int((sizes >= least).sum())
    assert least <= exact * (1 + 2**-11)
    assert least >= sizes[max(0, len(sizes) - int(np.ceil(density * len(sizes))) - 1)] * (1 - 2**-11)
    assert kept >= density * len(sizes) * 0.99 - 1


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_it_is_what_the_benchmark_measured(made, adapter, tmp_path, monkeypatch, dtype) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[3])
    base = made("llama")
    experts = [adapter(base, seed, target_modules=["gate_proj", "up_proj", "down_proj"]) for seed in (1, 2)]
    result = merge_by_ties(experts, tmp_path / "ties", names=["warm", "clear"], dtype=dtype)
    assert (result.kind, result.experts) == ("ties", ("warm", "clear"))
    before, after = load_file(base / "model.safetensors"), load_all(tmp_path / "ties")
    measured = importlib.import_module("benchmarks.mixing_merges")
    wanted = measured.ties([measured.updates_of(expert) for expert in experts])
    assert len(wanted) == 6
    for name, tensor in after.items():
        exact = before[name].float() + wanted[name] if name in wanted else before[name].float()
        off = (tensor.float() - exact).abs() > (1e-5 if dtype == "fp32" else 1e-2) * (1 + exact.abs())
        assert off.float().mean() < 2e-3, name  # those whose size is the limit's, to a part in 4,096
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ties")
    assert str(model.dtype) == {"fp32": "torch.float32", "bf16": "torch.bfloat16"}[dtype]
    card = (tmp_path / "ties" / "README.md").read_text()
    assert "warm, clear in one dense model by TIES" in card


def test_dense_experts_are_merged_over_a_base_that_is_named(made, tmp_path) -> None:
    base = made("llama")
    folders, weights = [], load_file(base / "model.safetensors")
    for number, name in enumerate(("warm", "clear")):
        folder = shutil.copytree(base, tmp_path / name)
        changed = {
            key: tensor + (0.6 if number == 0 or "down_proj" in key else -0.1) * (".mlp." in key)
            for key, tensor in weights.items()
        }
        save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
        folders.append(folder)
    with pytest.raises(UserError, match="do not say what their base is"):
        merge_by_ties(folders, tmp_path / "out")
    merge_by_ties(folders, tmp_path / "out", base=base)
    merged = load_all(tmp_path / "out")
    for key, tensor in weights.items():
        torch.testing.assert_close(merged[key], tensor + 0.6 * (".mlp." in key), rtol=1e-5, atol=1e-5)


def test_one_expert_is_none_to_merge_by_signs(made, tmp_path) -> None:
    with pytest.raises(UserError, match="leave --ties out"):
        merge_by_ties([made("llama")], tmp_path / "out", base=made("llama"))
    assert not (tmp_path / "out").exists()


def test_the_record_says_which_merge_a_folder_is(made, adapter, tmp_path) -> None:
    base = made("llama")
    experts = [adapter(base, seed) for seed in (1, 2)]
    for merge, kind in ((average, "average"), (merge_by_ties, "ties")):
        merge(experts, tmp_path / kind)
        assert CompositionRecord.read(tmp_path / kind / COMPOSITION).kind == kind
        assert json.loads((tmp_path / kind / "config.json").read_text())["model_type"] == "llama"
