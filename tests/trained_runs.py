"""What training, mixing and generation leave in a run's folder, made without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.modelling.generation.record import GenerationRecord
from efficient_empathy.modelling.moe.record import ComparisonRecord, CompositionRecord, RouterRecord
from efficient_empathy.modelling.training.record import (
    HeldOutLoss,
    LoggedStep,
    Origin,
    TemplateRecord,
    TokenCount,
    TrainingRecord,
)
from efficient_empathy.modelling.training.settings import TrainingSettings

SUBSETS = ("sensibility", "rationality", "discard", "all")
MODELS = {
    "base": "Base model",
    "sensibility": "Sensibility expert",
    "rationality": "Rationality expert",
    "union": "One adapter on the union",
    "average": "Average of the experts",
    "moe_untrained": "MoE, routers untrained",
    "moe": "MoE, routers trained",
}
GATE = "model.layers.{}.mlp.gate.weight"


def write_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")
    return path


def training_record(name: str = "sensibility", **fields: Any) -> TrainingRecord:
    """A valid record of an expert on the subset of its name."""
    record: dict[str, Any] = {
        "name": name,
        "subset": name,
        "base": "/models/tiny-base",
        "base_hash": "a" * 16,
        "method": "lora",
        "settings": TrainingSettings(),
        "template": TemplateRecord.of(PromptTemplate.load("chat")),
        "samples": 3200,
        "dialogues": 1410,
        "tokens": TokenCount(response=48213, all=201877),
        "steps": 200,
        "seconds": 74.2,
        "device": "cpu",
        "precision": "fp32",
        "trainable_parameters": 165_888,
        "parameters": 7_341_056,
        "flops": 1.2e12,
        "history": (),
        "held_out": (),
        "made_from": Origin(inputs={"data": "d" * 16}),
    }
    return TrainingRecord(**record | fields)


def write_training(workspace: Workspace, folder: str, *, steps: int = 200, seed: int = 0, **changed: object) -> Path:
    """`experts/<folder>/training.json`: a loss that falls and flattens, and held-out losses at five evaluations.

    `changed` are fields as they stand in the file, valid or not.
    """
    rng = np.random.default_rng(seed)
    at = np.arange(2, steps + 1, 2)
    falling = 2.9 + 0.9 * np.exp(-at / (steps / 4))
    history = tuple(
        LoggedStep(step=int(s), epoch=float(s / steps), loss=float(v), learning_rate=1e-4)
        for s, v in zip(at, falling + rng.normal(0, 0.08, len(at)), strict=True)
    )
    offsets = {"sensibility": 0.0, "rationality": 0.05, "discard": 0.42, "all": 0.08}
    gains = {subset: 1.15 if subset == folder else 1.0 for subset in SUBSETS}
    held_out = tuple(
        HeldOutLoss(
            step=s,
            loss={k: 3.72 + o - 0.68 * gains[k] * (1 - float(np.exp(-s / (steps / 4)))) for k, o in offsets.items()},
        )
        for s in range(0, steps + 1, max(1, steps // 5))
    )
    record = training_record(folder, steps=steps, history=history, held_out=held_out)
    return write_json(workspace.experts / folder / "training.json", json.loads(record.json_text()) | changed)


def composition_record(kind: Literal["moe", "average"] = "moe", **fields: Any) -> CompositionRecord:
    """A valid record of a folder that was composed of two experts."""
    record: dict[str, Any] = {
        "kind": kind,
        "family": "mixtral" if kind == "moe" else "llama",
        "experts": ("sensibility", "rationality"),
        "dtype": "float32",
        "parameters": 1000,
        "end_of_turn": (2,),
    }
    if kind == "moe":
        record |= {"shared": "average", "top_k": 2, "routers": "zero"}
    return CompositionRecord(**record | fields)


def write_comparison(workspace: Workspace, *, moe_wins: bool = False, **changed: object) -> Path:
    """`comparison.json` of seven models; the average is the best of them unless `moe_wins`."""
    overall = dict(zip(MODELS, (3.802, 3.247, 3.251, 3.188, 3.172, 3.180, 3.161 if moe_wins else 3.174), strict=True))
    models = [
        {
            "name": name,
            "label": label,
            "path": f"/models/{name}",
            "loss": {
                s: overall[name] + {"sensibility": -0.09, "rationality": -0.03, "discard": 0.3, "all": 0}[s]
                for s in SUBSETS
            },
            "interval": {"all": (overall[name] - 0.061, overall[name] + 0.063)},
            "parameters": 12_064_000 if name.startswith("moe") else 7_341_056,
            "active_parameters": 12_063_000 if name.startswith("moe") else 7_341_056,
            "bytes": 24_130_000 if name.startswith("moe") else 14_690_000,
        }
        for name, label in MODELS.items()
    ]
    difference = overall["moe"] - overall["average"]
    verdict = {
        "best": "moe" if moe_wins else "average",
        "moe_beats_average": moe_wins,
        "difference": difference,
        "interval": [difference - 0.006, difference + 0.005],
        "text": f"The MoE {'has a lower' if moe_wins else 'does not have a lower'} loss than the plain average of the "
        f"experts: {overall['moe']:.3f} against {overall['average']:.3f}.",
    }
    sizes = {s: {"samples": n, "tokens": 15 * n} for s, n in zip(SUBSETS, (312, 603, 84, 999), strict=True)}
    record = {"subsets": sizes, "models": models, "verdict": verdict, "seed": 0, "part": "held_out"}
    valid = ComparisonRecord.model_validate(record)
    return write_json(workspace.comparison, json.loads(valid.json_text()) | changed)


def write_routers(
    workspace: Workspace, *, layers: int = 6, experts: Sequence[str] = ("sensibility", "rationality"), **changed: object
) -> Path:
    """`moe/routers.json`: each expert is a little preferred on the samples of its own name."""
    rng = np.random.default_rng(layers)
    usage, entropy = {}, {}
    for subset in SUBSETS:
        pull = np.array([1.0 if name == subset else 0.0 for name in experts])
        logits = 0.3 * pull * np.linspace(0.2, 1, layers)[:, None] + rng.normal(0, 0.08, (layers, len(experts)))
        weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        usage[subset] = weights.tolist()
        entropy[subset] = (-(weights * np.log(weights)).sum(axis=1)).tolist()
    record = {
        "layers": layers,
        "experts": list(experts),
        "top_k": 2,
        "init": "centred_means",
        "train": "gates",
        "history": [{"step": s, "loss": 3.2 - 0.02 * s / 60 + float(rng.normal(0, 0.03))} for s in range(1, 61)],
        "changed_tensors": [GATE.format(i) for i in range(layers)],
        "unchanged_count": 87,
        "usage": usage,
        "entropy": entropy,
    }
    valid = RouterRecord.model_validate(record)
    return write_json(workspace.moe / "routers.json", json.loads(valid.json_text()) | changed)


def write_generations(
    workspace: Workspace,
    model: str,
    *,
    ids: Sequence[str] | None = None,
    responses: Mapping[str, str] | None = None,
    every_cut: int = 7,
    **changed: Any,
) -> Path:
    """`generations/<model>.parquet` and `.json`: an answer to each sample, every so manieth cut at the limit."""
    known = pl.read_parquet(workspace.samples)["sample_id"].unique(maintain_order=True)
    ids = list(known if ids is None else ids)
    label = MODELS.get(model, model)
    texts = [(responses or {}).get(i, f"{label} hears you: that must have been hard. What happened next?") for i in ids]
    table = {
        "sample_id": ids,
        "response": texts,
        "finish_reason": ["length" if n % every_cut == 0 else "stop" for n in range(len(ids))],
        "prompt_tokens": [40] * len(ids),
        "completion_tokens": [12 + n % 9 for n in range(len(ids))],
    }
    workspace.generations.mkdir(exist_ok=True)
    path = workspace.generations / f"{model}.parquet"
    pl.DataFrame(table).write_parquet(path)
    record = GenerationRecord(
        model=model,
        label=label,
        path=f"/models/{model}",
        template=TemplateRecord(name="chat", hash="c" * 16),
        decoding={"do_sample": False, "max_new_tokens": 64},
        part="all",
        samples=len(ids),
        seconds=31.5,
        tokens_per_second=402.7,
        backend="transformers",
        key="k" * 32,
        rows="r" * 32,
    )
    write_json(path.with_suffix(".json"), json.loads(record.json_text()) | changed)
    return path


def write_trained(workspace: Workspace, *, moe_wins: bool = False) -> Workspace:
    """Everything: three trainings, the comparison, routers, and answers of every model."""
    for seed, name in enumerate(("sensibility", "rationality", "union")):
        write_training(workspace, name, seed=seed, steps=(120, 200, 320)[seed])
    write_comparison(workspace, moe_wins=moe_wins)
    write_routers(workspace)
    for model in MODELS:
        write_generations(workspace, model)
    return workspace
