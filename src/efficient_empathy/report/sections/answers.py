"""The section that lets all models answer the same prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import UserError, error_context
from efficient_empathy.foundation.figures.formatting import UNCATEGORISED
from efficient_empathy.foundation.run.table import SAMPLE_COLUMNS, UNSCORED, RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.record import GenerationRecord
from efficient_empathy.modelling.generation.replies import require_replies
from efficient_empathy.report.decision import by_model, read_record
from efficient_empathy.report.sections.examples import TURNS_SHOWN, sample_rows
from efficient_empathy.selection.shares import tie_hash

PROMPTS = 5
CUT, FAILED = "length", "error"


@dataclass(frozen=True, slots=True)
class Responder:
    """One model that answered: how many samples, how its answers ended, how it was asked."""

    name: str
    path: Path
    record: GenerationRecord | None
    samples: int
    cut: int
    failed: int
    tokens: float | None

    @property
    def title(self) -> str:
        """What the model is called on the page."""
        return self.record.label if self.record else self.name

    @property
    def decoding(self) -> str:
        """The decoding as it was recorded, "–" where it was not."""
        decoding = self.record.decoding if self.record else {}
        return ", ".join(f"{key} {value}" for key, value in decoding.items() if value is not None) or "–"

    @property
    def template(self) -> str:
        """The name of the prompt template, "–" where it was not recorded."""
        return self.record.template.name if self.record else "–"

    @property
    def backend(self) -> str:
        """What ran the model, "–" where it was not recorded."""
        return self.record.backend if self.record else "–"


@dataclass(frozen=True, slots=True)
class Answer:
    """One model's response to a prompt."""

    title: str
    response: str
    ending: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A sample that every model answered."""

    sample: Sample
    subset: str
    category: str
    answers: list[Answer]

    @property
    def omitted_turns(self) -> int:
        """Earlier turns that are not shown."""
        return max(0, len(self.sample.context) - TURNS_SHOWN)


@dataclass(frozen=True, slots=True)
class Answers:
    """The prompts and who answered; `faults` are sentences on files that cannot be shown."""

    responders: list[Responder] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    common: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def alike(self) -> bool:
        """Whether all models were asked in one way."""
        ways = {(r.record and r.record.template, r.backend, r.decoding) for r in self.responders}
        return len(ways) == 1

    @property
    def templates(self) -> set[tuple[str, str]]:
        """The prompt templates that the models were asked with."""
        return {(r.record.template.name, r.record.template.hash) for r in self.responders if r.record}


def answers(table: RunTable, folder: Path) -> Answers | None:
    """Five samples that every model answered, and the answers; None where no model answered any."""
    paths = {path.stem: path for path in folder.glob("*.parquet") if not path.name.startswith(".")}
    if not paths:
        return None
    faults: list[str] = []
    responses: list[tuple[Responder, pl.DataFrame]] = []
    for name in by_model(paths, table.subsets):
        with _note_faults(faults, name):
            responses.append(_responder(name, paths[name], faults))
    responders = [responder for responder, _ in responses]
    choice, common = _choose(table, [ids for _, ids in responses]) if responses else (pl.DataFrame(), 0)
    return Answers(responders, _prompts(table, choice, responders, faults), common, faults)


@contextmanager
def _note_faults(faults: list[str], name: str) -> Iterator[None]:
    """Turn what polars cannot read in here into a sentence."""
    try:
        with error_context(f"show generations/{name}.parquet"):
            yield
    except UserError as error:
        faults.append(f"{str(error).replace('cannot', 'Cannot', 1) if str(error).startswith('cannot') else error}.")


def _responder(name: str, path: Path, faults: list[str]) -> tuple[Responder, pl.DataFrame]:
    """A model's record, its counts and the ids that it answered."""
    require_replies(Workspace(path.parents[1]), name)
    frame = _generations(path)
    ending = pl.col("finish_reason")
    counts = frame.select(
        pl.len(),
        (ending == CUT).sum().alias("cut"),
        (ending == FAILED).sum().alias("failed"),
        pl.col("completion_tokens").mean(),
    )
    samples, cut, failed, tokens = counts.collect(engine="streaming").row(0)
    record: GenerationRecord | str | None = None
    if path.with_suffix(".json").exists():
        record = read_record(path.with_suffix(".json"), GenerationRecord, f"generations/{name}.json")
    if isinstance(record, str):
        faults.append(record)
        record = None
    ids = frame.select("sample_id").drop_nulls().unique().collect(engine="streaming")
    return Responder(name, path, record, samples, cut, failed, tokens), ids


def _generations(path: Path) -> pl.LazyFrame:
    """A model's responses in the types that are expected; columns that may be missing are filled with null."""
    frame = pl.scan_parquet(path, glob=False)
    types = {"finish_reason": pl.String, "completion_tokens": pl.Float64}
    present = frame.collect_schema().names()
    missing = [pl.lit(None, kind).alias(name) for name, kind in types.items() if name not in present]
    columns = {"sample_id": pl.String, "response": pl.String, **types}
    return frame.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in columns.items())


def _choose(table: RunTable, ids: Sequence[pl.DataFrame]) -> tuple[pl.DataFrame, int]:
    """The samples to show, and of how many: by seeded hash, subsets and then categories as even as can be."""
    common = ids[0]
    for others in ids[1:]:
        common = common.join(others, on="sample_id", how="semi")
    samples = table.scan(["sample_id", "category", *(["subset"] if table.subsets else [])])
    samples = samples.with_columns(pl.col("category").fill_null(UNCATEGORISED))
    if not table.subsets:
        samples = samples.with_columns(pl.lit(UNSCORED).alias("subset"))
    rows = samples.join(common.lazy(), on="sample_id", how="semi").collect(engine="streaming")
    rows = rows.unique("sample_id", keep="first", maintain_order=True)
    seed = table.selecting.seed if table.selecting else 0
    order = rows.with_columns(pl.Series("tie", tie_hash(rows["sample_id"], seed), dtype=pl.UInt64))
    first = order.sort("tie", "sample_id").group_by("subset", "category", maintain_order=True).head(PROMPTS)
    candidates = list(first.iter_rows(named=True))
    choice: list[dict[str, Any]] = []
    subsets: Counter[str] = Counter()
    categories: Counter[str] = Counter()
    while candidates and len(choice) < PROMPTS:
        best = min(candidates, key=lambda c: (subsets[c["subset"]], categories[c["category"]], c["tie"]))
        candidates.remove(best)
        choice.append(best)
        subsets[best["subset"]] += 1
        categories[best["category"]] += 1
    return pl.DataFrame(choice, schema=first.schema), len(rows)


def _prompts(table: RunTable, choice: pl.DataFrame, responders: Sequence[Responder], faults: list[str]) -> list[Prompt]:
    if choice.is_empty():
        return []
    ids = choice["sample_id"].to_list()
    samples = {row["sample_id"]: row for row in sample_rows(table.scan(SAMPLE_COLUMNS), ids).iter_rows(named=True)}
    replies: list[tuple[Responder, dict[str, Any]]] = []
    for responder in responders:
        with _note_faults(faults, responder.name):
            rows = sample_rows(_generations(responder.path), ids).iter_rows(named=True)
            replies.append((responder, {row["sample_id"]: row for row in rows}))
    return [
        Prompt(
            sample=Sample.from_row(samples[identity]),
            subset="" if subset == UNSCORED else subset,
            category=category,
            answers=[_answer(responder, rows[identity]) for responder, rows in replies],
        )
        for identity, subset, category in choice.select("sample_id", "subset", "category").iter_rows()
    ]


def _answer(responder: Responder, row: dict[str, Any]) -> Answer:
    return Answer(responder.title, row["response"] or "", row["finish_reason"] or "")
