"""The settings of `distill`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.guard import Reads
from efficient_empathy.foundation.settings import SETTINGS, Flag
from efficient_empathy.selection.settings import RulePolicySettings

if TYPE_CHECKING:
    from efficient_empathy.scoring import Rubric
    from efficient_empathy.selection.policies import RulePolicy


@dataclass(frozen=True, config=SETTINGS)
class StudentSettings:
    """How a student is fitted. The defaults were chosen by cross-validation on 5,734 ChatGPT judgements."""

    epochs: int = Field(default=3, ge=1)
    """Passes over the data."""
    batch: Annotated[int, Flag("--batch-size")] = Field(default=32, ge=1)
    """Samples a step."""
    learning_rate: float = Field(default=5e-5, gt=0)
    """Peak rate of the encoder: linear warm-up over a tenth of the steps, then linear decay to zero."""
    head_learning_rate: float = Field(default=1e-3, gt=0)
    """Peak rate of the heads, which start from nothing."""
    rank_weight: float = Field(default=1.0, ge=0)
    """Weight of the ranked probability score beside the cross-entropy."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Before the heads."""
    frozen_layers: float = Field(default=0.0, ge=0, lt=1)
    """Share of the encoder's layers, the lowest ones, that stay as they are."""
    max_tokens: int = Field(default=128, ge=8)
    """Context and response together, in tokens."""
    seed: int = Field(default=0, ge=0)
    """Of initialisation, order and folds."""


class DistillSettings(RulePolicySettings):
    """What the judge is made from, and what its card says."""

    base: str | None = None
    """The pre-trained encoder: a folder or a hub name; MiniLM by default."""
    teacher_model: str | None = None
    """A larger encoder, a folder or a hub name, that is fitted on the judgements first, and a student beside it: the
    judge then learns from what both make of --unlabelled, too."""
    unlabelled: Annotated[str | None, Reads()] = None
    """Dialogues without judgements, read as `score` reads a source, for the teacher model to label."""
    max_unlabelled: int | None = Field(default=None, ge=1)
    """Take so many of them at most, by seeded hash."""
    teacher_learning_rate: float = Field(default=3e-5, gt=0)
    """Peak rate of the teacher model's encoder; what is not said of a teacher is as for the student."""
    teacher_frozen_layers: float = Field(default=0.5, ge=0, lt=1)
    """Share of its layers, the lowest ones, that stay as they are: less to calculate."""
    corrections: bool = False
    """Learn from what people corrected, too: their scores in place of the judge's."""
    correction_weight: float = Field(default=5.0, gt=0)
    """How many judgements a corrected score counts as much as."""
    name: str = "distilled"
    """What its judgements are signed with."""
    folds: int = Field(default=5, ge=2)
    """Of the cross-validation: without held-out figures a judge cannot be trusted."""
    student: Annotated[StudentSettings, Flag(inline=True)] = StudentSettings()
    """How the student is fitted."""
    data: str = ""
    """For the card: where the judgements come from."""
    licence: str = "other"
    """For the card."""

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.teacher_model is None) != (self.unlabelled is None):
            raise ValueError("--teacher-model labels --unlabelled: give both, or neither")
        return self

    def rules_for(self, rubric: Rubric) -> RulePolicy | None:
        """The policy whose subsets the card tells the accuracy of; None where the default one does not fit the rubric.

        Raises `UserError` where a policy that was asked for does not fit.
        """
        policy = self.load_rules()
        try:
            policy.require_axes(rubric.scales)
        except UserError:
            if {"policy", "thresholds", "alpha", "beta"} & self.model_fields_set:
                raise
            return None
        return policy
