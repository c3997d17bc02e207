"""The metrics by name. A new one is a new file and one line here."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from efficient_empathy.evaluation.metric import Metric, MetricOptions
from efficient_empathy.foundation.errors import UserError

METRICS = {
    "official": "official:Official",
    "standard": "standard:Standard",
    "texts": "texts:Texts",
    "perplexity": "perplexity:Perplexity",
    "bertscore": "bertscore:BertScore",
    "epitome": "epitome:Epitome",
    "emotion": "emotion:Emotion",
    "quality": "quality:Quality",
}
"""Name → module:class in this folder; each class is made from `MetricOptions`."""
DEFAULT = ("official", "texts")


def choose(names: Sequence[str], options: MetricOptions | None = None) -> list[Metric]:
    """The metrics called `names`. Raises `UserError` for a name that is none, and for options that one lacks."""
    found: list[Metric] = []
    for name in dict.fromkeys(names):
        if name not in METRICS:
            raise UserError(f"there is no metric {name!r}: choose of {', '.join(METRICS)}")
        module, _, kind = METRICS[name].partition(":")
        found.append(getattr(import_module(f"{__name__}.{module}"), kind)(options or MetricOptions()))
    return found
