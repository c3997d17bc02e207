"""The manifest's entries that the run's table reads: a stage of a higher wing writes each of them."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import JsonValue

from efficient_empathy.foundation.run.record import StageRecord


class SelectRecord(StageRecord):
    """What `select` did: by which policy, from which files, and how many samples each subset has."""

    STAGE: ClassVar[str] = "select"
    REMEDY: ClassVar[str] = "`efficient-empathy select`"

    policy: dict[str, JsonValue]
    """The policy's definition, as `selection.policies.policy_of_definition` reads it."""
    decide: str | None = None
    """What the rules were to decide on; None for a policy without rules."""
    seed: int
    """Breaks ties."""
    decided_on: str
    """What the policy decided on: whole scores, scores, probabilities or most probable subsets."""
    subsets: dict[str, int]
    """The size of each subset, in the order in which they are shown."""
    otherwise: str
    """The subset that is left out."""
    unscored: int
    """Samples without scores."""
    inputs: dict[str, str]
    """SHA-256 by file name of what went in."""
    seconds: float

    @property
    def policy_name(self) -> str:
        """What the policy is called."""
        return str(self.policy["name"])

    @property
    def thresholds(self) -> dict[str, float]:
        """The policy's thresholds by name, none for one without."""
        found: Any = self.policy.get("thresholds", {})
        return dict(found)

    @property
    def parameters(self) -> dict[str, Any]:
        """What the result depended on besides the files: as `parameters` of the selector that decided."""
        decide = {} if self.decide is None else {"decide": self.decide}
        return {"policy": self.policy, **decide, "seed": self.seed}
