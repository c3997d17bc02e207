"""What judging has cost, by judge and by category, and when each sample was judged: from the ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np

from efficient_empathy.analytics.record import CategorySpending, Cost, JudgeSpending, Spending, TotalSpending
from efficient_empathy.analytics.table import Table
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.statistics.measured import Floats
from efficient_empathy.scoring.judges.contract import Judgement, JudgeSpec
from efficient_empathy.scoring.ledger import Ledger

SUMS = ("requests", "prompt_tokens", "completion_tokens", "cost_usd")


class SpendingCount:
    """Judgements, what they took, and how they ended; adds up."""

    def __init__(self) -> None:
        self.sums = dict.fromkeys(SUMS, 0.0)
        self.states: Counter[str] = Counter()
        self.latency = 0.0

    def add(self, judgement: Judgement) -> None:
        """Count one judgement."""
        for name in SUMS:
            self.sums[name] += getattr(judgement, name)
        self.states[judgement.state] += 1
        self.latency += judgement.latency_s

    def fields(self) -> dict[str, Any]:
        """The fields of `Spending`: counts as whole numbers, dollars to six places."""
        judgements = self.states.total()
        whole = {name: int(self.sums[name]) for name in SUMS if name != "cost_usd"}
        return {
            "judgements": judgements, **whole, "cost_usd": round(self.sums["cost_usd"], 6),
            "usd_per_1000": round(1000 * self.sums["cost_usd"] / judgements, 6) if judgements else None,
            "mean_latency_s": self.latency / judgements if judgements else None, "states": dict(self.states),
        }  # fmt: skip


def cost(workspace: Workspace, table: Table) -> tuple[Cost | None, Floats | None]:
    """`total`, `judges` (name and spec, in the order of first use) and `categories` (the dearest first); and of each
    row when its last judgement was made. None without a ledger; no times where they are all the same.

    `lost_usd` is what calls that never came back may have cost, `usd_per_kept` all spending by what is kept.
    """
    if not workspace.ledger.exists():
        return None, None
    ids = table.rows["sample_id"].to_list()
    categories = dict(zip(ids, table.rows["category"], strict=True))
    total, others = SpendingCount(), SpendingCount()
    judges: dict[tuple[str, JudgeSpec], SpendingCount] = {}
    by_category: defaultdict[str | None, SpendingCount] = defaultdict(SpendingCount)
    when: dict[str, float] = {}
    with Ledger(workspace.ledger, read_only=True) as ledger:
        for spec in ledger.specs():
            for judgement in ledger.judgements(spec):
                in_run = judgement.sample_id in categories
                group = by_category[categories[judgement.sample_id]] if in_run else others
                for spending in (total, judges.setdefault((judgement.judge, spec), SpendingCount()), group):
                    spending.add(judgement)
                when[judgement.sample_id] = max(when.get(judgement.sample_id, 0.0), judgement.created_at)
        spent_usd = ledger.spent_usd()
    kept_samples = int(table.is_kept.sum())
    record = Cost(
        total=TotalSpending(
            **total.fields(),
            spent_usd=round(spent_usd, 6),
            lost_usd=round(max(0.0, spent_usd - total.sums["cost_usd"]), 6),
            usd_per_kept=spent_usd / kept_samples if kept_samples else None,
        ),
        judges=[JudgeSpending(judge=judge, spec=str(spec), **one.fields()) for (judge, spec), one in judges.items()],
        categories=[
            CategorySpending(category=name, **one.fields())
            for name, one in sorted(by_category.items(), key=lambda item: (-item[1].sums["cost_usd"], item[0] or ""))
        ],
        other_samples=Spending(**others.fields()) if others.states else None,
    )
    times = np.array([when.get(sample) or np.nan for sample in ids], np.float64)
    varies = len(np.unique(times[~np.isnan(times)])) > 1
    return record, times if varies else None
