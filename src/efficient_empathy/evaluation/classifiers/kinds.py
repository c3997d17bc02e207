"""What can be fitted: which labels each kind of classifier gives, what it reads, and how its data is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.settings import Settings


@dataclass(frozen=True)
class Kind:
    """One kind of classifier. A new one is an entry of `KINDS`, a reader, and the metric that uses it."""

    name: str
    context: bool
    """Whether it reads the context beside the response; else a text alone."""
    ordinal: bool
    """Whether its labels are levels 0, 1, 2 …, whose expectation is cut into a level."""
    strength: float
    """Of the regression: what was best in cross-validation (see `docs/fitted-metrics.md`)."""
    reader: str
    """The function of `data` that reads the labelled rows (`data.Reader`)."""
    data: str
    """What it is fitted on, for an error that asks for it."""
    reads: str
    """What it does, in the words of its card."""
    fold_unit: str
    """What its card calls the rows that folds keep together."""


KINDS = {
    "epitome": Kind(
        "epitome",
        context=True,
        ordinal=True,
        strength=3.0,
        reader="read_epitome",
        data="rated responses",
        reads="Reads a context and a response, and says how much empathy the response shows in three ways, each 0\n"
        "(none), 1 (weak) or 2 (strong): emotional reactions, interpretations, explorations (Sharma et al. 2020).",
        fold_unit="seekers' posts",
    ),
    "emotion": Kind(
        "emotion",
        context=False,
        ordinal=False,
        strength=3.0,
        reader="read_emotion",
        data="dialogues with categories",
        reads="Reads one text, a response or a speaker's opening, without its context, and says which emotional\n"
        "category the dialogue around it has.",
        fold_unit="dialogues",
    ),
}

DIMENSIONS = ("emotional_reactions", "interpretations", "explorations")
"""Of EPITOME: the communication mechanisms of Sharma et al. 2020."""
LEVELS = (0, 1, 2)
"""Of each dimension: none, weak, strong."""


class FitSettings(Settings):
    """How the classifier of a metric is cross-validated."""

    folds: int = Field(default=5, ge=2)
    """Of the cross-validation: without held-out figures a metric cannot be trusted."""
    seed: int = Field(default=0, ge=0)
    """Of the folds, and of what is drawn from much data."""


def kind_of(name: str) -> Kind:
    """The kind called `name`. Raises `UserError`."""
    if name not in KINDS:
        raise UserError(f"there is no metric {name!r} to fit: choose of {', '.join(KINDS)}")
    return KINDS[name]


def classifier_folders(settings: object) -> dict[str, Path]:
    """The folders of fitted classifiers that settings name, by kind: each kind has a field of its name."""
    return {kind: folder for kind in KINDS if (folder := getattr(settings, kind, None)) is not None}
