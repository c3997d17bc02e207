"""`efficient-empathy fit-metric`: from labelled rows to a folder, with its card, that epitome and emotion read."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.evaluation.classifiers import data as readers
from efficient_empathy.evaluation.classifiers.classifier import (
    Classifier,
    ClassifierRecord,
    Fit,
    Head,
    Weights,
    best_cuts,
    figures,
    fit,
    folds_of,
)
from efficient_empathy.evaluation.classifiers.data import Reader, TrainingData
from efficient_empathy.evaluation.classifiers.features import LAYERS, Features, LayerEncoder, Scale, features_of
from efficient_empathy.evaluation.classifiers.kinds import FitSettings, Kind, kind_of
from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.foundation.run.files import file_hash

CARD = """\
---
library_name: efficient-empathy
pipeline_tag: text-classification
license: other
---
# The fitted metric {kind}

{reads}

    efficient-empathy evaluate --run RUN --metrics official,{kind} --{kind} THIS_FOLDER

## Data

{rows:,} labelled texts of {groups:,} {fold_unit}, from `{source}` (SHA-256 {digest}…).{left_out}

{counts}

**Licence.** These weights are derived from that data and inherit its terms: where it is for academic or non-commercial
use, so is this folder. The embedded encoder they stand on is the package's own judge, offered for non-commercial use
(its card says why). No text of the data is in the folder: words are kept as hashes.

## Figures

{folds}-fold cross-validation, {fold_unit} never divided between folds. The weights here were then fitted on all rows.

{figures}

`majority` is the accuracy of always saying the most frequent label.

## How

Multinomial logistic regression (L2, strength {strength:g}) on pooled states of the package's encoder (layers {layers})
and on hashed words and pairs of words.{ordinal}
Fitted in {seconds:g} s, seed {seed}.

## Limits

- It knows the kind of text it was fitted on. On other dialogues (other topics, styles, languages) it is less right than
  the figures say: compare models with it, do not certify one.
- Differences between models that are smaller than its own errors mean little; look at the intervals.
- It must not be used to judge people.
"""

ORDINAL = (
    "\nA level is the expected level, cut at values that were chosen for quadratic kappa on held-out predictions (in\n"
    "the figures above: on those of the other folds)."
)


def card(kind: Kind, fit: Fit) -> str:
    """The card as Markdown."""
    left_out = "; ".join(f"{reason}: {count:,}" for reason, count in fit.left_out.items())
    return CARD.format(
        kind=kind.name,
        reads=kind.reads,
        fold_unit=kind.fold_unit,
        source=fit.data,
        digest=fit.sha256[:16],
        left_out=f" Not used: {left_out}." if left_out else "",
        counts=_counts(fit.counts),
        figures=_figures(fit.figures),
        ordinal=ORDINAL if kind.ordinal else "",
        layers=" and ".join(str(layer + 1) for layer in LAYERS),
        strength=kind.strength,
        **{key: getattr(fit, key) for key in ("rows", "groups", "folds", "seconds", "seed")},
    )


def _counts(counts: Mapping[str, Mapping[str, int]]) -> str:
    if len(counts) == 1:
        ((_, own),) = counts.items()
        return ", ".join(f"{label} {count:,}" for label, count in own.items()) + "."
    labels = list(next(iter(counts.values())))
    lines = [f"| | {' | '.join(labels)} |", "|---" * (1 + len(labels)) + "|"]
    return "\n".join(
        lines + [f"| {name} | {' | '.join(f'{n:,}' for n in own.values())} |" for name, own in counts.items()]
    )


def _figures(figures: Mapping[str, Mapping[str, float]]) -> str:
    names = list(next(iter(figures.values())))
    lines = [f"| | {' | '.join(name.replace('_', ' ') for name in names)} |", "|---" * (1 + len(names)) + "|"]
    for row, values in figures.items():
        lines.append(f"| {row.replace('_', ' ')} | {' | '.join(f'{value:.3f}' for value in values.values())} |")
    return "\n".join(lines)


FEWEST_ROWS = 50
Progress = Callable[[str, int, int], None]
Probabilities = dict[str, npt.NDArray[np.float32]]


class FitResult(Fit):
    """What `fit_metric` did: the fit, its kind, and the folder."""

    kind: str
    path: str

    def summary(self) -> str:
        """What was fitted and how good it is, in words."""
        lines = [f"{self.rows:,} labelled texts, {self.groups:,} groups, {self.folds}-fold cross-validation:"]
        for name, values in self.figures.items():
            text = ", ".join(f"{figure.replace('_', ' ')} {value:.3f}" for figure, value in values.items())
            lines.append(f"  {name.replace('_', ' ')}: {text}")
        lines += [f"Not used: {reason} {count:,}" for reason, count in self.left_out.items()]
        lines.append(f"The metric and its card: {self.path}")
        return "\n".join(lines)


def fit_metric(
    kind: str,
    source: Path,
    out: Path,
    settings: FitSettings | None = None,
    reading: ReadingSettings | None = None,
    *,
    on_step: Progress = lambda what, done, of: None,
) -> FitResult:
    """Fit the classifier of `kind` (a key of `KINDS`) on `source` and write it, with its card, to the folder `out`.

    Cross-validation gives the figures, rows of one group (a seeker's post, a dialogue) staying together; what is
    written is fitted on all rows. Raises `UserError` for data that cannot be learnt from, and without scipy.
    """
    of = kind_of(kind)
    settings, reading = settings or FitSettings(), reading or ReadingSettings()
    folds, seed = settings.folds, settings.seed
    try:
        import scipy  # noqa: F401
    except ImportError as error:
        raise missing_extra("fit-metric", "eval") from error
    began = time.monotonic()
    reader: Reader = getattr(readers, of.reader)
    data = reader(source, settings, reading)
    _check(data, source, folds)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}") from error
    encoder = LayerEncoder(context=of.context)
    features = features_of(encoder, data.pairs, lambda done: on_step("reading texts", done, len(data.pairs)))
    held_out = _cross_validate(of, data, features, folds, seed, on_step)
    on_step("all rows", 0, 1)
    scale, weights = _fit_heads(of, data, features)
    on_step("all rows", 1, 1)
    fit_record = Fit(
        data=source.name,
        sha256=_digest(source),
        rows=len(data.pairs),
        groups=len(set(data.groups)),
        folds=folds,
        seed=seed,
        counts=data.counts(),
        figures=_quality(of, data, held_out, folds_of(data.groups, folds, seed)),
        left_out=data.left_out,
        seconds=round(time.monotonic() - began, 1),
    )
    heads = tuple(
        Head(name=one.name, labels=one.labels, cuts=_cuts(one.values, held_out[one.name]) if of.ordinal else None)
        for one in data.dimensions
    )
    record = ClassifierRecord(kind=kind, encoder=encoder.hash, heads=heads, fit=fit_record)
    Classifier(record, scale, weights).save(out, card(of, fit_record))
    return FitResult(kind=kind, path=str(out), **dict(fit_record))


def _digest(source: Path) -> str:
    """SHA-256 of the file, or of those of the folder's files together."""
    files = [source] if source.is_file() else sorted(path for path in source.iterdir() if path.is_file())
    hashes = [file_hash(path) for path in files]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _check(data: TrainingData, source: Path, folds: int) -> None:
    if len(data.pairs) < FEWEST_ROWS:
        raise UserError(f"{source} has {len(data.pairs)} labelled rows; fitting needs {FEWEST_ROWS} or more")
    if len(set(data.groups)) < folds:
        raise UserError(f"{folds} folds need {folds} different contexts or more; {source} has {len(set(data.groups))}")


def _fit_heads(
    kind: Kind, data: TrainingData, features: Features, rows: npt.NDArray[np.int64] | None = None
) -> tuple[Scale, dict[str, Weights]]:
    """Scale and weights from `rows`, all by default."""
    places = np.arange(len(data.pairs)) if rows is None else rows
    own = features.take(places)
    scale = Scale.of(own)
    inputs = scale(own)
    return scale, {
        one.name: fit(inputs.dense, inputs.sparse, one.values[places], len(one.labels), kind.strength)
        for one in data.dimensions
    }


def _cross_validate(
    kind: Kind, data: TrainingData, features: Features, folds: int, seed: int, on_step: Progress
) -> Probabilities:
    """Every row's probabilities from weights that saw no row of its group."""
    number = folds_of(data.groups, folds, seed)
    probabilities = {one.name: np.empty((len(data.pairs), len(one.labels)), np.float32) for one in data.dimensions}
    for fold in range(folds):
        on_step("cross-validating", fold, folds)
        here = np.flatnonzero(number == fold)
        scale, weights = _fit_heads(kind, data, features, np.flatnonzero(number != fold))
        inputs = scale(features.take(here))
        for name, own in weights.items():
            probabilities[name][here] = own.probabilities(inputs.dense, inputs.sparse)
    on_step("cross-validating", folds, folds)
    return probabilities


def _cuts(true: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32]) -> tuple[float, ...]:
    return best_cuts(probabilities @ np.arange(probabilities.shape[1]), true, probabilities.shape[1])


def _quality(
    kind: Kind, data: TrainingData, held_out: Probabilities, number: npt.NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    """Figures of each dimension, and of each part of the rows; the cuts of a fold's rows come from the other folds."""
    quality: dict[str, dict[str, float]] = {}
    for one in data.dimensions:
        head, probabilities = Head(name=one.name, labels=one.labels), held_out[one.name]
        predictions = head.decide(probabilities)
        if kind.ordinal:
            for fold in np.unique(number):
                others, here = number != fold, number == fold
                cut = head.model_copy(update={"cuts": _cuts(one.values[others], probabilities[others])})
                predictions[here] = cut.decide(probabilities[here])
        quality[one.name] = figures(one.values, predictions, len(one.labels), ordinal=kind.ordinal)
        for part, rows in data.parts.items():
            quality[part] = figures(one.values[rows], predictions[rows], len(one.labels), ordinal=kind.ordinal)
    return quality
