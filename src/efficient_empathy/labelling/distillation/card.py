"""The model card of a distilled judge."""

from __future__ import annotations

from typing import Any

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
{noise}{corrections}{labels}
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
        corrections=_people(figures["corrections"]) if figures["corrections"] else "",
        labels=labels,
        max_tokens=figures["settings"]["max_tokens"],
        **{key: figures[key] for key in ("samples", "base", "teacher", "folds", "int8_gap", "megabytes")},
    )


def _taught(figures: dict[str, Any]) -> str:
    """Whom the student had for teachers, and how good they are."""
    axes = ", ".join(f"{name} {f['spearman']:.3f}" for name, f in figures["axes"].items())
    return (
        f" and from what {figures['base']} and a student, both fitted on the same ones, make of "
        f"{figures['unlabelled']:,} samples without any (their own Spearman, cross-validated: {axes})"
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


def _people(figures: dict[str, Any]) -> str:
    """How near it comes to what people corrected, on samples that it has not seen."""
    rows = []
    for axis, f in figures["axes"].items():
        of_judge = "–" if f["judge_mae"] is None else f"{f['judge_mae']:.2f}"
        rows.append(f"| {axis} | {f['samples']:,} | {f['mae']:.2f} | {of_judge} |")
    return (
        f"\nPeople corrected the scores of {figures['samples']:,} samples; each of these scores counts as much as "
        f"{number_text(figures['weight'])} judgements. Mean absolute error there, held out:\n\n"
        "| axis | samples | this judge | the judge that it learnt from |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
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
