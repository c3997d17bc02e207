"""Generation: responses per second in batches, beside the released way of one `model.generate` a sample.

    python -m benchmarks.generation [--samples 128] [--threads 1] [--model FOLDER]

Both answer the same test samples of the bundled dialogues, greedily, with the same model in fp32 on the CPU; the
responses are checked to be the same. The model is the bundled base, or where it is not there a random one of its shape
whose replies end by chance, at a length like that of real ones.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from efficient_empathy.dialogues import open_source
from efficient_empathy.generation import GenerationSettings
from efficient_empathy.generation.local import LocalGenerator
from efficient_empathy.prompting import PromptTemplate

ASSETS = Path(__file__).parents[1] / "src" / "efficient_empathy" / "assets"
MEAN_LENGTH = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    template = PromptTemplate.load("chat")
    samples = islice(open_source(ASSETS / "dialogues" / "test.jsonl"), options.samples)
    prompts = [template.messages(sample.context) for sample in samples]
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or (ASSETS / "base" if (ASSETS / "base" / "config.json").exists() else None)
        path = model or random_model(Path(folder))
        generator = LocalGenerator.load(path, GenerationSettings(precision="fp32"))
    list(generator.generate(prompts[:4]))  # what is loaded lazily
    began = time.perf_counter()
    batched = {reply.prompt: reply for batch in generator.generate(prompts) for reply in batch}
    ours = time.perf_counter() - began
    began = time.perf_counter()
    alone = [released(generator, prompt) for prompt in prompts]
    theirs = time.perf_counter() - began
    same = sum(batched[i].text == text for i, text in enumerate(alone))
    tokens = sum(reply.completion_tokens for reply in batched.values())
    print(
        f"{len(prompts)} prompts, {tokens / len(prompts):.0f} tokens a reply, {options.threads} thread(s), "
        f"{model or 'a random model'}:\n"
        f"one by one {theirs:.1f} s ({tokens / theirs:.0f} tokens/s); batched {ours:.1f} s ({tokens / ours:.0f} "
        f"tokens/s); {theirs / ours:.1f} × the released way; {same} of {len(prompts)} replies the same"
    )


def released(generator: LocalGenerator, prompt: list[dict[str, str]]) -> str:
    """One sample as the released script does it: the chat template, `generate`, decode."""
    tokenizer, model = generator.tokenizer, generator.model
    inputs: Any = tokenizer.apply_chat_template(
        prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.inference_mode():
        output = model.generate(
            **inputs, do_sample=False, max_new_tokens=generator.settings.max_new_tokens,
            eos_token_id=sorted(generator.stops), pad_token_id=tokenizer.eos_token_id,
        )  # fmt: skip
    return str(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)).strip()


def random_model(folder: Path) -> Path:
    """A Llama of the bundled base's shape with random weights, and a byte-level tokenizer."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    texts = ((ASSETS / "dialogues" / f"{split}.jsonl").read_text("utf-8") for split in ("train", "test"))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=4096, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=special[0], eos_token=special[3], pad_token=special[3]
    )
    fast.chat_template = (
        "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
        "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
        "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
    )
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(fast), hidden_size=256, intermediate_size=704, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024, tie_word_embeddings=True, initializer_range=0.2,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    model.generation_config.eos_token_id = list(range(3, len(fast), MEAN_LENGTH))
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
