"""The stage `score --refresh`: judge again where a score is uncertain, and pool what was said."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.refresh.record import RefreshParameters, RefreshRecord, choice_text
from efficient_empathy.labelling.refresh.uncertainty import Choice, UncertaintySettings, choose
from efficient_empathy.scoring.judgement import Judge
from efficient_empathy.scoring.judges.choice import JudgeOptions, share_budget
from efficient_empathy.scoring.judges.contract import Bound
from efficient_empathy.scoring.judges.openai import Decoding
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.panel import Panel, Pool
from efficient_empathy.scoring.plan import plan_samples, together
from efficient_empathy.scoring.rounds import in_round, round_spec
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.stage import Asking, hire, mean_disagreement, write
from efficient_empathy.selection.policies import Selector

STAGE = RefreshRecord.STAGE
FILE = "refresh.parquet"
ALWAYS_THE_SAME = ("judge=distilled ", "judge=replay ")
"""Judges, by the beginning of their keys, that would only repeat themselves."""


def refresh(
    workspace: Workspace,
    which: str = "uncertain",
    judge: str | Judge | None = None,
    rubric: Rubric | None = None,
    options: JudgeOptions | None = None,
    *,
    rounds: int = 1,
    pool: Pool | None = None,
    uncertainty: UncertaintySettings | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Judge samples of a scored run again, and write `scores.parquet` anew from all that was said of each.

    `which`: `uncertain` by the settings of `uncertainty`; `failed`: those without a score; `all`; `none`: nobody is
    asked, and the scores are those of the first pass again. `judge` (a reference or an object) gives `rounds`
    judgements of each sample; without it, the judges of the first pass give as many beyond their first. Judgements
    that the ledger holds count, so the same call pays for nothing twice, and one with more `rounds` adds to them.
    `pool` is as before, mean after a single judge; with `first`, the judge asked here comes before the others.

    What was chosen stands in `refresh.parquet`, a row a sample: `sample_id`, `why` (null: not chosen), `subset` as it
    was. A call that did not come to its end is taken up with the same choice.

    Returns `{which, samples, chosen, why, judged, changed, spread, states, requests, cost_usd, seconds, ending, …}`:
    `judged` judgements made now, `changed` the chosen samples that the active policy now puts elsewhere, `spread` the
    mean `_std` of the chosen ones by axis. Raises `UserError` as `score` does, and where the run was never scored.
    """
    console = console or Console(stderr=True)
    rubric, uncertainty = rubric or Rubric.load(), uncertainty or UncertaintySettings()
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        run = _Run(workspace, rubric)
        if which == "none":
            return _first_pass_again(run)
        asking = _Rounds(run, which, judge, options or JudgeOptions(), rounds, pool)
        return _refresh(run, asking, uncertainty, console)


def plan_refresh(
    workspace: Workspace,
    which: str = "uncertain",
    judge: str | Judge | None = None,
    rubric: Rubric | None = None,
    options: JudgeOptions | None = None,
    *,
    rounds: int = 1,
    pool: Pool | None = None,
    uncertainty: UncertaintySettings | None = None,
) -> dict[str, Any]:
    """What `refresh` would ask for: `plan_samples` over its rounds, with `chosen` and `why`. Writes nothing."""
    run, uncertainty = _Run(workspace, rubric or Rubric.load()), uncertainty or UncertaintySettings()
    selector = uncertainty.selector(RunTable(workspace).require("scores"))
    asking = _Rounds(run, which, judge, options or JudgeOptions(), rounds, pool)
    with TemporaryDirectory() as folder:
        choice = choose(workspace, which, uncertainty, selector, Path(folder) / FILE)
        plans = [plan_samples(choice.samples(), one, workspace) | {"judge": _judge_text(one)} for one in asking]
    return {**together(plans), "which": which, "chosen": choice.count, "why": choice.why}


class _Run:
    """A scored run: whose judgements its scores are made of, and who judged every sample of it in the first place."""

    def __init__(self, workspace: Workspace, rubric: Rubric) -> None:
        self.workspace, self.rubric = workspace, rubric
        self.record = workspace.stage("score")
        if "spec" not in self.record or not workspace.scores.exists():
            raise UserError(f"{workspace.root} has no scores to refresh: run `efficient-empathy score SOURCE` first")
        for path in (workspace.samples, workspace.scores):
            workspace.require(path, "score SOURCE")
        if (known := self.record["rubric"]["hash"]) != rubric.hash:
            raise UserError(f"{workspace.root} was scored by the rubric {known}: give its file with --rubric")
        self.panel = Panel.of(self.record)
        first_pass = self.record.get("panel", {}).get("first_pass")
        self.first_pass = Panel.of({"panel": first_pass}) if first_pass else self.panel
        self.judges: list[dict[str, Any]] = first_pass["judges"] if first_pass else []
        self.names = str(self.record["judge"]).split(" + ")

    def write(self, ledger: Ledger, panel: Panel, names: Iterable[str]) -> dict[str, Any]:
        """Write the scores of `panel`, whose judges have these names, and record it; what is counted now."""
        written = write(self.workspace, ledger, panel, self.rubric)
        kept = {key: self.record[key] for key in self.record if key not in ("disagreement", "finished_at", "versions")}
        found: dict[str, Any] = {key: written[key] for key in ("states", "unjudged", "distributions")} | written[
            "totals"
        ]
        found |= {"judge": " + ".join(dict.fromkeys(names)), "panel": panel.record(self.first_pass, self.judges)}
        if panel.pools:
            found |= {"pool": panel.pool, "disagreement": mean_disagreement(self.workspace)}
        self.workspace.record("score", {**kept, **found})
        return found


class _Rounds:
    """Who is asked, in which rounds, and the panel that comes of it."""

    def __init__(
        self,
        run: _Run,
        which: str,
        judge: str | Judge | None,
        options: JudgeOptions,
        rounds: int,
        pool: Pool | None,
    ) -> None:
        if rounds < 1:
            raise UserError(f"each sample is judged again once or more often, not {rounds} times")
        if which == "failed" and judge is None:
            raise UserError(
                "those that failed are asked again by the same judges when you run `score` again: name another "
                "judge with --with"
            )
        self.which, self._rubric = which, run.rubric
        hired = [hire(judge, run.rubric, run.workspace, options)] if judge else _same_judges(run, options)
        last = {one.spec: rounds + (one.spec in run.first_pass.specs) for one in hired}
        self.judges = [one for one in hired if last[one.spec] == 1 or not one.spec.startswith(ALWAYS_THE_SAME)]
        if not self.judges:
            raise UserError(
                f"{' + '.join(one.name for one in hired)} would only repeat itself, however often it is asked: name "
                "another judge with --with, such as openai:MODEL"
            )
        share_budget(self.judges)
        self.numbers = [range(last[one.spec] - rounds + 1, last[one.spec] + 1) for one in self.judges]
        self.specs = tuple(
            round_spec(one.spec, number)
            for one, numbers in zip(self.judges, self.numbers, strict=True)
            for number in numbers
        )
        known, new = run.panel.specs, self.specs
        pool = pool or (run.panel.pool if len(known) > 1 else "first" if which == "failed" else "mean")
        self.panel = Panel(tuple(dict.fromkeys((*new, *known) if pool == "first" else (*known, *new))), pool)

    def __iter__(self) -> Iterator[Bound]:
        """Each judge in each of its rounds; it is bound to that round until the next one is taken."""
        for one, numbers in zip(self.judges, self.numbers, strict=True):
            for number in numbers:
                yield in_round(one, self._rubric, number)

    @property
    def note(self) -> str:
        """What a user should know before paying; empty if nothing."""
        sampled = [one.endpoint is None or "temperature=0 " not in one.spec for one in self.judges]
        if all(sampled) or all(numbers[-1] == 1 for numbers in self.numbers):
            return ""
        return "At temperature 0 a judge mostly repeats itself: --temperature 0.7 tells more."


def _same_judges(run: _Run, options: JudgeOptions) -> list[Bound]:
    """The judges of the first pass, decoding as then unless `options` ask for another."""
    if not run.judges or any(one["reference"] is None for one in run.judges):
        raise UserError(
            f"{run.workspace.root} does not tell how its judge can be asked again: name a judge with --with"
        )
    hired = []
    for one in run.judges:
        decoding = Decoding(**one["decoding"]) if options.decoding == Decoding() else options.decoding
        asked = replace(options, decoding=decoding, api_key_env=one["api_key_env"])
        hired.append(hire(one["reference"], run.rubric, run.workspace, asked))
    return hired


def _refresh(run: _Run, rounds: _Rounds, settings: UncertaintySettings, console: Console) -> dict[str, Any]:
    started = time.monotonic()
    workspace = run.workspace
    selector = settings.selector(RunTable(workspace).require("scores"))
    parameters = RefreshParameters(
        which=rounds.which,
        uncertainty=settings.model_dump(mode="json", exclude={"policy", "thresholds"}),
        selector=selector.parameters() if selector else None,
        specs=rounds.specs,
        pool=rounds.panel.pool,
        source=workspace.stage("read").get("source"),
    )
    choice = _choice(run, rounds, settings, selector, parameters, console)
    begun = RefreshRecord(
        parameters=parameters, which=rounds.which, ending="begun", chosen=choice.count, why=choice.why,
        policy=selector.policy.name if selector else None,
        thresholds=selector.policy.thresholds if selector else {},
        samples=run.record["samples"],
    )  # fmt: skip
    workspace.record(STAGE, begun)
    if rounds.note:
        console.print(rounds.note)
    panel = rounds.panel if choice.count else run.panel
    with Ledger(workspace.ledger) as ledger:
        if panel.pools and run.panel.distributions(ledger):
            console.print(
                "A pooled score has no distribution, so `select` goes by the scores; --pool first keeps them."
            )
        asking = Asking(ledger, console, choice.distinct())
        for one in rounds if choice.count else ():
            console.print(_judge_text(one), highlight=False)
            if not asking.ask(one, choice.samples(), choice.ids()):
                break
        written = run.write(ledger, panel, [*run.names, *(one.name for one in rounds.judges)])
    record = begun.model_copy(
        update={
            "ending": asking.ending,
            "judged": asking.judged,
            **choice.outcome(selector),
            **{key: written[key] for key in ("states", "unjudged")},
            "pool": panel.pool,
            "specs": panel.specs,
            "requests": asking.requests,
            "cost_usd": round(asking.cost_usd, 6),
            "seconds": round(time.monotonic() - started, 2),
        }
    )
    workspace.record(STAGE, record)
    asking.give_up(f"{asking.judged:,} judgements were made and kept")
    return record.result()


def _choice(
    run: _Run, rounds: _Rounds, settings: UncertaintySettings, selector: Selector | None,
    parameters: RefreshParameters, console: Console,
) -> Choice:  # fmt: skip
    """The samples to judge again: those of a call with the same parameters that did not come to its end, else new."""
    workspace, path = run.workspace, run.workspace.root / FILE
    last = workspace.last(STAGE, RefreshRecord)
    if last is not None and last.parameters == parameters and last.ending != "complete" and path.exists():
        choice = Choice(workspace, path)
        console.print(f"Going on with the {choice.count:,} samples that were chosen before.")
        return choice
    choice = choose(workspace, rounds.which, settings, selector, path)
    console.print(choice_text({"which": rounds.which, "chosen": choice.count, "why": choice.why}))
    return choice


def _judge_text(judge: Bound) -> str:
    """A judge, and the round that it is in, if not its first."""
    _, _, number = judge.spec.rpartition(" round=")
    return f"{judge.name}, round {number}" if number.isdigit() else judge.name


def _first_pass_again(run: _Run) -> dict[str, Any]:
    started = time.monotonic()
    with Ledger(run.workspace.ledger) as ledger:
        written = run.write(ledger, run.first_pass, [one["judge"] for one in run.judges] or run.names)
    record = RefreshRecord(
        parameters=None,
        which="none",
        ending="complete",
        samples=run.record["samples"],
        states=written["states"],
        unjudged=written["unjudged"],
        pool=run.first_pass.pool,
        specs=run.first_pass.specs,
        seconds=round(time.monotonic() - started, 2),
    )
    run.workspace.record(STAGE, record)
    return record.result()
