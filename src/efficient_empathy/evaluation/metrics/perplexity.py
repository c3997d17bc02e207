"""Perplexity of the reference responses under a model: how well it foresees what people answered."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.cache import load_or_count
from efficient_empathy.evaluation.metric import Figure, Measured, MetricOptions, Sums, Values
from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.modelling.generation.target import Target, fingerprint, template_for

COLUMNS = ("nll", "tokens", "words")


class Perplexity:
    """exp of the mean negative log-likelihood of the reference responses, each given its true context.

    The tokens counted are the response's and its end-of-turn token, as in training; the prompt is the model's own
    template. Per token it hangs on the tokenizer: only models with the same one compare. Per word the same likelihood
    is shared by the words of the reference, as split on white space, and its end (n + 1), which any two models compare
    by (Mielke 2019, "Can you compare perplexity across different segmentations?").
    """

    name = "perplexity"
    columns: Sequence[str] = ("context", "model")
    figures: Sequence[Figure] = (
        Figure("ppl", "lower", "perplexity of the references, per token of the model's own tokenizer"),
        Figure("ppl_word", "lower", "perplexity of the references, per word (split on white space; their end counts)"),
    )

    def __init__(self, options: MetricOptions) -> None:
        self._options = options
        self.about: dict[str, Any] = {
            "text": "the reference response and its end-of-turn token, given the true context",
            "words": "split on white space, and one for the response's end",
            "template": options.template or "each model's own: what it was trained with, else chat",
            "max_length": options.max_length,
        }

    def measure(self, rows: pl.DataFrame, model: Path | str | None = None) -> Measured:
        """Count; cached in the options' `work` by model and rows.

        Raises `UserError` without a model, or for one that cannot be loaded; for a row without a context, or whose
        reference does not fit in `max_length`.
        """
        if model is None:
            raise UserError("perplexity is of a model, not of its responses: say which with --run, or leave it out")
        if "context" not in rows.columns:
            raise UserError("perplexity needs each row's context: give the predictions with their contexts, or a --run")
        work = self._options.work
        target = _target(model, Workspace(work) if work else None)
        template = template_for(target, self._options.template, Workspace(work) if work else None)
        _check(rows)
        texts = [
            [[turn["text"] for turn in context] for context in rows["context"].to_list()],
            rows["reference"].to_list(),
        ]
        parts = [fingerprint(target.path), template.hash, self._options.max_length, texts]
        counts = load_or_count(work, self.name, parts, COLUMNS, lambda: self._count(rows, target, template))
        return Sums(counts, _figures)

    def _count(self, rows: pl.DataFrame, target: Target, template: PromptTemplate) -> npt.NDArray[np.float64]:
        try:
            import torch  # noqa: F401
            import transformers  # noqa: F401
        except ImportError as error:
            raise missing_extra("the metric perplexity", "train") from error
        from efficient_empathy.modelling.moe.compare import dtype_here, free_memory
        from efficient_empathy.modelling.training.examples import conversational, encode
        from efficient_empathy.modelling.training.loss import losses
        from efficient_empathy.modelling.training.models import load_model, load_tokenizer

        frame = rows.select(sample_id=pl.col("id").cast(pl.String), context="context", response="reference")
        language_model = load_model(target.path, dtype=dtype_here())
        window = int(getattr(language_model.config, "max_position_embeddings", None) or 2**31)
        limit = min(self._options.max_length, window)
        encoding = encode(conversational(frame, template), load_tokenizer(target.path), limit)
        if encoding.too_long:
            raise UserError(
                f"row {encoding.too_long[0]}: its reference and the prompt around it take more than {limit:,} tokens"
                + (": raise --max-length" if limit < window else f", which is all that {target.name} can read")
                + f" ({len(encoding.too_long):,} of {len(rows):,} rows)"
            )
        nll = losses(language_model, encoding.samples)
        handle = weakref.ref(language_model)
        del language_model
        free_memory(handle)
        tokens = [sample.response_tokens for sample in encoding.samples]
        words = [len(reference.split()) + 1 for reference in rows["reference"]]
        return np.column_stack([nll, tokens, words]).astype(np.float64)


def _target(model: Path | str, workspace: Workspace | None) -> Target:
    """What `model` is to the run: its mixture and its merges are asked as its experts were, a base as any."""
    from efficient_empathy.modelling.training.models import bundled_base, resolve

    path = resolve(str(model))
    if workspace and path in {folder.resolve() for folder in workspace.composed}:
        return Target(path, str(model), str(model), "composed")
    return Target(path, str(model), str(model), "base" if path == bundled_base() else "model")


def _check(rows: pl.DataFrame) -> None:
    """Raise `UserError` that names a row whose context asks for no response."""
    for name, context in rows.select("id", "context").iter_rows():
        if not context or context[-1]["role"] != "speaker" or not any(turn["text"].strip() for turn in context):
            raise UserError(f"row {name}: perplexity needs a context that ends with the speaker's turn")


def _figures(sums: npt.NDArray[np.float64]) -> Values:
    nll, tokens, words = sums.T
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return {"ppl": np.exp(nll / tokens), "ppl_word": np.exp(nll / words)}
