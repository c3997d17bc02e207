"""The settings of `select`, and how any stage names a policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.guard import Reads
from efficient_empathy.foundation.settings import Flag, Settings

if TYPE_CHECKING:
    from efficient_empathy.selection.policies import Policy, RulePolicy

Decide = Literal["auto", "scores", "probabilities"]
"""What rules decide on: the scores, the judge's distributions, or (auto) the distributions where there are any."""
DEFAULT_POLICY = "paper"


class ThresholdSettings(Settings):
    """Thresholds of a policy, in place of its own."""

    thresholds: Annotated[dict[str, float], Flag("--threshold", metavar="NAME=NUMBER")] = Field(default_factory=dict)
    """A threshold of the policy, by its name; its own by default."""
    alpha: float | None = None
    """Short for the threshold alpha."""
    beta: float | None = None
    """Short for the threshold beta."""

    @property
    def values(self) -> dict[str, float]:
        """Every threshold that is set here. Raises `UserError` for one that is set twice."""
        short = {name: value for name, value in (("alpha", self.alpha), ("beta", self.beta)) if value is not None}
        if twice := [name for name in short if name in self.thresholds]:
            raise UserError(f"the threshold {twice[0]} is set twice: give {twice[0]} or thresholds, not both")
        return {**self.thresholds, **short}


class PolicySettings(ThresholdSettings):
    """A policy at its thresholds, however a stage uses it."""

    policy: Annotated[str, Reads()] = DEFAULT_POLICY
    """The policy: paper, exclusive, both, top, one of an installed package, or a YAML file."""

    @property
    def policy_options(self) -> dict[str, Any]:
        """What is set besides thresholds; `load_policy` says which policies take it."""
        return {}

    def load_policy(self) -> Policy:
        """The policy. Raises `UserError` for a name, a file, a threshold or an option that is not allowed."""
        from efficient_empathy.selection.policies import load_policy

        return load_policy(self.policy, self.values, **self.policy_options)

    @model_validator(mode="after")
    def _names_a_policy(self) -> PolicySettings:
        try:
            self.load_policy()
        except UserError as error:
            raise ValueError(str(error)) from error
        return self


class RulePolicySettings(PolicySettings):
    """A policy of rules: each sample's subset hangs on its own scores alone."""

    def load_rules(self) -> RulePolicy:
        """The policy. Raises `UserError` where it takes the top, or is not allowed."""
        from efficient_empathy.selection.policies import RulePolicy

        policy = self.load_policy()
        if not isinstance(policy, RulePolicy):
            raise UserError(
                f"the policy {policy.name} ranks samples against each other: take one with rules, such as "
                f"{DEFAULT_POLICY}"
            )
        return policy

    @model_validator(mode="after")
    def _names_rules(self) -> RulePolicySettings:
        try:
            self.load_rules()
        except UserError as error:
            raise ValueError(str(error)) from error
        return self


class SelectSettings(PolicySettings):
    """How scores become subsets."""

    top: Annotated[float | dict[str, float] | None, Flag(metavar="N|AXIS=N", repeats=True)] = None
    """For top: the best N samples of each axis, or the best fraction (below 1); AXIS=N for one axis."""
    per_category: bool | None = None
    """For top: that many in each category."""
    quotas: Annotated[dict[str, float] | None, Flag("--quota", metavar="CATEGORY=N")] = None
    """For top: as many of one category. Without top, categories that no quota names are left out."""
    where: str | None = None
    """For top: rank only samples for which this condition holds, for example "response_words > 3"."""
    decide: Decide = "auto"
    """What rules decide on: the scores, the judge's probabilities, or probabilities where the judge gives them."""
    synthetic_share: float | None = Field(default=None, ge=0, lt=1)
    """At most this share of each subset is synthetic, drawn by seeded hash; 0 leaves all of it out."""
    seed: int = 0
    """Breaks ties."""

    @field_validator("top", mode="before")
    @classmethod
    def _read_top(cls, value: Any) -> Any:
        """The flag's texts: one number, or AXIS=N each."""
        if not isinstance(value, list | tuple):
            return value
        by_axis = dict(text.partition("=")[::2] for text in value if "=" in str(text))
        if len(value) == 1 and not by_axis:
            return value[0]
        if len(by_axis) < len(value):
            raise ValueError("give one number for all axes, or AXIS=N for each: not both, and no axis twice")
        return by_axis

    @property
    def policy_options(self) -> dict[str, Any]:
        """The options of a policy that takes the top, as it checks them: whole numbers are counts."""
        top = {k: _whole(v) for k, v in self.top.items()} if isinstance(self.top, Mapping) else _whole(self.top)
        quotas = None if self.quotas is None else {name: _whole(value) for name, value in self.quotas.items()}
        return {"top": top, "per_category": self.per_category, "quotas": quotas, "where": self.where}


def _whole(value: float | None) -> float | None:
    return int(value) if value is not None and value >= 1 and value.is_integer() else value
