"""The policy that decided a run's selection, from what `select` left in the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.selection.policies import Policy, Selector, load_policy, make_selector, policy_of_definition


def recorded_selector(table: RunTable) -> Selector | None:
    """The policy on the run's axes as its selection applied it; None without a current selection.

    Raises `UserError` where the manifest was edited and holds no policy.
    """
    if not table.selection.current:
        return None
    parameters = table.selecting["parameters"]
    scales = {axis.name: (axis.low, axis.high) for axis in table.axes}
    decide = parameters.get("decide", "auto")
    return make_selector(recorded_policy(parameters), scales, decide=decide, seed=parameters.get("seed", 0))


def recorded_policy(parameters: Mapping[str, Any]) -> Policy:
    """The policy in the parameters of a selection."""
    if isinstance(parameters["policy"], Mapping):
        return policy_of_definition(parameters["policy"])
    return _named_policy(parameters)


def _named_policy(parameters: Mapping[str, Any]) -> Policy:
    """A policy that is recorded by its name, with thresholds or amounts beside it."""
    thresholds = {name: parameters[name] for name in ("alpha", "beta") if name in parameters}
    if thresholds:
        return load_policy(parameters["policy"], thresholds)
    prefix = "top_"
    amounts = {key.removeprefix(prefix): k for key, k in parameters.items() if key.startswith(prefix) and k is not None}
    return load_policy(
        parameters["policy"],
        top=amounts or parameters.get("top"),
        per_category=parameters.get("per_category") or None,
        quotas=parameters.get("quotas") or None,
    )
