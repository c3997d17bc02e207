"""The rounds of a test: a judge scores each item of a golden set k times, and its answers go into a ledger."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version

from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, redact
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.runner import Watcher
from efficient_empathy.prompts.golden.golden_set import Golden
from efficient_empathy.prompts.golden.records import RubricNote, decoding_of, read_by
from efficient_empathy.prompts.testing.records import (
    Answers,
    GoldenNote,
    ItemRounds,
    JudgeNote,
    Reading,
    Results,
    Usage,
)
from efficient_empathy.scoring.judges.contract import STATES, Judgement, JudgeOptions, JudgeSpec
from efficient_empathy.scoring.judges.registry import build_judge
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.plan import ScorePlan, plan_samples, together
from efficient_empathy.scoring.progress import ProgressDisplay
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.session import run_judge

REASONS_SHOWN = 3


class StoppedError(Exception):
    """Ctrl-C: what was answered is kept."""


def ask(
    golden: Golden,
    rubric: Rubric,
    reference: str,
    repeats: int,
    folder: Workspace,
    options: JudgeOptions,
    console: Console,
) -> Answers:
    """Ask the judge `reference` about every item, `repeats` times.

    A finished test is never answered from the ledger: each has rounds of its own, which find out a judge that has
    changed behind its name. An interrupted test goes on: only what has no `ok` judgement in its rounds is asked.
    Raises `UserError` (a dead endpoint, a budget that ends) and `StoppedError` after all that came is kept.
    """
    rounds = next_rounds(golden, rubric, reference, repeats, folder, options)
    started = time.monotonic()
    samples = golden.samples
    ids = [sample.id for sample in samples]
    with Ledger(folder.ledger) as ledger:
        for turn, number in enumerate(rounds, 1):
            built = build_judge(reference, rubric, folder, options).in_round(number)
            if built.note and turn == 1:
                console.print(built.note)
            console.print(f"{built.name}, round {turn} of {repeats}")
            done = len(ids) - len(ledger.missing(built.spec, ids))
            display = ProgressDisplay(console, len(ids), done, built.window)
            try:
                ending = run_judge(samples, built, ledger, display, Watcher(console))
            except UserError as error:
                raise UserError(f"{error} ({_progress(ledger, built.spec, rounds, ids)})") from error
            if ending == "budget":
                done_so_far = _progress(ledger, built.spec, rounds, ids)
                raise UserError(f"the budget ends here: a higher --max-cost goes on ({done_so_far})")
            if ending == "stopped":
                raise StoppedError(f"Stopped: {_progress(ledger, built.spec, rounds, ids)}.")
        return _result(golden, rubric, reference, built.name, built.spec, rounds, ledger, time.monotonic() - started)


def plan(
    golden: Golden, rubric: Rubric, references: Sequence[str], repeats: int, folder: Workspace, options: JudgeOptions
) -> ScorePlan:
    """What `ask` would ask of each judge and cost, without asking; see `scoring.plan.together`."""
    plans = []
    for reference in references:
        for number in next_rounds(golden, rubric, reference, repeats, folder, options):
            built = build_judge(reference, rubric, folder, options).in_round(number)
            plans.append(plan_samples(golden.samples, built, folder, f"{built.name} (round {number})"))
    return together(plans)


def next_rounds(
    golden: Golden, rubric: Rubric, reference: str, repeats: int, folder: Workspace, options: JudgeOptions
) -> list[int]:
    """The numbers of a new test's rounds: those after the last finished test of the same judge and rubric here."""
    spec = build_judge(reference, rubric, folder, options).spec
    done = [
        number
        for _, result in Results(folder.root).all()
        if result.judge.spec == spec and result.corpus == golden.manifest.corpus
        for number in result.rounds
    ]
    first = max(done, default=0) + 1
    return list(range(first, first + repeats))


def _progress(ledger: Ledger, spec: JudgeSpec, rounds: Sequence[int], ids: Sequence[str]) -> str:
    count = sum(len(ids) - len(ledger.missing(spec.in_round(number), ids)) for number in rounds)
    return f"{count:,} of {len(ids) * len(rounds):,} judgements are made and kept; the same command goes on from there"


def _result(
    golden: Golden,
    rubric: Rubric,
    reference: str,
    name: str,
    spec: JudgeSpec,
    rounds: Sequence[int],
    ledger: Ledger,
    seconds: float,
) -> Answers:
    specs = [spec.in_round(number) for number in rounds]
    ids = [item.sample.id for item in golden.items]
    by_round = [ledger.latest(one, ids) for one in specs]
    totals: Counter[str] = Counter()
    for one in specs:
        totals.update(_usage(ledger, one, set(ids)))
    judgements = [judge[i] for judge in by_round for i in ids if i in judge]
    states = Counter(judgement.state for judgement in judgements)
    reasons = Counter(judgement.reason for judgement in judgements if judgement.state != "ok")
    return Answers(
        created_at=time.time(),
        versions={"efficient-empathy": version("efficient-empathy")},
        golden=GoldenNote(name=golden.name, corpus=golden.manifest.corpus, items=len(golden.items)),
        corpus=golden.manifest.corpus,
        rubric=RubricNote.of(rubric),
        judge=JudgeNote(name=name, reference=redact(reference), spec=spec.in_round(1)),
        decoding=decoding_of(spec),
        parser=read_by(spec),
        repeats=len(rounds),
        rounds=tuple(rounds),
        states={state: states[state] for state in STATES},
        reasons=dict(reasons.most_common(REASONS_SHOWN)),
        usage=Usage.model_validate({key: round(totals[key], 6) for key in _USAGE}),
        seconds=round(seconds, 2),
        items=tuple(
            ItemRounds(
                id=item.sample.id,
                dialogue_id=item.sample.dialogue_id,
                category=item.sample.category,
                rounds=tuple(_reading(judge.get(item.sample.id)) for judge in by_round),
            )
            for item in golden.items
        ),
    )


_USAGE = ("requests", "prompt_tokens", "completion_tokens", "cost_usd")


def _usage(ledger: Ledger, spec: JudgeSpec, ids: set[str]) -> Counter[str]:
    """What all judgements of these samples under `spec` took, those that failed and were asked again included."""
    sums: Counter[str] = Counter()
    for judgement in ledger.judgements(spec):
        if judgement.sample_id in ids:
            sums.update({key: getattr(judgement, key) for key in _USAGE})
    return sums


def _reading(judgement: Judgement | None) -> Reading:
    if judgement is None:
        return Reading(state=None)
    if judgement.state == "ok":
        return Reading(state="ok", scores={axis: round(score, 4) for axis, score in judgement.scores.items()})
    return Reading(state=judgement.state, reason=judgement.reason)
