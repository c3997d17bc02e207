"""The page: one self-contained HTML file in the form of the report's."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from efficient_empathy.evaluation.agreement.figures import confusion_matrix, reliability
from efficient_empathy.evaluation.agreement.words import KINDS, VERDICTS, findings
from efficient_empathy.foundation.figures import formatting as words
from efficient_empathy.foundation.figures import palette
from efficient_empathy.foundation.figures.dots import Dot, dot_rows

COLUMNS = {
    "kappa_quadratic": "weighted κ",
    "alpha_ordinal": "ordinal α",
    "spearman": "Spearman’s ρ",
    "exact": "same score",
    "within_one": "within one",
    "mean_absolute": "mean distance",
    "mean_shift": "mean shift",
}
"""The figures of two raters, as they are headed."""
COEFFICIENTS = {
    "weighted_kappa": "weighted κ",
    "alpha_ordinal": "ordinal α",
    "alpha_interval": "interval α",
    "fleiss_kappa": "Fleiss’ κ",
    "alpha_nominal": "nominal α",
}
PAIRS_SHOWN = 300
MATRICES_SHOWN = 30
GROUPS_SHOWN = 400


def page(found: Mapping[str, Any]) -> str:
    """The page of what `measure_agreement` found. No script, no request, all names escaped and clipped."""
    style = palette.style_sheet([palette.MEASURE])
    own = files(__package__).joinpath("style.css").read_text("utf-8")
    return (
        _environment()
        .get_template("agreement.html.j2")
        .render(found=found, findings=findings(found), style=Markup(style + own))
    )


def dots(rows: list[Mapping[str, Any]], name: str, figure: str) -> list[Dot]:
    """Rows with figures as dots; `name` is the key of what each is called, those without a value are left out."""
    found = [(str(row[name]), row[figure]) for row in rows]
    return [
        Dot(label, one["value"], None if one["low"] is None else (one["low"], one["high"]))
        for label, one in found
        if one["value"] is not None
    ]


def biased(rows: list[Mapping[str, Any]]) -> list[tuple[tuple[str, str], list[Mapping[str, Any]]]]:
    """The rows on bias by axis and judge."""
    parts: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        parts.setdefault((row["axis"], row["judge"]), []).append(row)
    return list(parts.items())


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("efficient_empathy.evaluation.agreement"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("clip", "count", "fixed", "number", "plural", "probability", "share", "signed", "whole")
    environment.filters |= {name: getattr(words, name) for name in names}
    environment.globals |= {
        "columns": COLUMNS,
        "coefficients": COEFFICIENTS,
        "verdicts": VERDICTS,
        "kinds": KINDS,
        "pairs_shown": PAIRS_SHOWN,
        "matrices_shown": MATRICES_SHOWN,
        "groups_shown": GROUPS_SHOWN,
        "biased": biased,
        "dots": dots,
        "dot_rows": dot_rows,
        "shown": words.shown,
        "confusion_matrix": confusion_matrix,
        "reliability": reliability,
    }
    return environment
