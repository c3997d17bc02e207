"""Models that are trained only to be measured, and how their losses compare.

A model is known by what went in; its figures are stored as soon as they exist.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import weakref
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.exceptions import PolarsError

from efficient_empathy.evaluation.metric import Metric, MetricOptions, Sums
from efficient_empathy.evaluation.metrics import choose
from efficient_empathy.evaluation.robustness.records import Difference, ModelOrder, ModelRecord
from efficient_empathy.evaluation.robustness.sweep_stage import kendall
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.foundation.model_folder import model_hash
from efficient_empathy.foundation.run.files import atomic, link
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.statistics.resampling import ReplicatedFigure, replicate
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.modelling.generation.record import GenerateRecord
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.modelling.gguf import base_in
from efficient_empathy.modelling.training.examples import conversational
from efficient_empathy.modelling.training.loss import mean_losses
from efficient_empathy.modelling.training.record import TRAINING, FitRecord, Origin, TemplateRecord, TrainingRecord
from efficient_empathy.modelling.training.settings import TrainingSettings

if TYPE_CHECKING:
    from efficient_empathy.modelling.training.fit import OnHeldOut

NO_MATTER = {"report_to", "log_every", "processes", "allow_pickle", "trust_remote_code"}
"""Settings that leave a model as it is."""
RECORD, LOSSES, MODEL = "model.json", "nll.parquet", "model"


@dataclass(frozen=True)
class MeasuredModel:
    """What is stored of one model."""

    key: str
    record: ModelRecord
    nll: pl.DataFrame
    """`sample_id`, `tokens`, `nll`: of each held-out response, in nats."""
    responses: Path
    """Where its responses are, if any were asked for."""


class Store:
    """A folder of such models, all trained in one way."""

    def __init__(
        self,
        folder: Path,
        settings: TrainingSettings,
        *,
        samples: Path | None = None,
        generation: GenerationSettings | None = None,
        keep: bool = False,
    ) -> None:
        """`folder` lies two levels down in a run. With `generation`, models answer the test samples of the run whose
        `samples` these are.
        """
        missing = [name for name in ("torch", "transformers", "trl", "peft", "accelerate") if find_spec(name) is None]
        if missing:
            raise missing_extra("training models to measure them", "train")
        self.folder, self.settings, self.keep = folder, settings, keep
        self.samples, self.generation = samples, generation
        self.template = PromptTemplate.load(settings.template)
        self.base = base_in(folder.parents[1], settings.base, Console(stderr=True))
        self.base_hash = model_hash(self.base)

    def with_settings(self, settings: TrainingSettings) -> Store:
        """The same folder for models of the same base that are trained by other settings."""
        other = copy(self)
        other.settings = settings
        return other

    def made_from(self) -> dict[str, Any]:
        """What a model depends on, besides its rows."""
        return {
            "settings": self.settings.model_dump(mode="json", exclude=NO_MATTER),
            "base": self.base_hash,
            "template": self.template.hash,
        }

    def key(self, rows: pl.DataFrame, held_out: pl.DataFrame) -> str:
        """What a model is known by: the samples it is trained and measured on, and how."""
        parts = [json.dumps(self.made_from(), sort_keys=True), *rows["sample_id"], "", *held_out["sample_id"]]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def get(
        self, rows: pl.DataFrame, held_out: pl.DataFrame, what: str, console: Console, *, force: bool = False
    ) -> MeasuredModel:
        """The model of `rows`, measured on `held_out`: from the folder, or trained now.

        Both have `sample_id`, `context` and `response`. A killed call goes on from the last checkpoint. Raises
        `UserError` as training does.
        """
        key = self.key(rows, held_out)
        folder = self.folder / key
        responses = folder / "generations" / f"{MODEL}.parquet"
        if force:
            shutil.rmtree(folder, ignore_errors=True)
        if not self._complete(folder, responses):
            self._make(folder, rows, held_out, what, console)
        try:
            record = ModelRecord.read(folder / RECORD)
            return MeasuredModel(key, record, pl.read_parquet(folder / LOSSES, glob=False), responses)
        except (UserError, OSError, PolarsError) as error:
            raise UserError(f"{folder} is broken ({error}): delete it and run the same command again") from error

    def _complete(self, folder: Path, responses: Path) -> bool:
        """Whether everything is there, with responses to what is asked now."""
        own = Workspace(folder)
        if not own.whole(RECORD, folder / RECORD, folder / LOSSES) or (self.keep and not (folder / MODEL).is_dir()):
            return False
        if self.generation and not own.whole(f"{GenerateRecord.STAGE}:{MODEL}", responses):
            return False
        if self.generation is None:
            return True
        return ModelRecord.read(folder / RECORD).generation == self.generation.model_dump(mode="json")

    def _make(self, folder: Path, rows: pl.DataFrame, held_out: pl.DataFrame, what: str, console: Console) -> None:
        from efficient_empathy.modelling.progress import TrainingProgress
        from efficient_empathy.modelling.training.jobs import Job
        from efficient_empathy.modelling.training.launch import launch

        model = folder / MODEL
        job = Job.with_rows(self.base, conversational(rows, self.template), {}, self.settings, model)
        with TrainingProgress(console, what) as progress:
            fit_record = launch(job, progress)
            losses = self._losses(model, held_out, progress.held_out)
        with atomic(folder / LOSSES) as path:
            losses.write_parquet(path)
        if self.generation is not None:
            self._answer(folder, model, fit_record, console)
        if self.keep:
            for name in ("rows", "checkpoints"):
                shutil.rmtree(model / name, ignore_errors=True)
        self._record(fit_record).write(folder / RECORD)
        if not self.keep:
            shutil.rmtree(model, ignore_errors=True)
        weights = [path for path in model.rglob("*") if path.is_file()] if self.keep else []
        Workspace(folder).keep(RECORD, [folder / RECORD, folder / LOSSES, *weights])

    def _record(self, fit_record: FitRecord) -> ModelRecord:
        content = fit_record.model_dump(mode="json")
        names = ("samples", "steps", "tokens", "seconds", "parameters", "device", "precision", "too_long")
        return ModelRecord(
            **{name: content[name] for name in names},
            flops=6 * fit_record.parameters * fit_record.tokens.all,
            generation=self.generation.model_dump(mode="json") if self.generation else None,
        )

    def _losses(self, model: Path, held_out: pl.DataFrame, on_batch: OnHeldOut) -> pl.DataFrame:
        from efficient_empathy.modelling.moe.compare import dtype_here, free_memory
        from efficient_empathy.modelling.training.loss import response_losses
        from efficient_empathy.modelling.training.models import load_model, load_tokenizer

        language_model = load_model(model, dtype=dtype_here(), trust_remote_code=self.settings.trust_remote_code)
        rows = conversational(held_out, self.template)
        losses = response_losses(
            language_model, load_tokenizer(model), rows, max_length=self.settings.max_length, on_batch=on_batch
        )
        reference = weakref.ref(language_model)
        del language_model
        free_memory(reference)
        return losses

    def _answer(self, folder: Path, model: Path, fit_record: FitRecord, console: Console) -> None:
        """Let the model answer the run's test samples, as any other model of the run."""
        from efficient_empathy.modelling.generation import generate

        assert self.samples is not None  # comes with `generation`
        training = TrainingRecord(
            **dict(fit_record),
            name=MODEL,
            subset=MODEL,
            base=str(self.base),
            base_hash=self.base_hash,
            method=self.settings.method,
            settings=self.settings,
            template=TemplateRecord.of(self.template),
            dialogues=0,
            flops=6 * fit_record.parameters * fit_record.tokens.all,
            made_from=Origin(inputs={"base": self.base_hash}),
        )
        training.write(model / TRAINING)
        own = Workspace(folder)
        own.samples.unlink(missing_ok=True)
        link(self.samples, own.samples)
        try:
            done = generate(own, str(model), self.generation, name=MODEL, console=console)
        finally:
            own.samples.unlink()
        if done.ending != "complete":
            raise KeyboardInterrupt


def metrics_of(names: Sequence[str], options: MetricOptions) -> list[Metric]:
    """The metrics called `names`. Raises `UserError` for one that there is not, or that reads more than responses."""
    if "quality" in names:
        raise UserError(
            "the metric quality pays a judge for every response: sweep with --keep, then generate and evaluate the "
            "models that matter"
        )
    metrics = choose(names, options)
    for metric in metrics:
        if "model" in metric.columns:
            raise UserError(
                f"the metric {metric.name} reads models, whose weights a sweep does not keep: its held-out loss tells "
                "the same"
            )
    return metrics


def figures_of(metrics: Sequence[Metric], responses: Path, samples: Path) -> dict[str, float | None]:
    """Every figure of a file of responses, against the samples' own; None where a figure is undefined."""
    replies = pl.read_parquet(responses, glob=False, columns=["sample_id", "response"])
    sample_facts = pl.read_parquet(
        samples, glob=False, columns=["sample_id", "dialogue_id", "context", "response", "category"]
    ).unique("sample_id", keep="first")
    rows = (
        replies.rename({"response": "prediction"})
        .join(sample_facts, on="sample_id", how="left", maintain_order="left")
        .rename({"sample_id": "id", "response": "reference"})
        .with_columns(pl.col("prediction").fill_null(""))
    )
    figures = {name: float(value[0]) for one in metrics for name, value in one.measure(rows).under().items()}
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def kind(name: str) -> str:
    """A baseline's name without its seed."""
    return name.partition(" (seed ")[0]


@dataclass(frozen=True)
class ComparedModel:
    """One model's losses, in nats a token, and its loss above those of others, paired."""

    loss: float
    interval: tuple[float, float]
    subset_losses: dict[str, float | None]
    against: dict[str, Difference]


def compare_models(
    nll: Mapping[str, pl.DataFrame],
    groups: Mapping[str, pl.DataFrame],
    cells: Collection[str],
    default: str,
    *,
    draws: int,
    seed: int,
) -> tuple[dict[str, ComparedModel], ModelOrder]:
    """Each model, and all of them together.

    `nll` is by model `sample_id, tokens, nll` of the same held-out responses; `groups` are the held-out rows, `all`
    among them. Intervals are 95 % bootstraps over dialogues (see `statistics.resampling`). `against` says by how much a
    model is above the default cell's and each kind of baseline (of a random one the mean of its seeds).
    """
    replicates = replicate_losses(nll, groups["all"], draws, seed)
    losses: dict[str, dict[str, float | None]] = {name: {**mean_losses(groups, one)} for name, one in nll.items()}
    yardsticks = _yardsticks(replicates, cells, default)

    def own(name: str) -> str:
        return "default" if name == default else kind(name)

    by_name = {
        name: ComparedModel(
            loss=one.value,
            interval=one.interval(),
            subset_losses=losses[name],
            against={what: _difference(one - yardstick) for what, yardstick in yardsticks.items() if what != own(name)},
        )
        for name, one in replicates.items()
    }
    return by_name, _order(replicates, [name for name in replicates if name in cells], by_name, yardsticks)


def replicate_losses(
    nll: Mapping[str, pl.DataFrame], rows: pl.DataFrame, draws: int, seed: int
) -> dict[str, ReplicatedFigure]:
    """Every model's loss on all held-out samples, on the same draws of dialogues."""
    ids = rows.select("sample_id", "dialogue_id").unique("sample_id", maintain_order=True)
    sums = {
        name: ids.join(table.unique("sample_id"), on="sample_id", maintain_order="left")
        .group_by("dialogue_id", maintain_order=True)
        .agg(pl.col("nll").sum(), pl.col("tokens").cast(pl.Float64).sum())
        for name, table in nll.items()
    }
    measures = {name: Sums(table.select("nll", "tokens").to_numpy(), _loss) for name, table in sums.items()}
    dialogues = next(iter(sums.values()))["dialogue_id"].to_list()
    return {name: one["loss"] for name, one in replicate(measures, dialogues, draws=draws, seed=seed).items()}


def _loss(sums: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    return {"loss": sums[:, 0] / sums[:, 1]}


def _yardsticks(
    replicates: Mapping[str, ReplicatedFigure], cells: Collection[str], default: str
) -> dict[str, ReplicatedFigure]:
    by_kind: dict[str, list[ReplicatedFigure]] = {"default": [replicates[default]]} if default in replicates else {}
    for name, one in replicates.items():
        if name not in cells:
            by_kind.setdefault(kind(name), []).append(one)
    return {
        what: ReplicatedFigure(
            float(np.mean([one.value for one in ones])), np.mean([one.replicates for one in ones], axis=0), "bootstrap"
        )
        for what, ones in by_kind.items()
    }


def _difference(difference: ReplicatedFigure) -> Difference:
    low, high = difference.interval()
    return Difference(value=difference.value, low=low, high=high)


def _order(
    replicates: Mapping[str, ReplicatedFigure],
    cells: list[str],
    by_name: Mapping[str, ComparedModel],
    yardsticks: Collection[str],
) -> ModelOrder:
    values = {"cells": [replicates[name].value for name in cells]}
    for name, one in replicates.items():
        if name not in cells:
            values.setdefault(kind(name), []).append(one.value)
    order = ModelOrder(
        order=tuple(sorted(replicates, key=lambda name: replicates[name].value)),
        range={what: (min(own), max(own)) for what, own in values.items() if len(own) > 1},
    )
    if len(cells) < 2:
        return order
    losses = {
        group: np.array([by_name[name].subset_losses[group] for name in cells], dtype=np.float64)
        for group in by_name[cells[0]].subset_losses
    }
    draws = np.stack([replicates[name].replicates for name in cells])
    best = int(losses["all"].argmin())
    return order.model_copy(
        update={
            "agreement": {g: kendall(losses["all"], own) for g, own in losses.items() if g != "all"},
            "best": cells[best],
            "best_in_draws": float((draws.argmin(axis=0) == best).mean()),
            "better_than": {what: sum(_below(by_name[name], what) for name in cells) for what in yardsticks},
            "cells": len(cells),
        }
    )


def _below(model: ComparedModel, what: str) -> bool:
    """Whether a model's whole interval lies below what it is compared with."""
    difference = model.against.get(what)
    return difference is not None and difference.high is not None and difference.high < 0
