"""Base URLs as people paste them."""

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.transport import check_url
from efficient_empathy.llm.wire.anthropic import AnthropicWire
from efficient_empathy.llm.wire.openai import OpenAIWire

AZURE = "https://res.openai.azure.com/openai"
CHAT = "https://h.test/v1/chat/completions"


@pytest.mark.parametrize(
    ("pasted", "url"),
    [
        ("https://h.test/v1", CHAT),
        ("https://h.test/v1/", CHAT),
        ("https://h.test//v1//", CHAT),
        (" https://h.test/v1/chat/completions ", CHAT),
        ("https://h.test/v1/chat/completions/", CHAT),
        ("https://h.test/v1/models", CHAT),
        ("https://h.test/v1/models/llama-3", CHAT),
        ("https://h.test/v1/completions", CHAT),
        ("https://h.test/v1/responses", CHAT),
        ("https://h.test/v1/chat", CHAT),
        ("https://h.test/v1/embeddings#there", CHAT),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1/chat/completions"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/models",
         "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"),
        (f"{AZURE}/deployments/gpt4o/chat/completions?api-version=2024-10-21",
         f"{AZURE}/deployments/gpt4o/chat/completions?api-version=2024-10-21"),
        (f"{AZURE}/deployments/gpt4o/completions?api-version=2024-10-21",
         f"{AZURE}/deployments/gpt4o/chat/completions?api-version=2024-10-21"),
        (f"{AZURE}/deployments/gpt4o?api-version=2024-10-21",
         f"{AZURE}/deployments/gpt4o/chat/completions?api-version=2024-10-21"),
        (f"{AZURE}/v1", f"{AZURE}/v1/chat/completions"),
        ("https://res.services.ai.azure.com/models?api-version=2024-05-01-preview",
         "https://res.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview"),
    ],
)  # fmt: skip
def test_what_is_pasted_is_taken_for_what_is_meant(pasted: str, url: str) -> None:
    assert str(OpenAIWire().url(check_url(pasted))) == url


@pytest.mark.parametrize(
    ("pasted", "remedy"),
    [
        ("https://h.test/v1/messages", "use the judge anthropic"),
        ("http://localhost:11434/api/chat", "give http://localhost:11434/v1"),
        ("http://localhost:8080/completion", "give http://localhost:8080/v1"),
        ("https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:generateContent", "/v1beta/openai"),
        ("https://res.openai.azure.com/", "openai/deployments/DEPLOYMENT"),
        (f"{AZURE}/deployments/gpt4o/chat/completions", "needs Azure's api-version"),
        ("https://res.services.ai.azure.com/api/projects/mine", "names no deployment"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_give(pasted: str, remedy: str) -> None:
    with pytest.raises(UserError, match=r"http.*://") as caught:
        OpenAIWire().url(check_url(pasted))
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    "pasted",
    ["https://h.test", "https://h.test/v1/", "https://h.test/v1/messages/", "https://h.test/v1/models",
     "https://h.test/v1/messages/batches", "https://h.test/v1/complete"],
)  # fmt: skip
def test_the_messages_format_takes_its_own_urls_alike(pasted: str) -> None:
    assert str(AnthropicWire().url(check_url(pasted))) == "https://h.test/v1/messages"


def test_the_messages_format_refuses_the_url_of_the_other() -> None:
    with pytest.raises(UserError, match="use the judge openai"):
        AnthropicWire().url(check_url(CHAT))


@pytest.mark.parametrize("url", [f"{AZURE}/v1", "https://gateway.test/openai/deployments/gpt4o?api-version=1"])
def test_azures_keys_go_in_a_header_of_their_own_and_its_tokens_as_tokens(url: str) -> None:
    wire, address = OpenAIWire(), OpenAIWire().url(check_url(url))
    assert wire.headers("0123456789abcdef", address) == {"api-key": "0123456789abcdef"}
    assert wire.headers("eyJh.eyJi.c-_1", address) == {"Authorization": "Bearer eyJh.eyJi.c-_1"}
    assert wire.headers("0123456789abcdef", check_url("https://h.test/v1")) == {
        "Authorization": "Bearer 0123456789abcdef"
    }


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
        ("http://localhost:8000/", "http://localhost:8000/chat/completions"),
        ("http://localhost:8000", "http://localhost:8000/chat/completions"),
        ("https://a.test/openai?api-version=3", "https://a.test/openai/chat/completions?api-version=3"),
    ],
)
def test_the_chat_url_is_the_base_url_and_a_path(base: str, url: str) -> None:
    assert str(OpenAIWire().url(check_url(base))) == url
