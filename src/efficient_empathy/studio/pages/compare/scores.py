"""How far runs agree on the samples that they share, in scores and selections, and how their rubrics differ.

Scores are compared with those of the first run, by the figures of `prompts compare`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
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
from efficient_empathy.prompts.compare.figures import axis_figures, shared_samples
from efficient_empathy.prompts.compare.records import Sampling
from efficient_empathy.prompts.listing import known_rubrics
from efficient_empathy.scoring.rubric import Rubric, prompt_text
from efficient_empathy.studio.pages.compare.facts import ABSENT, Fact, Section

DRAWS, LARGE, DRAWS_OF_LARGE = 1000, 5_000, 300
"""Bootstrap draws, and fewer on more samples than `LARGE`, whose intervals are narrow."""
KEEP = "kept"
"""All but what a policy leaves out."""
Tell = Callable[[float, str], None]
"""Takes the share of the work that is done, and what is being done."""


@dataclass(frozen=True)
class Scores:
    """One run's scores, samples and subsets, one row a sample each; as `ScoredSide` has the first two.

    `otherwise` is the subset that is left out; `fault` is the sentence on a run that has no scores to be read;
    `selection` what there is to say of its selection where it has none that holds.
    """

    name: str
    scores: pl.DataFrame = field(default_factory=pl.DataFrame)
    samples: pl.DataFrame = field(default_factory=pl.DataFrame)
    assigned: pl.DataFrame = field(default_factory=pl.DataFrame)
    axes: tuple[Axis, ...] = ()
    subsets: tuple[str, ...] = ()
    otherwise: str = ""
    fault: str = ""
    selection: str = ""


def read_scores(table: RunTable, name: str) -> Scores:
    """A run's rows; one that cannot be read has a `fault`."""
    try:
        table.require("scores")
        scores, samples = (
            table.read(columns).unique("sample_id", keep="first", maintain_order=True)
            for columns in (["sample_id", "state", *table.axis_names], ["sample_id", "dialogue_id"])
        )
        assigned = pl.DataFrame()
        if table.subsets:
            assigned = table.read(["sample_id", "subset"]).unique("sample_id", keep="first", maintain_order=True)
    except UserError as error:
        return Scores(name, fault=str(error).replace(str(table.workspace.root), name))
    why = table.selection.sentence.replace(str(table.workspace.root), name)
    return Scores(name, scores, samples, assigned, table.axes, table.subsets, table.otherwise or "", "", why)


def agreement(runs: Sequence[Scores], tell: Tell, draws: int = DRAWS) -> dict[str, Any]:
    """`{sizes, common, pairs, overlaps, notes}` of the runs, as JSON has it.

    `sizes` are the samples of each, `common` those that all have. `pairs` has, for each run but the first,
    `{a, b, common, scored, draws, axes, fault}`, where `axes` has by name what `prompts compare` says of an axis, and
    whether all scores are `whole` numbers; `overlaps` has, for each pair of runs with a selection,
    `{a, b, common, changes}`, and `jaccard`, `both` and `either` by subset.
    """
    usable = [run for run in runs if not run.fault]
    notes = [run.fault for run in runs if run.fault] + [run.selection for run in runs if run.selection]
    common = set(usable[0].samples["sample_id"]) if usable else set()
    for run in usable[1:]:
        common &= set(run.samples["sample_id"])
    pairs = [(usable[0], other) for other in usable[1:]]
    steps = max(1, sum(len(_common_axes(a, b)) for a, b in pairs))
    done = 0
    comparisons = []
    for a, b in pairs:
        pair, done = _pair(a, b, draws, tell, done, steps)
        comparisons.append(pair)
    with_selection = [run for run in usable if run.subsets]
    return {
        "sizes": {run.name: len(run.samples) for run in usable},
        "common": len(common) if len(usable) > 1 else None,
        "pairs": comparisons,
        "overlaps": [_overlap(a, b) for a, b in combinations(with_selection, 2)],
        "notes": notes,
    }


def _common_axes(a: Scores, b: Scores) -> list[Axis]:
    return [axis for axis in a.axes if axis in b.axes]


def _pair(a: Scores, b: Scores, draws: int, tell: Tell, done: int, steps: int) -> tuple[dict[str, Any], int]:
    axes = _common_axes(a, b)
    common = len(a.samples.join(b.samples, on="sample_id", how="semi"))
    result: dict[str, Any] = {"a": a.name, "b": b.name, "common": common, "scored": 0, "draws": 0, "axes": {}}
    result["fault"] = _fault(a, b, axes, common)
    if result["fault"]:
        return result, done + len(axes)
    try:
        pairs = shared_samples(a, b)
    except UserError as error:
        return result | {"fault": str(error)}, done + len(axes)
    sampling = Sampling(draws=min(draws, DRAWS_OF_LARGE) if len(pairs.a) > LARGE else draws, seed=0)
    result |= {"scored": len(pairs.a), "draws": sampling.draws}
    for place, axis in enumerate(axes):
        tell((done + place) / steps, f"{axis.name}: {a.name} and {b.name}")
        figures = axis_figures(pairs, axis, sampling).model_dump(mode="json", exclude={"confusion"})
        whole = all((frame[axis.name] % 1 == 0).all() for frame in (pairs.a, pairs.b))
        result["axes"][axis.name] = {**figures, "whole": whole}
    return result, done + len(axes)


def _fault(a: Scores, b: Scores, axes: Sequence[Axis], common: int) -> str:
    if not axes:
        sides = [f"{run.name} scores {', '.join(f'{x.name} {x.low}–{x.high}' for x in run.axes)}" for run in (a, b)]
        return f"no axis in common: {', and '.join(sides)}"
    return "" if common else f"no sample is in both {a.name} and {b.name}"


def _overlap(a: Scores, b: Scores) -> dict[str, Any]:
    in_subsets = (pl.col("subset") != UNSCORED) & (pl.col("subset_b") != UNSCORED)
    rows = a.assigned.join(b.assigned, on="sample_id", how="inner", suffix="_b", maintain_order="left")
    first, second = (rows.filter(in_subsets)[name].to_numpy() for name in ("subset", "subset_b"))
    names = list(dict.fromkeys((*a.subsets, *b.subsets)))
    masks = {KEEP: (first != a.otherwise, second != b.otherwise)} | {n: (first == n, second == n) for n in names}
    return {
        "a": a.name,
        "b": b.name,
        "common": len(first),
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
