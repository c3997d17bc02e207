"""The paper's experiment on a tiny model: does training on the selected part of EmpatheticDialogues beat all of it?

    python -m benchmarks.paper_experiment ../shared/data -o runs/paper [--seeds 0 1 2] [--dialogues 2500]
        [--learning-rate 3e-4] [--answers 1000] [--epitome FOLDER] [--tables]

A base is pre-trained on dialogues that are not EmpatheticDialogues (scripts/pretrain_base.py). ED's training and test
split are scored by the distilled judge and selected by the policy `paper`. Every seed draws dialogues of its own from
the training split, none in two draws, and trains on their samples, one epoch each: all, random (as many as
sensibility), sensibility, rationality, discard; averages and mixes the two experts, trains the routers on the union.
`all` and `sensibility` are also compared at equal steps (`sensibility-long`). Measured on ED's test split: perplexity
of the references, all and of each subset that the judge finds in them, and figures of the greedy responses to a fixed
sample of contexts.

Each step is kept: the same command goes on where a killed one stopped, and several may run at once with a seed each.
`--tables` prints the Markdown of what is there. FOLDER is what `efficient-empathy fit-metric epitome` made.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

import efficient_empathy as ee
from benchmarks.paper_tables import LONG, SUBSETS, losses_at, tables
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.stages import SelectRecord
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.recipe import DIALOGUES
from efficient_empathy.scoring.record import ScoreRecord
from efficient_empathy.selection.shares import tie_hash

ROOT = Path(__file__).parents[1]
MODELS = ("all", "random", *SUBSETS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with empathetic_dialogues, esconv and ratings")
    parser.add_argument("-o", "--output", type=Path, required=True, help="where to work")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--dialogues", type=int, default=2500, help="of the training split, for each seed")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--answers", type=int, default=1000, help="test contexts that are answered")
    parser.add_argument("--epitome", type=Path, help="the fitted classifiers")
    parser.add_argument("--tables", action="store_true", help="only print what is there")
    options = parser.parse_args()
    work = options.output
    if not options.tables:
        base(options.data, work)
        for part in ("train", "test"):
            score_split(options.data, work, part)
        for step in (paper, equal_steps):
            for seed in options.seeds:
                step(work, seed, options)
    print(tables(work, options.seeds, options.epitome))


def base(data: Path, work: Path) -> None:
    """Pre-train on what is not EmpatheticDialogues."""
    if (work / "base" / "README.md").exists():
        return
    sources = work / "sources"
    sources.mkdir(parents=True, exist_ok=True)
    for name, talks in (("epitome", epitome(data)), ("lend_an_ear", lend_an_ear(data))):
        lines = [json.dumps({"id": key, "messages": messages}) + "\n" for key, messages in talks]
        (sources / f"{name}.jsonl").write_text("".join(lines), "utf-8")
    files = [data / "esconv" / f"{name}.jsonl.gz" for name in ("esconv", "failed_esconv")]
    files += [sources / "epitome.jsonl", sources / "lend_an_ear.jsonl"]
    files += [DIALOGUES / "train.jsonl", DIALOGUES / "test.jsonl"]
    scripts = ROOT / "scripts"
    how = ["--batch-tokens", "4096", "--epochs", "2.5", "--card", scripts / "base_without_ed_card.md"]
    command = [sys.executable, scripts / "pretrain_base.py", *files, "-o", work / "base", *how]
    subprocess.run([str(part) for part in command], check=True)


def lines_of(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def epitome(data: Path) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """EPITOME's pairs of posts."""
    for row in lines_of(data / "ratings" / "epitome.jsonl.gz"):
        turns = (("user", row["seeker_post"]), ("assistant", row["response_post"]))
        yield str(row["row"]), [{"role": role, "content": text} for role, text in turns]


def lend_an_ear(data: Path) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The conversations of Kumar et al. that are neither EmpatheticDialogues nor EPITOME again."""
    roles = {"Seeker": "user", "Supporter": "assistant"}
    for row in lines_of(data / "ratings" / "kumar2025_texts.jsonl.gz"):
        if row["dataset"] != "lend_an_ear":
            continue
        turns: list[dict[str, str]] = []
        for line in filter(None, map(str.strip, row["conversation"].splitlines())):
            who, _, text = line.partition(":")
            if who in roles:
                turns.append({"role": roles[who], "content": text.strip()})
            elif turns:
                turns[-1]["content"] += f" {line}"
        yield row["item_id"], [turn for turn in turns if turn["content"]]


def score_split(data: Path, work: Path, part: str) -> None:
    """Score one split of ED and select it."""
    ee.score(data / "empathetic_dialogues" / f"{part}.csv.gz", work / f"ed-{part}")
    ee.select(work / f"ed-{part}")


def settings(work: Path, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """How every model is trained: all parameters, and what the paper has else, but for the learning rate."""
    return {
        "base": str(work / "base"), "method": "full", "learning_rate": options.learning_rate, "warmup_ratio": 0.05,
        "max_length": 256, "seed": seed, "held_out": 0.02, "evaluate_every": 0,
    }  # fmt: skip


def paper(work: Path, seed: int, options: argparse.Namespace) -> None:
    """One seed as in the paper: an epoch on each part, the average, the mixture."""
    workspace = draw_run(work, seed, options.dialogues)
    for name in MODELS:
        ee.train_expert(workspace.root, name, **settings(work, seed, options))
    ee.mix(workspace.root, seed=seed)
    measure(work, workspace, seed, ("base", *MODELS, "average", "moe"), options.answers)


def equal_steps(work: Path, seed: int, options: argparse.Namespace) -> None:
    """Sensibility for as many steps as all."""
    workspace = draw_run(work, seed, options.dialogues)
    steps = json.loads((workspace.experts / "all" / "training.json").read_text("utf-8"))["steps"]
    ee.train_expert(workspace.root, "sensibility", name=LONG, max_steps=steps, **settings(work, seed, options))
    measure(work, workspace, seed, [LONG], options.answers)


def draw_run(work: Path, seed: int, dialogues: int) -> Workspace:
    """A run with the seed's own dialogues of the training split, and all of the test split."""
    workspace = Workspace(work / f"seed-{seed}")
    if workspace.assignments.exists():
        return workspace
    train, test = (Workspace(work / f"ed-{part}") for part in ("train", "test"))
    samples, test_samples = pl.read_parquet(train.samples), pl.read_parquet(test.samples)
    in_test = samples.filter(pl.col("sample_id").is_in(test_samples["sample_id"].implode()))["dialogue_id"]
    ids = samples["dialogue_id"].unique(maintain_order=True)
    ids = ids.filter(~ids.is_in(in_test.implode()))
    order = tie_hash(ids, 0).argsort(kind="stable")[seed * dialogues : (seed + 1) * dialogues]
    in_draw = samples["dialogue_id"].is_in(ids.gather(order).implode())
    for name in ("samples", "scores", "assignments"):
        rows = pl.concat([pl.read_parquet(getattr(train, name)).filter(in_draw), pl.read_parquet(getattr(test, name))])
        with atomic(getattr(workspace, name)) as path:
            rows.write_parquet(path)
    scoring, selecting = train.stage("score", ScoreRecord), train.stage("select", SelectRecord)
    assert scoring is not None
    assert selecting is not None
    workspace.record("score", scoring.model_copy(update={"samples": len(rows)}))
    counts = {str(name): count for name, count in rows["subset"].value_counts().iter_rows()}
    workspace.record("select", selecting.model_copy(update={"subsets": counts}))
    return workspace


def measure(work: Path, workspace: Workspace, seed: int, names: Sequence[str], answers: int) -> None:
    """Of each model the losses of the test split's references, and its answers."""
    from efficient_empathy.modelling.training.examples import conversational
    from efficient_empathy.modelling.training.loss import response_losses
    from efficient_empathy.modelling.training.models import load_model, load_tokenizer

    rows = conversational(pl.read_parquet(Workspace(work / "ed-test").samples), PromptTemplate.load("chat"))
    elsewhere = {"base": work / "base", "average": workspace.average, "moe": workspace.moe}
    for name in names:
        folder = elsewhere.get(name, workspace.experts / name)
        out = losses_at(work, name, seed)
        if not out.exists():
            model, tokenizer = load_model(folder), load_tokenizer(folder)
            with atomic(out) as path:
                response_losses(model, tokenizer, rows, max_length=256).write_parquet(path)
        ee.generate(workspace.root, name, samples=answers, max_new_tokens=64)


if __name__ == "__main__":
    main()
