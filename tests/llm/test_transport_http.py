"""What goes to a server and what is taken from it, byte by byte: cookies, encodings, redirects, sizes."""

import asyncio
import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from yarl import URL

from efficient_empathy.llm.errors import Fault
from efficient_empathy.llm.keys import Secrets
from efficient_empathy.llm.transport import Response, Transport
from local_server import LocalServer

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers each POST as told; `seen` are the headers that came, with the body under `body`."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.answer: Answer = lambda request: send(request, b"{}")
        self.port = 0


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.seen.append({**{name.lower(): value for name, value in self.headers.items()}, "body": body})
            told.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with LocalServer(Handler) as local:
        told.port = local.port
        yield told


def send(request: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def post(server: Server, times: int = 1, *, most: int = 10_000, **options: Any) -> list[Response | Fault]:
    """The outcomes of so many requests, one after another, to a name and not to an address."""

    async def run() -> list[Response | Fault]:
        transport = Transport(
            URL(f"http://localhost:{server.port}/v1/chat"), {"Authorization": "Bearer key-0123456789"}, connections=2,
            max_body_bytes=most, secrets=Secrets("key-0123456789", {}), **{"timeout_s": 20.0, **options},
        )  # fmt: skip
        try:
            return [await transport.post(json.dumps({"n": n}).encode()) for n in range(times)]
        finally:
            await transport.close()

    return asyncio.run(run())


def test_a_request_is_json_with_its_key_and_asks_for_plain_bytes(server) -> None:
    post(server, 2)
    for number, request in enumerate(server.seen):
        assert json.loads(request["body"]) == {"n": number}
        assert request["content-type"] == "application/json"
        assert request["authorization"] == "Bearer key-0123456789"
        assert request["accept-encoding"] == "identity"
        assert "accept" not in request


def test_a_cookie_does_not_go_back_to_the_server_that_set_it(server) -> None:
    """Two judges on one server, or two keys, must not be told apart or mixed up by what one of them was given."""
    server.answer = lambda request: send(request, b"{}", Set_Cookie="session=of-another-key; Path=/")
    assert [outcome.status for outcome in post(server, 3)] == [200] * 3
    assert [request.get("cookie") for request in server.seen] == [None] * 3


def test_a_redirect_is_an_answer_and_takes_the_key_nowhere(server) -> None:
    server.answer = lambda request: send(request, b"moved", 307, Location=f"http://localhost:{server.port}/elsewhere")
    (outcome,) = post(server)
    assert (outcome.status, outcome.body) == (307, b"moved")
    assert len(server.seen) == 1


def test_a_reply_is_taken_up_to_its_limit_and_not_a_byte_more(server) -> None:
    for size, whole in ((9_999, True), (10_000, True), (10_001, False), (300_000, False)):
        server.answer = lambda request, size=size: send(request, b"x" * size)
        (outcome,) = post(server)
        if whole:
            assert outcome.body == b"x" * size
        else:
            assert (outcome.kind, outcome.reason) == ("bad_body", "the reply is longer than 10,000 bytes")
            assert outcome.billed


def test_a_long_reply_comes_whole(server) -> None:
    body = bytes(range(256)) * 4_000
    server.answer = lambda request: send(request, body)
    (outcome,) = post(server, most=len(body))
    assert outcome.body == body
    (outcome,) = post(server, most=len(body) - 1)
    assert outcome.kind == "bad_body"


def test_what_is_packed_unasked_counts_as_what_it_unpacks_to(server) -> None:
    """A reply of 200 kB that unpacks to 50 MB is given up at the limit, before it fills the memory."""
    server.answer = lambda request: send(request, gzip.compress(b"[1, 2]"), Content_Encoding="gzip")
    (outcome,) = post(server)
    assert outcome.body == b"[1, 2]"
    bomb = gzip.compress(b" " * 50_000_000, 1)
    server.answer = lambda request: send(request, bomb, Content_Encoding="gzip")
    tracemalloc.start()
    try:
        (outcome,) = post(server)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (outcome.kind, outcome.reason) == ("bad_body", "the reply is longer than 10,000 bytes")
    assert peak < 20_000_000


def test_a_reply_that_breaks_off_may_have_been_billed(server) -> None:
    def half(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b"half")
        request.wfile.flush()
        request.connection.close()
        request.close_connection = True

    server.answer = half
    (outcome,) = post(server)
    assert (outcome.kind, outcome.overload, outcome.billed) == ("bad_body", True, True)
    assert outcome.reason.startswith("the reply broke off: ")


def test_no_reply_in_time_is_a_timeout_that_may_have_been_billed(server) -> None:
    server.answer = lambda request: request.rfile.read(1)  # until the client hangs up
    (outcome,) = post(server, timeout_s=0.3)
    assert (outcome.kind, outcome.reason) == ("timeout", "no complete reply in 0.3 s")
    assert (outcome.overload, outcome.billed, outcome.unanswered, outcome.retry) == (True, True, True, True)


def test_where_nothing_listens_nothing_was_billed(server) -> None:
    closed = Server()
    closed.port = 1
    (outcome,) = post(closed)
    assert (outcome.kind, outcome.billed, outcome.unanswered, outcome.refused) == ("connection", False, True, True)
    assert outcome.reason


def test_after_a_close_a_post_opens_anew(server) -> None:
    async def run() -> list[int]:
        transport = Transport(
            URL(f"http://localhost:{server.port}/"), {}, connections=1, timeout_s=20, max_body_bytes=100,
            secrets=Secrets(None, {}),
        )  # fmt: skip
        await transport.close()
        statuses = []
        for _ in range(2):
            statuses.append((await transport.post(b"{}")).status)
            await transport.close()
        return statuses

    assert asyncio.run(run()) == [200, 200]
