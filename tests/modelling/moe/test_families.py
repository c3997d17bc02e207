import copy

import pytest

from efficient_empathy.modelling.moe.families import FAMILIES, dense_config, dense_shapes, family_of

transformers = pytest.importorskip("transformers", reason='needs the extra "train"')

SIZES = {
    "vocab_size": 100, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 64,
}  # fmt: skip
CLASSES = {"llama": "LlamaConfig", "mistral": "MistralConfig", "qwen2": "Qwen2Config", "qwen3": "Qwen3Config"}


def ours(config):
    return dense_config(config, family_of(config, "it"), "it")


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("said", [{}, {"rope_theta": 5e5}, {"head_dim": 8}])
def test_what_a_configuration_leaves_out_means_what_it_means_to_transformers(kind, said) -> None:
    said = said if kind == "llama" else {**said, "num_key_value_heads": 2}
    known = getattr(transformers, CLASSES[kind])(**SIZES, **said)
    found = ours({"model_type": kind, **SIZES, **said})
    for key in ("hidden_act", "rms_norm_eps", "initializer_range", "tie_word_embeddings", "attention_dropout",
                "rope_parameters", "num_key_value_heads"):  # fmt: skip
        assert found[key] == getattr(known, key), key
    assert found["head_dim"] == (getattr(known, "head_dim", None) or 16)
    assert found["sliding_window"] == known.sliding_window if kind == "mistral" else True


@pytest.mark.parametrize(
    "legacy",
    [
        {"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2.0}},
        {"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                              "high_freq_factor": 4.0, "original_max_position_embeddings": 32}},
        {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e6,
                             "original_max_position_embeddings": 32}},
    ],
)  # fmt: skip
def test_either_way_of_writing_rotary_embeddings_is_read(legacy) -> None:
    known = transformers.LlamaConfig(**SIZES, **copy.deepcopy(legacy)).rope_parameters
    known.pop("type", None)
    assert ours({"model_type": "llama", **SIZES, **legacy})["rope_parameters"] == known


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("tied", [False, True])
def test_names_and_shapes_are_those_of_the_dense_model(kind, tied) -> None:
    import torch

    config = getattr(transformers, CLASSES[kind])(**SIZES, num_key_value_heads=2, head_dim=16, tie_word_embeddings=tied)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    expected = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert dense_shapes(ours(config.to_dict()), FAMILIES[kind]) == expected
