"""What a scoring run would ask for and cost, without asking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from efficient_empathy.dialogues import Sample, open_source
from efficient_empathy.scoring.choice import JudgeOptions, make_judge
from efficient_empathy.scoring.judgement import Judge
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.loop import CHUNK, Pending
from efficient_empathy.scoring.openai import OpenAIJudge
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.workspace import Workspace


def plan(
    source: str | Path, workspace: Workspace, judge: str, rubric: Rubric, options: JudgeOptions, **reading: Any
) -> dict[str, Any]:
    """What scoring `source` into a run would ask for; see `plan_samples`. Writes nothing."""
    hired = make_judge(judge, rubric, workspace, replace(options, replies=options.replies or Path(source)))
    return plan_samples(open_source(source, **reading), hired, workspace)


def plan_samples(samples: Iterable[Sample], judge: Judge, workspace: Workspace) -> dict[str, Any]:
    """`{dry_run, judge, to_judge, requests, prompt_tokens, completion_tokens, cost_usd, max_cost_usd}`.

    `to_judge` counts the distinct samples without an `ok` judgement. Tokens are estimates, four bytes
    each, with the reply as long as allowed; `max_cost_usd` is what the requests cannot exceed, if none has to be
    repeated. Dollars are None where the model's price is not known.
    """
    to_judge, totals = 0, Counter[str]()
    with _ledger(workspace) as ledger:
        pending = Pending(samples, ledger, judge.spec)
        while batch := pending.take(CHUNK):
            to_judge += len(batch)
            if isinstance(judge, OpenAIJudge):
                for sample in batch:
                    estimate = judge.endpoint.estimate(**judge.request(sample))
                    totals.update({"requests": 1, **asdict(estimate)})
    known = not isinstance(judge, OpenAIJudge) or judge.endpoint.price is not None
    dollars = {key: round(float(totals[key]), 6) if known else None for key in ("cost_usd", "max_cost_usd")}
    counts = {key: totals[key] for key in ("requests", "prompt_tokens", "completion_tokens")}
    return {"dry_run": True, "judge": judge.name, "to_judge": to_judge, **counts, **dollars}


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
    text = f"Dry run: {plan['to_judge']:,} samples have no judgement of {plan['judge']} yet."
    if not plan["requests"]:
        return text + " No request would be made."
    price = (
        f"about ${plan['cost_usd']:.2f}, at most ${plan['max_cost_usd']:.2f} if none has to be repeated"
        if plan["cost_usd"] is not None
        else "the model's price is not known: name it in a file and pass that with --prices"
    )
    return (
        f"{text}\n{plan['requests']:,} requests, about {plan['prompt_tokens']:,} prompt tokens and at most "
        f"{plan['completion_tokens']:,} completion tokens:\n{price}. Nothing was sent."
    )
