"""Correct samples of a run, and take corrections back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.corrections import Before, Correction, Corrections, score_fits
from efficient_empathy.foundation.run.facts import FACTS
from efficient_empathy.foundation.run.parts import readable
from efficient_empathy.foundation.run.stages import SelectRecord
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.corrections.journal import append
from efficient_empathy.labelling.corrections.settings import CorrectionSettings, SamplesSettings, SpeakerSettings
from efficient_empathy.selection.policies import load_policy, make_selector, policy_names
from efficient_empathy.selection.policies.conditions import atoms, holds, on_columns
from efficient_empathy.selection.policies.language import ConditionError, parse_condition
from efficient_empathy.selection.stage import scales_of


def correct(workspace: Workspace, sample_ids: Iterable[str], said: CorrectionSettings) -> Correction:
    """Write down what a person says of samples, with what was there before; it is on the disk when this returns.

    Raises `UserError` where nothing is said, for a sample, an axis, a score or a subset that there is not.
    """
    ids = list(dict.fromkeys(sample_ids))
    if not ids:
        raise UserError("no sample is named: give --id SAMPLE, or --where CONDITION")

    def make(there: Corrections) -> list[Correction]:
        table = RunTable(workspace).require("samples")
        check(table, said)
        before = read_before(table, ids, said)
        if missing := [sample for sample in ids if sample not in before]:
            more = f", nor {len(missing) - 1:,} others of these" if len(missing) > 1 else ""
            raise UserError(f"{workspace.root} has no sample {missing[0][:80]!r}{more}")
        return [line(len(there.history) + 1, said, before)]

    return append(workspace, make)[0]


def line(number: int, said: CorrectionSettings, before: dict[str, Before]) -> Correction:
    """What a person says of samples, now, as a line of that number."""
    return Correction(
        number=number,
        at=round(time.time(), 3),
        by=said.speaker,
        reason=said.reason,
        samples=before,
        **said.model_dump(include={"scores", "subset", "tags", "untags", "note"}),
    )


def withdraw(
    workspace: Workspace, numbers: Sequence[int], speaker: SpeakerSettings, sample_ids: Sequence[str] = ()
) -> list[Correction]:
    """Take corrections back, for these of their samples or for all; what was said before them stands again.

    Raises `UserError` for a number or a sample that there is not, and for what was taken back already.
    """

    def make(there: Corrections) -> list[Correction]:
        lines: list[Correction] = []
        for number in dict.fromkeys(numbers):
            if not 0 < number <= len(there.history) or there.history[number - 1].withdraws is not None:
                raise UserError(f"{workspace.root} has no correction {number}: `corrections list` shows them")
            one = there.history[number - 1]
            if strange := [sample for sample in sample_ids if sample not in one.samples]:
                raise UserError(f"correction {number} is not about the sample {strange[0][:80]!r}")
            gone = there.withdrawn.get(number, set())
            left = [sample for sample in (sample_ids or one.samples) if sample not in gone]
            if not left:
                raise UserError(f"correction {number} was taken back already")
            one = Correction(
                number=len(there.history) + 1 + len(lines),
                at=round(time.time(), 3),
                by=speaker.speaker,
                reason=speaker.reason,
                samples={sample: Before() for sample in left},
                withdraws=number,
            )
            lines.append(one)
        return lines

    return append(workspace, make)


def choose(table: RunTable, which: SamplesSettings) -> list[str]:
    """The ids of samples: those that are named, then those for which the condition holds, in the run's order.

    Raises `UserError` for a condition that means nothing here.
    """
    if which.where is None:
        return list(which.ids)
    try:
        tree = parse_condition(which.where, {})
    except ConditionError as error:
        raise UserError(f"--where {which.where!r}: {error}") from error
    columns = dict.fromkeys(column.name for atom in atoms(tree) for column in atom.columns)
    axes = table.require("scores").axis_names
    if unknown := [name for name in columns if name not in axes and name not in FACTS]:
        raise UserError(
            f"--where {which.where!r}: {unknown[0]} is neither an axis of the rubric ({', '.join(axes)}) nor a fact "
            f"of the sample ({', '.join(FACTS)})"
        )
    rows = table.scan(["sample_id", *columns]).filter(holds(tree, on_columns)).select("sample_id")
    ids = rows.collect(engine="streaming")["sample_id"].to_list()
    return list(dict.fromkeys([*which.ids, *ids]))


def check(table: RunTable, said: CorrectionSettings) -> None:
    """Raise `UserError` unless what is said can be said of the run's samples."""
    if not said.says_something:
        raise UserError("nothing is said of the samples: give --score, --subset, --tag, --untag or --note")
    scales = scales_of(table.require("scores")) if said.scores or said.subset is not None else {}
    for axis, score in said.scores.items():
        if axis not in scales:
            raise UserError(f"the run's rubric has no axis {axis[:80]!r}: it has {', '.join(scales)}")
        if not score_fits(score, scales[axis]):
            low, high = scales[axis]
            raise UserError(f"{axis} goes from {low} to {high}: {score} is no score on it")
    if said.subset is not None and said.subset not in (names := subset_names(table)):
        raise UserError(f"there is no subset {said.subset[:80]!r}: take {', '.join(names)}")


def subset_names(table: RunTable) -> list[str]:
    """The subsets that a sample can be put into: those of the run's selection, else of all policies that fit it."""
    record = table.workspace.last(SelectRecord.STAGE, SelectRecord)
    if record is not None:
        return list(record.subsets)
    names: dict[str, None] = {}
    for name in policy_names():
        try:
            names |= dict.fromkeys(make_selector(load_policy(name), scales_of(table)).subsets)
        except UserError:
            continue
    return list(names)


def read_before(table: RunTable, sample_ids: Sequence[str], said: CorrectionSettings) -> dict[str, Before]:
    """What the run says now of those of the samples that it has, in its order, on what is to be set."""
    axes = [axis for axis in table.axis_names if axis in said.scores]
    subsets = subsets_now(table, sample_ids) if said.subset is not None else {}
    rows = table.scan(["sample_id", *axes]).filter(pl.col("sample_id").is_in(list(sample_ids)))
    frame = rows.collect(engine="streaming").unique("sample_id", keep="first", maintain_order=True)
    return {
        row["sample_id"]: Before(scores={axis: row[axis] for axis in axes}, subset=subsets.get(row["sample_id"]))
        for row in frame.iter_rows(named=True)
    }


def subsets_now(table: RunTable, sample_ids: Sequence[str]) -> dict[str, str]:
    """The subsets that samples were selected into, or that people have put them into since.

    Where the selection is not of today, those of which people have said anything may be elsewhere: they are absent.
    """
    subsets: dict[str, str] = {}
    if table.selection.current or table.outdated:
        with readable(table.workspace.assignments):
            rows = pl.scan_parquet(table.workspace.assignments, glob=False).select(
                "sample_id", pl.col("subset").cast(pl.String)
            )
            ids = pl.Series(sample_ids, dtype=pl.String).implode()
            subsets |= dict(rows.filter(pl.col("sample_id").is_in(ids)).collect(engine="streaming").iter_rows())
    if table.outdated:
        touched = {sample for one in table.said.history for sample in one.samples}
        subsets = {sample: subset for sample, subset in subsets.items() if sample not in touched}
    standing = ((sample, table.said.standing.get(sample)) for sample in sample_ids)
    return subsets | {sample: str(it.subset.value) for sample, it in standing if it and it.subset}
