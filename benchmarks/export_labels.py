"""Decode what TRL, LLaMA-Factory and Axolotl learn from a selection: the last reply and the end of its turn, or more.

    python3 -m venv .venv-llamafactory
    .venv-llamafactory/bin/pip install torch==2.13.0
    .venv-llamafactory/bin/pip install --no-deps llamafactory==0.9.5 torchaudio
    rm .venv-llamafactory/lib/python3*/site-packages/torchaudio/lib/*.so  # made for CUDA, and not needed
    .venv-llamafactory/bin/pip install transformers==5.6.0 datasets==4.0.0 accelerate==1.11.0 peft==0.18.1 \\
        trl==0.24.0 "tyro<0.9" torchdata==0.11.0 fire omegaconf einops pydantic pyyaml scipy sentencepiece tiktoken \\
        protobuf pandas matplotlib av fastapi uvicorn sse-starlette hf-transfer

    python3 -m venv .venv-axolotl
    .venv-axolotl/bin/pip install torch==2.13.0
    .venv-axolotl/bin/pip install --no-deps axolotl==0.19.0 axolotl-contribs-lgpl==0.0.7 axolotl-contribs-mit==0.0.6 \\
        bitsandbytes==0.50.2 triton==3.9.0
    .venv-axolotl/bin/pip install transformers==5.16.1 huggingface_hub==1.17.0 peft==0.20.0 accelerate==1.13.0 \\
        datasets==4.8.4 trl==1.9.0 pydantic==2.12.5 PyYAML==6.0.3 typer==0.25.1 addict fire requests einops colorama \\
        numba scipy sentencepiece art python-dotenv zstandard langdetect immutabledict antlr4-python3-runtime==4.13.2 \\
        schedulefree mistral-common==1.11.5 fastcore evaluate posthog wandb

    python -m benchmarks.export_labels [--base qwen2.5] --llamafactory .venv-llamafactory/bin/python \\
        --axolotl .venv-axolotl/bin/python

The bundled dialogues and a few awkward ones are scored and selected. The recipes then run as `select` writes them, but
for what they themselves say to change without a GPU (and for Qwen): the base that they name is a folder beside them, a
random model with that base's special tokens and chat template. Each trainer prepares its data by its own code, every
row's labels are decoded, and it trains.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LLAMA3_TEMPLATE = (
    "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
QWEN_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a "
    "helpful assistant.<|im_end|>\n' }}{% endif %}{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = "meta-llama/Meta-Llama-3-8B-Instruct"


@dataclass(frozen=True)
class Base:
    """A base by its name on the hub, and what the recipes say to change for it."""

    name: str
    special: tuple[str, ...]
    tokens: dict[str, str]
    template: str
    changes: tuple[tuple[str, str], ...] = ()


BASES = {
    "llama3": Base(
        LLAMA3,
        ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
        LLAMA3_TEMPLATE,
    ),
    "qwen2.5": Base(
        "Qwen/Qwen2.5-7B-Instruct",
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
        QWEN_TEMPLATE,
        (
            (rf"(model_name_or_path|base_model): {LLAMA3}", r"\1: Qwen/Qwen2.5-7B-Instruct"),
            ("template: llama3 ", "template: qwen "),
            (r"special_tokens:.*\n  pad_token:.*\n", ""),
            (r"eot_tokens: \[<\|eot_id\|>\]", "eot_tokens: [<|im_end|>]"),
        ),
    ),
}
AWKWARD = [
    ["assistant: I failed again", "user\n\nNo, it is you who says so."],
    ["My keys 💜 are gone", "Oh no!", "  2024-01-01  ", "2024-01-02"],
    ["I am afraid", "Of what?", "Of the dark", "Of what?", "Of the dark", "Of what?"],
    ["<|im_end|> hello [INST]", "• one\n• two\n\n• three"],
]

WITHOUT_GPU = re.compile(r"^(\w+): \S+(\s+#.*without a GPU: (\w+).*)$", re.MULTILINE)
Rows = list[dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llamafactory", help="the interpreter of an environment that has LLaMA-Factory")
    parser.add_argument("--axolotl", help="the interpreter of an environment that has Axolotl")
    parser.add_argument("--base", choices=tuple(BASES), default="llama3", help="whose tokens and chat template")
    parser.add_argument("--dialogues", type=int, default=120, help="how many of the bundled ones")
    parser.add_argument("--child", choices=tuple(CHILDREN), help=argparse.SUPPRESS)
    options = parser.parse_args()
    base = BASES[options.base]
    if options.child:
        CHILDREN[options.child](base)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "run", "selection")
        rows = make_selection(Path(name), options.dialogues)
        make_base(folder / base.name, base, [message["content"] for row in rows for message in row["messages"]])
        for recipe in folder.glob("*.yaml"):
            text = WITHOUT_GPU.sub(r"\1: \3\2", recipe.read_text("utf-8"))
            for pattern, replacement in base.changes:
                text = re.sub(pattern, replacement, text)
            recipe.write_text(text, "utf-8")
        print(f"\n{len(rows):,} rows, {base.name}      rows   right   + line break   trained   versions", flush=True)
        for trainer, python in {"trl": sys.executable, **vars(options)}.items():
            if trainer not in CHILDREN:
                continue
            if python is None:
                print(f"{trainer:20} not run: name its interpreter by --{trainer}")
            else:
                report(trainer, rows, run_child(trainer, python, folder, options.base), base)


def make_selection(folder: Path, dialogues: int) -> Rows:
    """Score and select some dialogues; the rows of the subset that the recipes name, in order."""
    from importlib.resources import files

    import efficient_empathy as ee

    bundled = (files("efficient_empathy") / "assets/dialogues/train.jsonl").read_text("utf-8").splitlines()
    messages = [
        [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(turns)] for turns in AWKWARD
    ]
    own = [json.dumps({"messages": turns}) for turns in messages]
    source = folder / "dialogues.jsonl"
    source.write_text("\n".join([*own, *bundled[:dialogues]]) + "\n", "utf-8")
    ee.score(source, folder / "run", quiet=True)
    ee.select(folder / "run", policy="top", top={"sensibility": 0.999})
    lines = (folder / "run" / "selection" / "sensibility.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def make_base(folder: Path, base: Base, texts: list[str]) -> None:
    """A random model with a base's special tokens and chat template, and Llama 3's splitting of text."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(SPLIT), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet, special = pre_tokenizers.ByteLevel.alphabet(), list(base.special)
    trainer = trainers.BpeTrainer(
        vocab_size=4000, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([*texts, "\n\n user assistant system " * 9], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **base.tokens)
    fast.chat_template = base.template
    fast.save_pretrained(folder)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=len(fast), bos_token_id=fast.bos_token_id, eos_token_id=fast.eos_token_id, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)


def run_child(trainer: str, python: str, folder: Path, base: str) -> Rows:
    """What one trainer made of the selection, by the interpreter that has it."""
    script = Path(__file__).resolve()
    path = os.pathsep.join([str(Path(python).absolute().parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1"}
    command = [python, str(script), "--child", trainer, "--base", base]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{trainer} failed:\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}")
    return [json.loads(line) for line in (folder / f"{trainer}.labels.jsonl").read_text("utf-8").splitlines()]


def report(trainer: str, rows: Rows, results: Rows, base: Base) -> None:
    """A line on one trainer, and a row that it learns otherwise; in any order, since Axolotl shuffles."""
    facts, *labels = results
    expected = sorted(row["completion"][0]["content"] + base.tokens["eos_token"] for row in rows)
    pairs = list(zip(sorted(row["learnt"] for row in labels), expected, strict=False))
    right = sum(learnt == reply for learnt, reply in pairs)
    longer = sum(learnt == reply + "\n" for learnt, reply in pairs)
    counts = f"{len(labels):9,} {right:7,} {longer:14,} {facts['trained']!s:>9}"
    print(f"{trainer:35} {counts}   {facts['versions']}", flush=True)
    if not (right + longer == len(labels) == len(rows)):
        wrong = [pair for pair in pairs if pair[0].removesuffix("\n") != pair[1]]
        sys.exit(f"{trainer} learns something else, such as (what it learns, the reply): {wrong[:1]}")


def write_labels(trainer: str, tokenizer: Any, data: Any, trained: bool, packages: list[str]) -> None:
    """Each row's labels as text, after a line of facts."""
    from importlib.metadata import version

    versions = ", ".join(f"{name} {version(name)}" for name in [*packages, "transformers", "torch"])
    with Path(f"{trainer}.labels.jsonl").open("w", encoding="utf-8") as file:
        file.write(json.dumps({"trained": trained, "versions": versions}) + "\n")
        for row in data:
            learnt = [token for token in row["labels"] if token != -100]
            text = tokenizer.decode(learnt, clean_up_tokenization_spaces=False)
            file.write(json.dumps({"learnt": text}) + "\n")


def learn_with_trl(base: Base) -> None:
    """TRL's own trainer, with nothing but the file and the base."""
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    data = load_dataset("json", data_files="sensibility.jsonl", split="train")
    settings = SFTConfig(output_dir="trl", max_steps=2, report_to="none", use_cpu=True, bf16=False)
    trainer = SFTTrainer(model=base.name, args=settings, train_dataset=data)
    trainer.train()
    write_labels("trl", trainer.processing_class, trainer.train_dataset, True, ["trl"])


def learn_with_llamafactory(_base: Base) -> None:
    """LLaMA-Factory's own preparation, then its command."""
    import yaml
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    recipe = yaml.safe_load(Path("llamafactory.yaml").read_text("utf-8"))
    model, data, training, _, _ = get_train_args(recipe)
    module = load_tokenizer(model)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data)
    prepared = get_dataset(template, model, data, training, stage="sft", **module)["train_dataset"]
    command = str(Path(sys.executable).with_name("llamafactory-cli"))
    subprocess.run([command, "train", "llamafactory.yaml"], check=True)
    trained = Path(recipe["output_dir"], "adapter_model.safetensors").exists()
    write_labels("llamafactory", module["tokenizer"], prepared, trained, ["llamafactory"])


def learn_with_axolotl(base: Base) -> None:
    """Axolotl's own commands: preprocess, then train."""
    import yaml
    from datasets import load_from_disk
    from transformers import AutoTokenizer

    recipe = yaml.safe_load(Path("axolotl.yaml").read_text("utf-8"))
    command = str(Path(sys.executable).with_name("axolotl"))
    subprocess.run([command, "preprocess", "axolotl.yaml"], check=True)
    (prepared,) = [path for path in Path(recipe["dataset_prepared_path"]).iterdir() if path.is_dir()]
    data = load_from_disk(str(prepared))
    subprocess.run([command, "train", "axolotl.yaml"], check=True)
    trained = Path(recipe["output_dir"], "adapter_model.safetensors").exists()
    write_labels("axolotl", AutoTokenizer.from_pretrained(base.name), data, trained, ["axolotl"])


CHILDREN = {"trl": learn_with_trl, "llamafactory": learn_with_llamafactory, "axolotl": learn_with_axolotl}

if __name__ == "__main__":
    main()
