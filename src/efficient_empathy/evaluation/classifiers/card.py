"""The card of a fitted metric."""

from __future__ import annotations

from collections.abc import Mapping

from efficient_empathy.evaluation.classifiers.classifier import Fit
from efficient_empathy.evaluation.classifiers.features import LAYERS
from efficient_empathy.evaluation.classifiers.kinds import Kind

CARD = """\
---
library_name: efficient-empathy
pipeline_tag: text-classification
license: other
---
# The fitted metric {kind}

{reads}

    efficient-empathy evaluate --run RUN --metrics official,{kind} --{kind} THIS_FOLDER

## Data

{rows:,} labelled texts of {groups:,} {grouped}, from `{source}` (SHA-256 {digest}…).{left_out}

{counts}

**Licence.** These weights are derived from that data and inherit its terms: where it is for academic or non-commercial
use, so is this folder. The embedded encoder they stand on is the package's own judge, offered for non-commercial use
(its card says why). No text of the data is in the folder: words are kept as hashes.

## Figures

{folds}-fold cross-validation, {grouped} never divided between folds. The weights here were then fitted on all rows.

{figures}

`majority` is the accuracy of always saying the most frequent label.

## How

Multinomial logistic regression (L2, strength {strength:g}) on pooled states of the package's encoder (layers {layers})
and on hashed words and pairs of words.{ordinal}
Fitted in {seconds:g} s, seed {seed}.

## Limits

- It knows the kind of text it was fitted on. On other dialogues (other topics, styles, languages) it is less right than
  the figures say: compare models with it, do not certify one.
- Differences between models that are smaller than its own errors mean little; look at the intervals.
- It must not be used to judge people.
"""

ORDINAL = (
    "\nA level is the expected level, cut at values that were chosen for quadratic kappa on held-out predictions (in\n"
    "the figures above: on those of the other folds)."
)


def card(kind: Kind, fit: Fit) -> str:
    """The card as Markdown."""
    left_out = "; ".join(f"{reason}: {count:,}" for reason, count in fit.left_out.items())
    return CARD.format(
        kind=kind.name,
        reads=kind.reads,
        grouped=kind.grouped,
        source=fit.data,
        digest=fit.sha256[:16],
        left_out=f" Not used: {left_out}." if left_out else "",
        counts=_counts(fit.counts),
        figures=_figures(fit.figures),
        ordinal=ORDINAL if kind.ordinal else "",
        layers=" and ".join(str(layer + 1) for layer in LAYERS),
        strength=kind.strength,
        **{key: getattr(fit, key) for key in ("rows", "groups", "folds", "seconds", "seed")},
    )


def _counts(counts: Mapping[str, Mapping[str, int]]) -> str:
    if len(counts) == 1:
        ((_, found),) = counts.items()
        return ", ".join(f"{label} {count:,}" for label, count in found.items()) + "."
    labels = list(next(iter(counts.values())))
    lines = [f"| | {' | '.join(labels)} |", "|---" * (1 + len(labels)) + "|"]
    return "\n".join(
        lines + [f"| {name} | {' | '.join(f'{n:,}' for n in found.values())} |" for name, found in counts.items()]
    )


def _figures(figures: Mapping[str, Mapping[str, float]]) -> str:
    names = list(next(iter(figures.values())))
    lines = [f"| | {' | '.join(name.replace('_', ' ') for name in names)} |", "|---" * (1 + len(names)) + "|"]
    for row, values in figures.items():
        lines.append(f"| {row.replace('_', ' ')} | {' | '.join(f'{value:.3f}' for value in values.values())} |")
    return "\n".join(lines)
