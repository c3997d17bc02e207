"""The real samples of a run: what may be a seed, and what nothing may be trained on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from functools import cached_property

import polars as pl

from efficient_empathy.dialogues import Sample
from efficient_empathy.dialogues.sample import SAMPLE_SCHEMA, SYNTHETIC
from efficient_empathy.foundation.run.parts import readable
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.modelling.training.examples import partition
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.selection.policies import Selector
from efficient_empathy.selection.shares import tie_hash
from efficient_empathy.selection.stage import scan_for
from efficient_empathy.synthesis.dimensions import NONE, TOPIC, Dimension, read_dimensions, topics_of, values_of
from efficient_empathy.synthesis.plan import Cell, plan_cells

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
        self.dimensions: list[Dimension] = []
        self.topics: dict[str, str] = {}
        """By sample_id, if a plan goes by topics."""

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

    @property
    def selected(self) -> pl.DataFrame:
        """The real samples that may be trained on and that the policy puts into a subset, in the run's order."""
        return self._seeds.filter(pl.col("subset").is_in(self.subsets))

    @property
    def kept_back(self) -> pl.DataFrame:
        """The real samples that nothing may be trained on: those of the test split, and those held out."""
        return self._kept_back

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

    def cells(self, by: Sequence[str], targets: Mapping[tuple[str, str], float], wanted: int) -> list[Cell]:
        """The plan's cells, see `plan_cells`, by these dimensions, see `read_dimensions`. Raises `UserError`."""
        self.dimensions = read_dimensions(by, self._seeds, [axis.name for axis in self.axes])
        if any(one.name == TOPIC for one in self.dimensions):
            about = topics_of(self._seeds)
            self._seeds = self._seeds.with_columns(about)
            self.topics = {name: topic for name, topic in zip(self._seeds["sample_id"], about, strict=True) if topic}
        values = values_of(self.dimensions, self._seeds)
        counts = Counter((*row, subset) for row, subset in zip(values, self._seeds["subset"], strict=True))
        sides = {one.name: _in_order(one, {row[place] for row in values}) for place, one in enumerate(self.dimensions)}
        return plan_cells(sides, self.subsets, counts, targets, wanted)

    def places(self, values: Mapping[str, str], *, subset: str | None = None) -> list[int]:
        """The rows of the seeds in a subset (None: any that is selected) that have these values of the dimensions, in
        an order by their ids."""
        inside = pl.col("subset").is_in(self.subsets) if subset is None else pl.col("subset") == subset
        for name, value in values.items():
            inside &= pl.col(f"{name} value") == value
        return self._ranked.filter(inside)["row"].to_list()

    @cached_property
    def _ranked(self) -> pl.DataFrame:
        order = tie_hash(self._seeds["sample_id"], 0).argsort(kind="stable")
        values = [one.value().alias(f"{one.name} value") for one in self.dimensions]
        return self._seeds.select("subset", *values).with_row_index("row")[order]

    def sample(self, place: int) -> Sample:
        """The seed in a row."""
        return Sample.from_row(self._seeds.row(place, named=True))

    def scores_text(self, place: int) -> str:
        """The scores of a row in words: sensibility 3 of 10, rationality 4 of 10."""
        row = self._seeds.row(place, named=True)
        scores = [(axis, row[axis.name]) for axis in self.axes]
        return ", ".join(f"{axis.name} {score:.3g} of {axis.high}" for axis, score in scores if score is not None)


def _in_order(dimension: Dimension, values: Set[str]) -> list[str]:
    """The values that there are: bands from the lowest, text by its letters, none last."""
    bands = list(dimension.bands) if dimension.cuts else []
    return [*bands, *sorted(values - {*bands, NONE}), *({NONE} & values)]
