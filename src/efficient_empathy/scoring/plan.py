"""What a scoring run would ask for and cost, without asking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from efficient_empathy.dialogues import Intake, OnBadRow, Sample, open_source
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.judges.contract import CheckedJudge, JudgeOptions
from efficient_empathy.scoring.judges.registry import build_judge, check_options
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.session import CHUNK, Pending

_COUNTS = ("to_judge", "requests", "prompt_tokens", "completion_tokens")
_DOLLARS = ("cost_usd", "max_cost_usd")


def plan(
    source: str | Path,
    workspace: Workspace,
    judges: Sequence[str],
    rubric: Rubric,
    options: JudgeOptions,
    *,
    format: str | None = None,  # noqa: A002
    columns: Mapping[str, str] | None = None,
    on_bad_row: OnBadRow = "fail",
) -> dict[str, Any]:
    """What scoring `source` into a run would ask for; see `plan_samples` and `together`. Writes nothing."""
    check_options(judges, options)
    built = [build_judge(one, rubric, workspace, options, source) for one in judges]

    def samples() -> Iterable[Sample]:
        return open_source(source, format=format, columns=columns, intake=Intake(on_bad_row))

    return together([plan_samples(samples(), one, workspace) for one in built])


def plan_samples(samples: Iterable[Sample], judge: CheckedJudge, workspace: Workspace) -> dict[str, Any]:
    """`{dry_run, judge, to_judge, requests, prompt_tokens, completion_tokens, cost_usd, max_cost_usd}`.

    `to_judge` counts the distinct samples without an `ok` judgement. Tokens are estimates, four bytes
    each, with the reply as long as allowed; `max_cost_usd` is what the requests cannot exceed, if none has to be
    repeated. Dollars are None where the model's price is not known.
    """
    endpoint = judge.endpoint
    to_judge, totals = 0, Counter[str]()
    with _ledger(workspace) as ledger:
        pending = Pending(samples, ledger, judge.spec)
        while batch := pending.take(CHUNK):
            to_judge += len(batch)
            if endpoint is not None:
                for sample in batch:
                    estimate = endpoint.estimate(**judge.request(sample))
                    totals.update({"requests": 1, **asdict(estimate)})
    states = endpoint is None or endpoint.price is not None
    dollars = {key: round(float(totals[key]), 6) if states else None for key in _DOLLARS}
    counts = {key: totals[key] for key in ("requests", "prompt_tokens", "completion_tokens")}
    return {"dry_run": True, "judge": judge.name, "to_judge": to_judge, **counts, **dollars}


def together(plans: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One plan of several: counts and dollars summed, each of them kept as `members`; `to_judge` counts judgements."""
    if len(plans) == 1:
        return plans[0]
    whole = {"dry_run": True, "judge": " + ".join(dict.fromkeys(plan["judge"] for plan in plans))}
    whole |= {key: sum(plan[key] for plan in plans) for key in _COUNTS}
    for key in _DOLLARS:
        each = [plan[key] for plan in plans]
        whole[key] = None if None in each else round(sum(each), 6)
    return {**whole, "members": list(plans)}


@contextmanager
def _ledger(workspace: Workspace) -> Iterator[Ledger]:
    """The run's ledger to read from, an empty one where there is none yet."""
    if workspace.ledger.exists():
        with Ledger(workspace.ledger, read_only=True) as ledger:
            yield ledger
    else:
        with TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
            yield ledger


def plan_text(plan: dict[str, Any]) -> str:
    """The plan in words."""
    lines = [
        f"Dry run: {one['to_judge']:,} samples have no judgement of {one['judge']} yet."
        for one in plan.get("members", [plan])
    ]
    if not plan["requests"]:
        return "\n".join([*lines, "No request would be made."])
    price = (
        f"about ${plan['cost_usd']:.2f}, at most ${plan['max_cost_usd']:.2f} if none has to be repeated"
        if plan["cost_usd"] is not None
        else "the model's price is not known: name it in a file and pass that with --prices"
    )
    requests = (
        f"{plan['requests']:,} requests, about {plan['prompt_tokens']:,} prompt tokens and at most "
        f"{plan['completion_tokens']:,} completion tokens:"
    )
    return "\n".join([*lines, requests, f"{price}. Nothing was sent."])
