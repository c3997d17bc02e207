import pytest

from efficient_empathy.llm.transport import chat_url


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
    assert str(chat_url(base)) == url
