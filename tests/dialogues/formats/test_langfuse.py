from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from efficient_empathy.dialogues import inspect_source
from efficient_empathy.dialogues.formats import recognise_format

Convert = Callable[..., Any]
ASK, REPLY = "The test came back positive.", "I am here. What did the doctor say?"
MESSAGES = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": ASK}]
ANSWER = {"role": "assistant", "content": REPLY}


def generation(asked: Any = MESSAGES, answered: Any = ANSWER, **more: Any) -> dict[str, Any]:
    own = {"id": "o1", "type": "GENERATION", "traceId": "t1", "sessionId": "s1", "parentObservationId": "p"}
    return own | {"input": asked, "output": answered, **more}


def trace(asked: Any, answered: Any, **more: Any) -> dict[str, Any]:
    own = {"id": "t1", "sessionId": "s1", "userId": None, "public": False, "bookmarked": False}
    return own | {"input": asked, "output": answered, **more}


def check(samples: list[Any], intake: Any) -> None:
    [sample] = samples
    assert [turn.text for turn in sample.context] == [ASK]
    assert (sample.response, sample.dialogue_id) == (REPLY, "s1")
    assert not intake.bad_rows


@pytest.mark.parametrize(
    "asked",
    [
        MESSAGES,
        json.dumps(MESSAGES),
        ASK,
        {"messages": MESSAGES, "model": "m"},
        {"args": [], "kwargs": {"messages": MESSAGES}},
        {"args": [ASK], "kwargs": {}},
        {"question": ASK, "top_k": 3},
        {"system": "Be kind.", "messages": [{"role": "user", "content": [{"type": "text", "text": ASK}]}]},
        {"contents": [{"role": "user", "parts": [{"text": ASK}]}]},
        {"role": "user", "content": ASK},
    ],
)
def test_every_shape_of_input_is_read(convert: Convert, asked: Any) -> None:
    check(*convert("langfuse", generation(asked)))


@pytest.mark.parametrize(
    "answered",
    [
        ANSWER,
        json.dumps(ANSWER),
        REPLY,
        [ANSWER],
        {"content": REPLY, "role": "assistant", "tool_calls": None},
        {"choices": [{"index": 0, "message": ANSWER}, {"index": 1, "message": {"content": "Another."}}]},
        {"content": [{"type": "text", "text": REPLY}], "role": "assistant", "stop_reason": "end_turn"},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": REPLY}]}}]},
        {"answer": REPLY, "sources": ["x"]},
        {"generations": [[{"text": REPLY, "message": None}]]},
    ],
)
def test_every_shape_of_output_is_read(convert: Convert, answered: Any) -> None:
    check(*convert("langfuse", generation(answered=answered)))


def test_both_spellings_are_recognised() -> None:
    blob = {"id": "o", "type": "GENERATION", "trace_id": "t", "session_id": "s", "input": "x", "output": "y"}
    for row in (generation(), blob, trace("x", "y")):
        reader = recognise_format([row])
        assert reader is not None
        assert reader.name == "langfuse"


def test_what_stands_around_a_generation_is_left_out(convert: Convert) -> None:
    span = generation("step", "done", type="SPAN")
    samples, intake = convert("langfuse", trace("x", "y"), span, generation(), generation(id="again"))
    check(samples, intake)
    assert intake.repairs["records around calls to a model left out"] == 2
    assert intake.repairs["calls logged twice in a trace, read once"] == 1


def test_without_generations_the_traces_are_read(convert: Convert) -> None:
    samples, intake = convert("langfuse", trace({"input": ASK}, {"output": REPLY}), generation("x", "y", type="SPAN"))
    check(samples, intake)
    assert intake.repairs == {"records inside a trace left out": 1}


def test_a_trace_with_its_observations_is_read_by_its_generations(convert: Convert) -> None:
    inner = {key: value for key, value in generation().items() if key != "sessionId"}
    check(*convert("langfuse", trace("x", "y", observations=[inner])))


def test_an_answer_of_the_api_is_read(write: Callable[..., Path]) -> None:
    path = write("page.json", json.dumps({"data": [generation(), generation(traceId="t2")], "meta": {"page": 1}}))
    inspection = inspect_source(path)
    assert (inspection.format, inspection.samples, inspection.duplicates) == ("langfuse", 2, 1)


def test_csv_is_read(write: Callable[..., Path]) -> None:
    path = write("export.csv", f"id,type,traceId,input,output\no,GENERATION,t,{ASK.replace(',', '')},Oh no.\n")
    assert inspect_source(path).samples == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (generation({"temperature": 1}), "'input' is \"{'temperature': 1}\", in which there are no messages or text"),
        (generation(answered={"score": 1}), "'output' is \"{'score': 1}\", in which there is no message or text"),
        (generation([{"role": "robot", "content": "x"}]), "unknown role 'robot'"),
    ],
)
def test_shapes_that_hold_no_message_are_bad_rows(convert: Convert, row: dict[str, Any], reason: str) -> None:
    samples, intake = convert("langfuse", row)
    assert samples == []
    assert reason in intake.bad_rows[0].reason


def test_a_generation_that_failed_is_counted(convert: Convert) -> None:
    samples, intake = convert("langfuse", generation(answered=None, level="ERROR"))
    assert (samples, intake.bad_rows) == ([], [])
    assert intake.repairs == {"calls without a reply left out": 1}
