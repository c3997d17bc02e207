"""What the distilled judge makes of every distinct sample of a run, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.cascade.goals import Labels, Probabilities
from efficient_empathy.scoring.joint import cell_masses
from efficient_empathy.scoring.judgement import Judgement
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.selection.columns import AXES
from efficient_empathy.selection.grid import GridPolicy

CHUNK = 8192
Tables = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Guesses:
    """Distributions of distinct samples, in the order of the run: `tables` has shape (samples, 2 axes, 11 levels).

    The axes are sensibility and rationality. `association` is the judge's, of how they hang together.
    """

    ids: list[str]
    tables: Tables
    association: float
    policy: GridPolicy

    @property
    def subsets(self) -> tuple[str, ...]:
        """The policy's, in the order of the columns of `probabilities`."""
        return self.policy.subsets

    def probabilities(self) -> Probabilities:
        """P(subset), shape (samples, subsets)."""
        grid = self.policy.cells()
        cells = np.stack([grid == subset for subset in self.subsets])
        return cell_masses(self.tables[:, 0], self.tables[:, 1], cells, self.association)

    def labels_of(self, scores: npt.NDArray[np.float64]) -> Labels:
        """The subset of scores, shape (samples, 2), by the rule; −1 where there are none (nan)."""
        known = ~np.isnan(scores).any(axis=1)
        frame = pl.DataFrame({"state": ["ok"] * int(known.sum())}).with_columns(
            pl.Series(axis, scores[known, i]) for i, axis in enumerate(AXES)
        )
        labels = np.full(len(scores), -1, np.intp)
        found = self.policy.assign(frame.with_columns(pl.lit("").alias("sample_id")))["subset"].to_list()
        labels[known] = [self.subsets.index(subset) for subset in found]
        return labels

    def refitted(self, tables: Tables) -> Guesses:
        """The same samples with other distributions."""
        return replace(self, tables=tables)

    def judgement(self, place: int, judge: str, rubric: str, created_at: float) -> Judgement:
        """What stands for the sample at `place` where the expert is not asked."""
        table = self.tables[place]
        means = table @ np.arange(table.shape[-1], dtype=np.float32)
        return Judgement(
            self.ids[place],
            "ok",
            judge,
            rubric,
            scores={axis: float(mean) for axis, mean in zip(AXES, means, strict=True)},
            probabilities={axis: row.tolist() for axis, row in zip(AXES, table, strict=True)},
            association=self.association,
            created_at=created_at,
        )


def read_guesses(workspace: Workspace, ledger: Ledger, spec: JudgeSpec, policy: GridPolicy) -> Guesses:
    """The distributions under `spec`, of every distinct sample; all must be there."""
    ids: dict[str, None] = {}
    tables: list[list[list[float]]] = []
    association = 0.0
    for chunk in pl.scan_parquet(workspace.samples).select("sample_id").collect_batches(chunk_size=CHUNK):
        new = [sample for sample in dict.fromkeys(chunk["sample_id"]) if sample not in ids]
        ids.update(dict.fromkeys(new))
        found = ledger.latest(spec, new)
        tables += [[list(found[sample].probabilities[axis]) for axis in AXES] for sample in new]
        association = found[new[0]].association if new else association
    return Guesses(list(ids), np.asarray(tables, np.float32), association, policy)


def read_scores(ledger: Ledger, spec: JudgeSpec, ids: list[str]) -> npt.NDArray[np.float64]:
    """The expert's scores, shape (samples, 2); nan where there is no `ok` judgement."""
    scores = np.full((len(ids), len(AXES)), np.nan)
    for start in range(0, len(ids), CHUNK):
        found = ledger.latest(spec, ids[start : start + CHUNK])
        for place, sample in enumerate(ids[start : start + CHUNK], start):
            judgement = found.get(sample)
            if judgement is not None and judgement.state == "ok":
                scores[place] = [judgement.scores[axis] for axis in AXES]
    return scores
