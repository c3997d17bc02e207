"""Who learns from what: the samples of each arm of a proof, drawn so that the arms differ in nothing else.

A synthetic sample tells something of the dialogue that it was made from. So that no arm learns from more real dialogues
than its name says, every arm has the real part, and the dialogues that synthetic samples were made from are in it. The
arm with more real samples has some of a reserve of whole dialogues, which nothing in another arm was made from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.selection.shares import tie_hash
from efficient_empathy.synthesis.filters.contamination import Contamination
from efficient_empathy.synthesis.proof.record import MORE_REAL, RANDOM, REAL, SYNTHETIC
from efficient_empathy.synthesis.work import Work

COLUMNS = ("sample_id", "dialogue_id", "context", "response")


@dataclass(frozen=True)
class Pool:
    """What arms draw from, frames of `COLUMNS` without a sample twice; no dialogue of theirs is tested on."""

    real: pl.DataFrame
    """Real samples that the policy selects."""
    kept: pl.DataFrame
    """Synthetic samples that were kept."""
    made: pl.DataFrame
    """Synthetic samples before any filter, those that were kept among them."""
    away: int = 0
    """Kept samples that take no part, since the dialogues they were made from are held out."""

    @classmethod
    def read(cls, work: Work) -> Pool:
        """What a run has to draw from. Raises `UserError` where its candidates are missing or have been changed.

        Candidates that the filter `contamination` has found to repeat held-out samples take no part in anything.
        """
        material, workspace = work.material, work.workspace
        path = workspace.require(work.candidates_path, "synthesize")
        columns = ["sample_id", "seed_id", "context", "response", "step", "kept"]
        table = pl.read_parquet(path, columns=columns, glob=False).filter(pl.col("context").is_not_null())
        seeds = RunTable(workspace).read(["sample_id", "dialogue_id"]).unique("sample_id", keep="first")
        table = table.join(seeds.rename({"sample_id": "seed_id"}), on="seed_id", how="left", maintain_order="left")
        without_seed = pl.when(pl.col("seed_id").is_null()).then("sample_id")
        table = table.with_columns(pl.coalesce("dialogue_id", without_seed).alias("dialogue_id"))
        held_out = material.kept_back
        may_be_trained_on = ~(
            pl.col("dialogue_id").is_in(held_out["dialogue_id"].implode())
            | pl.col("sample_id").is_in(held_out["sample_id"].implode())
        )
        made = table.filter(may_be_trained_on, pl.col("step") != Contamination.name)
        sources = (material.selected.filter(may_be_trained_on), made.filter("kept"), made)
        real, kept, made = (
            one.unique("sample_id", keep="first", maintain_order=True).select(COLUMNS) for one in sources
        )
        return cls(
            _at_most(real, kept, work.training),
            kept,
            made,
            away=table.filter("kept")["sample_id"].n_unique() - len(kept),
        )

    def draw(self, seed: int) -> dict[str, pl.DataFrame]:
        """The rows of each arm, by the names of `ARMS`: the real part, then as many others in each arm that has any.

        That many are the kept samples, or fewer where there are too few real ones to hold back as many; none where
        nothing can be held back.
        """
        is_reserve = pl.col("dialogue_id").is_in(self.reserve(seed).implode())
        real, more = self.real.filter(~is_reserve), self.real.filter(is_reserve)
        kept, made = self.kept.filter(~is_reserve), self.made.filter(~is_reserve)
        count = min(len(kept), len(more))
        others = {SYNTHETIC: kept, MORE_REAL: more, RANDOM: made}
        return {REAL: real, **{arm: pl.concat([real, draw(rows, count, seed)]) for arm, rows in others.items()}}

    def reserve(self, seed: int) -> pl.Series:
        """The dialogues that are held back: as few as have a real sample for every synthetic one that can take part.

        First those that no kept sample was made from, by seeded hash. A kept sample whose own dialogue is held back
        takes no part, so where too few dialogues are left, the most samples take part that can. At most half of the
        real samples are held back.
        """
        counts = self.real.group_by("dialogue_id", maintain_order=True).agg(pl.len().alias("real"))
        kept = self.kept.group_by("dialogue_id").agg(pl.len().alias("kept"))
        counts = counts.join(kept, on="dialogue_id", how="left", maintain_order="left").fill_null(0)
        order = np.lexsort((tie_hash(counts["dialogue_id"], seed), counts["kept"].to_numpy()))
        counts = counts[order]
        held_back = counts["real"].cast(pl.Int64).cum_sum().to_numpy()
        left = len(self.kept) - counts["kept"].cast(pl.Int64).cum_sum().to_numpy()
        pairs = np.where(2 * held_back <= len(self.real), np.minimum(held_back, left), 0)
        size = int(pairs.argmax()) + 1 if len(pairs) and pairs.max() > 0 else 0
        return counts["dialogue_id"].head(size)


def draw(rows: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    """So many rows by a seeded hash of their ids, in the order of these."""
    rows = rows.sort("sample_id")
    return rows[np.sort(np.argsort(tie_hash(rows["sample_id"], seed), kind="stable")[:count])]


def _at_most(real: pl.DataFrame, kept: pl.DataFrame, training: TrainingSettings) -> pl.DataFrame:
    """Real samples up to the training's `max_samples`: first those of dialogues that samples were made from."""
    if training.max_samples is None or len(real) <= training.max_samples:
        return real
    is_other = ~real["dialogue_id"].is_in(kept["dialogue_id"].implode())
    order = np.lexsort((tie_hash(real["sample_id"], training.seed), is_other.to_numpy()))
    return real[np.sort(order[: training.max_samples])]
