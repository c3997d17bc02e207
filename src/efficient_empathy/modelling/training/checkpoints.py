"""Checkpoints that a killed training goes on from: only whole ones, only of the same data, settings and weights."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import atomic
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.modelling.training.tokens import Encoded

_NO_MATTER = {"report_to", "log_every", "allow_pickle", "trust_remote_code"}


def fingerprint(
    model: Any, samples: Sequence[Encoded], settings: TrainingSettings, trainable: str | None, trl: Mapping[str, Any]
) -> str:
    """What a checkpoint must agree in to be gone on from: the data, the settings, the weights it starts with."""
    digest = hashlib.sha256()
    digest.update(settings.model_dump_json(exclude=_NO_MATTER).encode())
    digest.update(json.dumps([trainable, dict(trl), type(model).__name__], default=str, sort_keys=True).encode())
    for sample in samples:
        digest.update(json.dumps([sample.ids, sample.start]).encode())
    for name, parameter in model.named_parameters():
        few = parameter.detach().flatten()[:64].float().cpu().tolist()
        digest.update(json.dumps([name, list(parameter.shape), few]).encode())
    return digest.hexdigest()


def keep_only(checkpoints: Path, expected: str) -> None:
    """Make the folder; remove checkpoints whose fingerprint is not the `expected` one."""
    mark = checkpoints / "fingerprint"
    if mark.exists() and mark.read_text("utf-8") == expected:
        return
    try:
        shutil.rmtree(checkpoints, ignore_errors=True)
        checkpoints.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"cannot write checkpoints to {checkpoints}: {error.strerror}") from error
    with atomic(mark) as path:
        path.write_text(expected, "utf-8")


def last_checkpoint(checkpoints: Path) -> Path | None:
    """The newest checkpoint that is whole: its state is written last."""
    found = sorted(checkpoints.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in found:
        try:
            json.loads((path / "trainer_state.json").read_text("utf-8"))
        except (OSError, ValueError):
            continue
        return path
    return None
