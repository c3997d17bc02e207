"""How far runs agree on the samples that they share, in scores and selections, and how their rubrics differ.

Scores are compared with those of the first run, each at the nearest whole one: so expectations and means can be the
same as another judge's, and an interval costs seconds on any number of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.evaluation.robustness.sweep_stage import jaccard
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.formatting import clip
from efficient_empathy.foundation.run.facts import Axis
from efficient_empathy.foundation.run.table import UNSCORED, RunTable
from efficient_empathy.foundation.statistics.closeness import closeness
from efficient_empathy.prompts.compare.figures import round_finite
from efficient_empathy.prompts.listing import known_rubrics
from efficient_empathy.scoring.rubric import Rubric, prompt_text
from efficient_empathy.studio.pages.compare.facts import ABSENT, Fact, Section
from efficient_empathy.studio.server.selections import last_choice

DRAWS, LARGE, DRAWS_OF_LARGE = 1000, 10_000, 300
"""Bootstrap draws, and fewer on more samples than `LARGE`, whose intervals are narrow."""
KEEP = "kept"
"""All but what a policy leaves out."""
Tell = Callable[[float, str], None]
"""Takes the share of the work that is done, and what is being done."""


@dataclass(frozen=True)
class Scores:
    """One run's rows: `sample_id`, `dialogue_id`, a column an axis (named by `_score`), `_scored`, `_subset`.

    Samples stand there once each. `otherwise` is the subset that is left out; `fault` is the sentence on a run that has
    no scores to be read; `selection` what there is to say of its selection where it has none that holds.
    """

    name: str
    rows: pl.DataFrame
    axes: tuple[Axis, ...] = ()
    subsets: tuple[str, ...] = ()
    otherwise: str = ""
    fault: str = ""
    selection: str = ""


def read_scores(table: RunTable, name: str) -> Scores:
    """A run's rows; one that cannot be read has a `fault`."""
    try:
        table.require("scores")
        rows = table.read(
            ["sample_id", "dialogue_id", "state", *table.axis_names, *(["subset"] if table.subsets else [])]
        )
        last = last_choice(table) if table.subsets else None
    except UserError as error:
        return Scores(name, pl.DataFrame(), fault=str(error).replace(str(table.workspace.root), name))
    rows = rows.select(
        "sample_id",
        "dialogue_id",
        table.scored.alias("_scored"),
        (pl.col("subset") if table.subsets else pl.lit(None, pl.String)).alias("_subset"),
        *(pl.col(axis).alias(_score(axis)) for axis in table.axis_names),
    ).unique("sample_id", keep="first", maintain_order=True)
    why = table.selection.sentence.replace(str(table.workspace.root), name)
    return Scores(name, rows, table.axes, table.subsets, last.policy.otherwise if last else "", "", why)


def _score(axis: str) -> str:
    """The column of an axis, whatever it is called."""
    return f"score of {axis}"


def agreement(runs: Sequence[Scores], tell: Tell, draws: int = DRAWS) -> dict[str, Any]:
    """`{sizes, common, pairs, overlaps, notes}` of the runs, as JSON has it.

    `sizes` are the samples of each, `common` those that all have. `pairs` has, for each run but the first,
    `{a, b, common, scored, axes, fault}`, where `axes` has `{scale, means, rounded, <figure>: {value, low, high}}` by
    name; `overlaps` has, for each pair of runs with a selection, `{a, b, common, changes}`, and `jaccard`, `both` and
    `either` by subset.
    """
    usable = [run for run in runs if not run.fault]
    notes = [run.fault for run in runs if run.fault] + [run.selection for run in runs if run.selection]
    common = set(usable[0].rows["sample_id"]) if usable else set()
    for run in usable[1:]:
        common &= set(run.rows["sample_id"])
    pairs = [(usable[0], other) for other in usable[1:]]
    steps = max(1, sum(len(_common_axes(a, b)) for a, b in pairs))
    done = 0
    comparisons = []
    for a, b in pairs:
        pair, done = _pair(a, b, draws, tell, done, steps)
        comparisons.append(pair)
    with_selection = [run for run in usable if run.subsets]
    return {
        "sizes": {run.name: len(run.rows) for run in usable},
        "common": len(common) if len(usable) > 1 else None,
        "pairs": comparisons,
        "overlaps": [_overlap(a, b) for a, b in combinations(with_selection, 2)],
        "notes": notes,
    }


def _common_axes(a: Scores, b: Scores) -> list[Axis]:
    return [axis for axis in a.axes if axis in b.axes]


def _join(a: Scores, b: Scores, both: pl.Expr) -> pl.DataFrame:
    """The rows of both, those of `b` with the ending `_b`, in the order of `a`."""
    return a.rows.join(b.rows, on="sample_id", how="inner", suffix="_b", maintain_order="left").filter(both)


def _pair(a: Scores, b: Scores, draws: int, tell: Tell, done: int, steps: int) -> tuple[dict[str, Any], int]:
    axes = _common_axes(a, b)
    common = _join(a, b, pl.lit(True))
    rows = common.filter(pl.col("_scored") & pl.col("_scored_b"))
    result: dict[str, Any] = {"a": a.name, "b": b.name, "common": len(common), "scored": len(rows), "axes": {}}
    result["fault"] = _fault(a, b, axes, len(common), len(rows))
    if result["fault"]:
        return result, done + len(axes)
    clusters = rows["dialogue_id"].to_list()
    draws = min(draws, DRAWS_OF_LARGE) if len(rows) > LARGE else draws
    for place, axis in enumerate(axes):
        tell((done + place) / steps, f"{axis.name}: {a.name} and {b.name}")
        first, second = (
            rows[column].cast(pl.Float64).to_numpy() for column in (_score(axis.name), f"{_score(axis.name)}_b")
        )
        whole = [np.rint(scores) for scores in (first, second)]
        try:
            figures = closeness(*whole, scale=(axis.low, axis.high), clusters=clusters, draws=draws)
        except ValueError as error:
            result["fault"] = f"{axis.name} cannot be compared: {error}"
            continue
        result["axes"][axis.name] = {
            "scale": [axis.low, axis.high],
            "means": [round_finite(first.mean()), round_finite(second.mean())],
            "rounded": bool((whole[0] != first).any() or (whole[1] != second).any()),
            **{name: {part: round_finite(v) for part, v in one._asdict().items()} for name, one in figures.items()},
        }
    return result, done + len(axes)


def _fault(a: Scores, b: Scores, axes: Sequence[Axis], common: int, scored: int) -> str:
    if not axes:
        sides = [f"{run.name} scores {', '.join(f'{x.name} {x.low}–{x.high}' for x in run.axes)}" for run in (a, b)]
        return f"no axis in common: {', and '.join(sides)}"
    if not common:
        return f"no sample is in both {a.name} and {b.name}"
    return "" if scored else f"none of the {common:,} samples that {a.name} and {b.name} share has scores in both"


def _overlap(a: Scores, b: Scores) -> dict[str, Any]:
    in_subsets = (pl.col("_subset") != UNSCORED) & (pl.col("_subset_b") != UNSCORED)
    rows = _join(a, b, in_subsets)
    first, second = rows["_subset"].to_numpy(), rows["_subset_b"].to_numpy()
    names = list(dict.fromkeys((*a.subsets, *b.subsets)))
    masks = {KEEP: (first != a.otherwise, second != b.otherwise)} | {n: (first == n, second == n) for n in names}
    return {
        "a": a.name,
        "b": b.name,
        "common": len(rows),
        "jaccard": {n: round(jaccard(x, y), 6) if (x | y).any() else None for n, (x, y) in masks.items()},
        "both": {n: int((x & y).sum()) for n, (x, y) in masks.items()},
        "either": {n: int((x | y).sum()) for n, (x, y) in masks.items()},
        "changes": int(np.count_nonzero(first != second)),
    }


def rubrics_of(runs: Iterable[Path]) -> dict[str, Rubric]:
    """By hash, the rubrics of the package and of the YAML files in the runs' folders and their `rubrics/`."""
    return known_rubrics([folder for root in runs for folder in (root, root / "rubrics")])


def rubric_facts(rubrics: Sequence[Rubric]) -> list[Section]:
    """Names, versions and scales side by side; what a reader of the diff does not see at once."""
    rows = {
        "name": [clip(rubric.name, 120) for rubric in rubrics],
        "version": [str(rubric.version) for rubric in rubrics],
        "hash": [rubric.hash for rubric in rubrics],
        "reply form": [clip(rubric.reply_title, 120) for rubric in rubrics],
        "words of the prompt": [f"{len(prompt_text(rubric).split()):,}" for rubric in rubrics],
    }
    names = dict.fromkeys(axis.name for rubric in rubrics for axis in rubric.axes)
    for name in names:
        axes = [next((axis for axis in rubric.axes if axis.name == name), None) for rubric in rubrics]
        rows[f"scale of {name}"] = [f"{axis.scale[0]}–{axis.scale[1]}" if axis else "" for axis in axes]
        rows[f"anchors of {name}"] = [f"{len(axis.anchors)} of {len(axis.values)}" if axis else "" for axis in axes]
    facts = tuple(
        Fact(name, tuple(value or ABSENT for value in values), len(set(values)) > 1) for name, values in rows.items()
    )
    return [Section("Rubric", facts, (True,) * len(rubrics))]
