"""A judge put to a golden set, k times an item: asked, kept in a ledger, resumable."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.redaction import redact
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.runner import Watcher
from efficient_empathy.prompts.golden.golden_set import Golden, rubric_record
from efficient_empathy.prompts.golden.provenance import decoding_of, read_by
from efficient_empathy.prompts.testing.results import FORMAT, KIND, Results
from efficient_empathy.scoring.judgement import STATES, Judgement
from efficient_empathy.scoring.judges.contract import JudgeOptions, JudgeSpec
from efficient_empathy.scoring.judges.registry import build_judge
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.plan import plan_samples, together
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
) -> dict[str, Any]:
    """Ask the judge `reference` about every item, `repeats` times, and return the result without figures.

    A finished test is never answered from the ledger: each has rounds of its own, so that a judge that has changed
    behind its name is found out. A test that was interrupted is gone on with: only what has no `ok` judgement in its
    rounds is asked. Raises `UserError` (a dead endpoint, a budget that ends) and `StoppedError` after all that came is
    kept.
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
                raise UserError(f"{error} ({_kept(ledger, built.spec, rounds, ids)})") from error
            if ending == "budget":
                told = _kept(ledger, built.spec, rounds, ids)
                raise UserError(f"the budget ends here: a higher --max-cost goes on ({told})")
            if ending == "stopped":
                raise StoppedError(f"Stopped: {_kept(ledger, built.spec, rounds, ids)}.")
        return _result(golden, rubric, reference, built.name, built.spec, rounds, ledger, time.monotonic() - started)


def plan(
    golden: Golden, rubric: Rubric, references: Sequence[str], repeats: int, folder: Workspace, options: JudgeOptions
) -> dict[str, Any]:
    """What `ask` would ask of each judge and cost, without asking; see `scoring.plan.together`."""
    plans = []
    for reference in references:
        for number in next_rounds(golden, rubric, reference, repeats, folder, options):
            built = build_judge(reference, rubric, folder, options).in_round(number)
            told = plan_samples(golden.samples, built, folder)
            plans.append(told | {"judge": f"{built.name} (round {number})"})
    return together(plans)


def next_rounds(
    golden: Golden, rubric: Rubric, reference: str, repeats: int, folder: Workspace, options: JudgeOptions
) -> list[int]:
    """The numbers of a new test's rounds: those after the last finished test of the same judge and rubric here."""
    spec = build_judge(reference, rubric, folder, options).spec
    done = [
        number
        for _, result in Results(folder.root).all()
        if JudgeSpec(**result["judge"]["spec"]) == spec and result["corpus"] == golden.manifest.corpus
        for number in result["rounds"]
    ]
    first = max(done, default=0) + 1
    return list(range(first, first + repeats))


def _kept(ledger: Ledger, spec: JudgeSpec, rounds: Sequence[int], ids: Sequence[str]) -> str:
    kept = sum(len(ids) - len(ledger.missing(spec.in_round(number), ids)) for number in rounds)
    return f"{kept:,} of {len(ids) * len(rounds):,} judgements are made and kept; the same command goes on from there"


def _result(
    golden: Golden,
    rubric: Rubric,
    reference: str,
    name: str,
    spec: JudgeSpec,
    rounds: Sequence[int],
    ledger: Ledger,
    seconds: float,
) -> dict[str, Any]:
    specs = [spec.in_round(number) for number in rounds]
    ids = [item.sample.id for item in golden.items]
    found = [ledger.latest(one, ids) for one in specs]
    totals: Counter[str] = Counter()
    for one in specs:
        totals.update(_spent(ledger, one, set(ids)))
    judgements = [judged[i] for judged in found for i in ids if i in judged]
    states = Counter(judgement.state for judgement in judgements)
    reasons = Counter(judgement.reason for judgement in judgements if judgement.state != "ok")
    return {
        "kind": KIND,
        "format": FORMAT,
        "created_at": time.time(),
        "versions": {"efficient-empathy": version("efficient-empathy")},
        "golden": {"name": golden.name, "corpus": golden.manifest.corpus, "items": len(golden.items)},
        "corpus": golden.manifest.corpus,
        "rubric": rubric_record(rubric),
        "judge": {"name": name, "reference": redact(reference), "spec": spec.in_round(1).model_dump(mode="json")},
        "decoding": decoding_of(spec),
        "parser": read_by(spec),
        "repeats": len(rounds),
        "rounds": list(rounds),
        "states": {state: states[state] for state in STATES},
        "reasons": dict(reasons.most_common(REASONS_SHOWN)),
        "usage": {key: round(totals[key], 6) for key in _USAGE},
        "seconds": round(seconds, 2),
        "items": [
            {
                "id": item.sample.id,
                "dialogue_id": item.sample.dialogue_id,
                "category": item.sample.category,
                "rounds": [_round(judged.get(item.sample.id)) for judged in found],
            }
            for item in golden.items
        ],
    }


_USAGE = ("requests", "prompt_tokens", "completion_tokens", "cost_usd")


def _spent(ledger: Ledger, spec: JudgeSpec, ids: set[str]) -> Counter[str]:
    """What all judgements of these samples under `spec` took, those that failed and were asked again included."""
    spent: Counter[str] = Counter()
    for judgement in ledger.judgements(spec):
        if judgement.sample_id in ids:
            spent.update({key: getattr(judgement, key) for key in _USAGE})
    return spent


def _round(judgement: Judgement | None) -> dict[str, Any]:
    if judgement is None:
        return {"state": None}
    if judgement.state == "ok":
        return {"state": "ok", "scores": {axis: round(score, 4) for axis, score in judgement.scores.items()}}
    return {"state": judgement.state, "reason": judgement.reason}
