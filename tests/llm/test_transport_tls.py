from pathlib import Path

import pytest

from calling import KEY, Client
from efficient_empathy.llm import Completion
from efficient_empathy.llm.errors import NotTheJudge, Untrusted
from misbehaving_server import MisbehavingServer
from tls_server import TLSServer


def test_a_certificate_that_nobody_vouches_for_is_told_at_once_and_gets_no_key(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with TLSServer(tmp_path) as server:
        results = client(server.url, 5, concurrency=1)
        assert not server.requests
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere.pem"))
        (elsewhere,) = client(server.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        (trusted,) = client(server.url)
        assert isinstance(trusted, Completion)
        assert f"Bearer {KEY}" in server.requests[0]
    assert {type(result) for result in results} == {Untrusted}
    assert client.endpoint.stats.requests == 1
    assert "self-signed" in str(results[0]) or "self signed" in str(results[0])
    assert str(results[0]).endswith(
        "so nothing is sent to it: where an authority of your own or a company's proxy has signed it, set "
        "SSL_CERT_FILE to the file of that authority's certificate"
    )
    assert "nowhere.pem, which is not there" in str(elsewhere)


def test_a_server_without_tls_is_told(client: Client) -> None:
    with MisbehavingServer() as server:
        (result,) = client(server.url.replace("http://", "https://"))
    assert isinstance(result, NotTheJudge)
    place = server.url.removeprefix("http://")
    assert str(result) == f"https://{place}/chat/completions does not speak TLS: give http:// instead"
    assert client.endpoint.stats.requests == 1
