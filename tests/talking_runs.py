"""A run whose models can talk: tiny experts of random weights, their average, and a mixture with random routers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.moe.compose import average, compose
from scored_runs import numbered, write_run
from tiny_models import tiny_model
from trained_runs import training_record

EXPERTS = ("sensibility", "rationality")


def write_talkers(root: Path) -> Workspace:
    """`root`/run with base, two experts, average and moe; models of two layers that say nonsense."""
    run = write_run(root / "run", [numbered(0)], {"sensibility": [5], "rationality": [5]})
    base = tiny_model(root / "base", scale=3.0)
    for seed, name in enumerate(EXPERTS, 1):
        folder = tiny_model(run.experts / name, seed=seed, scale=3.0)
        training_record(name, base=str(base)).write(folder / "training.json")
    folders = [run.experts / name for name in EXPERTS]
    average(folders, run.average, names=EXPERTS)
    rng = np.random.default_rng(0)
    routers = [rng.standard_normal((2, 32)).astype(np.float32) for _ in range(2)]
    compose(folders, run.moe, names=EXPERTS, routers=routers)
    for name, folder in zip(EXPERTS, folders, strict=True):
        run.keep(f"train:{name}", folder.iterdir())
    run.keep("mix", [*run.average.iterdir(), *run.moe.iterdir()])
    return run


def copied(run: Workspace, root: Path) -> Workspace:
    """A copy that a test may spoil."""
    return Workspace(shutil.copytree(run.root, root / "run"))


def reference_gates(run: Workspace, messages: list[dict[str, str]], reply: list[int]) -> Any:
    """What the routers make of each reply token, by a plain forward pass: tokens × layers × experts."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(run.moe, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(run.moe)
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
    seen = []
    for layer in model.model.layers:
        gate = layer.mlp.gate
        gate.register_forward_hook(
            lambda module, inputs, _: seen.append((inputs[0].reshape(-1, 32) @ module.weight.T).softmax(-1))
        )
    with torch.no_grad():
        logits = model(torch.tensor([prompt + reply])).logits[0]
    assert logits[len(prompt) - 1 : -1].argmax(-1).tolist() == reply, "the reply is not the most probable one"
    return torch.stack(seen, 1)[len(prompt) - 1 : len(prompt) - 1 + len(reply)].numpy()
