"""The real samples of a run: what may be a seed, and what nothing may be trained on."""

from __future__ import annotations

import hashlib
from functools import cached_property

import polars as pl

from efficient_empathy.dialogues import Sample
from efficient_empathy.dialogues.sample import SAMPLE_SCHEMA, SYNTHETIC
from efficient_empathy.foundation.run.table import RunTable, readable
from efficient_empathy.modelling.training.examples import partition
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.selection.policies import Selector
from efficient_empathy.selection.shares import tie_hash
from efficient_empathy.selection.stage import scan_for
from efficient_empathy.synthesis.plan import Cell, fill_up

TRAINED_ON = ("fit", "router")
"""The parts of a run that seeds may come from."""


class Material:
    """The real samples of a run as synthesis needs them: what may be a seed, and what nothing may be trained on."""

    def __init__(self, table: RunTable, selector: Selector, training: TrainingSettings) -> None:
        rows = scan_for(table, selector.policy, [*SAMPLE_SCHEMA.names(), *table.axis_names])
        plan = selector.plan(rows.filter(pl.col("split").ne_missing(pl.lit(SYNTHETIC))))
        names = [*SAMPLE_SCHEMA.names(), *table.axis_names]
        with readable(table.workspace.root):
            frame = plan.select(*names, pl.col("subset").cast(pl.String)).collect(engine="streaming")
        parts = partition(frame, held_out=training.held_out, hold_back=training.hold_back, seed=training.seed)
        self._seeds = parts.filter(pl.col("part").is_in(TRAINED_ON))
        self._kept_back = parts.filter(~pl.col("part").is_in(TRAINED_ON))
        self.axes = table.axes
        self.otherwise = selector.otherwise
        self.subsets = tuple(name for name in selector.subsets if name != selector.otherwise)

    @cached_property
    def digest(self) -> str:
        """Tells apart what a plan is made from: the real samples with their parts, subsets and scores."""
        names = ["sample_id", "part", "subset", *(axis.name for axis in self.axes)]
        rows = pl.concat([self._seeds.select(names), self._kept_back.select(names)])
        return hashlib.sha256(rows.write_csv().encode()).hexdigest()[:32]

    @cached_property
    def real(self) -> list[Sample]:
        """All that synthetic samples must not repeat."""
        return [Sample.from_row(row) for row in self._seeds.iter_rows(named=True)]

    @cached_property
    def protected(self) -> dict[str, list[Sample]]:
        """What nothing may be trained on, by what it is called."""
        named = {"test": "the run's test split", "held_out": "the run's held-out part"}
        rows = {name: self._kept_back.filter(part=part) for part, name in named.items()}
        return {
            name: [Sample.from_row(row) for row in frame.iter_rows(named=True)]
            for name, frame in rows.items()
            if len(frame)
        }

    def cells(self, wanted: int) -> list[Cell]:
        """Every category in every subset that is selected, in that order of subsets, and what `wanted` adds to each."""
        counts = self._seeds.group_by("category", "subset").len()
        real = {(category, subset): count for category, subset, count in counts.iter_rows()}
        categories = sorted(self._seeds["category"].unique().to_list(), key=lambda one: (one is None, one))
        names = [(category, subset) for category in categories for subset in self.subsets]
        heights = [real.get(name, 0) for name in names]
        added = fill_up(heights, wanted)
        return [
            Cell(category=category, subset=subset, real=height, wanted=more)
            for (category, subset), height, more in zip(names, heights, added, strict=True)
        ]

    def places(
        self, *, subset: str | None = None, category: str | None = None, any_category: bool = False
    ) -> list[int]:
        """The rows of the seeds in a subset (None: any that is selected) and a category, in an order by their ids."""
        inside = pl.col("subset").is_in(self.subsets) if subset is None else pl.col("subset") == subset
        if not any_category:
            inside &= pl.col("category").eq_missing(pl.lit(category, pl.String))
        rows = self._ranked.filter(inside)
        return rows["row"].to_list()

    @cached_property
    def _ranked(self) -> pl.DataFrame:
        order = tie_hash(self._seeds["sample_id"], 0).argsort(kind="stable")
        return self._seeds.select("subset", "category").with_row_index("row")[order]

    def sample(self, place: int) -> Sample:
        """The seed in a row."""
        return Sample.from_row(self._seeds.row(place, named=True))

    def scores_text(self, place: int) -> str:
        """The scores of a row in words: sensibility 3 of 10, rationality 4 of 10."""
        row = self._seeds.row(place, named=True)
        scores = [(axis, row[axis.name]) for axis in self.axes]
        return ", ".join(f"{axis.name} {score:.3g} of {axis.high}" for axis, score in scores if score is not None)
