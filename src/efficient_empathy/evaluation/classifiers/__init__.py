"""Classifiers that are fitted on a user's own labels, on the embedded encoder, and the folders they are kept in."""

from __future__ import annotations

from typing import Any

from efficient_empathy.evaluation.classifiers.folder import Classifier, load


def summary(result: dict[str, Any]) -> str:
    """What was fitted and how good it is, in words."""
    lines = [
        f"{result['rows']:,} labelled texts, {result['groups']:,} groups, {result['folds']}-fold cross-validation:"
    ]
    for name, found in result["figures"].items():
        told = ", ".join(f"{figure.replace('_', ' ')} {value:.3f}" for figure, value in found.items())
        lines.append(f"  {name.replace('_', ' ')}: {told}")
    lines += [f"Not used: {reason} {count:,}" for reason, count in result["left_out"].items()]
    lines.append(f"The metric and its card: {result['path']}")
    return "\n".join(lines)


__all__ = ["Classifier", "load", "summary"]
