from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from efficient_empathy.dialogues.formats import recognise_format

Convert = Callable[..., Any]
ASK, REPLY = "I moved and know no one.", "Moving is lonely at first. What do you miss most?"


def constructor(kind: str, content: str) -> dict[str, Any]:
    return {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "messages", kind],
        "kwargs": {"content": content},
    }


INPUTS = {"messages": [[constructor("SystemMessage", "Be kind."), constructor("HumanMessage", ASK)]]}
OUTPUTS = {"generations": [[{"text": REPLY, "message": constructor("AIMessage", REPLY)}]], "llm_output": None}


def run(inputs: Any = INPUTS, outputs: Any = OUTPUTS, **more: Any) -> dict[str, Any]:
    own = {"id": "r", "trace_id": "t", "run_type": "llm", "parent_run_id": "p", "session_id": "project"}
    return own | {"extra": {"metadata": {"thread_id": "chat-3"}}, "inputs": inputs, "outputs": outputs, **more}


def check(samples: list[Any], intake: Any) -> None:
    [sample] = samples
    assert [turn.text for turn in sample.context] == [ASK]
    assert (sample.response, sample.dialogue_id) == (REPLY, "chat-3")
    assert not intake.bad_rows


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (INPUTS, OUTPUTS),
        (json.dumps(INPUTS), json.dumps(OUTPUTS)),
        ({"messages": [{"role": "user", "content": ASK}]}, {"choices": [{"message": {"content": REPLY}}]}),
        ({"messages": [{"type": "human", "content": ASK}]}, {"output": {"type": "ai", "content": REPLY}}),
        ({"messages": [["human", ASK]]}, {"role": "assistant", "content": [{"type": "text", "text": REPLY}]}),
        ({"messages": [{"type": "human", "data": {"content": ASK}}]}, {"messages": [{"type": "ai", "content": REPLY}]}),
        ({"prompt": ASK}, {"generations": [[{"text": REPLY}]]}),
    ],
)  # fmt: skip
def test_every_shape_of_a_run_is_read(convert: Convert, inputs: Any, outputs: Any) -> None:
    check(*convert("langsmith", run(inputs, outputs)))
    reader = recognise_format([run(inputs, outputs)])
    assert reader is not None
    assert reader.name == "langsmith"


def test_chains_around_a_model_are_left_out_and_counted(convert: Convert) -> None:
    chain = run({"input": ASK}, {"output": "Something else."}, run_type="chain", parent_run_id=None)
    samples, intake = convert("langsmith", chain, run())
    check(samples, intake)
    assert intake.repairs["records around calls to a model left out"] == 1
    nested, _ = convert("langsmith", {**chain, "child_runs": [{**chain, "child_runs": [run()]}]})
    assert [sample.response for sample in nested] == [REPLY]


def test_a_chat_with_its_history_is_read_from_a_chain(convert: Convert) -> None:
    history = [{"type": "human", "content": "Hello."}, {"type": "ai", "content": "Hello! How are you?"}]
    chain = run({"chat_history": history, "input": ASK}, {"output": REPLY}, run_type="chain", parent_run_id=None)
    [sample], intake = convert("langsmith", chain)
    assert [turn.text for turn in sample.context] == ["Hello.", "Hello! How are you?", ASK]
    assert intake.repairs == {"earlier replies in the history of calls, read as context": 1}


def test_outputs_that_repeat_the_whole_dialogue_are_read_once(convert: Convert) -> None:
    state = {"messages": [{"type": "human", "content": ASK}, {"type": "ai", "content": REPLY}]}
    check(*convert("langsmith", run({"messages": [["human", ASK]]}, state, run_type="chain", parent_run_id=None)))


def test_examples_of_a_data_set_are_read(convert: Convert) -> None:
    [sample], _ = convert("langsmith", {"inputs": {"question": ASK}, "outputs": {"answer": REPLY}})
    assert (sample.context[0].text, sample.response) == (ASK, REPLY)


def test_a_failed_run_is_counted_and_an_unknown_shape_refused(convert: Convert) -> None:
    samples, intake = convert("langsmith", run(outputs=None, error="timeout"), run(inputs={"k": 4}))
    assert samples == []
    assert intake.repairs == {"calls without a reply left out": 1}
    assert "'inputs' is \"{'k': 4}\", in which there are no messages or text" in intake.bad_rows[0].reason
