"""Random models of a few thousand parameters, as folders that `from_pretrained` loads: real classes, no download."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from efficient_empathy.foundation import permissions

TEXT = (
    "I lost my keys and my whole day went wrong. That sounds so frustrating, did you find them in the end? "
    "My sister is having a baby! Oh how lovely, you must be so excited. I failed the exam again, and I am afraid to "
    "tell my parents. I'm sorry, that is a lot to carry. What would help you right now? user assistant system\n\n"
)
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
FAMILIES = {
    "llama": ("LlamaConfig", {}),
    "llama3.1": (
        "LlamaConfig",
        {
            "rope_parameters": {
                "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
            },
            "tie_word_embeddings": True,
            "head_dim": 16,
        },
    ),
    "mistral": ("MistralConfig", {"sliding_window": 16}),
    "qwen2": ("Qwen2Config", {}),
    "qwen3": ("Qwen3Config", {"head_dim": 16}),
}  # fmt: skip


@functools.cache
def _tokenizer_json() -> str:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        [TEXT],
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return str(tokenizer.to_str())


def tiny_tokenizer() -> Any:
    """A byte-level BPE of 400 tokens with a Llama-3-style chat template."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_tokenizer_json()),
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        pad_token="<|eot_id|>",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def tiny_model(folder: Path, family: str = "llama", *, seed: int = 0, scale: float = 1.0, **config: Any) -> Path:
    """Save a random model of `family` (a key of FAMILIES) with its tokenizer to `folder`; `config` overrides sizes.

    `scale` multiplies the weights, so that logits differ visibly between seeds. Runs may name it as their base.
    """
    import torch
    import transformers

    class_name, extra = FAMILIES[family]
    tokenizer = tiny_tokenizer()
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    settings = {**SIZES, **extra, **ids, "vocab_size": len(tokenizer), "pad_token_id": None, **config}
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, class_name)(**settings))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(scale)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.1)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    permissions.remember([permissions.read_from(folder)])
    return folder


def split_as_llama3(folder: Path) -> None:
    """Make a saved tokenizer split text as Llama 3's does: line breaks are a piece of their own, whatever follows."""
    from tokenizers import Regex, Tokenizer, pre_tokenizers

    file = str(folder / "tokenizer.json")
    tokenizer = Tokenizer.from_file(file)
    split = pre_tokenizers.Split(Regex(LLAMA3_SPLIT), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.save(file)


def weights_with(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """What rewrites the weights of a model's folder by `change`."""
    from safetensors.torch import load_file, save_file

    def rewrite(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors")

    return rewrite


def tiny_encoder(folder: Path) -> Path:
    """A BERT of 32 dimensions that knows nothing, with the tokenizer that ships: a student fitted in no time."""
    from transformers import BertConfig, BertModel, set_seed

    from efficient_empathy.scoring.judges.distilled import BUNDLED

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    set_seed(0)
    BertModel(BertConfig(vocab_size=30522, **sizes)).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((BUNDLED / "tokenizer.json").read_bytes())
    return folder
