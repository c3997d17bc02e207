"""Tiny experts: dense models of one family that differ in some of their weights, and adapters on one base."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tiny_models import tiny_model


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`made(family, seed=0, **config)`: a tiny dense model's folder, made once and not to be changed."""
    root, known = tmp_path_factory.mktemp("models"), {}

    def make(family: str = "llama", seed: int = 0, **config: Any) -> Path:
        key = f"{family}-{seed}-" + "-".join(f"{name}={value}" for name, value in sorted(config.items()))
        if key not in known:
            known[key] = tiny_model(root / key, family, seed=seed, scale=6, **config)
        return known[key]

    return make


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`adapter(base, seed, **LoraConfig)`: a random LoRA adapter on `base`, saved."""

    def make(base: Path, seed: int = 1, **options: Any) -> Path:
        import peft
        import torch
        from transformers import AutoModelForCausalLM

        torch.manual_seed(seed)
        options = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **options}
        model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base), peft.LoraConfig(**options))
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.2)
            elif parameter.requires_grad:
                parameter.data.add_(torch.randn_like(parameter) * 0.1)
        folder = tmp_path_factory.mktemp("adapter")
        model.save_pretrained(folder)
        return folder

    return make
