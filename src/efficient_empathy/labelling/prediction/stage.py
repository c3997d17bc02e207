"""The stage `predict`: the distilled judge on new conversations, without a run.

The conversations come from a source, a frame or Python; a verdict says whether they are like those the judge learnt
from.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from efficient_empathy.foundation.statistics.drift import Level, effective_size, lower_share, shift
from efficient_empathy.labelling.distillation.reference import FILE, Feature, Reference, Values
from efficient_empathy.labelling.prediction.predictor import Batch, Per, Predictor, by_conversation
from efficient_empathy.labelling.prediction.words import LONGEST_LIST, many_outside, shift_words

LEVELS: tuple[Level, ...] = ("ok", "watch", "alarm")
OUTSIDE_WATCH, OUTSIDE_ALARM = 0.05, 0.2
"""By how much the share of samples outside the judge's ranges must exceed what is usual. Chosen so that two strange
samples of two are an alarm, and one of one is worth a look."""
OUTSIDE_CHANCE = 0.01
"""How often the bound of that share may be missed."""
NO_REFERENCE = (
    f"drift cannot be checked: the judge's folder has no {FILE}, which `efficient-empathy distill` writes since it "
    "exists; distil the judge again to have one"
)


class Tally:
    """Counts features into the bins of a reference; holds no sample, only how many each conversation had."""

    def __init__(self, reference: Reference | None) -> None:
        self._reference = reference
        self._dialogues: Counter[str] = Counter()
        self._outside = 0
        features = reference.features if reference else ()
        self._counts = [np.zeros(len(feature.counts)) for feature in features]
        self._beyond = np.zeros((2, len(features)), np.int64)

    def add(self, values: Values, dialogue_ids: Sequence[str]) -> None:
        """Count samples by their features, shape (samples, features), and the conversations that they are of."""
        self._dialogues.update(dialogue_ids)
        if self._reference is None:
            return
        low, high = (np.array([getattr(f, bound) for f in self._reference.features]) for bound in ("low", "high"))
        self._beyond += [(values < low).sum(0), (values > high).sum(0)]
        self._outside += int(((values < low) | (values > high)).any(1).sum())
        for i, feature in enumerate(self._reference.features):
            self._counts[i] += feature.count(values[:, i])

    @property
    def conversations(self) -> int:
        """How many different conversations were counted."""
        return len(self._dialogues)

    def verdict(self) -> dict[str, Any]:
        """`verdict`: ok, watch or alarm; unknown without a reference, none without samples. With it, figures.

        Samples of one conversation count as one where chance is weighed. A verdict is the worst of: the share of
        samples outside a range, and every feature's shift (`statistics.drift.shift`).
        """
        samples = sum(self._dialogues.values())
        if self._reference is None:
            return {"verdict": "unknown", "words": [NO_REFERENCE]}
        if not samples:
            return {"verdict": "none", "words": []}
        size = effective_size([*self._dialogues.values()])
        outside = self._outside_figures(samples, size)
        features = [self._feature(i, samples, size) for i in range(len(self._counts))]
        worst = max((outside["level"], *(f["level"] for f in features)), key=LEVELS.index)
        return {
            "verdict": worst,
            "samples": samples,
            "reference": {"samples": self._reference.samples, "conversations": self._reference.conversations},
            "outside": outside,
            "features": features,
            "words": self._words(outside, features, samples),
        }

    def _outside_figures(self, samples: int, size: float) -> dict[str, Any]:
        assert self._reference is not None
        share, usual = self._outside / samples, self._reference.usual_outside
        least = lower_share(share * size, size, OUTSIDE_CHANCE)
        excess = least - usual
        level = "alarm" if excess >= OUTSIDE_ALARM else "watch" if excess >= OUTSIDE_WATCH else "ok"
        figures = {"share": share, "at_least": least, "usual": usual}
        return {"level": level, "samples": self._outside, **{k: round(v, 4) for k, v in figures.items()}}

    def _feature(self, i: int, samples: int, size: float) -> dict[str, Any]:
        assert self._reference is not None
        feature = self._reference.features[i]
        difference = shift(
            feature.counts, self._counts[i], expected_size=self._reference.effective_size, actual_size=size
        )
        figures = {
            "psi": difference.psi, "psi_expected": difference.noise, "psi_limit": difference.limit,
            "jensen_shannon": difference.jensen_shannon, "below": self._beyond[0, i] / samples,
            "above": self._beyond[1, i] / samples,
        }  # fmt: skip
        short = {key: round(float(value), 4) for key, value in figures.items()}
        return {"feature": feature.name, "level": difference.level, "low": feature.low, "high": feature.high, **short}

    def _words(self, outside: dict[str, Any], features: Sequence[dict[str, Any]], samples: int) -> list[str]:
        """What is out of place, the worst first."""
        assert self._reference is not None
        sentences: list[tuple[float, str]] = []
        for i, figures in enumerate(features):
            feature = self._reference.features[i]
            far = [(figures[side], side == "above") for side in ("below", "above")]
            share, above = max(far)
            if outside["level"] != "ok" and share >= OUTSIDE_WATCH:
                sentences.append((1 + share, many_outside(feature, above, share)))
            elif figures["level"] != "ok":
                sentences.append(
                    (min(1.0, figures["psi"]), shift_words(feature.name, self._higher(feature, i), figures["psi"]))
                )
        return [words for _, words in sorted(sentences, key=lambda one: -one[0])]

    def _higher(self, feature: Feature, i: int) -> bool:
        """Whether the samples stand higher in the feature's bins than the reference, on average."""
        bins = np.arange(len(feature.counts))
        expected, actual = np.array(feature.counts), self._counts[i]
        return bool(bins @ actual / actual.sum() > bins @ expected / expected.sum())


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
