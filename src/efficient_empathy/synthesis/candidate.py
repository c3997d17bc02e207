"""A synthetic sample on its way, and the table that keeps all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.dialogues.sample import SAMPLE_SCHEMA, SYNTHETIC


@dataclass(frozen=True, slots=True)
class Candidate:
    """A synthetic sample, what it was made from, and what the model wrote.

    `sample` is None where the reply could not be read as one; then `fault` says why. `seed` is the real sample that
    the prompt showed, None where it showed none. `reply` is the model's text as it came; `None` where it gave none.
    `category` and `subset` are the cell that it is meant for, `request` is what its reply is kept under, and `plan`
    tells what the plan that asked for it was made from.
    """

    generator: str
    seed: Sample | None
    reply: str | None
    sample: Sample | None = None
    fault: str = ""
    category: str | None = None
    subset: str = ""
    request: str = ""
    plan: str = ""


def made_sample(
    generator: str, request: str, seed: Sample | None, category: str | None, context: Sequence[Utterance], response: str
) -> Sample:
    """What a generator made, as a sample: of the seed's dialogue, so that it is never apart from it in a split."""
    return Sample.of(
        context,
        response,
        dialogue_id=seed.dialogue_id if seed is not None else f"{SYNTHETIC}-{request}",
        category=category,
        split=SYNTHETIC,
        source=f"{SYNTHETIC}/{generator}",
    )


def candidates_frame(candidates: Sequence[Candidate], model: str, hashes: Mapping[str, str]) -> pl.DataFrame:
    """A row a candidate: who made it of what, by which prompt (`hashes`, by generator), and what it is."""
    samples = [one.sample for one in candidates]
    return pl.DataFrame(
        {
            "sample_id": [sample.id if sample else None for sample in samples],
            "generator": [one.generator for one in candidates],
            "prompt": [hashes[one.generator] for one in candidates],
            "model": [model] * len(candidates),
            "seed_id": [one.seed.id if one.seed else None for one in candidates],
            "category": [one.category for one in candidates],
            "for_subset": [one.subset for one in candidates],
            "context": [[{"role": u.role, "text": u.text} for u in s.context] if s else None for s in samples],
            "response": [sample.response if sample else None for sample in samples],
            "reply": [one.reply for one in candidates],
            "request": [one.request for one in candidates],
            "plan": [one.plan for one in candidates],
        },
        schema_overrides={"category": pl.String, "context": SAMPLE_SCHEMA["context"], "response": pl.String,
                          "reply": pl.String, "sample_id": pl.String, "seed_id": pl.String},
    )  # fmt: skip


def earlier_candidates(
    path: Path, plan: str, prompts: Mapping[str, str], seeds: Mapping[str, Sample]
) -> Iterator[Candidate]:
    """What other plans than this one asked for, by prompts that are still asked by (`prompts`, the hashes by
    generator), of `seeds` (by id) that may still be one."""
    rows = pl.scan_parquet(path, glob=False).filter(pl.col("plan") != plan)
    for row in rows.collect(engine="streaming").iter_rows(named=True):
        is_of_now = prompts.get(row["generator"]) == row["prompt"]
        if is_of_now and (row["seed_id"] is None or row["seed_id"] in seeds):
            yield _read(row, seeds)


def _read(row: Mapping[str, Any], seeds: Mapping[str, Sample]) -> Candidate:
    seed, sample = None if row["seed_id"] is None else seeds[row["seed_id"]], None
    if row["sample_id"] is not None:
        context = [Utterance(turn["role"], turn["text"]) for turn in row["context"]]
        sample = made_sample(row["generator"], row["request"], seed, row["category"], context, row["response"])
    return Candidate(
        generator=row["generator"],
        seed=seed,
        reply=row["reply"],
        sample=sample,
        fault=row["reason"] if sample is None else "",
        category=row["category"],
        subset=row["for_subset"],
        request=row["request"],
        plan=row["plan"],
    )
