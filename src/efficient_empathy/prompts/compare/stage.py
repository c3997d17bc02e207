"""The stage `prompts compare`: two rubrics, judges or runs side by side, as JSON and as a page."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from efficient_empathy.dialogues import SAMPLE_SCHEMA, Sample, read, write_samples
from efficient_empathy.evaluation.judging import judge_samples
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.prompts.compare.comparison import compare_sides
from efficient_empathy.prompts.compare.page import comparison_text, page
from efficient_empathy.prompts.compare.records import (
    ComparedSide,
    CompareRecord,
    PromptComparisonRecord,
    Sampling,
    WatchedPolicy,
)
from efficient_empathy.prompts.compare.sides import (
    LABELS,
    AskedSide,
    Side,
    StoredSide,
    asked_side,
    axes_of,
    common_axes,
    result_side,
    run_side,
    sides_of,
)
from efficient_empathy.prompts.golden.golden_set import read_golden
from efficient_empathy.prompts.settings import CompareSettings, resolve_policy
from efficient_empathy.scoring import Ledger, Rubric
from efficient_empathy.scoring.judges.contract import CheckedJudge, JudgeOptions, JudgeSpec
from efficient_empathy.scoring.judges.registry import build_judge
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.plan import ScorePlan, plan_samples, together
from efficient_empathy.scoring.scores import write_scores
from efficient_empathy.selection.shares import tie_hash

FOLDER = Path("prompt-comparisons")
RECORD, PAGE = "comparison.json", "comparison.html"
MOST = 200
"""Samples that are judged unless more are asked for."""


@dataclass(frozen=True)
class Comparison:
    """Two sides, and the settings of their comparison."""

    a: str
    """A rubric file or name, a judge's reference, or a scored run's folder."""
    b: str
    """Another one."""
    settings: CompareSettings

    @property
    def folder(self) -> Path:
        """Where the comparison goes unless a folder is named."""
        return FOLDER / "-vs-".join(_slug(name) for name in (self.a, self.b))


@dataclass(frozen=True)
class ComparisonResult:
    """A comparison, what this call took, and where it is written."""

    record: PromptComparisonRecord
    requests: int
    cost_usd: float
    seconds: float
    ending: str
    """`complete`, `stopped` or `budget`."""
    output: Path
    page: Path

    def as_json(self) -> dict[str, Any]:
        """The record, with the rest beside it."""
        return {
            **self.record.model_dump(mode="json"),
            "requests": self.requests,
            "cost_usd": self.cost_usd,
            "seconds": self.seconds,
            "ending": self.ending,
            "output": str(self.output),
            "page": str(self.page),
        }


def compare(
    comparison: Comparison,
    output: Path | None = None,
    options: JudgeOptions | None = None,
    *,
    console: Console | None = None,
) -> ComparisonResult:
    """Judge what is not judged yet, and write `comparison.json` and `comparison.html` into `output`.

    Every answer is kept in the folder's ledger as it comes: stopped or killed, the same call asks only for what is
    missing, and failed answers are asked for again. Raises `UserError`; what was answered until then is kept.
    """
    console = console or Console(stderr=True)
    started = time.monotonic()
    sides, stored, folder = _prepare(comparison, output, options)
    policy = _resolve_policy(comparison, sides, stored)
    frame = _samples(comparison, sides)
    folder.create()
    with folder.lock(lambda: console.print(f"Another process is working on {folder.root}; waiting for it.")):
        if len(frame):
            write_samples(iter(samples_of(frame)), folder.samples)
        usage: Counter[str] = Counter()
        ending: str = "complete"
        ready: list[Side] = []
        for label, side, own in zip(LABELS, sides, stored, strict=True):
            if isinstance(side, StoredSide):
                ready += [own] if own else []
                continue
            session = judge_samples(
                samples_of(frame), _build(side, folder, options), side.rubric, None, folder, console
            )
            usage.update({"requests": session.requests, "cost_usd": session.cost_usd})
            ready.append(_scored_side(label, side, session.judge, session.spec, frame, folder))
            if session.ending != "complete":
                ending = session.ending
                break
        if len(ready) < 2:
            raise _unfinished(ending, ready[0], sides)
        sampling = Sampling(draws=comparison.settings.resamples, seed=comparison.settings.seed)
        record = compare_sides(ready[0], ready[1], policy, sampling, examples=comparison.settings.examples)
        _write(folder, record, [side.prompt for side in ready])
    return ComparisonResult(
        record,
        requests=int(usage["requests"]),
        cost_usd=round(float(usage["cost_usd"]), 6),
        seconds=round(time.monotonic() - started, 2),
        ending=ending,
        output=folder.root / RECORD,
        page=folder.root / PAGE,
    )


def plan_compare(comparison: Comparison, output: Path | None = None, options: JudgeOptions | None = None) -> ScorePlan:
    """What `compare` would ask for and cost, without asking: `scoring.plan.together` of the sides that are asked.

    Writes nothing. Raises `UserError` where nobody would be asked.
    """
    sides, _, folder = _prepare(comparison, output, options)
    to_ask = [side for side in sides if isinstance(side, AskedSide)]
    if not to_ask:
        raise UserError("A and B have their scores already, so nobody would be asked: leave --dry-run out")
    samples = samples_of(_samples(comparison, sides))
    judges = [_build(side, folder, options) for side in to_ask]
    names = [f"{side.name} ({judge.name})" for side, judge in zip(to_ask, judges, strict=True)]
    return together([plan_samples(samples, judge, folder, name) for judge, name in zip(judges, names, strict=True)])


Sides = tuple[AskedSide | StoredSide, AskedSide | StoredSide]


def _prepare(
    comparison: Comparison, output: Path | None, options: JudgeOptions | None
) -> tuple[Sides, list[Side | None], Workspace]:
    """Both sides, those that have their scores already loaded, and the folder.

    Raises `UserError`, before anything is paid for, where the sides have no axis in common, where their answers would
    be kept under one key, and where the folder is a run's.
    """
    sides = sides_of(comparison.a, comparison.b, comparison.settings.judges, comparison.settings.rubric)
    stored = [_load_side(side, comparison) if isinstance(side, StoredSide) else None for side in sides]
    axes = [axes_of(side.rubric) if isinstance(side, AskedSide) else one.axes if one else () for side, one in
            zip(sides, stored, strict=True)]  # fmt: skip
    common_axes([side.name for side in sides], axes)
    folder = Workspace(output or comparison.folder)
    if folder.scores.exists():
        raise UserError(f"{folder.root} is a scored run's folder: name another one for the comparison with -o")
    specs = [_build(side, folder, options).spec for side in sides if isinstance(side, AskedSide)]
    if len(specs) == 2 and specs[0] == specs[1]:
        raise UserError(
            "A equals B: both would be asked the same of the same model on the same server, and share one answer "
            f"({specs[0]}); where two servers on one machine have a model each, give the models different names"
        )
    return sides, stored, folder


def _load_side(side: StoredSide, comparison: Comparison) -> Side:
    return run_side(side) if side.is_run else result_side(side, comparison.settings.golden)


def _samples(comparison: Comparison, sides: Sides) -> pl.DataFrame:
    """What the asked sides are to judge; empty where there is none."""
    if any(isinstance(side, AskedSide) for side in sides):
        return draw_samples(
            sides,
            comparison.settings.golden,
            comparison.settings.samples,
            comparison.settings.n,
            comparison.settings.seed,
        )
    texts = (
        None if any(isinstance(side, StoredSide) and not side.is_run for side in sides) else comparison.settings.golden
    )
    idle = {"--samples": comparison.settings.samples, "-n": comparison.settings.n, "--golden": texts}
    if flags := [name for name, value in idle.items() if value is not None]:
        raise UserError(f"{flags[0]} says what is judged, and A and B have their scores already: leave it out")
    return SAMPLE_SCHEMA.to_frame()


def _build(side: AskedSide, folder: Workspace, options: JudgeOptions | None) -> CheckedJudge:
    return build_judge(side.judge, side.rubric, folder, options)


def _scored_side(
    label: str, side: AskedSide, judge: str, spec: JudgeSpec, frame: pl.DataFrame, folder: Workspace
) -> Side:
    path = folder.root / f"{label}.parquet"
    with Ledger(folder.ledger) as ledger:
        write_scores(folder.samples, ledger, Panel.of([spec]), side.rubric, path)
    return asked_side(side, judge, spec, pl.read_parquet(path, glob=False), frame, folder.ledger)


def _resolve_policy(comparison: Comparison, sides: Sides, stored: Sequence[Side | None]) -> WatchedPolicy | None:
    """The policy: as it is named, else as in the golden set, a side's selection, or paper where it fits."""
    settings = comparison.settings
    axes = [axes_of(side.rubric) if isinstance(side, AskedSide) else one.axes if one else ()
            for side, one in zip(sides, stored, strict=True)]  # fmt: skip
    common = common_axes([side.name for side in sides], axes)
    first = next((side for side in stored if side and side.policy), None)
    policy = read_golden(settings.golden).manifest.policy if settings.golden is not None else None
    scales = {axis.name: (axis.low, axis.high) for axis in common}
    default = policy or (first.policy if first else None)
    fits = default is None or set(default.names) <= set(scales)
    if settings.policy is None and not settings.values and not fits:
        watched_policy = default
    else:
        watched_policy = resolve_policy(settings, default, scales)
    return (
        WatchedPolicy(definition=watched_policy, decide=first.decide if first else "auto") if watched_policy else None
    )


def _unfinished(ending: str, side: Side, sides: Sides) -> UserError:
    done = int((side.scores["state"] == "ok").sum())
    state = f"A ({side.name}) has {done:,} of {len(side.scores):,} samples judged, B ({sides[1].name}) none yet"
    how = "a higher --max-cost goes on" if ending == "budget" else "the same command goes on"
    return UserError(f"there is nothing to compare: {state}; {how} from there")


def _write(folder: Workspace, record: PromptComparisonRecord, prompts: list[Rubric | None]) -> None:
    """The record, the page, each rubric under its hash, and the manifest."""
    outputs = [folder.root / RECORD, folder.root / PAGE]
    for rubric in filter(None, prompts):
        outputs.append(folder.root / "rubrics" / f"{rubric.hash}.yaml")
        with atomic(outputs[-1]) as path:
            path.write_text(yaml.safe_dump(rubric.model_dump(), allow_unicode=True, sort_keys=False), "utf-8")
    record.write(folder.root / RECORD)
    with atomic(folder.root / PAGE) as path:
        path.write_bytes(page(record).encode("utf-8", "replace"))
    a, b = (ComparedSide.model_validate(side, from_attributes=True) for side in (record.a, record.b))
    outputs = list(dict.fromkeys(outputs))
    folder.record(CompareRecord.STAGE, CompareRecord(a=a, b=b, samples=record.samples.compared), outputs)


def summary(result: ComparisonResult) -> str:
    """The comparison in words, with what to look at next."""
    lines = comparison_text(result.record)
    if result.ending == "stopped":
        lines.append("Stopped before all was judged: the same command goes on from there.")
    elif result.ending == "budget":
        lines.append("The budget ended before all was judged: a higher --max-cost goes on from there.")
    lines.append(f"Next: look at {result.page}; all figures are in {result.output.name} beside it.")
    return "\n".join(lines)


def _slug(name: str) -> str:
    stem = Path(name).stem if Path(name).suffix.lower() in (".yaml", ".yml") else name.rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^\w.-]+", "-", stem if ":" not in name else name.partition("@")[0]).strip("-.")[:60] or "side"


def draw_samples(
    sides: Sequence[AskedSide | StoredSide], golden: str | None, source: str | None, most: int | None, seed: int
) -> pl.DataFrame:
    """The distinct samples to be judged, a frame of `SAMPLE_SCHEMA`: of `golden`, of `source`, else of the side that is
    a run, else of the bundled golden set.

    More than `most` (by default 200, and all of a golden set) are thinned by a seeded hash of their ids.
    """
    if golden is not None and source is not None:
        raise UserError("--golden and --samples both name what is judged: give one of them")
    run = next((side for side in sides if isinstance(side, StoredSide) and side.is_run), None)
    if run is not None and (golden is not None or source is not None):
        raise UserError(
            f"{run.path} has samples of its own, on which the other side is judged: leave --golden and --samples out"
        )
    if source is not None:
        frame = read(source)
    elif run is not None:
        table = RunTable(Workspace(run.path)).require("samples")
        frame = table.read(SAMPLE_SCHEMA.names()).cast(SAMPLE_SCHEMA)
    else:
        rows = [sample.row() for sample in read_golden(golden or "bundled").samples]
        frame, most = pl.DataFrame(rows, schema=SAMPLE_SCHEMA), most or len(rows)
    frame = frame.unique("sample_id", keep="first", maintain_order=True)
    if frame.is_empty():
        raise UserError(f"{source or golden} holds no sample: there is nothing to judge")
    if len(frame) <= (most := most or MOST):
        return frame
    first = np.argsort(tie_hash(frame["sample_id"], seed), kind="stable")[:most]
    return frame[np.sort(first)]


def samples_of(frame: pl.DataFrame) -> list[Sample]:
    """The rows of a frame of `SAMPLE_SCHEMA` as samples."""
    return [Sample.from_row(row) for row in frame.iter_rows(named=True)]
