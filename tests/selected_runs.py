"""Runs that are scored and selected, small enough to train on in a second."""

from __future__ import annotations

from pathlib import Path

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection import select
from scored_runs import write_run

SCORES = {"sensibility": (9, 2), "rationality": (2, 9), "discard": (3, 3)}
REPLIES = {
    "sensibility": "oh no, that sounds so frustrating, I'm sorry",
    "rationality": "did you find them in the end? what would help right now?",
    "discard": "lovely",
}


def selected_run(root: Path, dialogues: int = 60, split: str | None = None) -> Workspace:
    """Every dialogue has two samples; in turn half go to sensibility, a third to rationality, a sixth to discard."""
    subsets = [("sensibility", "rationality", "sensibility", "rationality", "sensibility", "discard")[i % 6]
               for i in range(dialogues)]  # fmt: skip
    samples, scores = [], []
    for i, subset in enumerate(subsets):
        context = [Utterance("speaker", f"I lost my keys {i} " + "and my day went wrong " * (i % 3))]
        for turn in range(2):
            reply = REPLIES[subset]
            samples.append(Sample.of(context, reply, dialogue_id=f"d{i}", turn=2 * turn + 1, split=split))
            scores.append(SCORES[subset])
            context = [*context, Utterance("listener", reply), Utterance("speaker", "I am afraid to tell my parents")]
    axes = {"sensibility": [s for s, _ in scores], "rationality": [r for _, r in scores]}
    workspace = write_run(root, samples, axes)
    select(workspace)
    return workspace
