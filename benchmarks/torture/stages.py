"""What is killed: a command line for each stage, and the run that it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import efficient_empathy

DIALOGUES = Path(efficient_empathy.__file__).parent / "assets" / "dialogues"
CONVERSATIONS = {"train": 24, "valid": 4, "test": 6}
"""How many of the bundled conversations there are to score."""
ASK = "--model gpt-4o-mini --base-url {url} --concurrency 4"
TRAIN = "--batch-size 4 --max-steps 2 --set save_every=1 --set max_held_out=4"
RECIPE = """
name: torture
data: {{source: {source}}}
score: {{judge: openai, model: gpt-4o-mini, base_url: "{url}", concurrency: 4}}
select: {{policy: paper}}
"""


@dataclass(frozen=True)
class Stage:
    """One command that is killed."""

    name: str
    start: str
    """The state of the run that it starts from, by the name of the stage that leaves it; empty for none."""
    command: str
    """`{run}`, `{out}`, `{source}`, `{url}`, `{host}` and `{recipe}` are places."""
    kills: int
    """How many it gets of a thousand or so: fewer, where it takes long."""
    once: bool = False
    """Whether it refuses to do again what is done, so that a kill after its end is none."""

    def arguments(self, **places: object) -> list[str]:
        """The command line."""
        return self.command.format(**places).split()


STAGES: Sequence[Stage] = (
    Stage("score", "", f"score {{source}} --run {{run}} --judge openai {ASK} --max-cost 1", 110),
    Stage(
        "score in batches", "",
        f"score {{source}} --run {{run}} --judge openai {ASK} --max-cost 1 --batch --wait --poll 0 --batch-rows 25", 60,
    ),
    Stage("score embedded", "", "score {source} --run {run}", 26),
    Stage("score by a panel", "", f"score {{source}} --run {{run}} --judge openai --judge distilled {ASK}", 36),
    Stage(
        "cascade", "",
        f"cascade {{source}} --run {{run}} --expert openai --calibration 12 --check 4 --error 0.3 {ASK}", 36,
    ),
    Stage("refresh", "score", f"refresh --run {{run}} --which uncertain -k 1 --judge openai {ASK} --max-cost 1", 60),
    Stage("select", "score", "select --run {run}", 100),
    Stage("sweep", "select", "sweep --run {run} --alphas 4:6 --betas 4:6", 54),
    Stage("tune", "select", "tune --run {run} --target balance --alphas 4:6 --betas 4:6 --resamples 100", 40),
    Stage("train", "select", f"train --run {{run}} --subset sensibility {TRAIN}", 36),
    Stage("train another", "train", f"train --run {{run}} --subset rationality {TRAIN}", 14),
    Stage("mix", "train another", "mix --run {run} --batch-size 4 --max-samples 8 --resamples 100", 26),
    Stage("generate", "mix", "generate --run {run} --model moe --samples 6 --max-new-tokens 6 --batch-size 2", 26),
    Stage("generate others", "generate", "generate --run {run} --model base --samples 6 --max-new-tokens 6", 12),
    Stage(
        "generate by an endpoint", "select",
        "generate --run {run} --name far --samples 12 --max-cost 1 " + ASK, 60,
    ),
    Stage("evaluate", "generate others", "evaluate --run {run} --metrics official,texts --resamples 100", 30),
    Stage(
        "evaluate by a judge", "generate others",
        f"evaluate --run {{run}} --metrics quality --judge openai --resamples 100 {ASK} --max-cost 1", 60,
    ),
    Stage(
        "pairwise", "generate others",
        f"pairwise --run {{run}} --a moe --b base --judge openai --resamples 100 {ASK} --max-cost 1", 66,
    ),
    Stage("analytics", "select", "analytics --run {run} --resamples 100 -o {out}/analytics.json", 30),
    Stage("report", "generate others", "report --run {run}", 40),
    Stage("agreement", "select", "agreement a={run} b={run} -o {out}/agreement --resamples 100", 30),
    Stage(
        "ratings", "generate others",
        "ratings sheets --run {run} --models moe,base --raters 2 --samples 4", 66, once=True,
    ),
    Stage("distill", "score", "distill --run {run} -o {out}/judge --folds 2 --epochs 1 --max-tokens 16", 4),
    Stage("predict", "", "predict {source} -o {out}/figures.parquet", 26),
    Stage("run", "", "run {recipe} --run {run} --allow key:OPENAI_API_KEY@{host}", 50),
)  # fmt: skip


def write_inputs(folder: Path, url: str) -> dict[str, object]:
    """The samples and the recipe that the commands take; `source` and `recipe` as their places."""
    source = folder / "source"
    source.mkdir(exist_ok=True)
    for name, count in CONVERSATIONS.items():
        lines = (DIALOGUES / f"{name}.jsonl").read_text("utf-8").splitlines(keepends=True)
        (source / f"{name}.jsonl").write_text("".join(lines[:count]), "utf-8")
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(source=source, url=url), "utf-8")
    return {"source": source, "recipe": recipe, "url": url, "host": urlsplit(url).netloc}
