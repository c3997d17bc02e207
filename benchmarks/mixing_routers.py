"""Routers per request: what the context alone tells of which weights of two experts suit the reply.

The embedded judge's encoder reads the context with an empty response. A ridge on what it sees gives λ of the merged
adapters λ · first + (1 − λ) · second, fitted on other dialogues than those that it is asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.dialogues.sample import Sample, Utterance
from efficient_empathy.encoders import PairTokenizer, pad
from efficient_empathy.scoring.judges.distilled import BUNDLED, DistilledConfig
from efficient_empathy.selection.shares import tie_hash

Floats = npt.NDArray[np.float64]
FOLDS = 5
_POOLED = "/Concat_output_0"
"""In the judge's graph what its last layer reads: the states of [CLS], their means over response and over context."""
_PENALTIES = np.logspace(-1, 5, 13)


def context_features(rows: pl.DataFrame, folder: Path = BUNDLED) -> Floats:
    """What the encoder's last layer sees of each context, (samples × features); the response is left empty."""
    import onnx
    import onnxruntime

    model = onnx.load(folder / "model.onnx")
    model.graph.output.append(onnx.helper.make_tensor_value_info(_POOLED, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    config = DistilledConfig.model_validate_json((folder / "judge.json").read_bytes())
    tokenizer = PairTokenizer(folder / "tokenizer.json", config.max_tokens)
    samples = [Sample.of([Utterance(**turn) for turn in context], "") for context in rows["context"].to_list()]
    return np.concatenate([session.run([_POOLED], pad([one]))[0] for one in tokenizer(samples)]).astype(np.float64)


def folds(dialogue_ids: pl.Series) -> npt.NDArray[np.int64]:
    """The fold of each row, by a hash of its dialogue."""
    return (tie_hash(dialogue_ids, 1) % FOLDS).astype(np.int64)


def ridge(x: Floats, y: Floats, weights: Floats, new: Floats) -> Floats:
    """Predictions for `new` of a weighted ridge of `y` on `x`, its penalty by leave-one-out in closed form.

    Columns are scaled to variance 1; the intercept is free.
    """
    share = weights / weights.sum()
    centre, target = share @ x, float(share @ y)
    spread = np.sqrt(share @ (x - centre) ** 2)
    spread[spread < 1e-9] = 1
    root = np.sqrt(weights / weights.mean())
    left, sizes, right = np.linalg.svd((x - centre) / spread * root[:, None], full_matrices=False)
    aim = root * (y - target)
    known = left.T @ aim
    errors = []
    for penalty in _PENALTIES:
        shrunk = sizes**2 / (sizes**2 + penalty)
        leverage = left**2 @ shrunk + share
        errors.append(np.square((aim - left @ (shrunk * known)) / (1 - leverage).clip(1e-6)).sum())
    best = _PENALTIES[int(np.argmin(errors))]
    fitted: Floats = target + (new - centre) / spread @ (right.T @ (sizes / (sizes**2 + best) * known))
    return fitted


def kind_scores(x: Floats, is_first: npt.NDArray[np.bool_], new: Floats) -> Floats:
    """How likely each of `new` is of the first kind, from a ridge on the kinds; as it comes, below 0 or above 1 too."""
    return ridge(x, is_first.astype(np.float64), np.ones(len(x)), new)


def slopes(losses: Floats, tokens: Floats, lambdas: Sequence[float]) -> tuple[Floats, float]:
    """Of the parabola through each sample's losses: nats a token lost by a step of λ at ½; and the mean curvature."""
    steps = np.asarray(lambdas) - 0.5
    design = np.stack([np.ones_like(steps), steps, steps**2], 1)
    _, slope, bend = np.linalg.lstsq(design, losses.T, rcond=None)[0]
    return slope / tokens, float(bend.sum() / tokens.sum())


def choose(
    features: Floats, losses: Floats, tokens: Floats, lambdas: Sequence[float], fold: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Which of `lambdas` each sample gets, as its place; fitted on the other folds' losses (samples × lambdas).

    With the parabola's curvature taken as that of all, the best λ is ½ − slope ÷ (2 · curvature); the ridge predicts
    the slope.
    """
    places = np.zeros(len(losses), np.int64)
    for one in np.unique(fold):
        there, here = fold != one, fold == one
        slope, bend = slopes(losses[there], tokens[there], lambdas)
        ahead = ridge(features[there], slope, tokens[there], features[here])
        wanted = 0.5 - ahead / (2 * max(bend, 1e-9))
        places[here] = np.abs(wanted[:, None] - np.asarray(lambdas)).argmin(1)
    return places


def choose_one(losses: Floats, fold: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The same column for all: the best of the other folds."""
    places = np.zeros(len(losses), np.int64)
    for one in np.unique(fold):
        places[fold == one] = losses[fold != one].sum(0).argmin()
    return places
