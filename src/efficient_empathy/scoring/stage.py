"""The stage `score`: judge what has no judgement yet, write `scores.parquet`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl
from rich.console import Console

from efficient_empathy.dialogues import Sample, scan_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.heartbeat import NAME, Heartbeat
from efficient_empathy.scoring.ingest import ingest
from efficient_empathy.scoring.judgement import STATES, Judge
from efficient_empathy.scoring.judges.choice import JudgeOptions, share_budget
from efficient_empathy.scoring.judges.contract import Bound
from efficient_empathy.scoring.judges.reference import full_reference, judge_of
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.loop import Ending
from efficient_empathy.scoring.panel import Panel, Pool
from efficient_empathy.scoring.progress import ScoringProgress
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.running import run_judge
from efficient_empathy.scoring.scores import write_scores

REASONS_SHOWN = 3


def score(
    source: str | Path,
    workspace: Workspace,
    judge: str | Judge | Sequence[str | Judge] = "distilled",
    rubric: Rubric | None = None,
    options: JudgeOptions | None = None,
    *,
    pool: Pool = "median",
    console: Console | None = None,
    **reading: Any,
) -> dict[str, Any]:
    """Read `source` into a run, judge every sample without an `ok` judgement of this judge, write `scores.parquet`.

    `judge` is a reference (`scoring.reference`) with its `options`, any object that keeps the `Judge` contract, or
    several of either: each judges every sample, all on one budget, and `pool` makes one score of theirs. `reading` is
    passed on to `ingest`.

    Returns `{samples, states, unjudged, requests, cost_usd, seconds, ending, …}`: `states` counts samples by
    how they stand now, `requests` and `cost_usd` what this call made and spent, `ending` is complete, stopped (Ctrl-C)
    or budget, `reasons` are the most frequent ones of failure; of several judges also `pool`, `disagreement` (its
    mean; None where two never judged the same sample) and `members`. A `UserError` that ends it (dead endpoint, wrong
    key) comes after all that was received is kept.
    """
    console = console or Console(stderr=True)
    rubric = rubric or Rubric.load()
    judges: list[str | Judge] = [judge] if isinstance(judge, str) or not isinstance(judge, Sequence) else [*judge]
    options = options or JudgeOptions()
    options = options if options.replies else replace(options, replies=Path(source))
    workspace.create()
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        hired = [hire(one, rubric, workspace, options) for one in judges]  # before anything is written
        share_budget(hired)
        first_pass = Panel(tuple(one.spec for one in hired), pool if len(hired) > 1 else "first")
        read = ingest(source, workspace, **reading)
        told = f"{read['samples']:,} samples of {read['conversations']:,} conversations"
        console.print(f"{told}, read as {read['source']['format']}")
        references = [{"judge": b.name, **_reference(one, options)} for one, b in zip(judges, hired, strict=True)]
        return _score(workspace, hired, first_pass, references, rubric, read, console)


def hire(judge: str | Judge, rubric: Rubric, workspace: Workspace, options: JudgeOptions | None = None) -> Bound:
    """The judge that a reference names, or that an object is, bound to the rubric."""
    return judge_of(judge, rubric, workspace, options) if isinstance(judge, str) else Bound(judge, rubric)


def _reference(judge: str | Judge, options: JudgeOptions) -> dict[str, Any]:
    """What a later refresh needs to ask the same judge; nothing for an object."""
    if not isinstance(judge, str):
        return {"reference": None}
    return {
        "reference": full_reference(judge, options),
        "decoding": asdict(options.decoding),
        "api_key_env": options.api_key_env,
    }


def _score(
    workspace: Workspace,
    hired: Sequence[Bound],
    first_pass: Panel,
    references: Sequence[dict[str, Any]],
    rubric: Rubric,
    read: dict[str, Any],
    console: Console,
) -> dict[str, Any]:
    started = time.monotonic()
    panel = _with_rounds(first_pass, workspace.stage("score"))
    with Ledger(workspace.ledger) as ledger:
        asking = Asking(ledger, console, read["samples"] - read["duplicates"])
        for one in hired:
            samples = (sample for chunk in scan_samples(workspace.samples, 1024) for sample in chunk)
            if len(hired) > 1:
                console.print(one.name, highlight=False)
            if not asking.ask(one, samples, sample_ids(workspace.samples)):
                break
        written = write(workspace, ledger, panel, rubric)
        members = [_member(workspace, ledger, one) for one in hired]
    result = {
        "samples": read["samples"],
        "states": written["states"],
        "unjudged": written["unjudged"],
        "requests": asking.requests,
        "cost_usd": round(asking.cost_usd, 6),
        "seconds": round(time.monotonic() - started, 2),
        "ending": asking.ending,
        "reasons": dict(sum((Counter(m.pop("reasons")) for m in members), Counter()).most_common(REASONS_SHOWN)),
        **{key: read[key] for key in ("bad_rows", "repairs", "duplicates")},
    }
    if panel.pools:
        result |= {"pool": panel.pool, "disagreement": mean_disagreement(workspace)}
    if len(hired) > 1:
        result |= {"members": members}
    kept = {key: read[key] for key in read if key not in ("parameters", "finished_at", "versions")}
    about = {
        "judge": " + ".join(one.name for one in hired),
        "spec": first_pass.specs[0],
        "panel": panel.record(first_pass, references),
        "rubric": {"name": rubric.name, "hash": rubric.hash, "axes": {a.name: list(a.scale) for a in rubric.axes}},
    }
    record = {**kept, **result, **written["totals"], **about, "distributions": written["distributions"]}
    workspace.record("score", record)
    asking.give_up(f"{written['states']['ok']:,} of {read['samples']:,} samples are judged and kept")
    return result


def _with_rounds(first_pass: Panel, last: Mapping[str, Any]) -> Panel:
    """`first_pass` with the rounds that a refresh has added to the same judges' first pass."""
    known = last.get("panel", {}).get("first_pass")
    return Panel.of(last) if known and Panel.of({"panel": known}) == first_pass else first_pass


class Asking:
    """Judges put through the same samples, `total` of them, one after the other: what that comes to."""

    def __init__(self, ledger: Ledger, console: Console, total: int) -> None:
        self.requests = 0
        self.cost_usd = 0.0
        self.judged = 0
        self.ending: Ending | Literal["error"] = "complete"
        self._failure: UserError | None = None
        self._ledger, self._console, self._total = ledger, console, total

    def ask(self, judge: Bound, samples: Iterable[Sample], ids: Iterable[Sequence[str]]) -> bool:
        """Judge those of `samples` that need it; `ids` are theirs, in parts. Whether it came to its end."""
        if judge.note:
            self._console.print(judge.note)
        done = sum(list(self._ledger.states(judge.spec, part).values()).count("ok") for part in ids)
        progress = ScoringProgress(self._console, self._total, done, judge.window)
        heartbeat = Heartbeat(self._ledger.path.with_name(NAME), judge.name, judge.spec, progress.record)
        try:
            self.ending = run_judge(samples, judge, self._ledger, progress, self._console, heartbeat)
        except UserError as error:
            self.ending, self._failure = "error", error
        heartbeat.end(self.ending, str(self._failure or ""))
        self.requests += progress.requests
        self.cost_usd += progress.cost_usd
        self.judged += sum(progress.states.values())
        return self.ending == "complete"

    def give_up(self, kept: str) -> None:
        """Raise the `UserError` that ended it, if one did; `kept` says what there is all the same."""
        if self._failure is not None:
            raise UserError(f"{self._failure} ({kept}; the same command goes on from there.)") from self._failure


def write(workspace: Workspace, ledger: Ledger, panel: Panel, rubric: Rubric) -> dict[str, Any]:
    """Write a run's scores as `panel` has them; `{states, unjudged, totals, distributions}`, counted by row."""
    write_scores(workspace.samples, ledger, panel, rubric, workspace.scores)
    workspace.keep("score", [workspace.scores])
    found = pl.scan_parquet(workspace.scores, glob=False).group_by("state").len().collect(engine="streaming")
    counts = dict(found.iter_rows())
    return {
        "states": {state: counts.get(state, 0) for state in STATES},
        "unjudged": counts.get(None, 0),
        "totals": panel.totals(ledger),
        "distributions": panel.distributions(ledger),
    }


def sample_ids(samples: Path) -> Iterator[list[str]]:
    """The ids of a Parquet file's rows, in parts."""
    for chunk in pl.scan_parquet(samples, glob=False).select("sample_id").collect_batches(chunk_size=65536):
        yield chunk["sample_id"].to_list()


def _member(workspace: Workspace, ledger: Ledger, judge: Bound) -> dict[str, Any]:
    """How the rows of a run stand with one judge, what it has cost in all, and why it failed where it did."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for ids in sample_ids(workspace.samples):
        states = ledger.states(judge.spec, ids)
        counts.update(states[i] for i in ids if i in states)
        failed = [i for i, state in states.items() if state != "ok"]
        reasons.update(j.reason for j in ledger.latest(judge.spec, failed).values())
    totals = ledger.totals(judge.spec)
    spent = {"requests": totals["requests"], "cost_usd": round(totals["cost_usd"], 6)}
    by_state = {state: counts[state] for state in STATES}
    return {"judge": judge.name, "spec": judge.spec, "states": by_state, **spent, "reasons": reasons}


def mean_disagreement(workspace: Workspace) -> float | None:
    """The mean `disagreement` of a run's pooled scores; None where no sample has two judgements."""
    mean = pl.scan_parquet(workspace.scores, glob=False).select(pl.col("disagreement").mean()).collect().item()
    return None if mean is None else round(mean, 4)


def summary(result: dict[str, Any], run: Path) -> str:
    """The result of `score` in words, with what to do next."""
    states = ", ".join(f"{count:,} {state}" for state, count in result["states"].items() if count)
    lines = [f"{result['samples']:,} samples: {states or 'none judged'}, in {result['seconds']:.0f} s."]
    left_out = {"bad rows left out": result["bad_rows"], **result["repairs"], "repeated samples": result["duplicates"]}
    if any(left_out.values()):
        lines.append("Reading: " + ", ".join(f"{count:,} {what}" for what, count in left_out.items() if count) + ".")
    if result["cost_usd"]:
        lines.append(f"{result['requests']:,} requests, ${result['cost_usd']:.4f}.")
    for member in result.get("members", ()):
        counts = ", ".join(f"{count:,} {state}" for state, count in member["states"].items() if count)
        lines.append(f"  {member['judge']}: {counts or 'none judged'}")
    if "pool" in result:
        apart = result["disagreement"]
        told = (
            "none has two yet" if apart is None else f"where there are several, they are {apart:.2f} apart on average"
        )
        lines.append(f"The score is the {result['pool']} of a sample's judgements; {told}.")
    lines += [f"  {count:,} × {reason}" for reason, count in result["reasons"].items()]
    if result["ending"] == "stopped":
        lines.append(f"Stopped with {result['unjudged']:,} samples to go. Run the same command again to go on.")
    elif result["ending"] == "budget":
        lines.append(f"The budget ends here, with {result['unjudged']:,} samples to go. A higher --max-cost goes on.")
    elif result["states"]["ok"] < result["samples"]:
        lines.append("Run the same command again to retry what failed.")
    if result["states"]["ok"]:
        lines.append(f"Next: efficient-empathy select --run {run}")
    return "\n".join(lines)
