"""What a scoring run would ask for and cost, without asking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, model_serializer

from efficient_empathy.dialogues import Sample, open_source
from efficient_empathy.dialogues.personal_data import PersonalCounter, counts_text
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.proxy import is_this_machine
from efficient_empathy.scoring.judges.contract import REDACTS, CheckedJudge, JudgeOptions
from efficient_empathy.scoring.judges.registry import build_judge, check_options
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.session import CHUNK, Pending


class ScorePlan(Part):
    """What would be asked for. Tokens are estimates, four bytes each, with the reply as long as allowed."""

    dry_run: bool = True
    judge: str
    to_judge: int
    """Distinct samples without an `ok` judgement; of several judges, judgements."""
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    """None where the model's price is not known."""
    max_cost_usd: float | None
    """What the requests cannot exceed, if none has to be repeated."""
    personal_data: dict[str, int] = Field(default_factory=dict)
    """Of `to_judge`, by kind those that look as if they held personal data."""
    personal_samples: int = 0
    """The same for any kind."""
    redact: bool = False
    """Whether these data are replaced in what is sent."""
    in_batches: bool = False
    """Whether they would go through a batch API, at its price."""
    sent_to: str | None = None
    """The host of the endpoint; None where nothing leaves this machine."""
    members: tuple[ScorePlan, ...] = ()
    """Of several judges the plan of each."""

    @model_serializer(mode="wrap")
    def _without_gaps(self, dump: Any) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if name != "members" or self.members}


def plan(
    source: str | Path,
    workspace: Workspace,
    judges: Sequence[str],
    rubric: Rubric,
    options: JudgeOptions,
    reading: ReadingSettings | None = None,
    *,
    in_batches: bool = False,
) -> ScorePlan:
    """What scoring `source` into a run would ask for; see `plan_samples` and `together`. Writes nothing."""
    check_options(judges, options)
    built = [build_judge(one, rubric, workspace, options, source) for one in judges]

    return together(
        [plan_samples(open_source(source, reading), one, workspace, in_batches=in_batches) for one in built]
    )


def plan_samples(
    samples: Iterable[Sample],
    judge: CheckedJudge,
    workspace: Workspace,
    name: str | None = None,
    *,
    in_batches: bool = False,
) -> ScorePlan:
    """What one judge would be asked for, `in_batches` at their price; it is called `name` in the plan, by default its
    own."""
    endpoint = judge.endpoint
    to_judge, totals, personal = 0, Counter[str](), PersonalCounter()
    with _ledger(workspace) as ledger:
        pending = Pending(samples, ledger, judge.spec)
        while batch := pending.take(CHUNK):
            to_judge += len(batch)
            for sample in batch:
                personal.add(sample)
            if endpoint is not None:
                for sample in batch:
                    estimate = endpoint.estimate(**judge.request(sample))
                    totals.update({"requests": 1, **asdict(estimate)})
    is_known = endpoint is None or endpoint.price is not None
    in_batches = in_batches and judge.has_batches
    share = endpoint.price.batch if in_batches and endpoint.price is not None else 1.0
    return ScorePlan(
        judge=name or judge.name,
        to_judge=to_judge,
        requests=totals["requests"],
        prompt_tokens=totals["prompt_tokens"],
        completion_tokens=totals["completion_tokens"],
        cost_usd=round(share * float(totals["cost_usd"]), 6) if is_known else None,
        max_cost_usd=round(share * float(totals["max_cost_usd"]), 6) if is_known else None,
        personal_data=personal.samples_by_kind,
        personal_samples=personal.samples,
        redact=REDACTS in judge.spec.settings,
        sent_to=_host(endpoint),
        in_batches=in_batches,
    )


def _host(endpoint: Any) -> str | None:
    host = urlsplit(getattr(endpoint, "url", "")).hostname
    return None if host is None or is_this_machine(host) else host


def together(plans: Sequence[ScorePlan]) -> ScorePlan:
    """One plan of several: counts and dollars summed, each of them kept as `members`."""
    if len(plans) == 1:
        return plans[0]
    return ScorePlan(
        judge=" + ".join(dict.fromkeys(plan.judge for plan in plans)),
        to_judge=sum(plan.to_judge for plan in plans),
        requests=sum(plan.requests for plan in plans),
        prompt_tokens=sum(plan.prompt_tokens for plan in plans),
        completion_tokens=sum(plan.completion_tokens for plan in plans),
        cost_usd=_sum_dollars([plan.cost_usd for plan in plans]),
        max_cost_usd=_sum_dollars([plan.max_cost_usd for plan in plans]),
        personal_data=dict(sum((Counter(plan.personal_data) for plan in plans), Counter())),
        personal_samples=sum(plan.personal_samples for plan in plans),
        redact=any(plan.redact for plan in plans),
        in_batches=any(plan.in_batches for plan in plans),
        sent_to=", ".join(dict.fromkeys(plan.sent_to for plan in plans if plan.sent_to)) or None,
        members=tuple(plans),
    )


def _sum_dollars(each: Sequence[float | None]) -> float | None:
    known = [dollars for dollars in each if dollars is not None]
    return round(sum(known), 6) if len(known) == len(each) else None


@contextmanager
def _ledger(workspace: Workspace) -> Iterator[Ledger]:
    """The run's ledger to read from, an empty one where there is none yet."""
    if workspace.ledger.exists():
        with Ledger(workspace.ledger, read_only=True) as ledger:
            yield ledger
    else:
        with TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
            yield ledger


def plan_text(plan: ScorePlan) -> str:
    """The plan in words."""
    lines = [
        f"Dry run: {one.to_judge:,} samples have no judgement of {one.judge} yet." for one in plan.members or (plan,)
    ]
    if not plan.requests:
        return "\n".join([*lines, "No request would be made."])
    price = (
        f"about ${plan.cost_usd:.2f}, at most ${plan.max_cost_usd:.2f} if none has to be repeated"
        if plan.cost_usd is not None
        else "the model's price is not known: name it in a file and pass that with --prices"
    )
    how = " in batches" if plan.in_batches else ""
    requests = (
        f"{plan.requests:,} requests{how}, about {plan.prompt_tokens:,} prompt tokens and at most "
        f"{plan.completion_tokens:,} completion tokens:"
    )
    personal = [text for one in plan.members or (plan,) if (text := _personal_text(one))]
    return "\n".join([*lines, requests, f"{price}. Nothing was sent.", *dict.fromkeys(personal)])


def _personal_text(plan: ScorePlan) -> str:
    """What would be sent of personal data, and where; empty where nothing would be sent."""
    if not plan.requests:
        return ""
    looks = f"Personal data: {counts_text(plan.personal_samples, plan.personal_data)}."
    if plan.personal_samples and plan.redact:
        return f"{looks} Placeholders replace them in what is sent{f' to {plan.sent_to}' if plan.sent_to else ''}."
    if plan.personal_samples and plan.sent_to:
        return f"{looks} {plan.sent_to} would get them as they are; --redact replaces them in what is sent."
    return looks
