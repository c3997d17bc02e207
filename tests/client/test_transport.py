import pytest

from efficient_empathy.client.transport import _proxy, chat_url


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


def test_the_environments_proxy_serves_all_but_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("no_proxy", "inside.test")
    assert _proxy(chat_url("https://api.openai.com/v1")) == "http://proxy.test:3128"
    for host in ("https://inside.test", "http://localhost:8000", "http://127.0.0.2:8000", "http://[::1]:8000"):
        assert _proxy(chat_url(host)) is None
