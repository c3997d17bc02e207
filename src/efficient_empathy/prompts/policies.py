"""Which policy's subsets are watched: as it is named, else as a golden set or a run's selection has it, else paper."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.settings import Flag, Settings
from efficient_empathy.selection.policies import RulePolicy, Scales, load_policy, policy_of_definition

DEFAULT = "paper"


class PolicySettings(Settings):
    """The policy whose subsets are watched, and its thresholds."""

    policy: str | None = None
    """Whose subsets are watched: a policy of rules, by name or YAML file; that of the golden set, or of the run's
    selection, by default."""
    thresholds: Annotated[dict[str, float], Flag("--threshold", metavar="NAME=NUMBER")] = Field(default_factory=dict)
    """A threshold of the policy, by its name; its own by default."""
    alpha: float | None = None
    """Short for --threshold alpha=NUMBER."""
    beta: float | None = None
    """Short for --threshold beta=NUMBER."""

    @property
    def named(self) -> dict[str, float]:
        """By name the thresholds that are given."""
        short = {"alpha": self.alpha, "beta": self.beta}
        return {**self.thresholds, **{name: value for name, value in short.items() if value is not None}}


def chosen_policy(settings: PolicySettings, known: RulePolicy | None, scales: Scales) -> RulePolicy | None:
    """The policy at its thresholds; `known` is that of the golden set or the run.

    None where nothing is named and the default does not fit the axes. Raises `UserError` for a policy that has no rules
    or, named or known, looks at other axes.
    """
    if settings.policy is None and known is None and not settings.named:
        policy = load_policy(DEFAULT)
        return policy if isinstance(policy, RulePolicy) and set(policy.names) <= set(scales) else None
    policy = known if settings.policy is None and known is not None else _load(settings.policy or DEFAULT)
    policy = policy.with_thresholds(**settings.named)
    policy.require_axes(scales)
    return policy


def selected_policy(table: RunTable) -> RulePolicy | None:
    """The policy of a run's last selection, None without one and where it has no rules."""
    policy = policy_of_definition(table.selecting.policy) if table.selecting else None
    return policy if isinstance(policy, RulePolicy) else None


def _load(reference: str) -> RulePolicy:
    policy = load_policy(reference, top=1) if reference == "top" else load_policy(reference)
    if not isinstance(policy, RulePolicy):
        raise UserError(f"the policy {reference!r} puts no single sample into a subset: take a policy of rules")
    return policy
