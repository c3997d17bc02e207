"""Langfuse: traces and observations, as its export, its API and its blob storage have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.formats.calls import Call, call_samples
from efficient_empathy.dialogues.formats.payloads import parse_json
from efficient_empathy.dialogues.rows import Intake, Row, each, label_of
from efficient_empathy.dialogues.sample import Sample

_GENERATION = "GENERATION"
_TYPES = {_GENERATION, "SPAN", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL"}
_TRACE_KEYS = {"sessionid", "userid", "bookmarked", "public", "htmlpath", "projectid", "release", "totalcost"}
_TRACE_KEYS |= {"observations", "environment", "latency"}


class Langfuse:
    """A row is an observation (`type`, `traceId`, `input`, `output`) or a trace, perhaps with its `observations`.

    Each generation is a sample; a log that has none is read by its traces. See `call_samples`.
    """

    name = "langfuse"
    help = "Langfuse's traces or observations: `type`, `traceId`, `sessionId`, `input`, `output` (also `trace_id` …)"

    def recognises(self, row: dict[str, Any]) -> bool:
        """By the keys of an observation, or of a trace."""
        if not {"input", "output"} <= row.keys():
            return False
        names = {_plain(name) for name in row}
        if "traceid" in names:
            return str(row.get("type")).upper() in _TYPES
        return "id" in names and len(names & _TRACE_KEYS) > 1

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per generation."""
        return call_samples(each(rows, intake, _calls), intake)


def _plain(name: object) -> str:
    return str(name).replace("_", "").lower()


def _calls(row: Row) -> Iterator[Call]:
    observations = parse_json(row.values.get("observations"))
    yield _call(row, row.values, {})
    for values in observations if isinstance(observations, list) else []:
        if isinstance(values, dict):
            yield _call(row, values, row.values)


def _call(row: Row, values: dict[str, Any], trace: dict[str, Any]) -> Call:
    own = {_plain(name): value for name, value in values.items()}
    outer = {_plain(name): value for name, value in trace.items()}
    labels = {
        "dialogue_id": label_of(own, ["sessionid"]) or label_of(outer, ["sessionid"]),
        "split": values.get("split"),
    }
    return Call(
        row,
        parse_json(values.get("input")),
        parse_json(values.get("output")),
        str(own.get("type")).upper() == _GENERATION,
        not trace and not own.get("parentobservationid"),
        labels,
        label_of(own, ["traceid"]) or label_of(outer or own, ["id"]),
    )
