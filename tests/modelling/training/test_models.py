import json

import pytest

pytest.importorskip("trl", reason='needs the extra "train"')

import torch

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.training.jobs import load_for_training
from efficient_empathy.modelling.training.models import (
    bundled_base,
    load_model,
    load_tokenizer,
    resolve,
    store_as,
    stored_dtype,
)
from efficient_empathy.modelling.training.settings import TrainingSettings
from tiny_models import tiny_model


@pytest.fixture
def model(tmp_path):
    return tiny_model(tmp_path / "model")


def test_weights_in_pickle_files_are_refused_unless_allowed(model) -> None:
    from safetensors.torch import load_file

    tensors = load_file(model / "model.safetensors")
    (model / "model.safetensors").unlink()
    with pytest.raises(UserError, match="has no weights"):
        load_model(model)
    torch.save(tensors, model / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model\.bin is a pickle file.*allow_pickle=true"):
        load_model(model)
    assert load_model(model, allow_pickle=True).config.hidden_size == 32


def test_code_that_a_model_brings_is_not_run_unless_allowed(model, tmp_path) -> None:
    config = json.loads((model / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}}
    (model / "config.json").write_text(json.dumps(config))
    (model / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(UserError, match=r"Python code of its own.*trust_remote_code=true"):
        load_model(model)
    assert not (tmp_path / "ran").exists()


def test_a_base_without_a_chat_template_is_refused_with_the_remedy(model) -> None:
    (model / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match=r"has no chat template.*instruct"):
        load_tokenizer(model)


def test_what_is_no_model_is_told(tmp_path, model) -> None:
    with pytest.raises(UserError, match="there is no model at"):
        load_model(tmp_path / "absent")
    with pytest.raises(UserError, match="there is no model at nonsense"):
        resolve("nonsense")
    (model / "model.safetensors").write_bytes(b"broken" * 100)
    with pytest.raises(UserError, match="cannot load the model"):
        load_model(model)
    (model / "config.json").write_text("{")
    with pytest.raises(UserError, match="cannot load the model"):
        load_model(model)


def test_an_adapter_is_loaded_on_its_base_and_not_trained_on(model, tmp_path) -> None:
    from peft import LoraConfig, get_peft_model

    base = load_model(model)
    adapted = get_peft_model(base, LoraConfig(target_modules=["q_proj"], init_lora_weights=False))
    adapted.save_pretrained(tmp_path / "adapter")
    ids = torch.tensor([[1, 2, 3, 4]])
    loaded = load_model(tmp_path / "adapter")
    assert torch.equal(loaded(ids).logits, adapted.eval()(ids).logits)
    with pytest.raises(UserError, match="is an adapter: train on its base"):
        load_for_training(tmp_path / "adapter", TrainingSettings())
    (tmp_path / "adapter" / "adapter_model.safetensors").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"has no adapter_model\.safetensors"):
        load_model(tmp_path / "adapter")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused_with_their_tensor_and_file(model, tmp_path, number) -> None:
    from peft import LoraConfig, get_peft_model

    adapter = tmp_path / "adapter"
    get_peft_model(load_model(model), LoraConfig(target_modules=["q_proj"])).save_pretrained(adapter)
    tensor = spoil(adapter / "adapter_model.safetensors", number)
    with pytest.raises(UserError, match=rf"^{tensor} in {adapter}/adapter_model\.safetensors has numbers that are not"):
        load_model(adapter)
    tensor = spoil(model / "model.safetensors", number)
    with pytest.raises(UserError, match=rf"^{tensor} in {model}/model\.safetensors has numbers that are not finite"):
        load_model(model, dtype="bf16")


def spoil(path, number):
    """Write one number into the last tensor of a file, and say which tensor that is."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    name = max(tensors)
    tensors[name].view(-1)[-1] = number
    save_file(tensors, path, metadata={"format": "pt"})
    return name


def test_large_weights_whose_sum_overflows_are_loaded(model) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(model / "model.safetensors")
    tensors["model.embed_tokens.weight"].fill_(3e38)
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    assert float(load_model(model).get_input_embeddings().weight.detach().max()) > 2e38


def test_weights_are_stored_in_another_type_and_load_as_it(model) -> None:
    assert stored_dtype(model) == torch.float32
    before = load_model(model)
    store_as(model, torch.bfloat16)
    after = load_model(model)
    assert stored_dtype(model) == torch.bfloat16
    for name, parameter in after.named_parameters():
        assert torch.equal(parameter, before.get_parameter(name).to(torch.bfloat16))


def test_the_bundled_base_is_there_or_its_absence_is_told(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("efficient_empathy.modelling.training.models.files", lambda package: tmp_path)
    with pytest.raises(UserError, match="has no bundled base model: name one with --base"):
        bundled_base()
