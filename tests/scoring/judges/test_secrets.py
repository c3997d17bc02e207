"""Whoever stands between a judge and its server: no key but to the server itself, and no byte of one in a run."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from forked_command import ForkedCommand
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, error, ok, raw
from proxy_server import ProxyServer
from tls_server import TLSServer

KEY, HEADER, QUERY, PASSWORD = "sk-key-0123456789", "hdr-0123456789", "qry-0123456789", "pw-0123456789"
SECRETS = (KEY, HEADER, QUERY, PASSWORD)


def score(folder: Path, url: str, **environment: str) -> str:
    """Score two samples by the command, in a process of its own; everything that it printed."""
    row = {"messages": [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi."}]}
    (folder / "chat.jsonl").write_text(json.dumps(row), "utf-8")
    clean = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
    keys = {"OPENAI_API_KEY": KEY, "MY_HEADER": HEADER}
    command = ["score", "chat.jsonl", "--run", "run", "--judge", "openai", "--model", "gpt-4o-mini", "--base-url", url]
    command += ["--header", "x-team=MY_HEADER", "--max-attempts", "1"]
    return "".join(ForkedCommand(*command, cwd=folder, env={**clean, **keys, **environment}).communicate(timeout=120))


def look_at_every_byte(folder: Path, output: str) -> None:
    files = [path for path in (folder / "run").rglob("*") if path.is_file()]
    assert any(path.name == "ledger.sqlite" for path in files)
    for secret in SECRETS:
        assert secret not in output
        for path in files:
            assert secret.encode() not in path.read_bytes(), path


def quoting(status: int) -> Behaviour:
    return error(status, f"no {KEY} {HEADER} {QUERY}", code=KEY)


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_a_server_that_quotes_all_it_was_sent(tmp_path: Path, status: int) -> None:
    quote = json.dumps({"sensibility": 8, "rationality": 2, "said": f"{KEY} {HEADER} {QUERY}"})
    with MisbehavingServer(ok(quote) if status == 200 else quoting(status)) as server:
        output = score(tmp_path, f"{server.url}?key={QUERY}")
        sent = {name.lower(): value for name, value in server.headers[0].items()}
    assert (sent["authorization"], sent["x-team"]) == (f"Bearer {KEY}", HEADER)
    look_at_every_byte(tmp_path, output)


def test_a_proxy_before_tls_is_told_no_key(tmp_path: Path) -> None:
    with ProxyServer() as proxy:
        output = score(
            tmp_path, f"https://judge.example/v1?key={QUERY}", HTTPS_PROXY=f"http://u:{PASSWORD}@{proxy.place}"
        )
    assert "does not let it through" in output
    assert proxy.requests
    for request in proxy.requests:
        assert request.startswith("CONNECT judge.example:443")
        assert not any(secret in request for secret in (KEY, HEADER, QUERY))
    look_at_every_byte(tmp_path, output)


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with MisbehavingServer() as elsewhere:

        def script(body: dict[str, Any], number: int) -> Behaviour:
            return raw("", 307, Location=f"{elsewhere.url}/chat/completions?key={QUERY}")

        with MisbehavingServer(script) as server:
            output = score(tmp_path, server.url)
        assert not elsewhere.headers
    assert "redirects to" in output
    look_at_every_byte(tmp_path, output)


def test_a_host_that_cannot_be_verified_gets_nothing(tmp_path: Path) -> None:
    with TLSServer(tmp_path) as server:
        output = score(tmp_path, server.url)
        assert not server.requests
    assert "set SSL_CERT_FILE" in output
    look_at_every_byte(tmp_path, output)
