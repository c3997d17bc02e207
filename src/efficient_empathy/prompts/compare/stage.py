"""The stage `prompts compare`: two rubrics, judges or runs side by side, as JSON and as a page."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from rich.console import Console

from efficient_empathy.dialogues import SAMPLE_SCHEMA, write_samples
from efficient_empathy.evaluation.judging import judge_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace, atomic
from efficient_empathy.prompts.compare.page import page
from efficient_empathy.prompts.compare.record import record_of
from efficient_empathy.prompts.compare.results import result_side
from efficient_empathy.prompts.compare.samples import chosen_samples, samples_of
from efficient_empathy.prompts.compare.sides import (
    LABELS,
    Asked,
    Kept,
    Side,
    asked_side,
    axes_of,
    common_axes,
    run_side,
    sides_of,
)
from efficient_empathy.prompts.golden.golden_set import read_golden
from efficient_empathy.prompts.settings import CompareSettings
from efficient_empathy.scoring import Ledger, Rubric
from efficient_empathy.scoring.judges.checked import CheckedJudge
from efficient_empathy.scoring.judges.contract import JudgeOptions, JudgeSpec
from efficient_empathy.scoring.judges.registry import build_judge
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.plan import plan_samples, together
from efficient_empathy.scoring.scores import write_scores
from efficient_empathy.selection.grid import GridPolicy
from efficient_empathy.selection.rules import RULES

FOLDER = Path("prompt-comparisons")
RECORD, PAGE = "comparison.json", "comparison.html"


@dataclass(frozen=True)
class Compared:
    """Two sides, and how they are compared."""

    a: str
    """A rubric file or name, a judge's reference, or a scored run's folder."""
    b: str
    """Another one."""
    settings: CompareSettings

    @property
    def folder(self) -> Path:
        """Where the comparison goes unless a folder is named."""
        return FOLDER / "-vs-".join(_slug(name) for name in (self.a, self.b))


def compare(
    compared: Compared,
    output: Path | None = None,
    options: JudgeOptions | None = None,
    *,
    console: Console | None = None,
) -> dict[str, Any]:
    """Judge what is not judged yet, and write `comparison.json` and `comparison.html` into `output`.

    Every answer is kept in the folder's ledger as it comes: stopped or killed, the same call asks only for what is
    missing, and failed answers are asked for again. Returns what the JSON has (see `compare_record.record_of`) with
    `requests` and `cost_usd` of this call, `seconds`, `ending`, `output`, `page`. Raises `UserError`; what was answered
    until then is kept.
    """
    console = console or Console(stderr=True)
    started = time.monotonic()
    sides, known, folder = _prepared(compared, output, options)
    policy = _policy(compared, known)
    frame = _samples(compared, sides)
    folder.create()
    with folder.lock(lambda: console.print(f"Another process is working on {folder.root}; waiting for it.")):
        if len(frame):
            write_samples(iter(samples_of(frame)), folder.samples)
        spent: Counter[str] = Counter()
        ending: str = "complete"
        ready: list[Side] = []
        for label, side, loaded in zip(LABELS, sides, known, strict=True):
            if isinstance(side, Kept):
                ready += [loaded] if loaded else []
                continue
            judged = judge_samples(samples_of(frame), _built(side, folder, options), side.rubric, None, folder, console)
            spent.update({"requests": judged.requests, "cost_usd": judged.cost_usd})
            ready.append(_judged(label, side, judged.judge, judged.spec, frame, folder))
            if judged.ending != "complete":
                ending = judged.ending
                break
        if len(ready) < 2:
            raise _unfinished(ending, ready[0], sides)
        sampling = {"draws": compared.settings.resamples, "seed": compared.settings.seed}
        record = record_of(ready[0], ready[1], policy, sampling, shown=compared.settings.shown)
        _write(folder, record, [side.prompt for side in ready])
    return {
        **record,
        "requests": spent["requests"],
        "cost_usd": round(float(spent["cost_usd"]), 6),
        "seconds": round(time.monotonic() - started, 2),
        "ending": ending,
        "output": str(folder.root / RECORD),
        "page": str(folder.root / PAGE),
    }


def plan_compare(compared: Compared, output: Path | None = None, options: JudgeOptions | None = None) -> dict[str, Any]:
    """What `compare` would ask for and cost, without asking: `scoring.plan.together` of the sides that are asked.

    Writes nothing. Raises `UserError` where nobody would be asked.
    """
    sides, _, folder = _prepared(compared, output, options)
    asked = [side for side in sides if isinstance(side, Asked)]
    if not asked:
        raise UserError("A and B have their scores already, so nobody would be asked: leave --dry-run out")
    samples = samples_of(_samples(compared, sides))
    plans = [plan_samples(samples, _built(side, folder, options), folder) for side in asked]
    return together(
        [plan | {"judge": f"{side.name} ({plan['judge']})"} for side, plan in zip(asked, plans, strict=True)]
    )


Sides = tuple[Asked | Kept, Asked | Kept]


def _prepared(
    compared: Compared, output: Path | None, options: JudgeOptions | None
) -> tuple[Sides, list[Side | None], Workspace]:
    """Both sides, those that have their scores already loaded, and the folder.

    Raises `UserError`, before anything is paid for, where the sides have no axis in common, where their answers would
    be kept under one key, and where the folder is a run's.
    """
    sides = sides_of(compared.a, compared.b, compared.settings.judges, compared.settings.rubric)
    known = [_loaded(side, compared) if isinstance(side, Kept) else None for side in sides]
    axes = [axes_of(side.rubric) if isinstance(side, Asked) else told.axes if told else () for side, told in
            zip(sides, known, strict=True)]  # fmt: skip
    common_axes([side.name for side in sides], axes)
    folder = Workspace(output or compared.folder)
    if folder.scores.exists():
        raise UserError(f"{folder.root} is a scored run's folder: name another one for the comparison with -o")
    specs = [_built(side, folder, options).spec for side in sides if isinstance(side, Asked)]
    if len(specs) == 2 and specs[0] == specs[1]:
        raise UserError(
            "A equals B: both would be asked the same of the same model on the same server, and share one answer "
            f"({specs[0]}); where two servers on one machine have a model each, give the models different names"
        )
    return sides, known, folder


def _loaded(kept: Kept, compared: Compared) -> Side:
    return run_side(kept) if kept.is_run else result_side(kept, compared.settings.golden)


def _samples(compared: Compared, sides: Sides) -> pl.DataFrame:
    """What the asked sides are to judge; empty where there is none."""
    if any(isinstance(side, Asked) for side in sides):
        return chosen_samples(
            sides, compared.settings.golden, compared.settings.samples, compared.settings.n, compared.settings.seed
        )
    texts = None if any(isinstance(side, Kept) and not side.is_run for side in sides) else compared.settings.golden
    idle = {"--samples": compared.settings.samples, "-n": compared.settings.n, "--golden": texts}
    if given := [name for name, value in idle.items() if value is not None]:
        raise UserError(f"{given[0]} says what is judged, and A and B have their scores already: leave it out")
    return SAMPLE_SCHEMA.to_frame()


def _built(side: Asked, folder: Workspace, options: JudgeOptions | None) -> CheckedJudge:
    return build_judge(side.judge, side.rubric, folder, options)


def _judged(label: str, side: Asked, judge: str, spec: JudgeSpec, frame: pl.DataFrame, folder: Workspace) -> Side:
    path = folder.root / f"{label}.parquet"
    with Ledger(folder.ledger) as ledger:
        write_scores(folder.samples, ledger, Panel.of([spec]), side.rubric, path)
    return asked_side(side, judge, spec, pl.read_parquet(path, glob=False), frame, folder.ledger)


def _policy(compared: Compared, known: list[Side | None]) -> GridPolicy:
    """The policy at the active thresholds: as given, else as in the golden set, a side's selection, or the paper."""
    golden = compared.settings.golden
    first = next((side.active for side in known if side and side.active), {})
    active = asdict(read_golden(golden).thresholds) if golden is not None else first
    name, alpha, beta = (
        compared.settings.policy or active.get("policy", "paper"),
        compared.settings.alpha,
        compared.settings.beta,
    )
    if name not in RULES:
        raise UserError(f"the policy {name!r} has no thresholds to compare by: take {', '.join(RULES)}")
    return GridPolicy(
        name,
        active.get("alpha", 5) if alpha is None else alpha,
        active.get("beta", 5) if beta is None else beta,
        decide=active.get("decide", "auto"),
    )


def _unfinished(ending: str, side: Side, sides: Sides) -> UserError:
    done = int((side.scores["state"] == "ok").sum())
    told = f"A ({side.name}) has {done:,} of {len(side.scores):,} samples judged, B ({sides[1].name}) none yet"
    how = "a higher --max-cost goes on" if ending == "budget" else "the same command goes on"
    return UserError(f"there is nothing to compare: {told}; {how} from there")


def _write(folder: Workspace, record: dict[str, Any], prompts: list[Rubric | None]) -> None:
    """The record, the page, each rubric under its hash, and the manifest."""
    for rubric in filter(None, prompts):
        with atomic(folder.root / "rubrics" / f"{rubric.hash}.yaml") as path:
            path.write_text(yaml.safe_dump(rubric.model_dump(), allow_unicode=True, sort_keys=False), "utf-8")
    with atomic(folder.root / RECORD) as path:
        path.write_bytes((json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace"))
    with atomic(folder.root / PAGE) as path:
        path.write_bytes(page(record).encode("utf-8", "replace"))
    sides = {label: {key: record[label][key] for key in ("name", "judge", "spec", "rubric")} for label in LABELS}
    folder.record("compare", {**sides, "samples": record["samples"]["compared"]})


def _slug(name: str) -> str:
    stem = Path(name).stem if Path(name).suffix.lower() in (".yaml", ".yml") else name.rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^\w.-]+", "-", stem if ":" not in name else name.partition("@")[0]).strip("-.")[:60] or "side"
