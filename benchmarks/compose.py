"""Composing two dense bf16 experts: seconds and anonymous memory, beside mergekit-moe and `cp` of the same bytes.

    python -m benchmarks.compose [--parameters 320 80] [--rounds 3] [--folder DIR]

The experts are Llamas with random weights, 320 and 80 million parameters each. Each contender runs in a process of its
own, in turns, from a warm page cache; its time ends when its files are synced to the disk (ours syncs by itself, the
others' are synced after them). Anonymous memory is RssAnon, polled. The targets: at most half of mergekit's time, at
most 1.5 × the copy, under 500 MiB and no more for a larger model. Needs 20 bytes of disk a parameter. mergekit 0.1.5
runs in .venv-bench:

    python3 -m venv .venv-bench
    .venv-bench/bin/pip install torch==2.13.0 && .venv-bench/bin/pip install mergekit==0.1.5
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SIZES = {
    320: {"hidden": 1024, "width": 2816, "layers": 20},
    80: {"hidden": 512, "width": 1408, "layers": 15},
    10: {"hidden": 128, "width": 352, "layers": 8},
}
VOCABULARY = 32_000
COMPOSE = "import sys; from efficient_empathy.modelling.moe.compose import compose; from pathlib import Path; "
COMPOSE += "compose(sys.argv[2:], Path(sys.argv[1]))"
NAMES = {"ours": "efficient-empathy", "mergekit": "mergekit-moe", "cp": "cp of our bytes"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", type=int, nargs="+", choices=tuple(SIZES), default=[320, 80])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work; the system's temporary folder by default")
    parser.add_argument("--mergekit", type=Path, default=HERE.parent / ".venv-bench" / "bin" / "mergekit-moe")
    options = parser.parse_args()
    if not options.mergekit.exists():
        print(f"{options.mergekit} is not here, so mergekit is left out; the docstring says how to install it")
    peaks = {}
    for millions in options.parameters:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            peaks[millions] = compare(Path(name), millions, options.rounds, options.mergekit)
    if len(peaks) > 1:
        (large, most), (small, least) = max(peaks.items()), min(peaks.items())
        print(f"\nours, anonymous memory: {most:.0f} MiB at {large} M parameters, {least:.0f} MiB at {small} M")


def compare(folder: Path, millions: int, rounds: int, mergekit: Path) -> float:
    """Run the rounds and print the table; returns our peak of anonymous memory, MiB."""
    experts = [expert(folder / f"expert-{seed}", seed, **SIZES[millions]) for seed in (1, 2)]
    outputs = {name: folder / name for name in NAMES}
    (folder / "mergekit.yml").write_text(
        json.dumps(
            {"base_model": str(experts[0]), "gate_mode": "random", "dtype": "bfloat16", "experts_per_token": 2,
             "experts": [{"source_model": str(path)} for path in experts]}
        )
    )  # fmt: skip
    commands = {"ours": [sys.executable, "-c", COMPOSE, outputs["ours"], *experts]}
    if mergekit.exists():
        commands["mergekit"] = [mergekit, folder / "mergekit.yml", outputs["mergekit"], "--copy-tokenizer", "--quiet"]
    commands["cp"] = ["cp", "-r", outputs["ours"], outputs["cp"]]
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        shutil.rmtree(outputs["ours"], ignore_errors=True)
        for name, command in commands.items():
            warm([*experts, *([outputs["ours"]] if name == "cp" else [])])
            figures[name].append(timed([str(part) for part in command], outputs[name]))
            if name != "ours":
                shutil.rmtree(outputs[name])
    size = sum(path.stat().st_size for path in outputs["ours"].iterdir())
    print(f"\n2 experts of {millions} M parameters, bf16; {size / 1e6:,.0f} MB written; median of {rounds}")
    ours = statistics.median(seconds for seconds, _ in figures["ours"])
    for name, runs in figures.items():
        seconds, memory = statistics.median(s for s, _ in runs), max(m for _, m in runs)
        spread = f"{min(s for s, _ in runs):.1f}–{max(s for s, _ in runs):.1f}"
        print(
            f"{NAMES[name]:18} {seconds:6.2f} s ({spread}) = {seconds / ours:5.2f} × ours   "
            f"{memory:6.0f} MiB anonymous",
            flush=True,
        )
    copy_seconds = statistics.median(seconds for seconds, _ in figures["cp"])
    peer = statistics.median(s for s, _ in figures["mergekit"]) / ours if "mergekit" in figures else float("nan")
    print(f"ours takes {ours / copy_seconds:.2f} × the copy (limit 1.5); mergekit takes {peer:.1f} × ours (limit 2)")
    return max(memory for _, memory in figures["ours"])


def timed(command: list[str], out: Path) -> tuple[float, float]:
    """Seconds until the command's files are on the disk, and its peak of anonymous memory in MiB."""
    os.sync()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    peak = [0.0]
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        watcher = threading.Thread(target=partial(watch, child.pid, peak))
        watcher.start()
        code = child.wait()
        log.seek(0)
        if code:
            sys.exit(f"{command[0]} failed:\n{log.read()[-3000:]}")
    for path in out.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    seconds = time.perf_counter() - began
    watcher.join()
    return seconds, peak[0]


def watch(pid: int, peak: list[float]) -> None:
    """Poll a process's anonymous memory until it ends."""
    status = Path(f"/proc/{pid}/status")
    while True:
        try:
            lines = status.read_text().splitlines()
        except OSError:
            return
        rss = next((line for line in lines if line.startswith("RssAnon")), None)
        if rss is None:
            return
        peak[0] = max(peak[0], int(rss.split()[1]) / 1024)
        time.sleep(0.01)


def warm(folders: list[Path]) -> None:
    """Read the files, so that every contender finds them in the page cache."""
    for folder in folders:
        for path in folder.iterdir():
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 24):
                    pass


def expert(folder: Path, seed: int, hidden: int, width: int, layers: int) -> Path:
    """A random Llama with a small tokenizer, written a tensor at a time."""
    from efficient_empathy.modelling.moe.families import FAMILIES, dense_config, dense_shapes
    from efficient_empathy.modelling.moe.shards import write_shards
    from efficient_empathy.modelling.moe.tensors import Computed

    folder.mkdir()
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCABULARY, "hidden_size": hidden,
        "intermediate_size": width, "num_hidden_layers": layers, "num_attention_heads": hidden // 64,
        "num_key_value_heads": hidden // 64, "max_position_embeddings": 2048, "rope_theta": 10000.0,
        "dtype": "bfloat16", "bos_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": False, "rms_norm_eps": 1e-6,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer(folder)
    rng = np.random.default_rng(seed)

    def rows(shape: tuple[int, ...], start: int, stop: int) -> np.ndarray:
        return rng.standard_normal((stop - start, *shape[1:]), np.float32) * np.float32(0.02)

    shapes = dense_shapes(dense_config(config, FAMILIES["llama"], folder), FAMILIES["llama"])
    tensors = {name: Computed(partial(rows, shape), "BF16", shape) for name, shape in shapes.items()}
    write_shards(folder, [tensors], 5_000_000_000)
    return folder


def tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|begin|>", "<|end|>"]
    tokens.train_from_iterator(
        ["a short text"],
        trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    tokens.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin|>", "eos_token": "<|end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


if __name__ == "__main__":
    main()
