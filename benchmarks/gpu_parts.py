"""The parts of `benchmarks.gpu`, each in a process of its own."""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

TINY = {
    "vocab_size": 50_000, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024,
}  # fmt: skip


class Results:
    """A part's results, on the disk after each of them."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.values: dict[str, Any] = {}

    def take(self, name: str, measure: Callable[[], Any]) -> Any:
        """Measure, note how long it took, or what went wrong."""
        began = time.monotonic()
        try:
            value = measure()
        except Exception as error:
            traceback.print_exc()
            value = {"error": f"{type(error).__name__}: {error}"[:600]}
        if isinstance(value, dict):
            value["part_seconds"] = round(time.monotonic() - began, 1)
        self.values[name] = value
        self.out.write_text(json.dumps(self.values, indent=1, default=str) + "\n")
        print(f"{time.strftime('%X')} {name}: {json.dumps(value, default=str)[:300]}", flush=True)
        return value


def rates(options: argparse.Namespace) -> None:
    """The matrix rate, training, generation."""
    import torch

    from benchmarks import training_throughput as training

    results = Results(options.output / "rates.json")
    device = "cpu" if options.small else "cuda"
    results.take("machine", machine)
    results.take("matrix_rate", lambda: training.matrix_rate(256 if options.small else 8192, device))
    if options.small:
        training.BATCH = 2
    source = argparse.Namespace(
        samples=10 if options.small else 960, base=str(options.base), source=options.source, gpu=not options.small
    )
    contenders = {"ours": training.ours, "released": training.released, "trl": training.trl_defaults, "ours, × 4": wide}
    for name, contender in contenders.items():
        free()
        if not options.small:
            torch.cuda.reset_peak_memory_stats()
        results.take(name, partial(contender, source))
    for name, experts in (("dense", 0), ("mixture", 2)):
        for batch in (1, 64):
            free()
            results.take(f"generation {name} {batch}", partial(generation, options, experts, batch))


def machine() -> dict[str, Any]:
    import torch
    import transformers
    import trl

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    versions = {module.__name__: module.__version__ for module in (torch, transformers, trl)}
    return {"device": name, "cores": os.cpu_count(), **versions}


def wide(source: argparse.Namespace) -> dict[str, Any]:
    """Ours with four times the batch."""
    from benchmarks import training_throughput as training

    batch, training.BATCH = training.BATCH, 4 * training.BATCH
    try:
        return training.ours(argparse.Namespace(**{**vars(source), "samples": 4 * source.samples}))
    finally:
        training.BATCH = batch


def free() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


MODELS: dict[int, Any] = {}


def generation(options: argparse.Namespace, experts: int, batch: int) -> dict[str, Any]:
    """New tokens a second of a random model, dense or a mixture of `experts`, all of which every token goes through."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, MixtralConfig

    from benchmarks import training_throughput as training
    from efficient_empathy.llm.prompting import PromptTemplate
    from efficient_empathy.modelling.generation import GenerationSettings
    from efficient_empathy.modelling.generation.local import LocalGenerator
    from efficient_empathy.modelling.training.models import load_tokenizer

    shape = TINY if options.small else training.LLAMA_3_8B
    if experts not in MODELS:
        MODELS.clear()
        free()
        config = MixtralConfig(**shape, num_local_experts=experts, num_experts_per_tok=experts) if experts else (
            LlamaConfig(**shape))  # fmt: skip
        with torch.device("cpu" if options.small else "cuda"):
            MODELS[experts] = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model = MODELS[experts]
    samples = training.rows_of(argparse.Namespace(samples=2 * batch, source=options.source))
    template = PromptTemplate.load("chat")
    prompts = [template.messages(context) for context in samples["context"].to_list()]
    settings = GenerationSettings(max_new_tokens=8 if options.small else 48, batch_size=batch)
    generator = LocalGenerator(model, load_tokenizer(options.base), settings)
    for _ in generator.generate(prompts[:batch]):  # what is made at first use
        pass
    began = time.perf_counter()
    tokens = sum(reply.completion_tokens for replies in generator.generate(prompts) for reply in replies)
    seconds = time.perf_counter() - began
    size = sum(parameter.numel() for parameter in model.parameters())
    return {"tokens_per_second": tokens / seconds, "tokens": tokens, "seconds": seconds, "parameters": size}


def compose(options: argparse.Namespace) -> None:
    """Two random adapters of a random base into a mixture: seconds until it is on the disk, anonymous memory."""
    from benchmarks.compose import COMPOSE, timed
    from benchmarks.training_throughput import LLAMA_3_8B

    results = Results(options.output / "compose.json")
    options.scratch.mkdir(parents=True, exist_ok=True)
    shape = dict(TINY if options.small else LLAMA_3_8B)
    free_bytes = shutil.disk_usage(options.scratch).free
    if free_bytes < 48e9 and not options.small:
        shape["num_hidden_layers"] = 8  # a quarter of it
    base, out = options.scratch / "base", options.scratch / "mixture"
    try:
        made = results.take("base", lambda: random_base(base, options.base, shape))
        if "error" in made:
            return
        experts = [random_adapter(options.scratch / f"adapter-{seed}", base, shape, seed) for seed in (1, 2)]

        def measured() -> dict[str, Any]:
            command = [sys.executable, "-c", COMPOSE, str(out), *map(str, experts)]
            seconds, peak = timed(command, out)
            written = sum(path.stat().st_size for path in out.iterdir())
            return {"seconds": seconds, "anonymous_mib": peak, "gb_written": written / 1e9, "layers":
                    shape["num_hidden_layers"], "free_gb": free_bytes / 1e9}  # fmt: skip

        results.take("compose", measured)
    finally:
        shutil.rmtree(options.scratch, ignore_errors=True)


def random_base(folder: Path, tokenizer_of: Path, shape: dict[str, int]) -> dict[str, Any]:
    """A Llama whose every tensor is cut from one block of random numbers, with the tokenizer of another model."""
    import numpy as np

    from efficient_empathy.modelling.moe.families import FAMILIES, dense_config, dense_shapes
    from efficient_empathy.modelling.moe.shards import write_shards
    from efficient_empathy.modelling.moe.tensors import Computed

    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (tokenizer_of / name).exists():
            shutil.copy(tokenizer_of / name, folder / name)
    config = {**shape, "architectures": ["LlamaForCausalLM"], "model_type": "llama", "rope_theta": 500000.0,
              "dtype": "bfloat16", "bos_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": False,
              "rms_norm_eps": 1e-5}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    block = np.random.default_rng(0).standard_normal(1 << 24, np.float32) * np.float32(0.02)

    def rows_of(size: tuple[int, ...]) -> Callable[[int, int], Any]:
        def rows(start: int, stop: int) -> Any:
            shape = (stop - start, *size[1:])
            count = int(np.prod(shape))
            return (block[:count] if count <= len(block) else np.resize(block, count)).reshape(shape)

        return rows

    shapes = dense_shapes(dense_config(config, FAMILIES["llama"], folder), FAMILIES["llama"])
    tensors = {name: Computed(rows_of(size), "BF16", size) for name, size in shapes.items()}
    write_shards(folder, [tensors], 5_000_000_000)
    return {"parameters": sum(int(np.prod(size)) for size in shapes.values())}


def random_adapter(folder: Path, base: Path, shape: dict[str, int], seed: int) -> Path:
    """A LoRA adapter of rank 8 on every linear layer."""
    import numpy as np
    from safetensors.numpy import save_file

    from efficient_empathy.modelling.training.settings import LINEAR

    folder.mkdir()
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    keys = hidden // shape["num_attention_heads"] * shape["num_key_value_heads"]
    sizes = {"q_proj": (hidden, hidden), "k_proj": (keys, hidden), "v_proj": (keys, hidden), "o_proj": (hidden, hidden),
             "gate_proj": (inner, hidden), "up_proj": (inner, hidden), "down_proj": (hidden, inner)}  # fmt: skip
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in range(shape["num_hidden_layers"]):
        for name, (out, into) in sizes.items():
            block = "self_attn" if name[0] in "qkvo" and name != "up_proj" else "mlp"
            place = f"base_model.model.model.layers.{layer}.{block}.{name}"
            tensors[f"{place}.lora_A.weight"] = rng.standard_normal((8, into), np.float32) * np.float32(0.01)
            tensors[f"{place}.lora_B.weight"] = rng.standard_normal((out, 8), np.float32) * np.float32(0.01)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": str(base), "r": 8,
              "lora_alpha": 32, "lora_dropout": 0.1, "target_modules": list(LINEAR), "bias": "none"}  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def tokens(options: argparse.Namespace) -> None:
    """The experiment's samples as tokens, once for all of its arms."""
    from benchmarks.paper_arm_rows import encode_all

    encode_all(options.work, options.base, options.jobs)


def experiment(options: argparse.Namespace) -> None:
    """The paper's experiment; what `paper_arms` takes is handed on."""
    from benchmarks import paper_arms

    small = ["--samples", "200", "--test", "40", "--answers", "8", "--seeds", "0"] if options.small else []
    arguments = [str(options.work), "--base", str(options.base), "--jobs", str(options.jobs), "--seconds",
                 str(max(1, options.seconds)), "--scratch", str(options.scratch), *small, *options.rest]  # fmt: skip
    paper_arms.experiment(paper_arms.parse(arguments))


RUN: dict[str, Callable[[argparse.Namespace], None]] = {
    "tokens": tokens, "rates": rates, "compose": compose, "experiment": experiment,
}  # fmt: skip
