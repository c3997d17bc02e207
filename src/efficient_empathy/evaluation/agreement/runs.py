"""Raters out of runs: a run's last score, or the judges of a ledger with every round of theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.evaluation.agreement.rater import ABOUT, ITEM, PROBABILITIES, ROUND, Rater
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.judgement import Judgement
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.selection.columns import ASSOCIATION, axes_of
from efficient_empathy.selection.faults import told


def from_run(root: Path, name: str | None = None) -> Rater:
    """The last score of a run, as `scores.parquet` has it. Raises `UserError` where there is none."""
    run = Workspace(root)
    run.require(run.scores, "score SOURCE")
    with told(f"read {run.scores}"):
        frame = pl.read_parquet(run.scores, glob=False).unique("sample_id", keep="first", maintain_order=True)
    axes = axes_of(frame.columns)
    if not axes:
        raise UserError(f"{run.scores} has no axis: score the run again")
    states = Counter(state or "not judged" for state in frame["state"])
    states.pop("ok", None)
    given = [f"{axis}{PROBABILITIES}" for axis in axes if f"{axis}{PROBABILITIES}" in frame.columns]
    scores = frame.filter(state="ok").select(
        pl.col("sample_id").alias(ITEM),
        pl.lit(1).alias(ROUND),
        *(pl.col(axis).cast(pl.Float64).fill_nan(None) for axis in axes),
        *(pl.col(column).cast(pl.List(pl.Float32)) for column in given),
        *(pl.col(ASSOCIATION) for _ in [0] if ASSOCIATION in frame.columns),
    )
    scales = _scales(run.stage("score").get("rubric", {}), axes)
    return Rater(name or root.resolve().name, str(root), scores, scales, _about(run), dict(states))


def from_ledger(path: Path, wanted: str | None = None) -> list[Rater]:
    """The judges of a ledger, each with all its rounds; with `wanted` those of that name, or of that key.

    The key of a later round is that round alone. Raises `UserError` where nothing is `wanted`.
    """
    run = Workspace(path.parent)
    with Ledger(path, read_only=True) as ledger:
        judges = {spec: first.judge for spec in ledger.specs() if (first := next(ledger.judgements(spec), None))}
        if not judges:
            raise UserError(f"{path} holds no judgements: score the run first")
        alone = next((spec for spec in judges if spec.key == wanted and spec.round > 1), None)
        chosen: dict[JudgeSpec, list[JudgeSpec]] = {alone: [alone]} if alone else {}
        for spec, judge in judges.items() if alone is None else ():
            base = spec.in_round(1)
            if wanted in (None, base.key, judge):
                chosen.setdefault(base, []).append(spec)
        if not chosen:
            names = ", ".join(dict.fromkeys(judges.values()))
            raise UserError(f"{path} has no judge {wanted!r}: there are {names}")
        about = _about(run)
        names_of = {base: judges[members[0]] for base, members in chosen.items()}
        shared = Counter(names_of.values())
        return [
            _rater(ledger, str(base) if shared[names_of[base]] > 1 else names_of[base], members, run, about)
            for base, members in chosen.items()
        ]


def _rater(ledger: Ledger, name: str, specs: list[JudgeSpec], run: Workspace, about: pl.DataFrame) -> Rater:
    judged: list[tuple[int, Judgement]] = []
    failed: Counter[str] = Counter()
    for spec in specs:
        last: dict[str, Judgement] = {}
        for judgement in ledger.judgements(spec):
            if judgement.state == "ok" or judgement.sample_id not in last or last[judgement.sample_id].state != "ok":
                last[judgement.sample_id] = judgement
        judged += [(spec.round, j) for j in last.values() if j.state == "ok"]
        failed.update(j.state for j in last.values() if j.state != "ok")
    if not judged:
        raise UserError(f"the judge {name} has no ok judgement in {ledger.path}: score again")
    axes = list(dict.fromkeys(axis for _, j in judged for axis in j.scores))
    columns: dict[str, Any] = {
        ITEM: [j.sample_id for _, j in judged],
        ROUND: [number for number, _ in judged],
        **{axis: [j.scores.get(axis) for _, j in judged] for axis in axes},
    }
    given = [axis for axis in axes if any(axis in j.probabilities for _, j in judged)]
    columns |= {f"{a}{PROBABILITIES}": [list(j.probabilities.get(a, [])) or None for _, j in judged] for a in given}
    columns |= {ASSOCIATION: [j.association for _, j in judged]} if given else {}
    kinds = {ITEM: pl.String(), ROUND: pl.Int32(), **dict.fromkeys(axes, pl.Float64())}
    kinds |= {f"{axis}{PROBABILITIES}": pl.List(pl.Float32) for axis in given}
    rubric = run.stage("score").get("rubric", {}) if run.manifest_path.exists() else {}
    known = rubric.get("hash") == judged[0][1].rubric
    frame = pl.DataFrame(columns, schema_overrides=kinds)
    return Rater(name, f"{ledger.path}", frame, _scales(rubric, axes) if known else {}, about, dict(failed))


def _scales(rubric: dict[str, Any], axes: list[str]) -> dict[str, tuple[float, float]]:
    given = rubric.get("axes", {})
    return {axis: (float(given[axis][0]), float(given[axis][1])) for axis in axes if axis in given}


def _about(run: Workspace) -> pl.DataFrame:
    """What the run's samples tell of the items; nothing where it has none."""
    if not run.samples.exists():
        return pl.DataFrame(schema=ABOUT)
    run.require(run.samples, "score SOURCE")
    with told(f"read {run.samples}"):
        frame = pl.read_parquet(
            run.samples, columns=["sample_id", "dialogue_id", "turn", "category", "response"], glob=False
        )
    return frame.unique("sample_id", keep="first", maintain_order=True).select(
        pl.col("sample_id").alias(ITEM),
        "dialogue_id",
        pl.col("turn").cast(pl.Int64),
        pl.col("category").str.strip_chars().replace("", None),
        pl.col("response").str.count_matches(r"\S+").cast(pl.Int64).alias("words"),
    )


def is_ledger(path: Path) -> bool:
    """Whether a file is an SQLite database."""
    try:
        with path.open("rb") as handle:
            return handle.read(16) == b"SQLite format 3\0"
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def choices(root: Path, wanted: str | None, name: str | None) -> Iterator[Rater]:
    """The raters that a run's folder stands for: its last score, or the `wanted` ones of its ledger."""
    if not wanted:
        yield from_run(root, name)
        return
    run = Workspace(root)
    yield from from_ledger(run.require(run.ledger, "score SOURCE"), wanted)
