"""What a scoring run would ask for and cost, without asking."""

from __future__ import annotations

from typing import Any

from efficient_empathy.dialogues import scan_samples
from efficient_empathy.scoring.judgement import Judge
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.loop import CHUNK, Pending
from efficient_empathy.scoring.openai import OpenAIJudge
from efficient_empathy.workspace import Workspace


def plan(workspace: Workspace, judge: Judge) -> dict[str, Any]:
    """`{samples, judged, requests, prompt_tokens, completion_tokens, cost_usd, max_cost_usd}`.

    `requests` counts the distinct samples without an `ok` judgement. Tokens are estimates, four bytes each, with the
    reply as long as allowed; `max_cost_usd` is what the requests cannot exceed, if none has to be repeated.
    """
    totals = {"requests": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost_usd": 0.0, "max_cost_usd": 0.0}
    samples = 0
    with Ledger(workspace.ledger) as ledger:
        chunks = scan_samples(workspace.require(workspace.samples, "score SOURCE"), CHUNK)
        pending = Pending((sample for chunk in chunks for sample in chunk), ledger, judge.spec)
        while batch := pending.take(CHUNK):
            samples += len(batch)
            if isinstance(judge, OpenAIJudge):
                totals["requests"] += len(batch)
                for sample in batch:
                    estimate = judge.endpoint.estimate(**judge.request(sample))
                    totals["prompt_tokens"] += estimate.prompt_tokens
                    totals["completion_tokens"] += estimate.completion_tokens
                    totals["cost_usd"] += estimate.cost_usd
                    totals["max_cost_usd"] += estimate.max_cost_usd
    return {"dry_run": True, "judge": judge.name, "to_judge": samples, **totals}


def plan_text(plan: dict[str, Any]) -> str:
    """The plan in words."""
    text = f"Dry run: {plan['to_judge']:,} samples have no judgement of {plan['judge']} yet."
    if not plan["requests"]:
        return text + " No request would be made."
    return (
        f"{text}\n{plan['requests']:,} requests, about {plan['prompt_tokens']:,} prompt tokens and at most "
        f"{plan['completion_tokens']:,} completion tokens:\nabout ${plan['cost_usd']:.2f}, at most "
        f"${plan['max_cost_usd']:.2f} if none has to be repeated. Nothing was sent."
    )
