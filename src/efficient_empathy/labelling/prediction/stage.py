"""The stage `predict`: the distilled judge on new conversations, without a run.

The conversations come from a source, a frame or Python; a verdict says whether they are like those the judge learnt
from.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.dialogues import Intake, Sample, open_source, uniform
from efficient_empathy.dialogues.formats import find_reader, format_names, recognise_format
from efficient_empathy.dialogues.rows import Row
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.table import ODDS
from efficient_empathy.foundation.spreadsheets import texts_only
from efficient_empathy.labelling.prediction.predictor import Batch, Per, Predictor, by_conversation
from efficient_empathy.labelling.prediction.tally import NO_REFERENCE, Tally
from efficient_empathy.labelling.prediction.words import LONGEST_LIST

Conversation = Sample | Mapping[str, Any] | list[Mapping[str, Any]]
"""A sample; a row as a JSON line has it; or its messages, `[{"role": "user" | "assistant", "content": …}, …]`."""
PredictionInput = str | Path | pl.DataFrame | Iterable[Conversation]
"""A source as `inspect` reads it, a frame of samples as `ee.read` gives it, or conversations."""


def samples_of(source: PredictionInput, intake: Intake) -> Iterator[Sample]:
    """The samples, one per listener turn, in order. Raises `UserError` for what cannot be read."""
    if isinstance(source, str | Path):
        stream = open_source(source, intake.settings)
        stream.intake = intake
        yield from stream
    elif isinstance(source, pl.DataFrame):
        missing = sorted({"sample_id", "dialogue_id", "turn", "context", "response"} - set(source.columns))
        if missing:
            raise UserError(f"the frame has no column {', '.join(missing)}: pass one that ee.read gives")
        empty = dict.fromkeys(("category", "split", "source"))
        yield from (Sample.from_row(empty | row) for row in source.iter_rows(named=True))
    else:
        for number, one in enumerate(source, 1):
            if isinstance(one, Sample):
                yield one
            else:
                values = dict(one) if isinstance(one, Mapping) else {"messages": [*one]}
                yield from row_samples(values, f"conversation {number}", intake)


def row_samples(values: dict[str, Any], place: str, intake: Intake) -> list[Sample]:
    """The samples of one conversation that stands in one row; a row that has none goes to `intake.bad`."""
    values = {**values, **{column: values.get(name) for column, name in intake.settings.columns.items()}}
    format_name = intake.settings.format
    reader = find_reader(format_name) if format_name else recognise_format([values])
    if reader is None:
        keys = ", ".join(map(str, values)) or "none"
        intake.bad(place, f"of no known format (keys: {keys[:80]}; known are {', '.join(format_names())})")
        return []
    bad = intake.bad_row_count
    samples = [*reader.samples([Row(place, values)], intake)]
    if not samples and intake.bad_row_count == bad:
        intake.bad(place, f"no listener response in this row, read as {reader.name}")
    return samples


CHUNK = 1024
WRITERS: dict[str, Callable[[pl.DataFrame, Path], None]] = {
    ".jsonl": lambda frame, path: uniform(frame).write_ndjson(path),
    ".parquet": lambda frame, path: frame.write_parquet(path, compression="zstd"),
    ".csv": lambda frame, path: texts_only(frame).write_csv(path),
}


@dataclass(frozen=True)
class Prediction:
    """`samples`, a row a sample in order; `drift`, the verdict on the inputs; `result`, the figures in one mapping."""

    samples: pl.DataFrame
    drift: dict[str, Any]
    result: dict[str, Any]

    @property
    def conversations(self) -> pl.DataFrame:
        """A row a conversation, see `by_conversation`."""
        return by_conversation(self.samples, self.result["otherwise"])

    def per(self, unit: Per) -> pl.DataFrame:
        """The frame with a row a sample, or a conversation."""
        return self.conversations if unit == "conversation" else self.samples


def predict(
    source: PredictionInput,
    predictor: Predictor | None = None,
    reading: ReadingSettings | None = None,
    *,
    on_progress: Callable[[int], None] = lambda samples: None,
) -> Prediction:
    """Judge all samples of a source, a frame or conversations; nothing is written.

    `on_progress` gets the number of samples done. Holds the figures in memory, some 200 bytes a sample, never the
    text. Raises `UserError` for what cannot be read, and for a bad row unless bad rows are skipped.
    """
    predictor, intake = predictor or Predictor(), Intake(ReadingSettings.of(reading))
    started, collection = time.perf_counter(), Collection(predictor)
    samples = samples_of(source, intake)
    while chunk := [*islice(samples, CHUNK)]:
        collection.add(chunk, predictor(chunk))
        on_progress(collection.samples)
    return collection.prediction(time.perf_counter() - started, intake)


class Collection:
    """What comes of batches, one after the other."""

    def __init__(self, predictor: Predictor, *, frames: bool = True) -> None:
        self._predictor = predictor
        self._keeps = frames
        self._frames = [predictor.schema.to_frame()]
        self._figures = [*predictor.axes, *(f"{ODDS}{subset}" for subset in predictor.policy.subsets)]
        self._sums = np.zeros(len(self._figures))
        self.tally = Tally(predictor.reference)
        self.samples = 0

    def add(self, samples: Iterable[Sample], batch: Batch) -> None:
        """Count a batch, and keep its rows unless frames are not wanted."""
        self.samples += len(batch.frame)
        self.tally.add(batch.values, [sample.dialogue_id for sample in samples])
        self._sums += batch.frame.select(self._figures).to_numpy().astype(np.float64).sum(0)
        if self._keeps:
            self._frames.append(batch.frame)

    def prediction(self, seconds: float, intake: Intake) -> Prediction:
        """All that was collected; `weakest` are conversations, none where frames were not wanted."""
        frame, drift = pl.concat(self._frames), self.tally.verdict()
        policy = self._predictor.policy
        means = dict(zip(self._figures, (self._sums / max(1, self.samples)).round(4).tolist(), strict=True))
        left_out = f"weakest_{ODDS}{policy.otherwise}"
        weakest = by_conversation(frame, policy.otherwise).sort(left_out, descending=True, maintain_order=True)
        result = {
            "samples": self.samples,
            "conversations": self.tally.conversations,
            "judge": self._predictor.judge.name,
            "policy": policy.name,
            "thresholds": policy.thresholds,
            "otherwise": policy.otherwise,
            "mean": {axis: means[axis] for axis in self._predictor.axes},
            "expected_shares": {subset: means[f"{ODDS}{subset}"] for subset in policy.subsets},
            "weakest": [round_fractions(row) for row in weakest.head(LONGEST_LIST).iter_rows(named=True)],
            "drift": drift,
            "bad_rows": intake.bad_row_count,
            "repairs": dict(intake.repairs),
            "seconds": round(seconds, 3),
            "samples_per_second": round(self.samples / seconds, 1) if seconds else 0.0,
        }
        return Prediction(frame, drift, result)


def require_reference(predictor: Predictor) -> None:
    """Raise `UserError` where drift cannot be checked."""
    if predictor.reference is None:
        raise UserError(f"{predictor.folder}: {NO_REFERENCE}")


def check_output(path: Path) -> None:
    """Raise `UserError` for a file that no writer is for, before anything is judged."""
    if path.suffix not in WRITERS:
        raise UserError(f"{path} must end in {', '.join(WRITERS)}: its name says how it is written")
    if path.is_dir():
        raise UserError(f"{path} is a folder: name a file")


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame as its file's name says, whole or not at all."""
    check_output(path)
    with atomic(path) as temporary:
        WRITERS[path.suffix](frame, temporary)


def round_fractions(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its fractions to four decimals."""
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}
