"""Golden sets, and a judge that has an opinion of every item, reads the anchors of the rubric, and can be spoilt.

with MisbehavingServer(Opinionated(seed=1)) as server: ...
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from efficient_empathy.dialogues import Sample
from efficient_empathy.prompts.golden.golden_set import GoldenItem, write_golden
from efficient_empathy.prompts.golden.records import GoldenManifest, Origin, RubricNote
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.selection.policies import load_policy
from misbehaviours import Behaviour, ok
from scored_runs import numbered

AXES = ("sensibility", "rationality")
RUBRIC = Rubric.load()
_MARK = re.compile(r"<<<response ([0-9a-f]{12})")
_ANCHOR = re.compile(r"^  (\d+) = (.*)$", re.MULTILINE)


def opinion(mark: str) -> tuple[float, float]:
    """What the judge thinks of an item, on the scales of the bundled rubric, from the first digits of its id."""
    rng = random.Random(mark)
    return tuple(min(10.0, max(0.0, rng.gauss(middle, 2.0))) for middle in (6.5, 4.0))  # type: ignore[return-value]


def samples(n: int, categories: int = 5) -> list[Sample]:
    return [numbered(i, f"category {i % categories}", response=f"That must be hard, number {i}.") for i in range(n)]


def golden_set(folder: Path, n: int = 200, **told: Any) -> Path:
    """Expectations are what the judge thinks, as whole scores."""
    items = []
    for sample in samples(n):
        expected = {axis: (round(s), round(s)) for axis, s in zip(AXES, opinion(sample.id[:12]), strict=True)}
        items.append(GoldenItem(sample, expected))
    policy = load_policy("paper")
    fields = {"name": "mine", "rubric": RubricNote.of(RUBRIC), "origin": Origin(by="hand"), "policy": policy, **told}
    write_golden(folder, items, GoldenManifest(items=n, corpus="", **fields))
    return folder


def shifted_rubric(by: int = 2) -> dict[str, Any]:
    """The bundled rubric with the same meanings at lower numbers; as YAML has it."""
    told = RUBRIC.model_dump(mode="json")
    for axis in told["axes"]:
        axis["anchors"] = {max(i, int(v) - by): meaning for i, (v, meaning) in enumerate(axis["anchors"].items())}
    return told


class Opinionated:
    """A script for `MisbehavingServer`: answers with its opinion of the item, put into the numbers that the prompt's
    anchors give to their meanings, with noise of its own; the `fail`th share of requests gets prose."""

    def __init__(
        self,
        seed: int = 0,
        *,
        noise: tuple[int, ...] = (-1, 0, 0, 0, 1),
        more_noise: int = 0,
        every_third: int = 0,
        add: float = 0.0,
        fail: float = 0.0,
    ) -> None:
        self.seed, self.noise, self.more_noise = seed, noise, more_noise
        self.every_third, self.add, self.fail = every_third, add, fail
        self.asked: Counter[str] = Counter()

    def __call__(self, body: dict[str, Any], number: int) -> Behaviour:
        prompt = body["messages"][-1]["content"]
        mark = _MARK.search(prompt)[1]  # type: ignore[index]
        self.asked[mark] += 1
        rng = random.Random(f"{self.seed} {mark} {self.asked[mark]}")
        if rng.random() < self.fail:
            return ok("What a kind listener.")
        scores = {}
        for axis, thought in zip(RUBRIC.axes, opinion(mark), strict=True):
            scores[axis.name] = self._score(rng, axis, thought, prompt)
        return ok(json.dumps(scores))

    def _score(self, rng: random.Random, axis: Any, thought: float, prompt: str) -> int:
        said = {meaning: int(value) for value, meaning in _ANCHOR.findall(prompt)}
        meant = sorted(axis.anchors.items())
        score = np.interp(thought, [v for v, _ in meant], [said[meaning] for _, meaning in meant])
        score = round(float(score)) + rng.choice(self.noise)
        score += rng.choice((-self.more_noise, 0, self.more_noise))
        if self.every_third and rng.random() < 1 / 3:
            score += self.every_third
        if rng.random() < self.add:
            score += 1
        return min(10, max(0, score))
