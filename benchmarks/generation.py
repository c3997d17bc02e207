"""Generation: responses per second in batches, beside the released way of one `model.generate` a sample.

    python -m benchmarks.generation [--samples 128] [--threads 1] [--model FOLDER]

Both answer the same test samples of the bundled dialogues, greedily, with the same model in fp32 on the CPU; the
responses are checked to be the same. The model is the bundled base by default.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from efficient_empathy.dialogues import open_source
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.modelling.generation import GenerationSettings
from efficient_empathy.modelling.generation.local import LocalGenerator
from efficient_empathy.modelling.training import bundled_base
from efficient_empathy.recipe import DIALOGUES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", type=Path, default=bundled_base())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    template = PromptTemplate.load("chat")
    samples = islice(open_source(DIALOGUES / "test.jsonl"), options.samples)
    prompts = [template.messages(sample.context) for sample in samples]
    generator = LocalGenerator.load(options.model, GenerationSettings(precision="fp32"))
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
        f"{options.model.name}:\n"
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


if __name__ == "__main__":
    main()
