"""Metrics without a library: mean length (a function of sums) and distinct words (a count of distinct things)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.evaluation.comparison import Contestant
from efficient_empathy.evaluation.metric import CombinedCounts, Figure, Sums
from efficient_empathy.evaluation.record import EvaluationRecord
from efficient_empathy.foundation.errors import UserError


@dataclass
class Kinds:
    texts: list[str]
    repeatable: bool = False

    @property
    def parts(self):
        return (self,)

    def under(self, weights=None):
        each = np.ones((1, len(self.texts))) if weights is None else weights
        kinds = sorted({word for text in self.texts for word in text.split()})
        counts = np.array([[word in text.split() for word in kinds] for text in self.texts], dtype=float)
        return {"kinds": ((each @ counts) > 0).sum(1).astype(float)}


class Lengths:
    """Higher `shared` (words of the reference that are said, in percent) is better, `length` is neither."""

    name = "lengths"
    figures = (
        Figure("shared", "higher", "Words of the reference that are said, in percent"),
        Figure("kinds", "higher", "Distinct words", 0),
        Figure("length", "neither", "Mean words", 1),
    )
    columns = ()
    about = {"words": "split on spaces", "versions": {"python": "3"}}  # noqa: RUF012

    def measure(self, rows, model=None):
        if (rows["prediction"] == "BROKEN").any():
            raise UserError("row 1 is broken")
        counts = [
            (len(set(p.split()) & set(r.split())), len(set(r.split())), len(p.split()), 1)
            for p, r in rows.select("prediction", "reference").iter_rows()
        ]
        sums = Sums(
            np.array(counts, dtype=float),
            lambda s: {"shared": 100 * s[:, 0] / s[:, 1], "length": s[:, 2] / s[:, 3]},
        )
        return CombinedCounts((sums, Kinds(rows["prediction"].to_list())))


class OfModel:
    """A figure of the model itself."""

    name = "of_model"
    figures = (Figure("ppl", "lower", "Perplexity"),)
    columns = ("model",)
    about = {}  # noqa: RUF012

    def measure(self, rows, model=None):
        return Sums(np.full((len(rows), 1), float(len(str(model)))), lambda s: {"ppl": s[:, 0] / len(rows)})


REFERENCES = [
    "oh no that sounds so hard I am sorry",
    "how lovely you must be so proud of her",
    "did you find them in the end or not",
    "what would help you most right now then",
]


def contestant(name: str, said: list[str], dialogues: int | None = None, **options) -> Contestant:
    """A model with the answers `said`, two rows a dialogue."""
    rows = pl.DataFrame(
        {
            "id": [f"s{i}" for i in range(len(said))],
            "dialogue_id": [f"d{i // 2}" if dialogues is None else f"d{i % dialogues}" for i in range(len(said))],
            "prediction": said,
            "reference": [REFERENCES[i % 4] for i in range(len(said))],
            "context": [[{"role": "speaker", "text": f"story {i}"}] for i in range(len(said))],
        }
    )
    return Contestant(name, options.pop("label", f"The {name}"), rows, **options)


def three(n: int = 40) -> list[Contestant]:
    """`base` says little, `moe` much of the reference, `same` what base says."""
    rng = np.random.default_rng(0)
    words = [REFERENCES[i % 4].split() for i in range(n)]
    base = [" ".join(w[: rng.integers(1, 3)]) for w in words]
    moe = [" ".join(w[: rng.integers(3, 9)]) for w in words]
    return [contestant("base", base), contestant("same", base), contestant("moe", moe)]


def edited(record: EvaluationRecord, edit: Callable[[dict[str, Any]], object]) -> EvaluationRecord:
    """The record with its content changed in place by `edit`."""
    content = json.loads(record.json_text())
    del content["version"]
    edit(content)
    return EvaluationRecord(**content)
