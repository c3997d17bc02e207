from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from efficient_empathy.dialogues import Intake, format_names
from efficient_empathy.dialogues.formats import find_reader, recognise_format
from efficient_empathy.dialogues.rows import Row
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError

TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
EXAMPLES: dict[str, dict[str, Any]] = {
    "samples": {
        "sample_id": "x",
        "dialogue_id": "d",
        "turn": 1,
        "context": [{"role": "speaker", "text": "hi"}],
        "response": "r",
    },
    "empathetic-dialogues": {
        "conv_id": "c",
        "utterance_idx": "1",
        "context": "sad",
        "speaker_idx": "1",
        "utterance": "hi",
    },
    "esconv": {"dialog": [{"speaker": "usr", "text": "hi"}, {"speaker": "sys", "text": "hello"}]},
    "chatgpt": {
        "mapping": {
            "a": {"id": "a", "parent": None, "message": {"author": {"role": "user"}, "content": {"parts": ["hi"]}}},
            "b": {"id": "b", "parent": "a", "message": {"author": {"role": "assistant"}, "content": {"parts": ["oh"]}}},
        },
        "current_node": "b",
    },
    "claude": {"chat_messages": [{"sender": "human", "text": "hi"}, {"sender": "assistant", "text": "hello"}]},
    "oasst": {"prompt": {"role": "prompter", "text": "hi", "replies": [{"role": "assistant", "text": "hello"}]}},
    "otel": {
        "trace_id": "t",
        "attributes": {"gen_ai.input.messages": TURNS[:1], "gen_ai.output.messages": TURNS[1:]},
    },
    "langfuse": {"id": "o", "type": "GENERATION", "traceId": "t", "input": TURNS[:1], "output": "hello"},
    "langsmith": {"run_type": "llm", "inputs": {"messages": TURNS[:1]}, "outputs": {"output": "hello"}},
    "preference": {"prompt": "hi", "chosen": "hello", "rejected": "go"},
    "completion": {"prompt": "hi", "completion": "hello"},
    "messages": {"messages": TURNS},
    "sharegpt": {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]},
    "wildchat": {"conversation": TURNS},
    "whatsapp": {"line": "12/31/23, 9:41 PM - Ann: hi"},
    "alpaca": {"instruction": "Speaker: hi", "input": "", "output": "hello"},
    "message-rows": {"conversation_id": "c", "role": "user", "content": "hi"},
    "utterances": {"dialogue": ["hi", "hello"]},
    "transcript": {"text": "### Human: hi\n### Assistant: hello"},
    "judged": {"context": "hi", "response": "hello", "evaluation": "…"},
    "table": {"context": "hi", "response": "hello"},
}
KEYS = sorted(
    {key for example in EXAMPLES.values() for key in example} | {"category", "emotion", "split", "id", "history"}
)
INNER = st.sampled_from(["role", "content", "from", "value", "speaker", "text", "user", "assistant", "gpt", "sys"])
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | INNER
    | st.just("Speaker: a </s> b"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(INNER, inner, max_size=4),
    max_leaves=12,
)


def test_every_format_recognises_its_own_rows() -> None:
    assert set(EXAMPLES) == set(format_names())
    for name, row in EXAMPLES.items():
        found = recognise_format([{"other": 1}, row])
        assert found is not None
        assert found.name == name


def test_a_more_specific_format_further_on_is_found() -> None:
    found = recognise_format([EXAMPLES["table"], {"context": "a </s> b </s> c", "response": "d"}])
    assert found is not None
    assert found.name == "judged"


@pytest.mark.parametrize(
    ("name", "key"), [("messages", "messages"), ("sharegpt", "conversations"), ("esconv", "dialog")]
)
def test_lists_may_stand_as_json_text_as_in_a_csv_cell(name: str, key: str) -> None:
    values = {key: json.dumps(EXAMPLES[name][key])}
    found = recognise_format([values])
    assert found is not None
    [sample] = found.samples([Row("f:1", values)], Intake())
    assert sample.response == "hello"


def test_an_unknown_format_is_told_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"there is no format 'xml': choose one of samples, .*table"):
        find_reader("xml")


@settings(max_examples=300, deadline=None)
@given(rows=st.lists(st.dictionaries(st.sampled_from(KEYS), ANY, max_size=8), max_size=4))
def test_no_value_does_more_than_make_a_bad_row(rows: list[dict[str, Any]]) -> None:
    for reader in map(find_reader, EXAMPLES):
        intake = Intake(ReadingSettings(on_bad_row="skip"))
        for values in rows:
            reader.recognises(values)
        for sample in reader.samples([Row("f:1", values) for values in rows], intake):
            assert sample.context[0].role == "speaker"
            assert sample.response
