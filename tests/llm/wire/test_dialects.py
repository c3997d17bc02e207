"""A reply in another format is named with what to do about it, and nothing else is taken for one."""

from typing import Any

import pytest

from efficient_empathy.llm.wire.dialects import name_dialect

ANTHROPIC = "a message in Anthropic's format: use the judge anthropic, or the server's /v1/chat/completions"
OPENAI = "a chat completion in OpenAI's format: use the judge openai, or the server's /v1/messages"
TEXT = "a text completion: give the base URL of chat completions, such as http://HOST/v1"
GEMINI = "Gemini's own format: give https://generativelanguage.googleapis.com/v1beta/openai as base URL"
RESPONSES = "OpenAI's responses format: give the base URL of chat completions, such as https://api.openai.com/v1"
OLLAMA = "Ollama's own format: give a base URL that ends in /v1, such as http://localhost:11434/v1"


@pytest.mark.parametrize(
    ("reply", "name"),
    [
        ({"type": "message", "content": []}, ANTHROPIC),
        ({"choices": [{"message": {"content": "7"}}]}, OPENAI),
        ({"choices": [{"text": "7"}]}, TEXT),
        ({"candidates": []}, GEMINI), ([{"candidates": []}], GEMINI), ({"usageMetadata": {}}, GEMINI),
        ({"output": []}, RESPONSES), ({"object": "response", "output": "7"}, RESPONSES),
        ({"message": {}, "done": False}, OLLAMA), ({"response": "7", "done": True}, OLLAMA),
        ({"generated_text": "7"}, TEXT), ([{"generated_text": "7"}], TEXT), ({"tokens_predicted": 3}, TEXT),
    ],
)  # fmt: skip
def test_formats_are_known_by_what_their_replies_must_have(reply: Any, name: str) -> None:
    assert name_dialect(reply) == name


@pytest.mark.parametrize(
    "reply",
    [
        None, 7, "7", [], [7], {}, {"type": "message"}, {"type": "message", "content": "7"}, {"content": []},
        {"choices": []}, {"choices": ["7"]}, {"choices": {"message": {}}}, {"choices": [{"message": "7"}]},
        {"choices": [{"text": 7}]}, {"output": "7"}, {"object": "list"}, {"done": True},
        {"done": True, "message": "7"}, {"message": {}}, {"response": "7"},
    ],
)  # fmt: skip
def test_what_is_none_of_them_has_no_name(reply: Any) -> None:
    assert name_dialect(reply) == ""
