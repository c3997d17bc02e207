"""The policy that decided a run's selection, as it was applied."""

from __future__ import annotations

from typing import cast

from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.selection.policies import Decide, Selector, make_selector, policy_of_definition


def recorded_selector(table: RunTable) -> Selector | None:
    """The policy on the run's axes as its selection applied it; None without a current selection.

    Raises `UserError` where the manifest was edited and holds no policy.
    """
    record = table.selecting
    if record is None or not table.selection.current:
        return None
    scales = {axis.name: (axis.low, axis.high) for axis in table.axes}
    decide = cast(Decide, record.decide or "auto")
    return make_selector(policy_of_definition(record.policy), scales, decide=decide, seed=record.seed)
