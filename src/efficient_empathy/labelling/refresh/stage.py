"""The stage `score --refresh`: judge again where a score is in doubt, and pool what was said."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.refresh.doubt import Chosen, Doubt, choose
from efficient_empathy.labelling.refresh.words import told
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

STAGE = "refresh"
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
    doubt: Doubt | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Judge samples of a scored run again, and write `scores.parquet` anew from all that was said of each.

    `which`: `uncertain` by `doubt`; `failed`: those without a score; `all`; `none`: nobody is asked, and the scores
    are those of the first pass again. `judge` (a reference or an object) gives `rounds` judgements of each sample;
    without it, the judges of the first pass give as many beyond their first. Judgements that the ledger holds count,
    so the same call pays for nothing twice, and one with more `rounds` adds to them. `pool` is as before, mean after a
    single judge; with `first`, the judge asked here comes before the others.

    What was chosen stands in `refresh.parquet`, a row a sample: `sample_id`, `why` (null: not chosen), `subset` as it
    was. A call that did not come to its end is taken up with the same choice.

    Returns `{which, samples, chosen, why, judged, changed, spread, states, requests, cost_usd, seconds, ending, …}`:
    `judged` judgements made now, `changed` the chosen samples that the active policy now puts elsewhere, `spread` the
    mean `_std` of the chosen ones by axis. Raises `UserError` as `score` does, and where the run was never scored.
    """
    console = console or Console(stderr=True)
    rubric, doubt = rubric or Rubric.load(), doubt or Doubt()
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        run = _Run(workspace, rubric)
        if which == "none":
            return _first_pass_again(run)
        return _refresh(run, _Rounds(run, which, judge, options or JudgeOptions(), rounds, pool), doubt, console)


def plan_refresh(
    workspace: Workspace,
    which: str = "uncertain",
    judge: str | Judge | None = None,
    rubric: Rubric | None = None,
    options: JudgeOptions | None = None,
    *,
    rounds: int = 1,
    pool: Pool | None = None,
    doubt: Doubt | None = None,
) -> dict[str, Any]:
    """What `refresh` would ask for: `plan_samples` over its rounds, with `chosen` and `why`. Writes nothing."""
    run, doubt = _Run(workspace, rubric or Rubric.load()), doubt or Doubt()
    asked = _Rounds(run, which, judge, options or JudgeOptions(), rounds, pool)
    with TemporaryDirectory() as folder:
        chosen = choose(workspace, which, doubt, doubt.policy_of(workspace), Path(folder) / FILE)
        plans = [plan_samples(chosen.samples(), one, workspace) | {"judge": _in_words(one)} for one in asked]
    return {**together(plans), "which": which, "chosen": chosen.count, "why": chosen.why}


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
        told = self.record.get("panel", {}).get("first_pass")
        self.first_pass = Panel.of({"panel": told}) if told else self.panel
        self.judges: list[dict[str, Any]] = told["judges"] if told else []
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


def _refresh(run: _Run, asked: _Rounds, doubt: Doubt, console: Console) -> dict[str, Any]:
    started = time.monotonic()
    workspace, policy, path = run.workspace, doubt.policy_of(run.workspace), run.workspace.root / FILE
    parameters = {
        "which": asked.which,
        **{key: value for key, value in asdict(doubt).items() if key not in ("policy", "alpha", "beta")},
        "policy": policy.parameters(),
        "specs": list(asked.specs),
        "pool": asked.panel.pool,
        "source": workspace.stage("read").get("source"),
    }
    last = workspace.stage(STAGE)
    if last.get("parameters") == parameters and last["ending"] != "complete" and path.exists():
        chosen = Chosen(workspace, path)
        console.print(f"Going on with the {chosen.count:,} samples that were chosen before.")
    else:
        chosen = choose(workspace, asked.which, doubt, policy, path)
        console.print(told({"which": asked.which, "chosen": chosen.count, "why": chosen.why}))
    workspace.record(STAGE, {"parameters": parameters, "chosen": chosen.count, "why": chosen.why, "ending": "begun"})
    if asked.note:
        console.print(asked.note)
    panel = asked.panel if chosen.count else run.panel
    with Ledger(workspace.ledger) as ledger:
        if panel.pools and run.panel.distributions(ledger):
            console.print(
                "A pooled score has no distribution, so `select` goes by the scores; --pool first keeps them."
            )
        asking = Asking(ledger, console, chosen.distinct())
        for one in asked if chosen.count else ():
            console.print(_in_words(one), highlight=False)
            if not asking.ask(one, chosen.samples(), chosen.ids()):
                break
        written = run.write(ledger, panel, [*run.names, *(one.name for one in asked.judges)])
    result = {
        "which": asked.which,
        "policy": policy.parameters(),
        "samples": run.record["samples"],
        "chosen": chosen.count,
        "why": chosen.why,
        "judged": asking.judged,
        **chosen.outcome(policy),
        **{key: written[key] for key in ("states", "unjudged")},
        "pool": panel.pool,
        "specs": list(panel.specs),
        "requests": asking.requests,
        "cost_usd": round(asking.cost_usd, 6),
        "seconds": round(time.monotonic() - started, 2),
        "ending": asking.ending,
    }
    workspace.record(STAGE, {**result, "parameters": parameters})
    asking.give_up(f"{asking.judged:,} judgements were made and kept")
    return result


def _in_words(judge: Bound) -> str:
    """A judge, and the round that it is in, if not its first."""
    _, _, number = judge.spec.rpartition(" round=")
    return f"{judge.name}, round {number}" if number.isdigit() else judge.name


def _first_pass_again(run: _Run) -> dict[str, Any]:
    started = time.monotonic()
    with Ledger(run.workspace.ledger) as ledger:
        written = run.write(ledger, run.first_pass, [one["judge"] for one in run.judges] or run.names)
    result = {
        "which": "none",
        "samples": run.record["samples"],
        **{key: written[key] for key in ("states", "unjudged")},
        "pool": run.first_pass.pool,
        "specs": list(run.first_pass.specs),
        "seconds": round(time.monotonic() - started, 2),
        "ending": "complete",
    }
    run.workspace.record(STAGE, {**result, "parameters": None})
    return result
