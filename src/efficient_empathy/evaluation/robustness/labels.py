"""The subset of every scored sample in every cell: the policies' own answer, kept as one byte a sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.robustness.grid import Cell
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.corrected import DECIDING
from efficient_empathy.foundation.run.table import PROBABILITIES, RunTable, scored_on
from efficient_empathy.scoring.scores import DEPENDENCE
from efficient_empathy.selection.policies import Decide, Policy, RulePolicy, RuleSelector, Selector, make_selector
from efficient_empathy.selection.policies.conditions import on_columns

UNION = "union"
"""All that is kept: every subset but the one that is left out."""
NO_CATEGORY = "no category"


@dataclass(frozen=True)
class Labels:
    """One cell's subsets, and each scored sample's position in them."""

    subsets: tuple[str, ...]
    otherwise: str
    """The subset that is left out."""
    codes: npt.NDArray[np.uint8]
    """Shape (scored samples,)."""

    @classmethod
    def of(cls, selector: Selector, rows: pl.DataFrame) -> Labels:
        """What a policy says of `rows`, which all have scores on the axes that it looks at."""
        return cls(selector.subsets, selector.otherwise, _codes(selector, rows))

    def within(self, subset: str) -> npt.NDArray[np.bool_]:
        """Which samples are in a subset, or in `union`."""
        if subset == UNION:
            return np.not_equal(self.codes, self.subsets.index(self.otherwise))
        if subset not in self.subsets:
            raise UserError(f"there is no subset {subset!r} here: take {', '.join((*self.subsets, UNION))}")
        return np.equal(self.codes, self.subsets.index(subset))

    def counts(self) -> dict[str, int]:
        """How many samples each subset has."""
        sizes = np.bincount(self.codes, minlength=len(self.subsets))
        return {name: int(n) for name, n in zip(self.subsets, sizes, strict=True)}


def _codes(selector: Selector, rows: pl.DataFrame) -> npt.NDArray[np.uint8]:
    """Rules on scores go straight to arrays, since a plan is slow on so many cells."""
    if isinstance(selector, RuleSelector) and not selector.by_probability(rows.columns):
        facts = rows.select(on_columns(atom).alias(text) for text, atom in selector.bound.fact_atoms.items())
        axes = {axis: rows[axis].to_numpy() for axis in selector.bound.axes}
        return selector.bound.codes_at({**axes, **{text: facts[text].to_numpy() for text in facts.columns}})
    subset = selector.plan(rows.lazy()).select("subset").collect().to_series()
    return subset.cast(pl.Enum(selector.subsets)).to_physical().cast(pl.UInt8).to_numpy()


def scales_of(table: RunTable) -> dict[str, tuple[int, int]]:
    """The axes of the rubric that the run was scored by, as policies take them."""
    return {axis.name: (axis.low, axis.high) for axis in table.axes}


class ScoredSamples:
    """The samples of a run that have scores on the axes of all policies, read once; labels are worked out once a cell.

    `rows` has `row` (its place among all samples), `sample_id`, `dialogue_id`, `category`, and what policies read.
    """

    def __init__(
        self, table: RunTable, policies: Mapping[str, Policy], *, decide: Decide | None = None, seed: int = 0
    ) -> None:
        """`decide` is by default that of the run's last selection. Raises `UserError` for a run without scores."""
        workspace = table.require("scores").workspace
        self.policies, self.scales, self.seed = policies, scales_of(table), seed
        last = table.selecting
        self.decide: Decide = decide or cast(Decide, last.decide if last and last.decide else "auto")
        rows = table.read(columns_of(table, policies.values()))
        self.total = len(rows)
        self.rows = rows.filter(scored_on(axis for axis in self.scales if axis in rows.columns))
        if self.rows.is_empty():
            raise UserError(f"{workspace.scores} has no sample with scores: score again, or look at its states")
        self.inputs = table.decision_inputs
        self._labels: dict[Cell, Labels] = {}

    def selector(self, cell: Cell) -> Selector:
        """The policy at the cell's thresholds, on the run's axes."""
        policy = self.policies[cell.policy].with_thresholds(**cell.thresholds)
        return make_selector(policy, self.scales, decide=self.decide, seed=self.seed)

    def labels(self, cell: Cell) -> Labels:
        """What the policy says of every scored sample."""
        if cell not in self._labels:
            self._labels[cell] = Labels.of(self.selector(cell), self.rows)
        return self._labels[cell]

    def decided_on(self, cell: Cell) -> str:
        """`whole scores`, `scores` or `probabilities`."""
        return self.selector(cell).decides_on(self.rows.lazy())

    def default(self, policy: str) -> Cell:
        """A policy at its own thresholds."""
        return Cell.of(policy, self.policies[policy].thresholds)

    def categories(self) -> tuple[list[str], npt.NDArray[np.intp]]:
        """The categories' names, sorted, and each sample's place in them; no name where the data has none."""
        column = self.rows["category"]
        if column.is_null().all():
            return [], np.zeros(len(column), dtype=np.intp)
        labels = column.fill_null(NO_CATEGORY)
        names = sorted(labels.unique().to_list())
        return names, labels.cast(pl.Enum(names)).to_physical().cast(pl.Int64).to_numpy().astype(np.intp)

    def require_subset(self, policy: str, subset: str) -> str:
        """`subset`, where it is one of the policy's or `union`. Raises `UserError` else."""
        subsets = (*self.selector(self.default(policy)).subsets, UNION)
        if subset not in subsets:
            raise UserError(f"the policy {policy} has no subset {subset!r}: take {', '.join(subsets)}")
        return subset

    def made_from(self) -> dict[str, Any]:
        """What labels depend on, besides the cells: plain values for the manifest."""
        definitions = {name: policy.definition() for name, policy in self.policies.items()}
        return {"inputs": self.inputs, "policies": definitions, "decide": self.decide, "seed": self.seed}


def columns_of(table: RunTable, policies: Iterable[Policy]) -> list[str]:
    """What a run's table has for these policies: their axes with distributions, and the facts they ask for."""
    axes: list[str] = []
    facts: list[str] = []
    for policy in policies:
        policy.require_axes(scales_of(table))
        axes += policy.names if isinstance(policy, RulePolicy) else table.axis_names
        facts += policy.facts
    distributions = [f"{axis}{PROBABILITIES}" for axis in axes if table.has_distributions(axis)]
    extras = [name for name in (DEPENDENCE, "answered_by", *DECIDING) if name in table.columns]
    return list(
        dict.fromkeys(["row", "sample_id", "dialogue_id", "category", "state", *axes, *distributions, *extras, *facts])
    )
