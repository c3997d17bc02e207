import pytest

from efficient_empathy.llm.transport import checked_url
from efficient_empathy.llm.wire.openai import OpenAIWire


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
    assert str(OpenAIWire().url(checked_url(base))) == url
