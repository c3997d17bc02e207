"""The settings of `prompts golden`, `prompts test` and `prompts compare`, and the policy whose subsets they watch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.settings import Flag, Settings
from efficient_empathy.selection.policies import RulePolicy, Scales, load_policy, policy_of_definition
from efficient_empathy.selection.settings import ThresholdSettings

DEFAULT = "paper"


class WatchedPolicySettings(ThresholdSettings):
    """The policy whose subsets are watched, and its thresholds."""

    policy: str | None = None
    """Whose subsets are watched: a policy of rules, by name or YAML file; that of the golden set, or of the run's
    selection, by default."""


def resolve_policy(settings: WatchedPolicySettings, own: RulePolicy | None, scales: Scales) -> RulePolicy | None:
    """The policy at its thresholds; `own` is that of the golden set or the run.

    None where nothing is named and the default does not fit the axes. Raises `UserError` for a policy that has no rules
    or, named or the `own` one, does not fit the axes.
    """
    policy = own if settings.policy is None and own is not None else _load(settings.policy or DEFAULT)
    policy = policy.with_thresholds(**settings.values)
    try:
        policy.require_axes(scales)
    except UserError:
        if settings.policy is not None or own is not None or settings.values:
            raise
        return None
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


class GoldenSettings(WatchedPolicySettings):
    """What a golden set has of a scored run."""

    n: Annotated[int, Flag("-n")] = Field(default=200, ge=1)
    """How many items."""
    name: str | None = None
    """What it is called; the folder's name by default."""
    where: str | None = None
    """Draw from the samples alone for which this condition of policies holds, such as "sensibility > 8"."""
    seed: int = Field(default=0, ge=0)
    """Of the draw."""


class Tolerances(Settings):
    """Which changes are tolerated, and how sure an alarm has to be."""

    shift: Annotated[float, Flag("--tolerate-shift")] = Field(default=0.3, ge=0)
    """Of an axis's mean, in points of its scale."""
    noise: Annotated[float, Flag("--tolerate-noise")] = Field(default=0.3, ge=0)
    """Rise of the standard deviation within an item, in points."""
    subsets: Annotated[float, Flag("--tolerate-subsets")] = Field(default=0.1, ge=0, le=1)
    """Share of samples that change subset, beyond what noise accounts for."""
    failures: Annotated[float, Flag("--tolerate-failures")] = Field(default=0.05, ge=0, le=1)
    """Rise of the share of judgements that fail."""
    false_alarms: float = Field(default=0.001, ge=0.001, le=0.2)
    """How often an unchanged judge may be found to have changed, all checks together."""
    confidence: float = Field(default=0.95, ge=0.5, le=0.999)
    """Of the intervals."""


class Procedure(WatchedPolicySettings):
    """How judges are tested, and against what."""

    repeats: Annotated[int, Flag("-k --repeats")] = Field(default=3, ge=1)
    """How often each item is judged."""
    baseline: str | None = None
    """An earlier result of this golden set to compare with, a file, or latest; by default the golden set's own
    expectations."""
    reuse: bool = False
    """Ask nothing: look at each judge's last result again, with what else is set here."""
    tolerances: Annotated[Tolerances, Flag(inline=True)] = Tolerances()
    """Which changes are tolerated."""
    seed: int = Field(default=0, ge=0)
    """Of the draws of dialogues and of chance."""


class CompareSettings(WatchedPolicySettings):
    """On what two sides are compared, and by whom."""

    judges: Annotated[tuple[str, ...], Flag("--judge", repeats=True)] = ()
    """Who rubrics are asked of, written as for score (openai:MODEL, anthropic:MODEL …); twice, the first for A and the
    second for B."""
    rubric: str | None = None
    """What judges are asked by: a rubric file, empathy or quality; empathy by default."""
    golden: str | None = None
    """Judge a golden set: its folder, or bundled, which is the default."""
    samples: Annotated[str | None, Flag(metavar="SOURCE")] = None
    """Judge a source instead: a file, a folder, a URL, or a hub data set."""
    n: Annotated[int | None, Flag("-n")] = Field(default=None, ge=1)
    """Samples at most; 200 by default, all of a golden set."""
    examples: Annotated[int, Flag("--show")] = Field(default=20, ge=0)
    """How many of the samples that differ are shown."""
    resamples: int = Field(default=1000, ge=0)
    """Of the bootstrap over dialogues; 0 for no intervals."""
    seed: int = Field(default=0, ge=0)
    """Of the samples that are drawn, and of the bootstrap."""
