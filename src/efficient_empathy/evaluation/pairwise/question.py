"""The question of which of two responses is better, put so that the scoring loop can ask it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import model_validator

from efficient_empathy.dialogues import Sample, Utterance, sample_id
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.settings import load
from efficient_empathy.scoring.judgement import Judgement
from efficient_empathy.scoring.rubric import Rubric, fence

AXIS = "preference"
Choice = Literal["first", "second", "tie"]
CHOICES: tuple[Choice, ...] = ("tie", "first", "second")
"""By the number that the judge answers."""


@dataclass(frozen=True, slots=True)
class Pair(Sample):
    """A sample with two responses in the order in which the judge sees them: `response` first, then `second`.

    Its id is a hash of context, responses and their order, so either order is a question of its own, and the same one
    whichever model is called the baseline.
    """

    second: str = ""

    @classmethod
    def of_two(cls, context: tuple[Utterance, ...], first: str, second: str, dialogue_id: str) -> Pair:
        """Make a pair and give it its id."""
        known_by = sample_id(context, json.dumps([first, second]))
        return cls(known_by, dialogue_id, len(context), context, first, second=second)


class PairRubric(Rubric):
    """A rubric whose prompt shows two responses and whose one axis names the better: 1 or 2, or 0 for neither."""

    placeholders: ClassVar[tuple[str, ...]] = ("axes", "context", "first", "second", "reply")

    @model_validator(mode="after")
    def _one_axis(self) -> PairRubric:
        if [(axis.name, axis.scale) for axis in self.axes] != [(AXIS, (0, 2))]:
            raise ValueError(f"a pairwise rubric has one axis, {AXIS}, with the scale [0, 2]")
        return self

    @classmethod
    def load(cls, path: Path | str | None = None) -> PairRubric:
        """Read a pairwise rubric's file; without one, the package's own. Raises `UserError`."""
        source = Path(path) if path else files(__package__) / "preference.yaml"
        return load(cls, source, "the pairwise rubric")

    def _dialogue(self, sample: Sample) -> dict[str, str]:
        if not isinstance(sample, Pair):
            raise TypeError(f"a pairwise rubric asks about a Pair, not a {type(sample).__name__}")
        mark = sample.id[:12]
        return {
            "context": fence("context", mark, sample.context),
            "first": fence("response 1", mark, [Utterance("listener", sample.response)]),
            "second": fence("response 2", mark, [Utterance("listener", sample.second)]),
        }


def choice_of(judgement: Judgement) -> Choice | None:
    """What an ok judgement names the better, None of a failed one. Raises `UserError` for a score between two."""
    if judgement.state != "ok":
        return None
    score = judgement.scores[AXIS]
    if score not in range(len(CHOICES)):
        raise UserError(
            f"the judge {judgement.judge!r} gives {AXIS} as {score:g}, but only 0, 1 and 2 are answers: an average, "
            "such as an expected score over log-probabilities, names no response"
        )
    return CHOICES[int(score)]
