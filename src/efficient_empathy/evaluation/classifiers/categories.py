"""Dialogues with categories, as the emotion classifier learns from them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from efficient_empathy.dialogues import Intake, OnBadRow, open_source
from efficient_empathy.evaluation.classifiers.data import Dimension, TrainingData
from efficient_empathy.foundation.errors import UserError

MOST_TEXTS = 30_000


def read_emotion(
    source: str | Path,
    *,
    folds: int,
    columns: Mapping[str, str] | None = None,
    format: str | None = None,  # noqa: A002
    on_bad_row: OnBadRow = "fail",
    most: int = MOST_TEXTS,
    seed: int = 0,
) -> TrainingData:
    """The openings and the responses of dialogues, each a text alone, with the dialogue's category.

    Anything that `dialogues.read` reads whose dialogues have a category (of EmpatheticDialogues: one of 32 emotions).
    Of more than `most` texts, whole dialogues are drawn. Raises `UserError` where there is no category or only one, and
    for one of fewer than `folds` dialogues.
    """
    opened = open_source(source, format=format, columns=columns, intake=Intake(on_bad_row))
    texts: dict[tuple[str, str, bool], str] = {}
    without = 0
    for sample in opened:
        category = sample.category.strip().lower() if sample.category else ""
        if not category:
            without += 1
            continue
        texts.setdefault((sample.dialogue_id, sample.context[0].text, True), category)
        texts.setdefault((sample.dialogue_id, sample.response, False), category)
    if not texts:
        raise UserError(
            f"{source} has no category: the emotion is learnt from the dialogues' categories "
            "(--column category=NAME says where they are)"
        )
    kept, left_out = _drawn(texts, most, seed)
    keys = list(kept)
    dialogues = Counter(category for _, category in {(key[0], category) for key, category in kept.items()})
    labels = tuple(sorted(dialogues))
    if len(labels) < 2:
        raise UserError(f"{source} has one category alone, {labels[0]!r}: there is nothing to tell apart")
    if few := [f"{name!r} has {count}" for name, count in sorted(dialogues.items()) if count < folds]:
        raise UserError(
            f"{source}: {folds} folds by dialogue need {folds} dialogues of each category or more; {few[0]}"
        )
    places = {label: place for place, label in enumerate(labels)}
    opening = np.array([key[2] for key in keys])
    dimension = Dimension("emotion", labels, np.array([places[kept[key]] for key in keys], np.int64))
    found = {"no category": without, "bad rows": opened.intake.bad_row_count, "drawn out": left_out}
    return TrainingData(
        [((), text) for _, text, _ in keys], [dimension], [key[0] for key in keys],
        {"openings": opening, "responses": ~opening}, {reason: count for reason, count in found.items() if count},
    )  # fmt: skip


def _drawn(
    texts: dict[tuple[str, str, bool], str], most: int, seed: int
) -> tuple[dict[tuple[str, str, bool], str], int]:
    """At most `most` texts, whole dialogues together, in their order; and how many were left out."""
    if len(texts) <= most:
        return texts, 0
    sizes = Counter(dialogue for dialogue, _, _ in texts)
    order = sorted(sizes)
    random.Random(seed).shuffle(order)
    chosen, total = set(), 0
    for dialogue in order:
        if total + sizes[dialogue] > most:
            break
        chosen.add(dialogue)
        total += sizes[dialogue]
    return {key: category for key, category in texts.items() if key[0] in chosen}, len(texts) - total
