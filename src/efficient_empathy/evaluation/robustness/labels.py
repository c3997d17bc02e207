"""The subset of every sample in every cell: the policies' own answer, kept as one byte a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.robustness.grid import Cell
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.stage_records import SelectRecord
from efficient_empathy.foundation.run.workspace import Workspace, file_hash
from efficient_empathy.selection.columns import ASSOCIATION, AXES, DISTRIBUTIONS, SCORED, require_axes
from efficient_empathy.selection.faults import told
from efficient_empathy.selection.grid import GridPolicy
from efficient_empathy.selection.policy import make_policy
from efficient_empathy.selection.rules import DISCARD, RULES

UNION = "union"
"""All but discard: what is kept."""
NO_CATEGORY = "no category"
_READ = ("sample_id", "state", *AXES, *DISTRIBUTIONS, ASSOCIATION)
_AGAIN = "run `efficient-empathy score` again"


@dataclass(frozen=True)
class Labels:
    """One cell's subsets, and each scored sample's position in them."""

    subsets: tuple[str, ...]
    codes: npt.NDArray[np.uint8]
    """Shape (scored samples,)."""

    def within(self, subset: str) -> npt.NDArray[np.bool_]:
        """Which samples are in a subset, or in `union`."""
        if subset == UNION:
            return np.not_equal(self.codes, self.subsets.index(DISCARD))
        if subset not in self.subsets:
            raise UserError(f"there is no subset {subset!r} here: take {', '.join((*self.subsets, UNION))}")
        return np.equal(self.codes, self.subsets.index(subset))

    def counts(self) -> dict[str, int]:
        """How many samples each subset has."""
        sizes = np.bincount(self.codes, minlength=len(self.subsets))
        return {name: int(n) for name, n in zip(self.subsets, sizes, strict=True)}


class Scored:
    """The scored samples of a run, read once, and every cell's labels of them, worked out once.

    `rows` has `row` (its place among all samples), `sample_id`, `dialogue_id`, `category`, and what policies read.
    """

    def __init__(self, workspace: Workspace, *, decide: str | None = None, seed: int = 0) -> None:
        """`decide` is by default that of the run's last selection. Raises `UserError` for a run without scores."""
        scores_path = workspace.require(workspace.scores, "score SOURCE")
        samples_path = workspace.require(workspace.samples, "score SOURCE")
        with told(f"read {scores_path} beside {samples_path.name}", _AGAIN):
            columns = pl.read_parquet_schema(scores_path)
            require_axes(columns)
            scores = pl.read_parquet(scores_path, columns=[c for c in _READ if c in columns], glob=False)
            samples = pl.read_parquet(samples_path, columns=["sample_id", "dialogue_id", "category"], glob=False)
            self.inputs = {path.name: file_hash(path) for path in (scores_path, samples_path)}
        if not scores["sample_id"].equals(samples["sample_id"]):
            raise UserError(
                f"{scores_path} is not about the samples of {samples_path.name}, in that order: "
                f"run `efficient-empathy score` with --run {workspace.root} again"
            )
        self.total = len(scores)
        rows = pl.concat([scores, samples.drop("sample_id")], how="horizontal").with_row_index("row")
        self.rows = rows.filter(SCORED)
        if self.rows.is_empty():
            raise UserError(f"{scores_path} has no sample with scores: score again, or look at its states")
        last = workspace.stage("select", SelectRecord)
        self.decide = decide or (last.decide if last and last.decide else "auto")
        self.seed = seed
        self._labels: dict[Cell, Labels] = {}

    def policy(self, cell: Cell) -> GridPolicy:
        """The policy itself."""
        made = make_policy(cell.policy, cell.alpha, cell.beta, self.seed, decide=self.decide)
        assert isinstance(made, GridPolicy)
        return made

    def labels(self, cell: Cell) -> Labels:
        """What the policy says of every scored sample."""
        if cell not in self._labels:
            policy = self.policy(cell)
            subset = policy.plan(self.rows.lazy()).select("subset").collect().to_series()
            codes = subset.cast(pl.Enum(policy.subsets)).to_physical().cast(pl.UInt8).to_numpy()
            self._labels[cell] = Labels(policy.subsets, codes)
        return self._labels[cell]

    def decided_on(self, cell: Cell) -> str:
        """`whole scores`, `scores` or `probabilities`."""
        return self.policy(cell).decides_on(self.rows.lazy())

    def categories(self) -> tuple[list[str], npt.NDArray[np.intp]]:
        """The categories' names, sorted, and each sample's place in them; no name where the data has none."""
        column = self.rows["category"]
        if column.is_null().all():
            return [], np.zeros(len(column), dtype=np.intp)
        filled = column.fill_null(NO_CATEGORY)
        names = sorted(filled.unique().to_list())
        return names, filled.cast(pl.Enum(names)).to_physical().cast(pl.Int64).to_numpy().astype(np.intp)

    def made_from(self) -> dict[str, Any]:
        """What labels depend on, besides the cells."""
        return {"inputs": self.inputs, "decide": self.decide, "seed": self.seed}


def known_subset(policy: str, subset: str) -> str:
    """`subset`, where it is one of the policy's or `union`. Raises `UserError` else."""
    subsets = (*RULES[policy].subsets, UNION)
    if subset not in subsets:
        raise UserError(f"the policy {policy} has no subset {subset!r}: take {', '.join(subsets)}")
    return subset
