"""Runs whose models have answered, without a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.moe.record import RouterTraining
from efficient_empathy.modelling.training.record import TokenCount
from scored_runs import write_run
from trained_runs import composition_record, write_comparison, write_generations, write_json, write_training

REPLIES = (
    "Oh no, that sounds so hard. I am sorry.",
    "How lovely! You must be so proud of her.",
    "Did you find them in the end, or not?",
    "What would help you most right now, then?",
)


def answered_run(
    root: Path, models: tuple[str, ...] = ("moe", "base", "sensibility"), dialogues: int = 30
) -> Workspace:
    """A test split of two samples a dialogue, as many for training, and models that say more and more of the reply."""
    samples = []
    for split in ("test", "train"):
        for i in range(dialogues):
            context = [Utterance("speaker", f"Story {i} of the {split} split.")]
            for turn in range(2):
                reply = f"{REPLIES[(i + turn) % 4]} {i}"
                options = {"dialogue_id": f"{split} {i}", "turn": 2 * turn + 1, "split": split}
                samples.append(Sample.of(context, reply, category=("sad", "joyful")[i % 2], **options))
                context = [*context, Utterance("listener", reply), Utterance("speaker", "And then?")]
    ones = [1.0] * len(samples)
    workspace = write_run(root, samples, {"sensibility": ones, "rationality": ones})
    asked = [sample for sample in samples if sample.split == "test"]
    for name in models:
        rng = np.random.default_rng(len(name))
        words = {"base": 2, "sensibility": 4, "moe": 7}.get(name, 3)
        said = {s.id: " ".join(s.response.split()[: words + int(rng.integers(2))]) for s in asked}
        write_generations(workspace, name, ids=[s.id for s in asked], responses=said, part="test")
    return workspace


def costed_run(root: Path) -> Workspace:
    """The same with experts on 28 and 14 of 56 samples, their average, and a mixture whose routers were trained."""
    workspace = answered_run(root, ("base", "sensibility", "rationality", "average", "moe"))
    for name, samples in (("sensibility", 28), ("rationality", 14)):
        write_training(workspace, name, samples=samples, tokens={"response": 100, "all": 1000}, seconds=10, flops=1e9)
    composition_record("average").write(workspace.average / "composition.json")
    training = RouterTraining(
        key="k",
        train="gates",
        router_data="union",
        samples=45,
        steps=3,
        seconds=5,
        tokens=TokenCount(response=10, all=2000),
        trainable_parameters=8,
        history=(),
        changed_tensors=("model.layers.0.mlp.gate.weight",),
        unchanged_count=20,
    )
    composition_record(training=training).write(workspace.moe / "composition.json")
    write_comparison(workspace)
    return workspace


def spoil(workspace: Workspace, model: str, row: int) -> str:
    """Let one of a model's responses be an error; the sample's id."""
    path = workspace.generations / f"{model}.parquet"
    frame = pl.read_parquet(path).with_row_index()
    frame = frame.with_columns(response=pl.when(pl.col("index") == row).then(None).otherwise("response"))
    frame.drop("index").write_parquet(path)
    sample = str(frame["sample_id"][row])
    told = json.loads(path.with_suffix(".json").read_text())
    write_json(path.with_suffix(".json"), told | {"failures": {sample: "HTTP 503"}})
    return sample
