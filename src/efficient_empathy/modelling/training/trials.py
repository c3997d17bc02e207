"""An expert's fit in a folder of its own: one, or one for each learning rate that is tried."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, error_context
from efficient_empathy.modelling.progress import TrainingProgress
from efficient_empathy.modelling.training.machines import Crew
from efficient_empathy.modelling.training.models import require_finite
from efficient_empathy.modelling.training.record import ALL, FitRecord, TriedRate
from efficient_empathy.modelling.training.settings import TrainingSettings

if TYPE_CHECKING:
    from efficient_empathy.modelling.training.jobs import Job

_LOGS = "TENSORBOARD_LOGGING_DIR"


def fit_in(
    job_of: Callable[[TrainingSettings, Path], Job],
    settings: TrainingSettings,
    work: Path,
    name: str,
    console: Console,
    crew: Crew | None,
) -> FitRecord:
    """Fit in the folder `work`, where a broken-off fit goes on.

    Raises `UserError` as the fit does, and for weights that are no numbers at its end; they are not kept.
    """
    from efficient_empathy.modelling.training.launch import launch

    with error_context(f"write the rows of {name} to {work}"):
        job = job_of(settings, work)
    with (
        TrainingProgress(console, f"training {name}") as progress,
        _logs_in(work.parent.parent / "logs" / work.name[1:-5]),
    ):
        record = launch(job, progress, progress.held_out, crew)
    if record.too_long or record.truncated:
        console.print(
            f"{record.truncated:,} samples lost their oldest turns to the limit of {settings.max_length} tokens; "
            f"{record.too_long:,} were left out, since their response alone is longer."
        )
    _require_finite(work, name, settings)
    return record


def require_losses(held_out: dict[str, pl.DataFrame], settings: TrainingSettings) -> None:
    """Raise `UserError` where no held-out loss will be measured."""
    if held_out[ALL].is_empty() or settings.evaluate_every == 0:
        raise UserError(
            "learning rates are tried by their held-out losses, and none is measured: hold samples out (--held-out) "
            "and measure them (--evaluate-every above 0), or give one --learning-rate"
        )


def best_rate(
    job_of: Callable[[TrainingSettings, Path], Job],
    settings: TrainingSettings,
    subset: str,
    work: Path,
    name: str,
    console: Console,
) -> tuple[TrainingSettings, FitRecord, Path, tuple[TriedRate, ...]]:
    """Train at each learning rate in a folder of its own; the settings, the fit and the folder of the best, and all.

    Raises `UserError` as the first training does where all of them fail.
    """
    fits: dict[float, tuple[FitRecord, Path]] = {}
    tried, errors = [], []
    for rate in dict.fromkeys(settings.try_learning_rates):
        place = work.with_name(f".{name}@{rate:g}.work")
        at_rate = settings.model_copy(update={"learning_rate": rate})
        try:
            fit = fit_in(job_of, at_rate, place, f"{name} at {rate:g}", console, None)
            loss = _last_loss(fit, subset)
        except UserError as error:
            errors.append(error)
            console.print(f"Not at a learning rate of {rate:g}: {error}", markup=False, highlight=False)
            tried.append(TriedRate(learning_rate=rate))
            continue
        fits[rate] = fit, place
        tried.append(TriedRate(learning_rate=rate, loss=loss, seconds=fit.seconds))
        console.print(f"{name} at a learning rate of {rate:g}: {loss:.4f} nats a held-out response token")
    if not fits:
        raise errors[0]
    best = min((one for one in tried if one.loss is not None), key=lambda one: one.loss or 0).learning_rate
    return settings.model_copy(update={"learning_rate": best}), *fits[best], tuple(tried)


def _last_loss(fit: FitRecord, subset: str) -> float:
    losses = fit.held_out[-1].loss
    for loss in (losses.get(subset), losses.get(ALL)):
        if loss is not None:
            return loss
    raise UserError("no held-out sample has a response within --max-length tokens, so no loss was measured")


def _require_finite(work: Path, name: str, settings: TrainingSettings) -> None:
    """Refuse to keep an expert whose last step broke it; what it was made from goes, to be trained from the start."""
    try:
        require_finite(work)
    except UserError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise UserError(
            f"training {name} ended in weights that are not finite (NaN or infinity), so it is not kept: lower "
            f"--learning-rate (it is {settings.learning_rate:g}) or calculate in fp32 (--set precision=fp32)"
        ) from error


@contextmanager
def _logs_in(folder: Path) -> Iterator[None]:
    """Where TensorBoard's files go, unless the user has said where: not among checkpoints that are removed."""
    earlier = os.environ.get(_LOGS)
    os.environ.setdefault(_LOGS, str(folder))
    try:
        yield
    finally:
        if earlier is None:
            del os.environ[_LOGS]
