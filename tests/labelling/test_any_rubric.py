"""Rubrics of one and of three axes with policies of their own: distilled, then through a cascade and a refresh."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch", reason='needs the extra "train"')
pytest.importorskip("transformers", reason='needs the extra "train"')

from rich.console import Console
from transformers import BertConfig, BertModel, set_seed

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.cascade.settings import CascadeSettings
from efficient_empathy.labelling.cascade.stage import cascade
from efficient_empathy.labelling.distillation.settings import DistillSettings, StudentSettings
from efficient_empathy.labelling.distillation.stage import distill
from efficient_empathy.labelling.prediction import PredictionSettings, Predictor
from efficient_empathy.labelling.refresh.record import RefreshRecord
from efficient_empathy.labelling.refresh.settings import RefreshSettings
from efficient_empathy.labelling.refresh.stage import refresh
from efficient_empathy.scoring import Judgement, Rubric
from efficient_empathy.scoring.judges.distilled import BUNDLED
from efficient_empathy.scoring.stage import score
from efficient_empathy.selection import select
from judge_specs import spec_of
from misbehaving_server import MisbehavingServer
from misbehaviours import ok
from predicted_runs import asked

QUIET = Console(file=io.StringIO())
STUDENT = StudentSettings(epochs=9, learning_rate=2e-3, head_learning_rate=1e-2, max_tokens=32)
REPLIES = ("i am so sorry , that must hurt", "whatever , not my problem", "call the vet first , then rest")
RUBRICS = {
    "three": (
        {"warmth": (1, 5), "clarity": (0, 3), "safety": (1, 4)},
        [(5, 1, 4), (1, 1, 1), (3, 3, 4)],
        "thresholds: {warm: 3}\nrules:\n  - unsafe: safety < 2\n  - warm: warmth > warm\n  - clear: clarity >= 2\n"
        "otherwise: unsafe\n",
    ),
    "one": ({"depth": (2, 8)}, [(8,), (2,), (5,)], "thresholds: {low: 4}\nrules:\n  - deep: depth > low\n"),
}


@dataclass
class Mine:
    """A rubric, its policy's file, a source of dialogues, and what an expert says of each reply."""

    rubric: Rubric
    policy: Path
    source: Path
    scores: dict[str, tuple[int, ...]]
    judge: Path

    def score_of(self, reply: str) -> dict[str, int]:
        """The expert's scores of a reply, by axis."""
        text = next(known for known in REPLIES if reply.startswith(known))
        return dict(zip(self.rubric.axis_names, self.scores[text], strict=True))


class Expert:
    """An expert in Python; `lower` takes that much off the first axis."""

    name, concurrency = "expert", 1

    def __init__(self, mine: Mine, lower: int = 0) -> None:
        self.mine, self.lower, self.spec = mine, lower, spec_of("expert", rubric=mine.rubric.hash, lower=lower)
        self.judged = 0

    async def judge(self, samples: Any) -> list[Judgement]:
        self.judged += len(samples)
        result = [self.mine.score_of(sample.response) for sample in samples]
        first = self.mine.rubric.axes[0]
        lowered = [{**one, first.name: max(first.scale[0], one[first.name] - self.lower)} for one in result]
        return [
            Judgement(s.id, "ok", self.name, self.mine.rubric.hash, scores)
            for s, scores in zip(samples, lowered, strict=True)
        ]


@pytest.fixture(scope="module", params=list(RUBRICS))
def mine(request, tmp_path_factory) -> Mine:
    """A distilled judge of a rubric, made from a run that the expert has judged."""
    scales, scores, policy = RUBRICS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    axes = [{"name": name, "scale": list(scale), "description": "."} for name, scale in scales.items()]
    prompt = "{axes} {context} {response} {reply}"
    (folder / "rubric.yaml").write_text(json.dumps({"name": "mine", "axes": axes, "prompt": prompt}))
    (folder / "policy.yaml").write_text(f"name: mine\n{policy}")
    rows = [
        {"messages": [{"role": "user", "content": f"my dog number {i} died"},
                      {"role": "assistant", "content": f"{REPLIES[i % 3]} , number {i}"}]}
        for i in range(180)
    ]  # fmt: skip
    (folder / "chats.jsonl").write_text("\n".join(map(json.dumps, rows)))
    base = folder / "base"
    set_seed(0)
    config = BertConfig(vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=64)  # fmt: skip
    BertModel(config).save_pretrained(base)
    (base / "tokenizer.json").write_bytes((BUNDLED / "tokenizer.json").read_bytes())
    rubric = Rubric.load(folder / "rubric.yaml")
    known = dict(zip(REPLIES, scores, strict=True))
    result = Mine(rubric, folder / "policy.yaml", folder / "chats.jsonl", known, folder / "judge")
    score(result.source, Workspace(folder / "run"), Expert(result), rubric, console=QUIET)
    settings = DistillSettings(base=str(base), folds=2, student=STUDENT, policy=str(result.policy))
    figures = distill(Workspace(folder / "run"), result.judge, rubric, settings)
    assert list(figures["axes"]) == list(scales)
    assert figures["labels"]["accuracy_most_probable"] > 0.8
    assert "The subsets of the policy `mine`" in (result.judge / "README.md").read_text("utf-8")
    return result


def truth(mine: Mine, workspace: Workspace) -> list[str]:
    """The subset of every sample of a run by the expert's scores."""
    other = Workspace(workspace.root.parent / "truth")
    score(mine.source, other, Expert(mine), mine.rubric, console=QUIET)
    select(other, policy=str(mine.policy))
    return pl.read_parquet(other.assignments)["subset"].to_list()


def test_a_cascade_guarantees_the_subsets_of_the_policy(mine: Mine, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "run")
    known: dict[str, str] = {}
    score(mine.source, workspace, f"distilled:{mine.judge}", mine.rubric, console=QUIET)
    for sample, response in pl.read_parquet(workspace.samples).select("sample_id", "response").iter_rows():
        known[sample[:12]] = response

    def answer(body: dict[str, Any], number: int) -> Any:
        return ok(json.dumps(mine.score_of(known[asked(body)])))

    with MisbehavingServer(answer) as server:
        settings = CascadeSettings(
            expert=f"openai:gpt-4o-mini@{server.url}", policy=str(mine.policy), error=0.15, check=20, rounds=1
        )
        options = {"concurrency": 4, "folder": mine.judge}
        result = cascade(mine.source, workspace, settings, mine.rubric, options, console=QUIET)
        assert len(server.requests) < 300
    record = result.cascade
    assert record.policy["name"] == "mine"
    assert record.guarantee.answered > 0
    output = select(workspace, policy=str(mine.policy))
    assert output.decided_on == "most probable subsets"
    labels = pl.read_parquet(workspace.assignments)["subset"].to_list()
    assert np.mean([a != b for a, b in zip(labels, truth(mine, workspace), strict=True)]) <= 0.15


def test_a_refresh_judges_what_is_near_a_threshold_of_the_policy(mine: Mine, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "run")
    score(mine.source, workspace, Expert(mine), mine.rubric, console=QUIET)
    select(workspace, policy=str(mine.policy))
    other = Expert(mine, lower=3)
    result = refresh(workspace, rubric=mine.rubric, judge=other, console=QUIET)
    near = 60  # of the three replies one stands within a point of a threshold
    assert (result.why, result.judged, other.judged) == ({"reach": near}, near, near)
    assert (result.policy, result.ending) == ("mine", "complete")
    record = workspace.stage("refresh", RefreshRecord)
    assert record is not None
    assert record.targets == near
    assert set(record.spread) == set(mine.rubric.axis_names)
    select(workspace, policy=str(mine.policy))
    assert refresh(workspace, judge=Expert(mine, lower=3), rubric=mine.rubric, console=QUIET).judged == 0


def test_what_the_distilled_judge_is_unsure_of_is_judged_again(mine: Mine, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "run")
    score(mine.source, workspace, f"distilled:{mine.judge}", mine.rubric, console=QUIET)
    select(workspace, policy=str(mine.policy))
    rows = pl.read_parquet(workspace.assignments)
    own = np.array([row[f"p_{row['subset']}"] for row in rows.iter_rows(named=True)], np.float32)
    limit = float((1 - own).max()) / 2
    settings = RefreshSettings(policy="mine", uncertainty=limit, pool="first")
    expert = Expert(mine)
    result = refresh(workspace, settings, mine.rubric, judge=expert, console=QUIET)
    unsure = int((own < np.float32(1 - limit)).sum())  # none where the judge is certain of every sample
    assert result.why == ({"distribution": unsure} if unsure else {})
    assert expert.judged == unsure < len(own)


def test_new_conversations_are_predicted_on_its_axes(mine: Mine) -> None:
    predictor = Predictor(PredictionSettings(judge_model=mine.judge, policy=str(mine.policy)))
    assert predictor.axes == mine.rubric.axis_names
    assert [name for name in predictor.schema.names() if name.startswith("p_")] == [
        f"p_{subset}" for subset in predictor.policy.subsets
    ]
