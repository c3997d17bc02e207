from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from efficient_empathy.dialogues import inspect_source
from efficient_empathy.dialogues.formats import recognise_format

Convert = Callable[..., Any]
ASK, REPLY = "My train is late again.", "That is tiring. Where are you headed?"


def text_message(role: str, text: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}], **more}


INPUT = [text_message("user", ASK)]
OUTPUT = [text_message("assistant", REPLY, finish_reason="stop")]
CURRENT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.conversation.id": "chat-7",
    "gen_ai.system_instructions": [{"type": "text", "content": "Be kind."}],
    "gen_ai.input.messages": INPUT,
    "gen_ai.output.messages": OUTPUT,
}
OPENLLMETRY = {
    "llm.request.type": "chat",
    "session.id": "chat-7",
    "gen_ai.prompt.0.role": "user",
    "gen_ai.prompt.0.content": ASK,
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": REPLY,
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "session.id": "chat-7",
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.contents.0.message_content.type": "text",
    "llm.input_messages.0.message.contents.0.message_content.text": ASK,
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": REPLY,
}
PHOENIX = {
    "openinference.span.kind": "LLM",
    "session.id": "chat-7",
    "llm.input_messages": [{"message.role": "user", "message.content": ASK}],
    "llm.output_messages": json.dumps([{"message": {"role": "assistant", "content": REPLY}}]),
}
VERCEL = {
    "ai.operationId": "ai.generateText.doGenerate",
    "ai.telemetry.metadata.sessionId": "chat-7",
    "ai.prompt.messages": json.dumps([{"role": "user", "content": [{"type": "text", "text": ASK}]}]),
    "ai.response.text": REPLY,
}
NESTED = {
    "gen_ai": {"conversation": {"id": "chat-7"}, "input": {"messages": INPUT}, "output": {"messages": OUTPUT}},
}
AS_JSON = CURRENT | {"gen_ai.input.messages": json.dumps(INPUT), "gen_ai.output.messages": json.dumps(OUTPUT)}


def otlp_value(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"arrayValue": {"values": [otlp_value(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": otlp_attributes(value)}}
    return {"stringValue": value}


def otlp_attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": otlp_value(value)} for key, value in values.items()]


def otlp(*spans: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "x"}, "spans": list(spans)}]}]}


def otlp_span(attributes: dict[str, Any], trace: str = "t1", **more: Any) -> dict[str, Any]:
    return {"traceId": trace, "spanId": "s1", "name": "chat", "attributes": otlp_attributes(attributes), **more}


def check(samples: list[Any], intake: Any) -> None:
    [sample] = samples
    assert [turn.text for turn in sample.context] == [ASK]
    assert (sample.response, sample.dialogue_id) == (REPLY, "chat-7")
    assert not intake.bad_rows


@pytest.mark.parametrize(
    "attributes",
    [CURRENT, AS_JSON, OPENLLMETRY, OPENINFERENCE, PHOENIX, VERCEL, NESTED],
    ids=["current", "as JSON", "OpenLLMetry", "OpenInference", "Phoenix", "Vercel", "nested"],
)
@pytest.mark.parametrize(
    "row",
    [
        lambda attributes: otlp(otlp_span(attributes)),
        lambda attributes: {"trace_id": "t1", "name": "chat", "attributes": attributes},
        lambda attributes: {"context": {"trace_id": "0xt1", "span_id": "0xs"}, "attributes": json.dumps(attributes)},
        lambda attributes: {"context.trace_id": "t1"} | {f"attributes.{k}": v for k, v in attributes.items()},
        lambda attributes: {"traceID": "t1", "spans": [{"traceID": "t1", "tags": otlp_attributes(attributes)}]},
    ],
    ids=["OTLP", "span", "console", "columns", "Jaeger"],
)
def test_every_convention_is_read_in_every_layout(
    convert: Convert, attributes: dict[str, Any], row: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    reader = recognise_format([row(attributes)])
    assert reader is not None
    assert reader.name == "otel"
    check(*convert("otel", row(attributes)))


EVENTS = [
    ("gen_ai.system.message", {"content": "Be kind."}),
    ("gen_ai.user.message", {"content": ASK}),
    ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": REPLY}}),
]


def test_the_older_events_are_read_from_spans(convert: Convert) -> None:
    events = [
        {"name": name, "attributes": otlp_attributes(json.loads(json.dumps(v), parse_int=str))} for name, v in EVENTS
    ]
    check(*convert("otel", otlp(otlp_span({"gen_ai.conversation.id": "chat-7"}, events=events))))
    plain = [
        {"name": name, "attributes": {k: json.dumps(v) if k == "message" else v for k, v in values.items()}}
        for name, values in EVENTS
    ]
    span = {"trace_id": "t", "attributes": {"session.id": "chat-7", "gen_ai.system": "openai"}, "events": plain}
    check(*convert("otel", span))


def test_the_older_events_are_read_from_logs(convert: Convert) -> None:
    records = [
        {
            "traceId": "t1",
            "spanId": span,
            "eventName": name,
            "attributes": otlp_attributes({"gen_ai.conversation.id": "chat-7"}),
            "body": otlp_value(json.loads(json.dumps(values), parse_int=str)),
        }
        for name, values in EVENTS
        for span in ("s1", "s2")
    ]
    samples, intake = convert("otel", {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})
    check(samples, intake)
    assert intake.repairs["calls logged twice in a trace, read once"] == 1


def test_a_call_is_one_sample_whose_history_is_context(convert: Convert) -> None:
    first = CURRENT
    second = CURRENT | {
        "gen_ai.input.messages": [*INPUT, *OUTPUT, text_message("user", "To my mother.")],
        "gen_ai.output.messages": [text_message("assistant", "Call her, she will wait.")],
    }
    samples, intake = convert("otel", otlp(otlp_span(first), otlp_span(second, "t2")))
    assert [len(sample.context) for sample in samples] == [1, 3]
    assert {sample.dialogue_id for sample in samples} == {"chat-7"}
    assert len({sample.id for sample in samples}) == 2
    assert intake.repairs["earlier replies in the history of calls, read as context"] == 1


def test_spans_around_the_call_are_left_out_and_counted(convert: Convert) -> None:
    around = [
        otlp_span({"http.method": "POST"}),
        otlp_span(CURRENT | {"gen_ai.operation.name": "invoke_agent"}),
        otlp_span({"openinference.span.kind": "CHAIN", "input.value": "x", "output.value": "y"}),
        otlp_span(CURRENT),
        otlp_span(CURRENT),
    ]
    samples, intake = convert("otel", otlp(*around))
    check(samples, intake)
    assert intake.repairs == {
        "spans of other kinds left out": 1,
        "records around calls to a model left out": 2,
        "calls logged twice in a trace, read once": 1,
    }


def test_without_calls_to_a_model_agents_are_read(convert: Convert) -> None:
    check(*convert("otel", otlp(otlp_span(CURRENT | {"gen_ai.operation.name": "invoke_agent"}))))


def test_tools_and_reasoning_are_no_text(convert: Convert) -> None:
    history = [
        *INPUT,
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "trains", "arguments": {}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": "late"}]},
    ]
    output = [{"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}, *OUTPUT[0]["parts"]]}]
    samples, intake = convert(
        "otel", otlp(otlp_span(CURRENT | {"gen_ai.input.messages": history, "gen_ai.output.messages": output}))
    )
    check(samples, intake)
    assert intake.repairs["reasoning left out"] == 1


@pytest.mark.parametrize(
    ("attributes", "counted"),
    [
        ({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}, "calls without a reply left out"),
        ({**CURRENT, "gen_ai.input.messages": None}, "calls logged without their messages left out"),
        (
            {**CURRENT, "gen_ai.input.messages": [text_message("system", "x")]},
            "calls without a user's message left out",
        ),
        (
            {**CURRENT, "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "tool_call"}]}]},
            "calls answered without text left out",
        ),
        (
            {**CURRENT, "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "blob", "modality": "image"}]}]},
            "dialogues with images left out",
        ),
    ],
)
def test_what_is_no_dialogue_is_counted(convert: Convert, attributes: dict[str, Any], counted: str) -> None:
    samples, intake = convert("otel", {"trace_id": "t", "attributes": attributes})
    assert (samples, intake.bad_rows) == ([], [])
    assert intake.repairs[counted] == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            {"trace_id": "t", "attributes": {**CURRENT, "gen_ai.input.messages": json.dumps(INPUT)[:40]}},
            "'input' is JSON that is cut or broken",
        ),
        ({"resourceSpans": [3]}, "'resourceSpans' is '[3]', not a list of objects"),
        (
            {"trace_id": "t", "attributes": {**CURRENT, "gen_ai.input.messages": [3]}},
            "'input' is '[3]', in which there are no",
        ),
        (
            {"trace_id": "t", "attributes": {**CURRENT, "gen_ai.input.messages": [text_message("robot", "x")]}},
            "unknown role 'robot'",
        ),
    ],
)
def test_malformed_spans_are_bad_rows(convert: Convert, row: dict[str, Any], reason: str) -> None:
    _, intake = convert("otel", row)
    assert reason in intake.bad_rows[0].reason


def test_a_table_with_attributes_is_no_span() -> None:
    reader = recognise_format([{"context": "Hi.", "response": "Hello.", "attributes": "polite"}])
    assert reader is not None
    assert reader.name == "table"


def test_a_whole_file_and_a_file_of_lines_are_read(write: Callable[..., Path]) -> None:
    whole = inspect_source(write("a.json", json.dumps(otlp(otlp_span(CURRENT)), indent=2)))
    lines = inspect_source(write("b.jsonl", [otlp(otlp_span(CURRENT)), otlp(otlp_span(CURRENT, "t2"))]))
    assert (whole.format, whole.samples, lines.samples, lines.duplicates) == ("otel", 1, 2, 1)
