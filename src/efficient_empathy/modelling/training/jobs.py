"""One fit from files to files, in this process or in each that `accelerate launch` starts.

There the command is `python -m efficient_empathy.modelling.training.jobs JOB.json`, and the first process prints one
JSON object a line: `{"step", "steps", "loss"}`, or `{"error"}` before it exits with 1.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
from pydantic import Field

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.record import Record
from efficient_empathy.modelling.training.fit import OnHeldOut, OnStep, fit
from efficient_empathy.modelling.training.models import (
    attention_of,
    is_adapter,
    load_model,
    load_tokenizer,
    precision_of,
    resolve,
    store_as,
    stored_dtype,
)
from efficient_empathy.modelling.training.record import FitRecord
from efficient_empathy.modelling.training.settings import TrainingSettings

RESULT = "fitted.json"


class Job(Record):
    """What to fit on what (`job.json`). Rows lie in Parquet files, with `sample_id`, `prompt` and `completion`."""

    PLACE: ClassVar[str] = "experts/.NAME.work/job.json"

    model: str
    rows: Path
    held_out: dict[str, Path]
    settings: TrainingSettings
    out: Path
    trainable: str | None = None
    trl: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def with_rows(
        cls,
        model: Path | str,
        rows: pl.DataFrame,
        held_out: Mapping[str, pl.DataFrame],
        settings: TrainingSettings,
        out: Path,
        **options: Any,
    ) -> Job:
        """A job whose rows are written to `out/rows`."""
        frames = {"": rows, **held_out}
        paths = {name: out / "rows" / f"{number}.parquet" for number, name in enumerate(frames)}
        for name, path in paths.items():
            with atomic(path) as temporary:
                frames[name].select("sample_id", "prompt", "completion").write_parquet(temporary)
        first = paths.pop("")
        return cls(model=str(model), rows=first, held_out=paths, settings=settings, out=out, **options)

    def result(self) -> FitRecord:
        """The record of the fit. Raises `UserError` when it has not ended well."""
        return FitRecord.read(self.out / RESULT)


def load_for_training(path: Path | str, settings: TrainingSettings) -> Any:
    """A base as it is trained: an adapter's base in bf16 where that is calculated in on a GPU, all else in fp32.

    Raises `UserError` for an adapter, and as `load_model` does.
    """
    import torch

    resolved = resolve(str(path))
    if is_adapter(resolved):
        raise UserError(f"{path} is an adapter: train on its base, or merge it first and train on the result")
    is_frozen = settings.method == "lora" and torch.cuda.is_available() and precision_of(settings) == "bf16"
    return load_model(
        resolved,
        dtype="bf16" if is_frozen else "fp32",
        device="cpu" if settings.sharding != "none" else None,
        attention=attention_of(settings),
        allow_pickle=settings.allow_pickle,
        trust_remote_code=settings.trust_remote_code,
    )


def run(job: Job, on_step: OnStep, on_held_out: OnHeldOut = lambda done, total: None, *, main: bool = True) -> None:
    """Fit, save to `job.out` in the type that the base is stored in, and write the record of it there.

    `main` is whether this process writes. Raises `UserError` as `fit` does.
    """
    trusted = job.settings.trust_remote_code
    tokenizer = load_tokenizer(resolve(job.model), trust_remote_code=trusted)
    model = load_for_training(job.model, job.settings)
    result = fit(
        model,
        tokenizer,
        pl.read_parquet(job.rows, glob=False),
        {name: pl.read_parquet(path, glob=False) for name, path in job.held_out.items()},
        job.settings,
        job.out,
        trainable=job.trainable,
        on_step=on_step,
        on_held_out=on_held_out,
        **job.trl,
    )
    if not main:
        return
    if job.settings.method == "full" or job.trainable:
        store_as(job.out, stored_dtype(resolve(job.model), trust_remote_code=trusted))
    result.record.write(job.out / RESULT)


PARENT = "EFFICIENT_EMPATHY_PARENT"
"""The process id of the command that started the training."""


def main() -> None:
    """Run the job; end with the command that started it, however that ended."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = Job.read(Path(sys.argv[1]))
    first = os.environ.get("RANK", "0") == "0"
    try:
        run(
            job,
            lambda step, steps, loss: _say(step=step, steps=steps, loss=loss),
            lambda done, total: _say(held_out=done, of=total),
            main=first,
        )
    except UserError as error:
        _say(error=str(error))
        sys.exit(1)


def _say(**what: Any) -> None:
    os.write(1, f"{json.dumps(what)}\n".encode())  # in one piece, whatever the other processes write


def _end_with_parent() -> None:
    parent = int(os.environ.get(PARENT, "0"))
    while parent:
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            os._exit(1)
        time.sleep(0.3)


if __name__ == "__main__":
    main()
