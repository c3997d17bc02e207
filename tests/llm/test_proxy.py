import base64

import pytest
from yarl import URL

from calling import KEY, Client
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import Completion
from efficient_empathy.llm.errors import NotTheJudge
from efficient_empathy.llm.proxy import find_proxy, is_this_machine
from proxy_server import ProxyServer

LOGIN = base64.b64encode(b"user:pa ss").decode()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_the_environments_proxy_serves_all_but_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("http_proxy", "proxy.test:3128")
    monkeypatch.setenv("no_proxy", "inside.test")
    for host in ("https://api.openai.com", "http://api.openai.com"):
        proxy = find_proxy(URL(host))
        assert proxy is not None
        assert proxy.url == URL("http://proxy.test:3128/")
        assert not proxy.headers
    for host in ("https://inside.test", "http://localhost:8000", "http://127.0.0.2:8000", "http://[::1]:8000"):
        assert find_proxy(URL(host)) is None


@pytest.mark.parametrize("headers", [{}, {"api-key": "azure-0123456789", "X-Org": "org-1"}])
def test_connect_carries_no_key_and_the_proxys_own_login_only_if_it_has_one(
    client: Client, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    with ProxyServer() as proxy:
        for login in ("", "user:pa%20ss@"):
            monkeypatch.setenv("HTTPS_PROXY", f"http://{login}{proxy.place}")
            (result,) = client("https://judge.example/v1", headers=headers, max_attempts=1)
            assert isinstance(result, NotTheJudge)
            for secret in ("pa ss", "pa%20ss", LOGIN):
                assert secret not in str(result)
        without, with_login = proxy.requests
    for request in (without, with_login):
        assert request.startswith("CONNECT judge.example:443")
        for secret in (KEY, *headers, *headers.values(), "Authorization: Bearer"):
            assert secret not in request
    assert "Proxy-Authorization" not in without
    assert f"Proxy-Authorization: Basic {LOGIN}" in with_login


def test_a_tunnel_that_is_refused_costs_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with ProxyServer(407) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.place}")
        (result,) = client("https://judge.example/v1", max_attempts=1)
    assert f"the proxy {proxy.place} of HTTPS_PROXY does not let it through (HTTP 407:" in str(result)
    assert client.endpoint.stats.spent_usd == 0


def test_over_plain_http_the_request_goes_through_the_proxy_with_both_logins_apart(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProxyServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:pa%20ss@{proxy.place}")
        (result,) = client("http://judge.example/v1")
        assert isinstance(result, Completion)
        (request,) = proxy.requests
    assert request.startswith("POST http://judge.example/v1/chat/completions")
    assert f"\nAuthorization: Bearer {KEY}" in request
    assert f"Proxy-Authorization: Basic {LOGIN}" in request


@pytest.mark.parametrize("address", ["socks5://user:hunter2@proxy.test:1080", "http://user:hunter2@"])
def test_what_is_no_http_proxy_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(UserError, match="HTTPS_PROXY is not of the form") as caught:
        find_proxy(URL("https://judge.example"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["ftp://proxy.test:21", "http://", "https://", "http://[::1", "socks5://proxy.test"]
)
def test_what_is_no_http_proxy_is_refused_by_the_variables_name(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(UserError) as raised:
        find_proxy(URL("https://api.openai.com/v1"))
    assert str(raised.value) == (
        "HTTPS_PROXY is not of the form http://HOST:PORT: name an HTTP proxy there, or unset it"
    )


def test_a_proxy_is_its_place_and_what_logs_in_there_is_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "https://user:pa%20ss@proxy.test:3128/way?x=1#y")
    proxy = find_proxy(URL("https://api.openai.com/v1"))
    assert proxy is not None
    assert (str(proxy.url), proxy.variable) == ("https://proxy.test:3128/", "HTTPS_PROXY")
    assert proxy.headers == {"Proxy-Authorization": f"Basic {LOGIN}"}
    assert proxy.secrets == ("pa%20ss", "pa ss", LOGIN)
    monkeypatch.setenv("HTTPS_PROXY", "http://token-0123@proxy.test")
    proxy = find_proxy(URL("https://api.openai.com/v1"))
    assert proxy is not None
    encoded = base64.b64encode(b"token-0123:").decode()
    assert proxy.headers == {"Proxy-Authorization": f"Basic {encoded}"}
    assert proxy.secrets == (encoded, "token-0123", "token-0123")


@pytest.mark.parametrize(
    ("host", "is_here"),
    [("localhost", True), ("judge.localhost", True), ("127.0.0.9", True), ("::1", True), ("[::1]", True),
     ("10.0.0.1", False), ("localhost.example.com", False), ("judge.example", False)],
)  # fmt: skip
def test_what_is_sent_to_loopback_alone_stays_on_this_machine(host, is_here) -> None:
    assert is_this_machine(host) is is_here
