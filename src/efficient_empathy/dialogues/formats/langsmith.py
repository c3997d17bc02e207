"""LangSmith: runs, as its API, its bulk export and its data sets have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.formats.calls import Call, call_samples
from efficient_empathy.dialogues.formats.payloads import parse_json
from efficient_empathy.dialogues.rows import Intake, Row, each, label_of
from efficient_empathy.dialogues.sample import Sample

_THREAD_KEYS = ("thread_id", "session_id", "conversation_id")
"""In a run's metadata; the run's own `session_id` is its project."""


class LangSmith:
    """A row is a run (`run_type`, `inputs`, `outputs`), perhaps with its `child_runs`, or an example of a data set.

    Each run of a model is a sample; a log that has none is read by its traces. See `call_samples`.
    """

    name = "langsmith"
    help = "LangSmith's runs (`run_type`, `inputs`, `outputs`, perhaps `child_runs`), or examples of its data sets"

    def recognises(self, row: dict[str, Any]) -> bool:
        """By inputs and outputs, objects or their JSON."""
        payloads = [parse_json(row.get(key)) for key in ("inputs", "outputs")]
        return isinstance(payloads[0], dict) and (isinstance(payloads[1], dict) or "run_type" in row)

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per run of a model."""
        return call_samples(each(rows, intake, _calls), intake)


def _calls(row: Row) -> Iterator[Call]:
    waiting = [row.values]
    while waiting:
        values = waiting.pop()
        yield _call(row, values)
        children = parse_json(values.get("child_runs"))
        if isinstance(children, list):
            waiting += [child for child in reversed(children) if isinstance(child, dict)]


def _call(row: Row, values: dict[str, Any]) -> Call:
    extra = parse_json(values.get("extra"))
    metadata = parse_json(extra.get("metadata")) if isinstance(extra, dict) else None
    thread = label_of(values, ["thread_id"])
    if thread is None and isinstance(metadata, dict):
        thread = label_of(metadata, _THREAD_KEYS)
    return Call(
        row,
        parse_json(values.get("inputs")),
        parse_json(values.get("outputs")),
        values.get("run_type") == "llm",
        values is row.values and not values.get("parent_run_id"),
        {"dialogue_id": thread, "split": row.values.get("split")},
        label_of(values, ["trace_id"]),
        ("inputs", "outputs"),
    )
