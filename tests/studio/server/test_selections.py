"""What the studio holds in memory changes no selection, whichever thresholds and policies come before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.selection.policies import load_policy
from efficient_empathy.studio.server import selections
from efficient_empathy.studio.server.selections import Choice, Selections
from own_policy_runs import distributed_run


@pytest.mark.parametrize("limit", [1 << 28, 100_000, 1], ids=["rows and batches", "rows", "nothing"])
def test_what_is_held_changes_no_selection(tmp_path, monkeypatch, limit) -> None:
    table = RunTable(distributed_run(tmp_path / "run"))
    monkeypatch.setattr(selections, "_MOST_BYTES", limit)
    held, seen = Selections(), set()
    choices = [
        Choice(load_policy(name).with_thresholds(alpha=alpha), decide, seed)
        for name in ("paper", "both")
        for alpha in (4, 6)
        for decide in ("auto", "scores")
        for seed in (0, 1)
    ]
    for choice in [*choices, *reversed(choices)]:
        codes = held.of(table, choice).codes
        assert np.array_equal(codes, Selections().of(table, choice).codes)
        seen.add(codes.tobytes())
    assert len(seen) == 8  # no two samples are equal, so a seed changes nothing
    last = held.of(table, choices[0])
    assert held.of(table, replace(choices[0])) is last
