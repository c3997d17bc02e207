"""The result of an evaluation in words, as one JSON object, and as files of tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.evaluation.tables import latex as latex_tables
from efficient_empathy.evaluation.tables import markdown as markdown_tables
from efficient_empathy.evaluation.tables import text
from efficient_empathy.foundation.run.workspace import atomic

_OF_A_RUN = ("path", "seconds", "skipped")


def figures(result: Mapping[str, Any]) -> dict[str, Any]:
    """What `evaluate --json` prints: `n` and `metrics` {name: value}, with `intervals` where there are any.

    Of several models `metrics` is {model: {name: value}}, and `baseline`, `models` and `tests` are as in
    `evaluation.json`. Of a run also `path`, `seconds`, `skipped`.
    """
    models = result["models"]
    told: dict[str, Any] = {"n": result["n"]}
    if len(models) == 1:
        told["metrics"] = models[0]["values"]
        told |= {"intervals": models[0]["intervals"]} if models[0]["intervals"] else {}
    else:
        told["metrics"] = {model["name"]: model["values"] for model in models}
        told |= {key: result[key] for key in ("baseline", "models", "tests")}
    told |= {"notes": result["notes"]} if result["notes"] else {}
    return told | {key: result[key] for key in _OF_A_RUN if key in result}


def frame(result: Mapping[str, Any]) -> pl.DataFrame:
    """One row a model and figure: `model`, `metric`, `value`, `low` and `high` of its interval, `difference` to the
    baseline, `p`, `p_holm`; null where there is none."""
    tests = {(test["model"], test["metric"]): test for test in result["tests"]}
    rows = [
        (
            model["name"],
            figure,
            value,
            *(model["intervals"].get(figure) or (None, None)),
            *(tests.get((model["name"], figure), {}).get(key) for key in ("difference", "p", "p_holm")),
        )
        for model in result["models"]
        for figure, value in model["values"].items()
    ]
    numbers = dict.fromkeys(("value", "low", "high", "difference", "p", "p_holm"), pl.Float64())
    return pl.DataFrame(rows, {"model": pl.String(), "metric": pl.String(), **numbers}, orient="row")


def summary(result: Mapping[str, Any]) -> str:
    """The tables for a terminal, what is significant, and where it is written."""
    lines = [text(result), *_significant(result)]
    if "path" in result:
        told = " (nothing had changed)" if result["skipped"] else ""
        lines.append(f"Written to {result['path']}{told}")
    return "\n".join(lines)


def write_tables(
    result: Mapping[str, Any],
    *,
    markdown: Path | None = None,
    latex: Path | None = None,
    json_file: Path | None = None,
) -> None:
    """Write the comparison to the files that are given, each whole or not at all. Raises `UserError`."""
    whole = {key: value for key, value in result.items() if key not in _OF_A_RUN}
    written = json.dumps(whole, indent=2, ensure_ascii=False, default=str) + "\n"
    for file, content in (
        (markdown, markdown_tables(result)),
        (latex, latex_tables(result)),
        (json_file, written),
    ):
        if file is not None:
            with atomic(file) as path:
                path.write_text(content, "utf-8")


def _significant(result: Mapping[str, Any]) -> list[str]:
    """One line a model: on what it is significantly better and worse than the baseline."""
    if not result["tests"]:
        return []
    labels = {model["name"]: model["label"] for model in result["models"]}
    lines = []
    for name in (name for name in labels if name != result["baseline"]):
        better: list[str] = []
        worse: list[str] = []
        for test in result["tests"]:
            if test["model"] == name and test["p_holm"] < 1 - result["confidence"]:
                up = result["metrics"][test["metric"]]["better"] == "higher"
                (better if (test["difference"] > 0) == up else worse).append(test["metric"])
        parts = [f"{word} in {', '.join(of)}" for word, of in (("better", better), ("worse", worse)) if of]
        told = "; ".join(parts) or "no significant difference"
        lines.append(f"{labels[name]} against {labels[result['baseline']]}: {told}.")
    return lines
