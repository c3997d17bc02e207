"""A run that the distilled judge has scored, and an expert that agrees with it about as often as it believes."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from filelock import FileLock

from efficient_empathy.dialogues import open_source
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.cascade.predictions import Predictions, read_predictions
from efficient_empathy.labelling.subsets import bind_rules
from efficient_empathy.recipe import DIALOGUES
from efficient_empathy.scoring import Ledger, Rubric
from efficient_empathy.scoring.stage import score
from efficient_empathy.selection import select
from efficient_empathy.selection.policies import load_policy
from misbehaviours import Behaviour, ok, raw

SAMPLES = 400
ASKED = re.compile(r"<<<response ([0-9a-f]{12})")


@dataclass
class PredictedRun:
    """`source` is what was scored into `run`; `scores` are the expert's, shape (samples, 2)."""

    source: Path
    run: Path
    predictions: Predictions
    scores: np.ndarray

    def copy(self, where: Path) -> Workspace:
        """A run of its own, with the distilled judge's work done."""
        return Workspace(shutil.copytree(self.run, where))

    def expert(self, shift: int = 0, fails: Callable[[str, int], bool] = lambda mark, number: False) -> Any:
        """A server's script: the expert's scores of the sample that is asked for, `shift` added to sensibility."""
        known = {sample[:12]: row for sample, row in zip(self.predictions.ids, self.scores, strict=True)}

        def answer(body: dict[str, Any], number: int) -> Behaviour:
            mark = asked(body)
            if fails(mark, number):
                return raw(b'{"error": {"message": "filtered", "code": "content_filter"}}', 400)
            sensibility, rationality = known[mark]
            return ok(f"- Sensibility: {min(10, max(0, int(sensibility) + shift))}\n- Rationality: {int(rationality)}")

        return answer


def asked(body: dict[str, Any]) -> str:
    """Which sample a request is about: the first twelve digits of its id."""
    found = ASKED.search(body["messages"][-1]["content"])
    assert found
    return found[1]


@pytest.fixture(scope="session")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> PredictedRun:
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "predicted"
    with FileLock(f"{folder}.lock"):  # the processes of a session share it
        if not (folder / "run").exists():
            _score_into(folder)
    workspace = Workspace(folder / "run")
    with Ledger(workspace.ledger) as ledger:
        bound = bind_rules(load_policy("paper"), Rubric.load())
        predictions = read_predictions(workspace, ledger, ledger.specs()[0], bound)
    rng = np.random.default_rng(0)
    sharp = np.stack(predictions.tables, axis=1) ** 3
    sharp /= sharp.sum(-1, keepdims=True)
    scores = np.array([[rng.choice(11, p=row / row.sum()) for row in sample] for sample in sharp.astype(np.float64)])
    return PredictedRun(folder / "dialogues.jsonl", workspace.root, predictions, scores.astype(np.float64))


def _score_into(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    lines = (DIALOGUES / "train.jsonl").read_text("utf-8").splitlines(keepends=True)
    source = folder / "dialogues.jsonl"
    source.write_text("".join(lines[: SAMPLES // 2]), "utf-8")
    assert sum(1 for _ in open_source(source)) >= SAMPLES * 0.9
    score(source, Workspace(folder / "run"))


def wrong_share(predicted: PredictedRun, workspace: Workspace) -> float:
    """Of the selection's labels, how many differ from the expert's."""
    select(workspace)
    labels = pl.read_parquet(workspace.assignments)["subset"].to_list()
    truth = predicted.predictions.labels_of(predicted.scores)
    return float(np.mean([predicted.predictions.subsets[k] != label for k, label in zip(truth, labels, strict=True)]))
