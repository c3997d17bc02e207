"""Raters by reference, `NAME=PATH`, PATH or `PATH#WHICH`: of runs, of ledgers with all their rounds, of tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.evaluation.agreement.raters import ABOUT, DEPENDENCE, ITEM, ROUND, Rater
from efficient_empathy.evaluation.agreement.tables import from_table, raters_of
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import PROBABILITIES, RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.judgement import Judgement
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.ledger import Ledger

_NAMED = re.compile(r"([^=/\\#]+)=(.+)", re.DOTALL)


def read_raters(references: Sequence[str] | Mapping[str, Any], facts: Sequence[str] = ()) -> list[Rater]:
    """Every rater that the references name, each name once; `facts` are read of the samples of runs.

    As a mapping, names to paths or to polars frames (in the form of tables; one of several raters keeps their names).
    Raises `UserError` for what cannot be read and for two raters of one name.
    """
    named = references.items() if isinstance(references, Mapping) else [_named(reference) for reference in references]
    raters = [rater for name, place in named for rater in _read(name, place, facts)]
    if not raters:
        raise UserError("no rater is named: pass runs, ledgers or tables, such as gpt=runs/gpt people.csv")
    for i, rater in enumerate(raters):
        before = next((one for one in raters[:i] if one.name == rater.name), None)
        if before:
            raise UserError(
                f"two raters are called {rater.name!r} ({before.source} and {rater.source}): write NAME=PATH to tell "
                "them apart"
            )
    return raters


def _named(reference: str) -> tuple[str | None, str]:
    found = None if Path(reference).exists() else _NAMED.fullmatch(reference)
    return (found.group(1).strip(), found.group(2)) if found else (None, reference)


def _read(name: str | None, place: Any, facts: Sequence[str]) -> list[Rater]:
    if isinstance(place, pl.DataFrame):
        rows = [(f"{name}: row {n}", row) for n, row in enumerate(place.iter_rows(named=True), 1)]
        found = raters_of(rows, str(name), str(name))
        return [found[0].named(str(name))] if len(found) == 1 else found
    path, wanted = _parted(str(place))
    if path.is_dir():
        found = _in_folder(path, wanted, name, facts)
    elif not path.exists():
        raise UserError(f"{path} is not there: pass a run's folder, a ledger.sqlite or a table of ratings")
    elif is_ledger(path):
        found = from_ledger(path, wanted, facts)
    else:
        found = from_table(path, name, wanted)
    return _renamed(found, name, str(place))


def _renamed(raters: list[Rater], name: str | None, place: str) -> list[Rater]:
    if name is None or [rater.name for rater in raters] == [name]:
        return raters
    if len(raters) > 1:
        listed = ", ".join(rater.name for rater in raters[:12])
        raise UserError(f"{place} holds {len(raters)} raters ({listed}), so it cannot be {name!r} alone: add #RATER")
    return [raters[0].named(name)]


def _parted(place: str) -> tuple[Path, str | None]:
    """The path and what is wanted of it, parted by the first `#` that leaves a path which is there."""
    if Path(place).exists():
        return Path(place), None
    for found in re.finditer("#", place):
        if Path(place[: found.start()]).exists():
            return Path(place[: found.start()]), place[found.end() :] or None
    return Path(place), None


def _in_folder(root: Path, wanted: str | None, name: str | None, facts: Sequence[str]) -> list[Rater]:
    """The raters that a run's folder stands for: its last score, or the `wanted` ones of its ledger."""
    if not wanted:
        return [from_run(root, name, facts)]
    run = Workspace(root)
    return from_ledger(run.require(run.ledger, "score SOURCE"), wanted, facts)


def from_run(root: Path, name: str | None = None, facts: Sequence[str] = ()) -> Rater:
    """The last score of a run. Raises `UserError` where there is none that is current."""
    table = RunTable(Workspace(root)).require("scores")
    distributions = [column for axis in table.axis_names if (column := f"{axis}{PROBABILITIES}") in table.columns]
    extra = [DEPENDENCE] if DEPENDENCE in table.columns else []
    frame = table.read(["sample_id", "state", *table.axis_names, *distributions, *extra])
    frame = frame.unique("sample_id", keep="first", maintain_order=True)
    states = Counter(state or "not judged" for state in frame["state"])
    states.pop("ok", None)
    scores = frame.filter(state="ok").select(
        pl.col("sample_id").alias(ITEM),
        pl.lit(1).alias(ROUND),
        *(pl.col(axis).cast(pl.Float64) for axis in table.axis_names),
        *(pl.col(column).cast(pl.List(pl.Float32)) for column in (*distributions, *extra)),
    )
    scales = {axis.name: (float(axis.low), float(axis.high)) for axis in table.axes}
    return Rater(name or table.name, str(root), scores, scales, _about(table, facts), dict(states))


def from_ledger(path: Path, wanted: str | None = None, facts: Sequence[str] = ()) -> list[Rater]:
    """The judges of a ledger, each with all its rounds; with `wanted` those of that name, or of that key.

    The key of a later round is that round alone. Raises `UserError` where nothing is `wanted`.
    """
    table = RunTable(Workspace(path.parent))
    with Ledger(path, read_only=True) as ledger:
        judges = {spec: first.judge for spec in ledger.specs() if (first := next(ledger.judgements(spec), None))}
        if not judges:
            raise UserError(f"{path} holds no judgements: score the run first")
        chosen = _chosen_specs(judges, wanted)
        if not chosen:
            known = ", ".join(dict.fromkeys(judges.values()))
            raise UserError(f"{path} has no judge {wanted!r}: there are {known}")
        about = _about(table, facts)
        names = Counter(judges[members[0]] for members in chosen.values())
        return [
            _rater(ledger, str(base) if names[judges[members[0]]] > 1 else judges[members[0]], members, table, about)
            for base, members in chosen.items()
        ]


def _chosen_specs(judges: Mapping[JudgeSpec, str], wanted: str | None) -> dict[JudgeSpec, list[JudgeSpec]]:
    """The specs of each judge that is wanted, by the spec of its first round."""
    alone = next((spec for spec in judges if spec.key == wanted and spec.round > 1), None)
    if alone is not None:
        return {alone: [alone]}
    chosen: dict[JudgeSpec, list[JudgeSpec]] = {}
    for spec, judge in judges.items():
        base = spec.in_round(1)
        if wanted in (None, base.key, judge):
            chosen.setdefault(base, []).append(spec)
    return chosen


def _rater(ledger: Ledger, name: str, specs: list[JudgeSpec], table: RunTable, about: pl.DataFrame) -> Rater:
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
    distributed = [axis for axis in axes if any(axis in j.probabilities for _, j in judged)]
    columns |= {
        f"{axis}{PROBABILITIES}": [list(j.probabilities.get(axis, [])) or None for _, j in judged]
        for axis in distributed
    }
    kinds = {ITEM: pl.String(), ROUND: pl.Int32(), **dict.fromkeys(axes, pl.Float64())}
    kinds |= {f"{axis}{PROBABILITIES}": pl.List(pl.Float32) for axis in distributed}
    if any(j.dependence for _, j in judged):
        columns[DEPENDENCE] = [list(j.dependence) or None for _, j in judged]
        kinds[DEPENDENCE] = pl.List(pl.Float32)
    rubric = table.scoring.get("rubric", {})
    scales: dict[str, tuple[float, float]] = {}
    if rubric.get("hash") == judged[0][1].rubric:
        scales = {a: (float(low), float(high)) for a, (low, high) in rubric.get("axes", {}).items() if a in axes}
    return Rater(name, f"{ledger.path}", pl.DataFrame(columns, schema_overrides=kinds), scales, about, dict(failed))


def _about(table: RunTable, facts: Sequence[str]) -> pl.DataFrame:
    """What the run's samples tell of the items; nothing where it has none."""
    if not table.workspace.samples.exists():
        return pl.DataFrame(schema=ABOUT)
    known = [column for column in ABOUT.names() if column != ITEM]
    frame = table.require("samples").read(["sample_id", *known, *(fact for fact in facts if fact not in known)])
    return frame.unique("sample_id", keep="first", maintain_order=True).rename({"sample_id": ITEM})


def is_ledger(path: Path) -> bool:
    """Whether a file is an SQLite database."""
    try:
        with path.open("rb") as handle:
            return handle.read(16) == b"SQLite format 3\0"
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
