"""Training: real tokens per second against the released script's way and against TRL's defaults, same model and data.

    python -m benchmarks.training_throughput [--samples 960] [--base FOLDER]
    python -m benchmarks.training_throughput --gpu [--samples 4800] [--source dialogues.jsonl]

LoRA on all linear layers, r 8, dropout 0.1, bf16 (fp32 on a processor without it), batches of 16 samples of at most 512
tokens, loss on the response alone, for everyone. The released way: transformers' Trainer, random batches padded to
their longest, gradient checkpointing; then the same, keeping the activations. TRL's defaults: SFTTrainer as it comes,
given prompts and completions. Ours: what `train` does.

On a CPU it trains the bundled tiny base, or a random model of its size; with --gpu a random Llama-3-8B, of
which it also tells the share of the card's measured matrix rate and the peak memory. Tokens count prompt and response,
never padding; tokenising and loading are left out, and so are the first three steps.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import polars as pl

BATCH, LENGTH, RANK, ALPHA, DROPOUT, RATE = 16, 512, 8, 32, 0.1, 1e-4
WARM_UP = 3
LLAMA_3_8B = {
    "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 8192,
}  # fmt: skip


class Clock:
    """Seconds and CPU seconds from the end of the warm-up to the last step."""

    def __init__(self) -> None:
        self.steps = 0
        self.marks: list[tuple[float, float]] = []

    def step(self, *_: object) -> None:
        """One step is done."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.marks.append((time.perf_counter(), time.process_time()))

    def result(self, tokens: int) -> dict[str, float]:
        """`tokens` are those of all steps; the warm-up's share is taken off."""
        import torch

        (wall, cpu), (wall_end, cpu_end) = self.marks[WARM_UP - 1], self.marks[-1]
        steps = len(self.marks)
        count = tokens * (steps - WARM_UP) / steps
        on_gpu = torch.cuda.is_available()
        peak = (
            torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        )
        return {
            "tokens_per_second": count / (wall_end - wall),
            "tokens_per_cpu_second": count / (cpu_end - cpu),
            "seconds": wall_end - wall,
            "peak_gb": peak / 1e9,
        }


def rows_of(options: argparse.Namespace) -> pl.DataFrame:
    from efficient_empathy.dialogues import open_source
    from efficient_empathy.llm.prompting import PromptTemplate
    from efficient_empathy.modelling.training.examples import conversational
    from efficient_empathy.recipe import DIALOGUES

    samples = list(islice(cycle(open_source(options.source or DIALOGUES)), options.samples))
    frame = pl.DataFrame([sample.row() for sample in samples]).with_columns(
        sample_id=pl.Series([str(i) for i in range(len(samples))])
    )
    return conversational(frame, PromptTemplate.load())


def tokenizer_and_model(options: argparse.Namespace, attention: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    from efficient_empathy.modelling.training.models import load_model, load_tokenizer, resolve

    base = resolve(options.base)
    tokenizer = load_tokenizer(base)
    if not options.gpu:
        return tokenizer, load_model(base, dtype="fp32", attention=attention)
    torch.manual_seed(0)
    with torch.device("cuda"):
        config = LlamaConfig(**LLAMA_3_8B)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation=attention)
    return tokenizer, model


def ours(options: argparse.Namespace) -> dict[str, Any]:
    from efficient_empathy.modelling.training.fit import fit
    from efficient_empathy.modelling.training.models import attention_of
    from efficient_empathy.modelling.training.settings import TrainingSettings

    settings = TrainingSettings(save_every=0, evaluate_every=0, max_length=LENGTH, batch_size=BATCH)
    tokenizer, model = tokenizer_and_model(options, attention_of(settings))
    clock = Clock()
    with tempfile.TemporaryDirectory() as out:
        result = fit(model, tokenizer, rows_of(options), {}, settings, Path(out), save=False, on_step=clock.step)
    return {**clock.result(result.record.tokens.all), "loss": result.record.history[-1].loss}


def released(options: argparse.Namespace, checkpointing: bool = True) -> dict[str, Any]:
    """As `finetune.py` of the authors' repository does it: plain Trainer, padded to the longest, checkpointing."""
    import datasets
    import transformers
    from peft import LoraConfig, get_peft_model

    tokenizer, model = tokenizer_and_model(options, "sdpa")
    samples = encode_rows(options, tokenizer)
    tokens = sum(len(ids) for ids, _ in samples)
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **lora()))
    model.enable_input_require_grads()
    data = datasets.Dataset.from_dict(
        {
            "input_ids": [ids for ids, _ in samples],
            "attention_mask": [[1] * len(ids) for ids, _ in samples],
            "labels": [[-100] * start + ids[start:] for ids, start in samples],
        }
    )
    with tempfile.TemporaryDirectory() as out:
        trainer = transformers.Trainer(
            model=model,
            args=transformers.TrainingArguments(gradient_checkpointing=checkpointing, **arguments(out, options)),
            train_dataset=data,
            data_collator=transformers.DataCollatorForSeq2Seq(tokenizer=tokenizer, padding="longest"),
        )
        return timed(trainer, tokens)


def trl_defaults(options: argparse.Namespace) -> dict[str, Any]:
    import datasets
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    tokenizer, model = tokenizer_and_model(options, "sdpa")
    tokens = sum(len(ids) for ids, _ in encode_rows(options, tokenizer))
    data = datasets.Dataset.from_list(rows_of(options).select("prompt", "completion").to_dicts())
    with tempfile.TemporaryDirectory() as out:
        trainer = SFTTrainer(
            model,
            args=SFTConfig(max_length=LENGTH, **arguments(out, options)),
            train_dataset=data,
            processing_class=tokenizer,
            peft_config=LoraConfig(task_type="CAUSAL_LM", **lora()),
        )
        return timed(trainer, tokens)


def lora() -> dict[str, Any]:
    from efficient_empathy.modelling.training.settings import LINEAR

    return {"r": RANK, "lora_alpha": ALPHA, "lora_dropout": DROPOUT, "target_modules": list(LINEAR)}


def encode_rows(options: argparse.Namespace, tokenizer: Any) -> list[tuple[list[int], int]]:
    from efficient_empathy.modelling.training.examples import encode

    return [(sample.ids, sample.start) for sample in encode(rows_of(options), tokenizer, LENGTH).samples]


def arguments(out: str, options: argparse.Namespace) -> dict[str, Any]:
    from efficient_empathy.foundation.processor import multiplies_bf16

    return {
        "output_dir": out, "per_device_train_batch_size": BATCH, "num_train_epochs": 1, "learning_rate": RATE,
        "bf16": options.gpu or multiplies_bf16(), "use_cpu": not options.gpu, "report_to": "none",
        "save_strategy": "no", "disable_tqdm": True, "logging_steps": 10_000,
    }  # fmt: skip


def timed(trainer: Any, tokens: int) -> dict[str, Any]:
    from transformers import TrainerCallback

    clock = Clock()

    class Callback(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            clock.step()

    trainer.add_callback(Callback())
    result = trainer.train()
    return {**clock.result(tokens), "loss": result.training_loss}


def matrix_rate(size: int = 8192, device: str = "cuda") -> float:
    """Multiplications and additions a second of one large bf16 product on this card."""
    import torch

    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(3):
        a @ b
    wait()
    start = time.perf_counter()
    for _ in range(20):
        a @ b
    wait()
    return 20 * 2 * size**3 / (time.perf_counter() - start)


CONTENDERS = {
    "released way": released,
    "the same, keeping": partial(released, checkpointing=False),
    "TRL's defaults": trl_defaults,
    "efficient-empathy": ours,
}


def child(name: str, rest: list[str]) -> dict[str, Any]:
    """Run one contender in a process of its own; the last line of its output is its result."""
    command = [sys.executable, "-m", "benchmarks.training_throughput", "--contender", name, *rest]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-3000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=None, help="960; with --gpu 4,800")
    parser.add_argument("--base", help="the model on a CPU, and the tokenizer; the bundled base by default")
    parser.add_argument("--source", help="dialogues in any format that is read; the bundled ones by default")
    parser.add_argument("--gpu", action="store_true", help="train a random Llama-3-8B on the first GPU")
    parser.add_argument("--rounds", type=int, default=1, help="the median of so many is told")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.samples = options.samples or (4800 if options.gpu else 960)
    if options.contender:
        print(json.dumps(CONTENDERS[options.contender](options)))
        return
    compare(options)


def compare(options: argparse.Namespace) -> None:
    from efficient_empathy.modelling.training.models import bundled_base

    options.base = options.base or str(bundled_base())
    rest = ["--samples", str(options.samples), "--base", options.base, *(["--gpu"] if options.gpu else [])]
    rest += ["--source", options.source] if options.source else []
    steps = -(-options.samples // BATCH)
    print(f"{options.samples:,} samples, {steps} steps of {BATCH}, {'Llama-3-8B' if options.gpu else options.base}")
    rounds = [{name: child(name, rest) for name in CONTENDERS} for _ in range(options.rounds)]
    peak = matrix_rate() if options.gpu else 0.0
    first = next(iter(CONTENDERS))
    for name in CONTENDERS:
        runs = sorted((turn[name] for turn in rounds), key=lambda run: run["tokens_per_second"])
        ratios = sorted(turn[name]["tokens_per_second"] / turn[first]["tokens_per_second"] for turn in rounds)
        run, ratio = runs[len(runs) // 2], ratios[len(ratios) // 2]
        line = f"{name:18} {run['tokens_per_second']:9,.0f} tokens/s = {ratio:5.2f} × released"
        line += f"   {run['tokens_per_cpu_second']:8,.0f} a CPU second   peak {run['peak_gb']:6.2f} GB"
        line += f"   loss {run['loss']:.3f}"
        if peak:
            # Forward and backward through frozen weights: 4 operations a parameter and token.
            line += f"   {4 * 8.03e9 * run['tokens_per_second'] / peak:.0%} of the matrix rate"
        print(line, flush=True)


if __name__ == "__main__":
    main()
