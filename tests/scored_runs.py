"""Runs with known scores, made without a judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from efficient_empathy.dialogues import Sample, Utterance, write_samples
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.foundation.run.stages import RubricRecord, ScoreSummary, SourceRecord
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring import STATES, Judgement, JudgeSpec, Ledger
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.record import ScoreRecord
from efficient_empathy.selection import select
from manifest_entries import write_entry

SPEC = JudgeSpec(judge="test", rubric="0123456789abcdef")


def numbered(i: int, category: str | None = None, text: str = "I lost my keys", response: str = "oh no") -> Sample:
    return Sample.of([Utterance("speaker", f"{text} {i}")], response, category=category)


def write_run(
    root: Path,
    samples: Sequence[Sample],
    scores: Mapping[str, Sequence[float | None]],
    *,
    states: Sequence[str | None] | None = None,
    probabilities: Mapping[str, np.ndarray] | None = None,
    raws: Sequence[str] | None = None,
    reasons: Sequence[str] | None = None,
    scales: Mapping[str, tuple[int, int]] | None = None,
    **manifest: object,
) -> Workspace:
    """A run's folder as `score` leaves it; axes are on 0–10 unless `scales` says otherwise."""
    workspace = Workspace(root).create()
    states = states or ["ok"] * len(samples)
    write_samples(iter(samples), workspace.samples)
    columns: dict[str, pl.Series] = {
        "sample_id": pl.Series([s.id for s in samples], dtype=pl.String),
        "state": pl.Series(states, dtype=pl.String),
    }
    columns |= {axis: pl.Series(values, dtype=pl.Float32) for axis, values in scores.items()}
    for axis, table in (probabilities or {}).items():
        ok = [row.tolist() if state == "ok" else None for row, state in zip(table, states, strict=True)]
        levels = table.shape[1]
        columns[f"{axis}_probabilities"] = pl.Series(ok, dtype=pl.List(pl.Float32)).cast(pl.Array(pl.Float32, levels))
    pl.DataFrame(columns).write_parquet(workspace.scores)
    with Ledger(workspace.ledger) as ledger:
        ledger.record(
            SPEC,
            [
                Judgement(
                    s.id, state, "test", "0123", raw=raws[i] if raws else "", reason=reasons[i] if reasons else ""
                )  # type: ignore[arg-type]
                for i, (s, state) in enumerate(zip(samples, states, strict=True))
                if state
            ],
        )
    rubric = RubricRecord(
        name="empathy-selection",
        hash="0123456789abcdef",
        axes={axis: (scales or {}).get(axis, (0, 10)) for axis in scores},
    )
    record = score_record(workspace, SPEC, rubric, states, distributions=bool(probabilities))
    write_entry(workspace, "score", record.model_dump(mode="json") | manifest)
    return workspace


def score_record(
    workspace: Workspace,
    spec: JudgeSpec,
    rubric: RubricRecord,
    states: Sequence[str | None],
    *,
    distributions: bool = False,
) -> ScoreRecord:
    """What the manifest says of a run that one judge scored."""
    counts = Counter(state for state in states if state)
    summary = score_summary(
        samples=len(states),
        conversations=len(states),
        inputs={"samples.parquet": file_hash(workspace.samples)},
        rubric=rubric,
        states={state: counts[state] for state in STATES},
        unjudged=sum(state is None for state in states),
        distributions=distributions,
    )
    fields = {name: getattr(summary, name) for name in ScoreSummary.model_fields}
    return ScoreRecord(**fields, panel=Panel.of([spec]), first_pass=None)


def score_summary(axes: Sequence[str] = ("sensibility", "rationality"), **fields: object) -> ScoreSummary:
    """What every reader knows of a scoring on 0–10 that cost nothing and lost nothing, unless `fields` says so."""
    default = {
        "source": SourceRecord(name="dialogues.csv", format="table", digest="d" * 64),
        "samples": 0,
        "conversations": 0,
        "duplicates": 0,
        "bad_rows": 0,
        "inputs": {},
        "rubric": RubricRecord(name="empathy", hash="0123456789abcdef", axes=dict.fromkeys(axes, (0, 10))),
        "judge": "test judge",
        "states": {},
        "unjudged": 0,
        "distributions": False,
        "requests": 0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "cost_usd": 0.0,
        "seconds": 0.0,
        "ending": "complete",
    }
    return ScoreSummary.model_validate(default | fields)


def partly_scored_run(root: Path, count: int = 12) -> Workspace:
    """A run of which one sample cannot be read and one is not judged, selected; categories as people write them."""
    samples = [numbered(i, category=(" sad ", "", "joy", None)[i % 4]) for i in range(count)]
    states = ["ok"] * (count - 2) + ["parse_error", None]
    scores = [float(i % 11) for i in range(count - 2)]
    axes = {"sensibility": [*scores, None, None], "rationality": [*scores[::-1], None, None]}
    workspace = write_run(root, samples, axes, states=states)
    select(workspace, decide="scores")
    return workspace
