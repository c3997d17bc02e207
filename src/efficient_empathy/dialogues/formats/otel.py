"""OpenTelemetry's spans of calls to a model: as OTLP has them, or one span a row, by any of the usual conventions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.formats.calls import Call, call_samples
from efficient_empathy.dialogues.formats.otel_attributes import (
    Attributes,
    attributes_of,
    body_of,
    messages_of_attributes,
    messages_of_events,
)
from efficient_empathy.dialogues.rows import Intake, MalformedError, Row, each, label_of, show_value
from efficient_empathy.dialogues.sample import Sample

_CONVERSATION: tuple[str, ...] = (
    *("gen_ai.conversation.id", "session.id", "langfuse.session.id", "ai.telemetry.metadata.sessionId"),
    *("traceloop.association.properties.session_id", "traceloop.association.properties.conversation_id"),
)
_BATCHES = {"resourceSpans": ("scopeSpans", "spans"), "resource_spans": ("scope_spans", "spans")}
_BATCHES |= {"resourceLogs": ("scopeLogs", "logRecords"), "resource_logs": ("scope_logs", "log_records")}
_CALLS = {"chat", "text_completion", "generate_content", "completion"}
_MARKS = ("gen_ai.", "llm.", "ai.prompt", "openinference.")

Span = dict[str, Any]


class OpenTelemetry:
    """A row is a batch as OTLP has it (`resourceSpans`, `resourceLogs`), one span, or a trace with its `spans`.

    Messages are read from `gen_ai.input.messages` and `gen_ai.output.messages`, from the events `gen_ai.user.message`
    … `gen_ai.choice`, from OpenLLMetry's `gen_ai.prompt.0.content`, from OpenInference's
    `llm.input_messages.0.message.content`, and from the `ai.prompt.messages` of the Vercel AI SDK. See `call_samples`.
    """

    name = "otel"
    help = (
        "OpenTelemetry's GenAI spans: OTLP (`resourceSpans`) or one span (`attributes`), also by the conventions of "
        "OpenLLMetry, OpenInference and the Vercel AI SDK"
    )

    def recognises(self, row: dict[str, Any]) -> bool:
        """By a batch, or by the attributes and ids of a span."""
        if any(isinstance(row.get(name), list) for name in _BATCHES):
            return True
        if any(isinstance(name, str) and f"{name}.".removeprefix("attributes.").startswith(_MARKS) for name in row):
            return True
        names = {str(name).replace("_", "").lower() for name in row}
        if isinstance(row.get("spans"), list):
            return "traceid" in names
        context = row.get("context")
        has_trace = bool(names & {"traceid", "context.traceid"}) or (
            isinstance(context, dict) and "trace_id" in context
        )
        return has_trace and "attributes" in names

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per call to a model."""
        return call_samples(each(rows, intake, lambda row: _calls(row, intake)), intake)


def _calls(row: Row, intake: Intake) -> Iterator[Call]:
    logs: dict[tuple[str | None, str | None], list[tuple[str, Attributes]]] = {}
    for span in _spans(row.values):
        attributes = attributes_of(span)
        if _is_log(span):
            events = logs.setdefault((_trace(span), label_of(span, ["spanId", "span_id"])), [])
            events.append((str(_event_name(span, attributes)), {**attributes, **body_of(span.get("body"))}))
            continue
        call = _call(row, span, attributes)
        if call is None:
            intake.repairs["spans of other kinds left out"] += 1
        else:
            yield call
    for (trace, _), events in logs.items():
        asked, answered = messages_of_events(events)
        if asked or answered:
            conversation = next((name for _, one in events if (name := label_of(one, _CONVERSATION))), None)
            yield Call(row, asked, answered, True, True, {"dialogue_id": conversation}, trace)
        else:
            intake.repairs["log records of other kinds left out"] += len(events)


def _call(row: Row, span: Span, attributes: Attributes) -> Call | None:
    asked, answered = messages_of_attributes(attributes)
    if not asked and not answered:
        asked, answered = messages_of_events(_events(span))
    is_model = _is_model(attributes)
    if not asked and not answered and not (is_model and _names_call(attributes)):
        return None
    labels = {"dialogue_id": label_of(attributes, _CONVERSATION), "split": row.values.get("split")}
    return Call(row, asked, answered, is_model, True, labels, _trace(span))


def _spans(values: dict[str, Any]) -> Iterator[Span]:
    """The spans, or records of a log, that a row holds; the row itself if it is one."""
    batch = next((name for name in _BATCHES if isinstance(values.get(name), list)), None)
    if batch is None:
        inner = values.get("spans")
        spans = inner if isinstance(inner, list) else [values]
        yield from _objects(spans, "spans")
        return
    scopes, leaves = _BATCHES[batch]
    for resource in _objects(values[batch], batch):
        for scope in _objects(resource.get(scopes) or resource.get("instrumentationLibrarySpans") or [], scopes):
            yield from _objects(scope.get(leaves) or [], leaves)


def _objects(items: Any, key: str) -> list[dict[str, Any]]:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise MalformedError(f"{key!r} is {show_value(items)}, not a list of objects")
    return items


def _is_log(span: Span) -> bool:
    return "body" in span or "logRecordId" in span or "severityNumber" in span


def _event_name(span: Span, attributes: Attributes) -> Any:
    return span.get("eventName") or span.get("event_name") or attributes.get("event.name") or span.get("name")


def _events(span: Span) -> list[tuple[str, Attributes]]:
    events = span.get("events")
    if not isinstance(events, list):
        return []
    objects = [event for event in events if isinstance(event, dict)]
    return [(str(_event_name(one, attributes)), attributes) for one in objects for attributes in [attributes_of(one)]]


def _trace(span: Span) -> str | None:
    context = span.get("context")
    inner = label_of(context, ["trace_id", "traceId"]) if isinstance(context, dict) else None
    return inner or label_of(span, ["traceId", "trace_id", "traceID", "context.trace_id"])


def _is_model(attributes: Attributes) -> bool:
    """Whether a span is the call to a model itself, and not an agent, a chain or a step around it."""
    kind = attributes.get("openinference.span.kind")
    if kind is not None:
        return str(kind).upper() == "LLM"
    if attributes.get("traceloop.span.kind") is not None and "llm.request.type" not in attributes:
        return False
    operation = attributes.get("gen_ai.operation.name")
    if operation is not None:
        return str(operation).lower() in _CALLS
    vercel = attributes.get("ai.operationId")
    return vercel is None or str(vercel).endswith((".doStream", ".doGenerate"))


def _names_call(attributes: Attributes) -> bool:
    return any(name in attributes for name in ("gen_ai.operation.name", "gen_ai.request.model", "llm.model_name"))
