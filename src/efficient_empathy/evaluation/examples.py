"""The samples where models differ most, to be read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from efficient_empathy.evaluation.comparing import Contestant
from efficient_empathy.selection.ties import tie_hash

COUNT = 6
LONG_ENOUGH = 5
"""Words of a reference below which sharing one is luck; such samples come last."""
_WORD = re.compile(r"[\w']+")


def differing(contestants: Sequence[Contestant], *, count: int = COUNT, seed: int = 0) -> list[dict[str, Any]]:
    """At most `count` samples, no two of a dialogue, on which the models' word overlap with the reference differs most.

    The overlap is the token F1 of the two bags of lower-cased words (as SQuAD's, Rajpurkar et al. 2016). Equal
    differences are ordered by a seeded hash of the sample. Each has `sample_id`, `context`, `reference`, `responses` by
    model, and `why`.
    """
    first = contestants[0].rows
    references = [_words(text) for text in first["reference"]]
    overlaps = np.array(
        [
            [token_f1(_words(text), words) for text, words in zip(one.rows["prediction"], references, strict=True)]
            for one in contestants
        ]
    )
    spread = overlaps.max(0) - overlaps.min(0)
    short = np.array([words.total() < LONG_ENOUGH for words in references])
    order = np.lexsort((tie_hash(first["id"], seed), -spread, short))
    dialogues = first["dialogue_id"].to_list()
    taken: dict[str, int] = {}
    for row in order[spread[order] > 0].tolist():
        if len(taken) == count:
            break
        taken.setdefault(dialogues[row], row)
    return [_example(contestants, row, overlaps[:, row]) for row in taken.values()]


def token_f1(prediction: Counter[str], reference: Counter[str]) -> float:
    """2 × shared words ÷ all words of both; 0 where there are none."""
    total = prediction.total() + reference.total()
    return 2 * (prediction & reference).total() / total if total else 0.0


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.lower()))


def _example(contestants: Sequence[Contestant], row: int, overlaps: Any) -> dict[str, Any]:
    best, worst = contestants[int(overlaps.argmax())], contestants[int(overlaps.argmin())]
    rows = contestants[0].rows
    return {
        "sample_id": rows["id"][row],
        "context": rows["context"].slice(row, 1).to_list()[0] if "context" in rows.columns else [],
        "reference": rows["reference"][row],
        "responses": {one.name: one.rows["prediction"][row] for one in contestants},
        "why": f"word overlap with the reference: {best.label} {overlaps.max():.2f}, "
        f"{worst.label} {overlaps.min():.2f}",
    }
