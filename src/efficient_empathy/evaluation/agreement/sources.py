"""Read raters from runs, from ledgers with all their rounds, and from tables of ratings."""

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
from efficient_empathy.scoring.judges.contract import Judgement, JudgeSpec
from efficient_empathy.scoring.ledger import Ledger

_NAME_AND_PATH = re.compile(r"([^=/\\#]+)=(.+)", re.DOTALL)


def read_raters(references: Sequence[str] | Mapping[str, Any], facts: Sequence[str] = ()) -> list[Rater]:
    """Every rater that the references name, each name once; `facts` are read of the samples of runs.

    As a mapping, names to paths or to polars frames (in the form of tables; one of several raters keeps their names).
    Raises `UserError` for what cannot be read and for two raters of one name.
    """
    pairs = (
        references.items() if isinstance(references, Mapping) else [_split_name(reference) for reference in references]
    )
    raters = [rater for name, place in pairs for rater in _read(name, place, facts)]
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


def _split_name(reference: str) -> tuple[str | None, str]:
    match = None if Path(reference).exists() else _NAME_AND_PATH.fullmatch(reference)
    return (match.group(1).strip(), match.group(2)) if match else (None, reference)


def _read(name: str | None, place: Any, facts: Sequence[str]) -> list[Rater]:
    if isinstance(place, pl.DataFrame):
        rows = [(f"{name}: row {n}", row) for n, row in enumerate(place.iter_rows(named=True), 1)]
        raters = raters_of(rows, str(name), str(name))
        return [raters[0].rename(str(name))] if len(raters) == 1 else raters
    path, only = _split_path(str(place))
    if path.is_dir():
        raters = _in_folder(path, only, name, facts)
    elif not path.exists():
        raise UserError(f"{path} is not there: pass a run's folder, a ledger.sqlite or a table of ratings")
    elif is_ledger(path):
        raters = from_ledger(path, only, facts)
    else:
        raters = from_table(path, name, only)
    return _rename(raters, name, str(place))


def _rename(raters: list[Rater], name: str | None, place: str) -> list[Rater]:
    if name is None or [rater.name for rater in raters] == [name]:
        return raters
    if len(raters) > 1:
        names = ", ".join(rater.name for rater in raters[:12])
        raise UserError(f"{place} holds {len(raters)} raters ({names}), so it cannot be {name!r} alone: add #RATER")
    return [raters[0].rename(name)]


def _split_path(place: str) -> tuple[Path, str | None]:
    """The path and what follows it, split at the first `#` that leaves a path which is there."""
    if Path(place).exists():
        return Path(place), None
    for mark in re.finditer("#", place):
        if Path(place[: mark.start()]).exists():
            return Path(place[: mark.start()]), place[mark.end() :] or None
    return Path(place), None


def _in_folder(root: Path, only: str | None, name: str | None, facts: Sequence[str]) -> list[Rater]:
    """The raters that a run's folder stands for: its last score, or the raters called `only` in its ledger."""
    if not only:
        return [from_run(root, name, facts)]
    run = Workspace(root)
    return from_ledger(run.require(run.ledger, "score SOURCE"), only, facts)


def from_run(root: Path, name: str | None = None, facts: Sequence[str] = ()) -> Rater:
    """The last score of a run. Raises `UserError` where there is none that is current."""
    table = RunTable(Workspace(root), as_judged=True).require("scores")
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


def from_ledger(path: Path, only: str | None = None, facts: Sequence[str] = ()) -> list[Rater]:
    """The judges of a ledger, each with all its rounds; with `only` those of that name or key.

    The key of a later round is that round alone. Raises `UserError` where there is no such judge.
    """
    table = RunTable(Workspace(path.parent))
    with Ledger(path, read_only=True) as ledger:
        judges = {spec: first.judge for spec in ledger.specs() if (first := next(ledger.judgements(spec), None))}
        if not judges:
            raise UserError(f"{path} holds no judgements: score the run first")
        specs = _choose_specs(judges, only)
        if not specs:
            available = ", ".join(dict.fromkeys(judges.values()))
            raise UserError(f"{path} has no judge {only!r}: there are {available}")
        about = _about(table, facts)
        names = Counter(judges[members[0]] for members in specs.values())
        return [
            _rater(ledger, str(base) if names[judges[members[0]]] > 1 else judges[members[0]], members, table, about)
            for base, members in specs.items()
        ]


def _choose_specs(judges: Mapping[JudgeSpec, str], only: str | None) -> dict[JudgeSpec, list[JudgeSpec]]:
    """The specs of each judge, or of the one called `only`, by the spec of its first round."""
    alone = next((spec for spec in judges if spec.key == only and spec.round > 1), None)
    if alone is not None:
        return {alone: [alone]}
    specs: dict[JudgeSpec, list[JudgeSpec]] = {}
    for spec, judge in judges.items():
        base = spec.in_round(1)
        if only in (None, base.key, judge):
            specs.setdefault(base, []).append(spec)
    return specs


def _rater(ledger: Ledger, name: str, specs: list[JudgeSpec], table: RunTable, about: pl.DataFrame) -> Rater:
    judgements: list[tuple[int, Judgement]] = []
    failed: Counter[str] = Counter()
    for spec in specs:
        last: dict[str, Judgement] = {}
        for judgement in ledger.judgements(spec):
            if judgement.state == "ok" or judgement.sample_id not in last or last[judgement.sample_id].state != "ok":
                last[judgement.sample_id] = judgement
        judgements += [(spec.round, j) for j in last.values() if j.state == "ok"]
        failed.update(j.state for j in last.values() if j.state != "ok")
    if not judgements:
        raise UserError(f"the judge {name} has no ok judgement in {ledger.path}: score again")
    axes = list(dict.fromkeys(axis for _, j in judgements for axis in j.scores))
    columns: dict[str, Any] = {
        ITEM: [j.sample_id for _, j in judgements],
        ROUND: [number for number, _ in judgements],
        **{axis: [j.scores.get(axis) for _, j in judgements] for axis in axes},
    }
    distributed = [axis for axis in axes if any(axis in j.probabilities for _, j in judgements)]
    columns |= {
        f"{axis}{PROBABILITIES}": [list(j.probabilities.get(axis, [])) or None for _, j in judgements]
        for axis in distributed
    }
    kinds = {ITEM: pl.String(), ROUND: pl.Int32(), **dict.fromkeys(axes, pl.Float64())}
    kinds |= {f"{axis}{PROBABILITIES}": pl.List(pl.Float32) for axis in distributed}
    if any(j.dependence for _, j in judgements):
        columns[DEPENDENCE] = [list(j.dependence) or None for _, j in judgements]
        kinds[DEPENDENCE] = pl.List(pl.Float32)
    scales: dict[str, tuple[float, float]] = {}
    if table.scoring and table.scoring.rubric.hash == judgements[0][1].rubric:
        scales = {name: scale for name, scale in table.scoring.rubric.axes.items() if name in axes}
    return Rater(name, f"{ledger.path}", pl.DataFrame(columns, schema_overrides=kinds), scales, about, dict(failed))


def _about(table: RunTable, facts: Sequence[str]) -> pl.DataFrame:
    """What the run's samples tell of the items; nothing where it has none."""
    if not table.workspace.samples.exists():
        return pl.DataFrame(schema=ABOUT)
    columns = [column for column in ABOUT.names() if column != ITEM]
    frame = table.require("samples").read(["sample_id", *columns, *(fact for fact in facts if fact not in columns)])
    return frame.unique("sample_id", keep="first", maintain_order=True).rename({"sample_id": ITEM})


def is_ledger(path: Path) -> bool:
    """Whether a file is an SQLite database."""
    try:
        with path.open("rb") as handle:
            return handle.read(16) == b"SQLite format 3\0"
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
