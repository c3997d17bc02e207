"""The section on synthetic samples: what they came through, where they went, how diverse they are, and some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.charts import Dot
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.synthesis.diversity import DiversityRecord, Spread
from efficient_empathy.synthesis.plan import by_name
from efficient_empathy.synthesis.proof.record import PROOF_FILE, ProofRecord
from efficient_empathy.synthesis.record import (
    CANDIDATES_FILE,
    DIVERSITY_FILE,
    CellRecord,
    SynthesisRecord,
    makers_text,
)
from efficient_empathy.synthesis.rounds import Round, RoundsRecord

CELLS_SHOWN = 20
EXAMPLES_SHOWN = 3
"""Of what was kept, and of what was left out."""


@dataclass(frozen=True, slots=True)
class SyntheticExample:
    """A candidate: what the model made of which seed, and why it was left out (empty: it was kept)."""

    generator: str
    category: str
    sample: Sample | None
    reply: str
    step: str
    reason: str
    scores: dict[str, float]
    """By axis; none where the judge has not seen it."""


@dataclass(frozen=True, slots=True)
class Synthetic:
    """The synthesis as it is shown; `fault` is the sentence on a file that cannot be."""

    record: SynthesisRecord | None = None
    diversity: DiversityRecord | None = None
    kept: tuple[SyntheticExample, ...] = ()
    dropped: tuple[SyntheticExample, ...] = ()
    rounds: tuple[Round, ...] = ()
    fault: str = ""
    proof: ProofRecord | None = None
    proof_fault: str = ""
    """The sentence on a proof that cannot be shown."""

    @property
    def sentence(self) -> str:
        """What came of it."""
        if self.record is None:
            return ""
        share = self.record.kept / (self.record.kept + self.record.real)
        return (
            f"Of {self.record.requests:,} samples that {self.record.model} was asked for, {self.record.kept:,} are "
            f"kept: {share:.1%} of what the run then has to train on. They stand in the split synthetic and are never "
            "tested on."
        )

    @property
    def makers(self) -> str:
        """How many of its candidates each generator's are kept."""
        return makers_text(self.record.makers) if self.record else ""

    @property
    def dimensions(self) -> str:
        """What the cells are told apart by, but for the subset."""
        return ", ".join(self.record.cells[0].values) if self.record and self.record.cells else ""

    @property
    def proof_dots(self) -> list[Dot]:
        """How far each arm of the proof is above that of the real samples alone."""
        arms = self.proof.arms if self.proof else ()
        differences = [(arm.name, one) for arm in arms if (one := arm.difference) is not None]
        return [Dot(name, one.value, one.interval) for name, one in differences if one.value is not None]

    @property
    def subsets(self) -> list[str]:
        """The subsets of the cells, in their order."""
        return list(dict.fromkeys(cell.subset for cell in self.record.cells)) if self.record else []

    @property
    def lacking(self) -> list[tuple[str, dict[str, CellRecord]]]:
        """What lacked most, with its cells by subset."""
        if self.record is None:
            return []
        groups = by_name(self.record.cells).items()
        lacking = [(name, cells) for name, cells in groups if any(cell.wanted or cell.kept for cell in cells)]
        lacking.sort(key=lambda group: -sum(cell.wanted for cell in group[1]))
        return [(name, {cell.subset: cell for cell in cells}) for name, cells in lacking]

    @property
    def spreads(self) -> list[tuple[str, Spread]]:
        """The sets whose diversity was measured, by what they are."""
        if self.diversity is None:
            return []
        return [
            ("what came through", self.diversity.all),
            ("what was kept", self.diversity.kept),
            ("as many at random", self.diversity.random),
        ]


def synthetic(table: RunTable) -> Synthetic | None:
    """Read the synthesis; None where there is none."""
    workspace = table.workspace
    try:
        record = workspace.stage(SynthesisRecord.STAGE, SynthesisRecord)
        rounds = workspace.stage(RoundsRecord.STAGE, RoundsRecord)
        diversity = DiversityRecord.read_if_there(workspace.synthesis / DIVERSITY_FILE)
        path = workspace.synthesis / CANDIDATES_FILE
        if record is None:
            return None
        workspace.require(path, "synthesize")
    except UserError as error:
        return Synthetic(fault=str(error))
    columns = ["generator", "category", "context", "response", "reply", "step", "reason", "kept", "sample_id"]
    rows = pl.scan_parquet(path, glob=False)
    columns += [axis for axis in table.axis_names if axis in rows.collect_schema()]
    rows = rows.select(columns)
    order = pl.col("sample_id").fill_null("")
    kept = rows.filter("kept").sort(order).head(EXAMPLES_SHOWN)
    dropped = rows.filter(~pl.col("kept")).unique("step", keep="first", maintain_order=True).head(EXAMPLES_SHOWN)
    proof, proof_fault = _proof(workspace)
    return Synthetic(
        record,
        diversity,
        _examples(kept, table.axis_names),
        _examples(dropped, table.axis_names),
        rounds.rounds if rounds is not None else (),
        proof=proof,
        proof_fault=proof_fault,
    )


def _proof(workspace: Workspace) -> tuple[ProofRecord | None, str]:
    """The proof of the synthesis that the run has now, and what is wrong with one that is no such."""
    try:
        proof = ProofRecord.read_if_there(workspace.synthesis / PROOF_FILE)
    except UserError as error:
        return None, str(error)
    if proof is None or proof.inputs == workspace.hashes([workspace.synthesis / CANDIDATES_FILE]):
        return proof, ""
    return None, f"The proof is of earlier synthetic samples: run {ProofRecord.REMEDY} for these."


def _examples(rows: pl.LazyFrame, axes: Sequence[str]) -> tuple[SyntheticExample, ...]:
    return tuple(_example(row, axes) for row in rows.collect(engine="streaming").iter_rows(named=True))


def _example(row: dict[str, Any], axes: Sequence[str]) -> SyntheticExample:
    sample = None
    if row["context"] is not None and row["response"] is not None:
        sample = Sample.of([Utterance(turn["role"], turn["text"]) for turn in row["context"]], row["response"])
    return SyntheticExample(
        generator=row["generator"],
        category=row["category"] or "no category",
        sample=sample,
        reply=row["reply"] or "",
        step=row["step"],
        reason=row["reason"],
        scores={axis: row[axis] for axis in axes if row.get(axis) is not None},
    )
