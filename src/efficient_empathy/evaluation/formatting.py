"""The result of an evaluation: a summary, one JSON object, a frame, and files of tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.evaluation.record import EvaluationRecord, EvaluationResult
from efficient_empathy.evaluation.tables import latex_tables, markdown_tables, text
from efficient_empathy.foundation.run.workspace import atomic


def figures(record: EvaluationRecord) -> dict[str, Any]:
    """What `evaluate --json` prints: `n` and `metrics` {name: value}, with `intervals` where there are any.

    Of several models `metrics` is {model: {name: value}}, and `baseline`, `models` and `tests` are as in
    `evaluation.json`. Of a run also `path`, `seconds`, `skipped`.
    """
    content = record.model_dump(mode="json")
    models = content["models"]
    found: dict[str, Any] = {"n": record.n}
    if len(models) == 1:
        found["metrics"] = models[0]["values"]
        found |= {"intervals": models[0]["intervals"]} if models[0]["intervals"] else {}
    else:
        found["metrics"] = {model["name"]: model["values"] for model in models}
        found |= {key: content[key] for key in ("baseline", "models", "tests")}
    found |= {"notes": content["notes"]} if record.notes else {}
    if isinstance(record, EvaluationResult):
        found |= {"path": record.path, "seconds": record.seconds, "skipped": record.skipped}
    return found


def frame(record: EvaluationRecord) -> pl.DataFrame:
    """One row a model and figure: `model`, `metric`, `value`, `low` and `high` of its interval, `difference` to the
    baseline, `p`, `p_holm`; null where there is none."""
    tests = {(test.model, test.metric): test for test in record.tests}
    rows = []
    for model in record.models:
        for figure, value in model.values.items():
            low, high = model.intervals.get(figure) or (None, None)
            test = tests.get((model.name, figure))
            tested = (test.difference, test.p, test.p_holm) if test else (None, None, None)
            rows.append((model.name, figure, value, low, high, *tested))
    numbers = dict.fromkeys(("value", "low", "high", "difference", "p", "p_holm"), pl.Float64())
    return pl.DataFrame(rows, {"model": pl.String(), "metric": pl.String(), **numbers}, orient="row")


def summary(record: EvaluationRecord) -> str:
    """The tables for a terminal, what is significant, and where it is written."""
    lines = [text(record), *_significant(record)]
    if isinstance(record, EvaluationResult):
        lines.append(f"Written to {record.path}{' (nothing had changed)' if record.skipped else ''}")
    return "\n".join(lines)


def write_tables(
    record: EvaluationRecord,
    *,
    markdown: Path | None = None,
    latex: Path | None = None,
    json_file: Path | None = None,
) -> None:
    """Write the comparison to the files that are named, each whole or not at all. Raises `UserError`."""
    for file, content in ((markdown, markdown_tables(record)), (latex, latex_tables(record))):
        if file is not None:
            with atomic(file) as path:
                path.write_text(content, "utf-8")
    if json_file is not None:
        (record.record if isinstance(record, EvaluationResult) else record).write(json_file)


def _significant(record: EvaluationRecord) -> list[str]:
    """One line a model: on what it is significantly better and worse than the baseline."""
    if not record.tests:
        return []
    lines = []
    for name, label in record.titles.items():
        if name == record.baseline:
            continue
        better: list[str] = []
        worse: list[str] = []
        for test in record.tests:
            if test.model == name and test.difference is not None and record.is_significant(test):
                up = record.metrics[test.metric].better == "higher"
                (better if (test.difference > 0) == up else worse).append(test.metric)
        parts = [f"{word} in {', '.join(names)}" for word, names in (("better", better), ("worse", worse)) if names]
        verdict = "; ".join(parts) or "no significant difference"
        lines.append(f"{label} against {record.titles[record.baseline]}: {verdict}.")
    return lines
