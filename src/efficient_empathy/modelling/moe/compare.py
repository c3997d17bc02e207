"""Every model on the same held-out responses: losses, intervals, sizes, and whether mixing was worth it.

No speed is compared: a model timed once, beside whatever else the machine does, is not as fast the next time.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.run.sealed import read_sealed, write_sealed
from efficient_empathy.foundation.statistics.measured import Weights
from efficient_empathy.foundation.statistics.resampling import replicate
from efficient_empathy.modelling.moe.checkpoint import open_checkpoint, read_json
from efficient_empathy.modelling.moe.families import FAMILIES
from efficient_empathy.modelling.moe.record import (
    AVERAGE,
    BASE,
    MIXED,
    TIES,
    ComparedModel,
    ComparisonRecord,
    Size,
    Verdict,
)
from efficient_empathy.modelling.moe.tensors import read_folder
from efficient_empathy.modelling.training.examples import encode
from efficient_empathy.modelling.training.loss import losses, mean_losses
from efficient_empathy.modelling.training.models import Dtype, load_model, load_tokenizer
from efficient_empathy.modelling.training.record import ALL

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Contender:
    """A model of the comparison: its name and label, where it is, and what its measurement is known by."""

    name: str
    label: str
    path: Path | str
    key: str
    stored_as: str | None = None
    """torch's name of a type: an adapter is merged and rounded to it before it is measured; None: the model as it is.
    """


def measure(
    contender: Contender,
    rows: pl.DataFrame,
    cache: Path,
    *,
    max_length: int,
    on_batch: Callable[[int, int], None] = lambda done, samples: None,
) -> pl.DataFrame:
    """The model's loss on every response of `rows`; kept in `cache` and read from there the next time.

    A row has `sample_id`, `tokens`, and `nll` in nats.
    """
    table = cache / f"{contender.key}.parquet"
    if (earlier := read_sealed(table)) is not None:
        return earlier
    model = _as_stored(contender)
    samples = encode(rows, load_tokenizer(contender.path), max_length).samples
    nll = losses(model, samples, on_batch=on_batch)
    frame = pl.DataFrame(
        {
            "sample_id": [sample.sample_id for sample in samples],
            "tokens": [sample.response_tokens for sample in samples],
            "nll": nll,
        },
        schema={"sample_id": pl.String, "tokens": pl.Int64, "nll": pl.Float64},
    )
    reference = weakref.ref(model)
    del model
    free_memory(reference)
    write_sealed(frame, table)
    return frame


def _as_stored(contender: Contender) -> Any:
    """The model that is measured: on a CPU in float32, which has every number of the narrower kinds."""
    if contender.stored_as is None:
        return load_model(contender.path, dtype=dtype_here())
    import torch

    model = load_model(contender.path, dtype="fp32").merge_and_unload()
    for parameter in model.parameters():  # buffers, such as the frequencies of positions, are never stored
        rounded = parameter.data.to(getattr(torch, contender.stored_as))
        parameter.data = rounded if torch.cuda.is_available() else rounded.float()
    return model


def is_measured(contender: Contender, cache: Path) -> bool:
    """Whether a model's losses are kept, as they were measured."""
    return read_sealed(cache / f"{contender.key}.parquet") is not None


def dtype_here() -> Dtype:
    """What models are measured in: the numbers that they are stored in on a GPU, float32 on a CPU."""
    import torch

    return "auto" if torch.cuda.is_available() else "fp32"


def free_memory(model: weakref.ref[Any]) -> None:
    """Give back what a model held that is not needed any more, cycles among its parts or not."""
    import torch

    if model() is not None:
        gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def sizes(path: Path | str) -> dict[str, int]:
    """`parameters`, `active_parameters` (those that one token goes through) and `bytes` of a model's weights.

    An adapter counts as what it is served as: merged into its base.
    """
    config = Path(path) / "config.json"
    kind = read_json(config).get("model_type") if config.exists() else None
    mixed = next((family for family in FAMILIES.values() if family.moe == kind), None)
    tensors = read_folder(Path(path)) if mixed else open_checkpoint(path).tensors
    counts = {name: int(np.prod(tensor.shape, dtype=np.int64)) for name, tensor in tensors.items()}
    total, idle = sum(counts.values()), 0
    if mixed:
        settings = read_json(config)
        experts = settings.get("num_local_experts") or settings["num_experts"]
        routed_parameters = sum(count for name, count in counts.items() if ".experts." in name)
        idle = routed_parameters * (experts - settings["num_experts_per_tok"]) // experts
    nbytes = sum(tensor.nbytes for tensor in tensors.values())
    return {"parameters": total, "active_parameters": total - idle, "bytes": nbytes}


def comparison(
    contenders: Sequence[Contender],
    measurements: Mapping[str, pl.DataFrame],
    groups: Mapping[str, pl.DataFrame],
    *,
    unrounded: Mapping[str, pl.DataFrame] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> ComparisonRecord:
    """The table of models; `unrounded` are measurements of some of them before they were rounded to be stored.

    Losses are mean nats a response token of each group of rows (`sample_id`, `dialogue_id`). Their intervals, and that
    of the paired difference mixture − average, are 95 % percentile bootstraps over dialogues: replies of one
    conversation are not independent (Efron & Tibshirani 1993, chapters 8 and 13).
    """
    every = {name: _Group(rows, measurements, resamples, seed) for name, rows in groups.items() if len(rows)}
    exact = {name: mean_losses(groups, frame) for name, frame in (unrounded or {}).items()}
    models = tuple(
        ComparedModel(
            name=contender.name,
            label=contender.label,
            path=str(contender.path),
            loss={name: group.loss(contender.name) for name, group in every.items()},
            interval={name: group.interval(contender.name) for name, group in every.items()},
            rounding=(
                {name: group.loss(contender.name) - exact[contender.name][name] for name, group in every.items()}
                if contender.name in exact
                else None
            ),
            **sizes(contender.path),
        )
        for contender in contenders
    )
    return ComparisonRecord(
        subsets={name: Size(samples=group.samples, tokens=group.tokens) for name, group in every.items()},
        models=models,
        verdict=_verdict(models, every[ALL]),
        notes=_rounding(models, every),
        seed=seed,
        part="held_out",
    )


@dataclass(frozen=True)
class _Loss:
    """Sums over dialogues, as `statistics.resampling` takes them."""

    nll: npt.NDArray[np.float64]
    tokens: npt.NDArray[np.float64]
    repeatable: ClassVar[bool] = True

    @property
    def parts(self) -> Sequence[_Loss]:
        return (self,)

    def under(self, weights: Weights | None = None) -> dict[str, npt.NDArray[np.float64]]:
        if weights is None:
            return {"loss": np.array([self.nll.sum() / self.tokens.sum()])}
        return {"loss": weights @ self.nll / (weights @ self.tokens)}


class _Group:
    """Held-out rows as sums by dialogue, and the dialogues drawn again and again, the same for every model."""

    def __init__(self, rows: pl.DataFrame, measurements: Mapping[str, pl.DataFrame], resamples: int, seed: int) -> None:
        ids = rows.select("sample_id", "dialogue_id").unique("sample_id", maintain_order=True)
        tables = {
            name: ids.join(nll.unique("sample_id"), on="sample_id", maintain_order="left")
            .group_by("dialogue_id", maintain_order=True)
            .agg(pl.sum("nll", "tokens"), pl.len())
            for name, nll in measurements.items()
        }
        first = next(iter(tables.values()))
        self.samples, self.tokens = int(first["len"].sum()), int(first["tokens"].sum())
        tokens = first["tokens"].to_numpy().astype(np.float64)
        losses = {name: _Loss(table["nll"].to_numpy(), tokens) for name, table in tables.items()}
        dialogues = first["dialogue_id"].to_list()
        results = replicate(losses, dialogues, draws=resamples, seed=seed)
        self._losses = {name: figures["loss"] for name, figures in results.items()}

    def loss(self, name: str) -> float:
        return self._losses[name].value

    def interval(self, name: str, less: str | None = None) -> tuple[float, float]:
        loss = self._losses[name] - self._losses[less] if less else self._losses[name]
        return loss.interval(CONFIDENCE)


def _verdict(models: Sequence[ComparedModel], group: _Group) -> Verdict:
    """Which model is best, and whether the mixture beats the average: its paired interval lies below zero."""
    by_name = {model.name: model for model in models}
    best, *others = sorted(models, key=_loss)
    mixed, plain = by_name[MIXED], by_name[AVERAGE]
    low, high = group.interval(MIXED, AVERAGE)
    lead = f"{best.label} has the lowest held-out loss of all {len(models)} models"
    lead += f": {_loss(best):.3f} nats a token"
    if best in (mixed, plain):
        text = f"{lead}{_ahead(others, best, group)}. {_pair_words(mixed, plain, (low, high))}"
    else:
        text = f"{lead}. {_beside_words(best, mixed, plain, group)} {_pair_words(mixed, plain, (low, high))}"
    return Verdict(
        best=best.name,
        moe_beats_average=high < 0,
        difference=_loss(mixed) - _loss(plain),
        interval=(low, high),
        text=text,
    )


WORTH_SAYING = 0.1
"""The share of what training gained from which on its loss by rounding is told."""


def _rounding(models: Sequence[ComparedModel], subsets: Iterable[str]) -> tuple[str, ...]:
    """A sentence for each expert that loses a part of what it learnt when it is stored: the subset that it loses most
    of, and how it would be kept."""
    at_first = next((model.loss for model in models if model.name == BASE), {})
    lines = []
    for model in models:
        costs = []
        for subset in subsets:
            before, now = at_first.get(subset), model.loss.get(subset)
            if model.rounding and before is not None and now is not None:
                lost = model.rounding[subset]
                gained = before - (now - lost)
                if gained > 0 and lost > WORTH_SAYING * gained:
                    costs.append((lost / gained, lost, gained, subset))
        if costs:
            share, lost, gained, subset = max(costs)
            lines.append(
                f"Rounding takes {share:.0%} of what {model.label} has learnt ({lost:.4f} of {gained:.4f} nats on "
                f"{subset}): --dtype fp32 keeps it; a higher --learning-rate or more --epochs makes it less."
            )
    return tuple(lines)


def _loss(model: ComparedModel) -> float:
    """Over all held-out samples."""
    value = model.loss[ALL]
    assert value is not None
    return value


def _ahead(others: Sequence[ComparedModel], best: ComparedModel, group: _Group) -> str:
    """The models besides mixture and average that do as well as a best one that is one of these."""
    level = [m.label for m in others if m.name not in (MIXED, AVERAGE) and group.interval(m.name, best.name)[0] <= 0]
    return f"; {' and '.join(level)} cannot be told from it" if level else ""


def _beside_words(best: ComparedModel, mixed: ComparedModel, plain: ComparedModel, group: _Group) -> str:
    """What a best model that is neither the mixture nor the average means for whoever must choose one."""
    behind = [group.interval(model.name, best.name)[0] > 0 for model in (mixed, plain)]
    names = [f"the {name} ({_loss(model):.3f})" for name, model in (("mixture", mixed), ("average", plain))]
    if all(behind):
        text = f"It beats {names[0]} and {names[1]}"
        if best.name == TIES:
            return f"{text}, and costs no more to serve than the average."
        return f"{text}: here neither mixing nor averaging the experts was worth it."
    if any(behind):
        beaten, level = (names[0], names[1]) if behind[0] else (names[1], names[0])
        return f"It beats {beaten}, and cannot be told from {level}."
    return f"It can be told neither from {names[0]} nor from {names[1]}."


def _pair_words(mixed: ComparedModel, plain: ComparedModel, interval: tuple[float, float]) -> str:
    """How the mixture stands to the average, and what it costs."""
    low, high = interval
    difference = _loss(mixed) - _loss(plain)
    numbers = f"{_loss(mixed):.3f} against {_loss(plain):.3f}"
    numbers += f" (difference {difference:+.4f}, 95 % interval {low:+.4f} to {high:+.4f})"
    if high < 0:
        sentence = f"The mixture has a lower held-out loss than the experts' plain average: {numbers}."
    elif low > 0:
        sentence = f"The mixture has a higher held-out loss than the experts' plain average: {numbers}."
    else:
        sentence = f"The mixture cannot be told from the experts' plain average: {numbers}."
    active, size = (getattr(mixed, key) / getattr(plain, key) for key in ("active_parameters", "bytes"))
    cost = f"{active:.2f} × the active parameters and {size:.2f} × the bytes"
    return (
        f"{sentence} That costs {cost}."
        if high < 0
        else f"{sentence} So the average does as well, and the mixture costs {cost}."
    )
