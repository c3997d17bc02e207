"""Runs with a structure that was put there: what analytics must find, and no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection import select
from scored_runs import write_run

CATEGORIES = ("sad", "joyful", "angry", "proud")
ABOUT = {
    "sad": "grandmother died hospital funeral grief tears goodbye",
    "joyful": "birthday party cake balloons music dancing cousins",
    "angry": "neighbour parking noise drilling shouting fence landlord",
    "proud": "exam medal graduation trophy studying university marathon",
}
RUBRIC = {"name": "empathy-selection", "hash": "0123", "axes": {"sensibility": [0, 10], "rationality": [0, 10]}}
WORDS = [
    "quiet",
    "garden",
    "morning",
    "stay",
    "listen",
    "maybe",
    "later",
    "walk",
    "tell",
    "again",
    "slowly",
    "bring",
    "water",
    "window",
    "letter",
]


def sample(
    response: str, context: str | Sequence[str] = "I lost my keys today.", *, dialogue: str = "d", turn: int = 1,
    category: str | None = None, split: str | None = None,
) -> Sample:  # fmt: skip
    """One sample; of several turns the speaker has the first."""
    turns = [context] if isinstance(context, str) else context
    spoken = [Utterance(("speaker", "listener")[i % 2], text) for i, text in enumerate(turns)]  # type: ignore[arg-type]
    return Sample.of(spoken, response, dialogue_id=dialogue, turn=turn, category=category, split=split)


def scored(root: Path, samples: Sequence[Sample], **options: object) -> Workspace:
    """A run of samples that all have sensibility 8 and rationality 3, unless `scores` says otherwise."""
    default = {"sensibility": [8.0] * len(samples), "rationality": [3.0] * len(samples)}
    scores = options.pop("scores", default)
    return write_run(root, samples, scores, **{"rubric": RUBRIC, **options})  # type: ignore[arg-type]


def planted_run(
    root: Path,
    dialogues: int = 240,
    *,
    sensibility: Callable[[int, str], float] = lambda i, category: 2.0 if category == "angry" else 7.0,
    categories: Sequence[str | None] = CATEGORIES,
    seed: int = 0,
    policy: bool = True,
) -> Workspace:
    """Two samples a dialogue, about the things of its category; rationality goes with the length of the response.

    By default the category angry has a sensibility of about 2, all others of about 7; `categories` may be None, the
    speakers talk of the four things in turn anyway.
    """
    rng = np.random.default_rng(seed)
    samples, scores = [], []
    for i in range(dialogues):
        topic, category = CATEGORIES[i % 4], categories[i % len(categories)]
        said = " ".join(rng.permutation(ABOUT[topic].split())[:5])
        context = [f"It was about {said} number {i}."]
        for turn in range(2):
            length = int(rng.integers(4, 16))
            reply = " ".join(rng.choice(WORDS, length)) + (" What then?" if i % 5 == 0 else ".")
            options = {"dialogue": f"d{i}", "turn": 2 * turn + 1, "split": "train" if i < dialogues / 2 else "valid"}
            samples.append(sample(reply, context, category=category, **options))  # type: ignore[arg-type]
            level = sensibility(i, topic) + rng.normal()
            scores.append((level, length / 2 + rng.normal() / 4))
            context = [*context, reply, f"And then there was {said} again {turn}."]
    whole = np.clip(np.round(scores), 0, 10)
    axes = {"sensibility": whole[:, 0].tolist(), "rationality": whole[:, 1].tolist()}
    workspace = scored(root, samples, scores=axes, conversations=dialogues)
    if policy:
        select(workspace)
    return workspace
