"""The settings of a cascade: what it has to keep, and where labels come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from efficient_empathy.foundation.settings import Flag
from efficient_empathy.selection.settings import RulePolicySettings

Method = Literal["pac", "conformal"]
CHECKED = 200
RESERVE = 0.6
"""Of the risk, the share that the bound leaves unused. The bound is exact: without a reserve, who counts in how many of
their runs a guarantee of 95 % held would find a little less than 95 of 100 every second time."""


class CascadeSettings(RulePolicySettings):
    """What a cascade guarantees of the policy's subsets, and how it is proven."""

    expert: str = "openai"
    """Who judges what no step is sure of, written as for `score`; openai needs --model."""
    step: Annotated[
        tuple[str, ...],
        BeforeValidator(lambda step: (step,) if isinstance(step, str) else step),
        Flag(repeats=True, metavar="JUDGE"),
    ] = Field(default=("distilled",), min_length=1)
    """Who answers before the expert: distilled, then in turn judges that cost less, written as for `score`. Each is
    asked about what those before it are not sure of."""
    trial: int = Field(default=200, ge=50)
    """So many samples are judged first by a further step and by the expert both, to tell what its scores are worth."""
    method: Method = "pac"
    """pac: the error of all labels, with confidence; conformal: the error of the distilled judge's own, on average."""
    error: float = Field(default=0.05, gt=0, lt=1)
    """The share of wrong subsets that is accepted."""
    f1: float | None = Field(default=None, gt=0, lt=1)
    """Instead of `error`: what F1 of `subset` has to be at least."""
    subset: str | None = None
    """The subset that `f1` is about; the policy's first that is not left out, by default."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """How sure the guarantee has to be."""
    calibration: int | None = Field(default=None, ge=1)
    """How many samples are drawn at random and judged first; what costs least by the plan, by default."""
    check: int | None = Field(default=None, ge=0)
    """How many others, drawn at random, are judged at the end to check the guarantee; 0 for none. By default 200,
    or a twentieth of all samples if that is less."""
    rounds: Annotated[int, Flag("--refit")] = Field(default=0, ge=0, le=20)
    """How often the distilled judge's head is refitted on what the expert has judged, before anything is guaranteed."""
    seed: int = Field(default=0, ge=0)
    """Of what is drawn."""

    def checks(self, samples: int) -> int:
        """How many of so many samples are drawn to check the guarantee."""
        return min(CHECKED, samples // 20) if self.check is None else self.check

    @property
    def risk(self) -> float:
        """What the bound may risk: 1 - confidence, less the reserve."""
        return (1 - RESERVE) * (1 - self.confidence)

    @model_validator(mode="after")
    def _begins_with_distilled(self) -> CascadeSettings:
        if self.step[0].partition(":")[0] != "distilled":
            steps = f"--step distilled --step {self.step[0]}"
            raise ValueError(f"the first step is distilled, which costs nothing: {steps}")
        return self

    @model_validator(mode="after")
    def _fits(self) -> CascadeSettings:
        if self.f1 is not None and self.f1_subset not in (subsets := self.load_rules().subsets):
            raise ValueError(f"the policy {self.policy} has no subset {self.subset}: it has {', '.join(subsets)}")
        if self.f1 is not None and "error" in self.model_fields_set:
            raise ValueError("error and f1 are two guarantees: ask for one")
        if self.f1 is not None and self.method != "pac":
            raise ValueError("f1 is guaranteed by method pac alone")
        return self

    @property
    def f1_subset(self) -> str:
        """The subset that `f1` is about."""
        policy = self.load_rules()
        return self.subset or next((name for name in policy.subsets if name != policy.otherwise), policy.otherwise)
