"""The settings of `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from efficient_empathy.evaluation.classifiers.kinds import classifier_folders
from efficient_empathy.evaluation.metric import MetricOptions
from efficient_empathy.evaluation.metrics import BUNDLED, DEFAULT, METRICS, require_metrics
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.guard import Reads
from efficient_empathy.foundation.settings import Settings


class EvaluationSettings(Settings):
    """Which figures, of which models, compared how."""

    metrics: tuple[str, ...] = Field(
        default=DEFAULT, description=f"The metrics by name: {', '.join(BUNDLED)}, or what an installed package brings."
    )
    models: tuple[str, ...] = ()
    """Of a run: the models to compare, by the names of their generations; all of them by default."""
    baseline: str | None = None
    """The model that all others are tested against; base by default, or the first where there is none."""
    resamples: int = Field(default=10_000, ge=0)
    """Draws of the bootstrap. 0: no intervals and no tests. No p-value is below 1 / (resamples + 1), and Holm's
    correction multiplies it by the number of tests: 1,000 are too few for many models."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Of intervals; what is significant at 1 − confidence is marked."""
    seed: int = Field(default=0, ge=0)
    """Of the bootstrap, the jackknife's groups, and the choice among equal examples."""
    splitter: Literal["auto", "nltk", "builtin"] = "auto"
    """official, standard: what splits sentences before words. auto is NLTK's where its data is found, else builtin."""
    template: Annotated[str | None, Reads()] = None
    """perplexity: the prompt template; by default what the model was trained with, else chat."""
    max_length: int = Field(default=512, ge=2)
    """perplexity: tokens of context and response at most; the oldest turns go first."""
    bertscore_model: Annotated[str | None, Reads()] = None
    """bertscore: a folder or a hub name; FOLDER@LAYER for one that bert-score knows no layer of."""
    epitome: Path | None = None
    """epitome: the folder that `fit-metric epitome` made."""
    emotion: Path | None = None
    """emotion: the folder that `fit-metric emotion` made."""
    judge: dict[str, Any] = Field(default_factory=dict)
    """quality: how the LLM judge is reached: model, base_url, api_key_env, headers, extra_body, max_cost …"""

    @field_validator("metrics")
    @classmethod
    def _check_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ValueError(f"choose at least one of {', '.join(METRICS.names())}")
        try:
            require_metrics(names)
        except UserError as error:
            raise ValueError(str(error)) from error
        return names

    def options(self, work: Path | None = None) -> MetricOptions:
        """What the metrics are told."""
        return MetricOptions(
            splitter=self.splitter,
            template=self.template,
            max_length=self.max_length,
            bertscore_model=self.bertscore_model,
            classifiers=classifier_folders(self),
            judge=self.judge,
            work=work,
        )
