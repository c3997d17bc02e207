import json
import re

import pytest

from efficient_empathy.llm.echo import texts_of, without_echo

TEXT = "My bank says I have insufficient funds, and the app wants an invalid API key again."
FIELDS = {"model": "m", "temperature": 0, "messages": [{"role": "user", "content": TEXT}]}


@pytest.mark.parametrize(
    "words",
    [
        "flagged: the app wants an invalid API key again.",
        "flagged: THE APP WANTS  an\\nINVALID api key",
        "the phrase 'insufficient funds' is not allowed",
        "the word “funds” is not allowed",
        "cannot read: 'another key of mine'",
        "cannot read “another text about funds”",
    ],
)
def test_what_is_quoted_of_the_request_is_left_out(words: str) -> None:
    rest = without_echo(words, texts_of(FIELDS), FIELDS)
    assert rest.split()[0] == words.split()[0]
    assert "key" not in rest
    assert "funds" not in rest


def test_a_request_that_is_quoted_whole_says_nothing_of_its_fields() -> None:
    scheme = {"type": "json_schema", "json_schema": {"name": "scores", "strict": True, "schema": {"type": "object"}}}
    fields = {**FIELDS, "max_tokens": 128, "response_format": scheme}
    for quote in (json.dumps(fields), str(fields), json.dumps(json.dumps(fields))):
        rest = without_echo(f"Request blocked: {quote}", texts_of(fields), fields)
        assert "blocked" in rest
        assert not {"temperature", "json_schema", "max_tokens", "response_format"} & set(re.findall(r"\w+", rest))


@pytest.mark.parametrize(
    "words",
    [
        "Incorrect API key provided: no**ne.",
        "insufficient funds",
        "litellm.BadRequestError: {'error': {'message': 'Incorrect API key provided', 'type': 'auth_error'}}",
        "[{'loc': ('body', 'guided_json'), 'msg': 'Extra inputs are not permitted'}]",
        "`inputs` tokens + `max_new_tokens` must be <= 4096",
        "the model doesn't exist, or you don't have access to it, and that's all",
        "Unsupported value: 'temperature' does not support 0 with this model.",
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
        "",
    ],
)
def test_what_the_server_says_itself_stays(words: str) -> None:
    texts = [*texts_of(FIELDS), "What is the temperature there?"]
    assert without_echo(words, texts, FIELDS) == words


def test_texts_are_those_of_system_and_messages_in_every_form() -> None:
    blocks = [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]
    fields = {"system": [{"type": "text", "text": "a"}], "messages": [{"role": "user", "content": blocks}]}
    assert {"a", "b", "c"} <= set(texts_of(fields))
