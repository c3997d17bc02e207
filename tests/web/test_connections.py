"""Clients that keep the studio waiting, from addresses of their own: any of 127.0.0.0/8 is one."""

import asyncio
import contextlib
import json
import logging
import resource
import socket
import threading

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from efficient_empathy.web.connections import Limits
from selected_runs import selected_run
from studio_server import ask, serving

SHORT = Limits(header_s=0.5, body_s=0.5, reading_s=0.5)
HEADER = b"GET /lab HTTP/1.1\r\nHost: localhost\r\n"
OTHER = "127.0.0.2"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return [selected_run(tmp_path_factory.mktemp("runs") / "first", dialogues=6).root]


@pytest.fixture
def served(runs, tmp_path):
    with serving(runs, tmp_path, Limits(from_one=20, in_all=60)) as served:
        yield served


@pytest.fixture
def impatient(runs, tmp_path):
    with serving(runs, tmp_path, SHORT) as served:
        yield served


@pytest.fixture
def connect():
    with contextlib.ExitStack() as stack:

        def connect(served, sent=b"", source="127.0.0.1"):
            address = ("127.0.0.1", served.studio.port)
            one = stack.enter_context(socket.create_connection(address, timeout=20, source_address=(source, 0)))
            one.sendall(sent)
            return one

        yield connect


def received(connection) -> bytes:
    """All that comes until the studio ends the connection."""
    content = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            content += part
    return content


def is_open(connection) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    finally:
        connection.settimeout(20)


@pytest.mark.parametrize(("sent", "many"), [(HEADER, 1100), (b"", 150)])
def test_half_open_connections_shut_nobody_out_and_are_ended(runs, tmp_path, connect, sent, many) -> None:
    with serving(runs, tmp_path, Limits(header_s=1)) as served:
        half_open = [connect(served, sent) for _ in range(many)]
        assert ask(served, "/lab?run=first", source=OTHER)[0] == 200
        assert ask(served, "/lab?run=first")[0] == 200, "nor somebody at the same address"
        assert all(received(one) in (b"", half_open_answer(sent)) for one in half_open)


def half_open_answer(sent: bytes) -> bytes:
    """What half a header is told when its time is over."""
    return b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" if sent else b""


def test_connections_from_everywhere_shut_nobody_out(served, connect) -> None:
    for n in range(300):
        connect(served, HEADER, f"127.0.{n // 10 + 1}.1")
    assert ask(served, "/lab?run=first", source=OTHER)[0] == 200


def test_who_has_open_pages_keeps_them_while_another_address_floods(served, connect) -> None:
    watching = connect(served, b"GET /api/live/events?run=first HTTP/1.1\r\nHost: localhost\r\n\r\n", OTHER)
    assert watching.recv(64).startswith(b"HTTP/1.1 200")
    for _ in range(100):
        connect(served, HEADER)
    assert is_open(watching)


def test_more_pages_than_one_address_may_have_are_refused_it_alone(served, connect) -> None:
    watching = b"GET /api/live/events?run=first HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for _ in range(20):
        assert connect(served, watching).recv(64).startswith(b"HTTP/1.1 200")
    assert received(connect(served)).startswith(b"HTTP/1.1 503 ")
    assert ask(served, "/lab?run=first", source=OTHER)[0] == 200


def test_a_proxy_may_have_all_connections(runs, tmp_path, connect) -> None:
    with serving(runs, tmp_path, Limits(from_one=5, in_all=60, proxies=("127.0.0.1",))) as served:
        connections = [connect(served) for _ in range(30)]
        assert all(is_open(one) for one in connections)
        assert ask(served, "/lab?run=first")[0] == 200


def test_a_connection_may_rest_longer_between_requests_than_a_header_may_take(runs, tmp_path, connect) -> None:
    with serving(runs, tmp_path, Limits(header_s=0.3, idle_s=60)) as served:
        request = b"GET /leave HTTP/1.1\r\nHost: localhost\r\n\r\n"
        connection = connect(served, request)
        assert connection.recv(65536).startswith(b"HTTP/1.1 303")
        assert received(connect(served, HEADER)).startswith(b"HTTP/1.1 408")  # by now the other has rested as long
        connection.sendall(request)
        assert connection.recv(65536).startswith(b"HTTP/1.1 303")


def test_a_header_has_its_time_however_it_trickles(impatient, connect) -> None:
    connection = connect(impatient)
    with contextlib.suppress(OSError):  # it is ended while we are at it
        for byte in HEADER * 10_000:
            connection.sendall(bytes([byte]))
            connection.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                if connection.recv(1000) is not None:
                    break
    connection.settimeout(20)
    received(connection)


def test_a_connection_that_is_kept_for_the_next_request_has_its_time_too(impatient, connect) -> None:
    connection = connect(impatient, HEADER + b"\r\n")
    assert received(connection).startswith(b"HTTP/1.1 200")
    connection = connect(impatient, HEADER + b"\r\n" + HEADER)
    assert received(connection).endswith(half_open_answer(HEADER))


@pytest.mark.parametrize("length", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
def test_a_body_has_its_time_and_its_end_is_nothing_to_write_of(impatient, connect, length, caplog) -> None:
    async def measure(request: Request) -> JSONResponse:
        return JSONResponse(len(await request.body()))

    impatient.app.router.routes.append(Route("/api/measure", measure, methods=["POST"]))
    with caplog.at_level(logging.DEBUG):
        connection = connect(impatient, b"POST /api/measure HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n\r\n1")
        assert received(connection) == b""
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_who_does_not_read_is_let_go(impatient, connect) -> None:
    ended = threading.Event()

    async def much():
        try:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)
        finally:
            ended.set()

    async def answer(request: Request) -> StreamingResponse:
        return StreamingResponse(much())

    impatient.app.router.routes.append(Route("/much", answer))
    assert connect(impatient, b"GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n").recv(64)
    assert ended.wait(20)
    assert ask(impatient, "/lab?run=first")[0] == 200


@pytest.mark.parametrize(
    ("request_", "statuses"),
    [
        (b"GET /lab HTTP/1.0\r\nHost: localhost\r\n\r\n", {200}),
        (b"GET /lab HTTP/1.0\r\n\r\n", {403}),
        (b"GET /lab HTTP/1.1\r\n\r\n", {400}),
        (b"GET /lab HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", {400}),
        (b"GET /lab HTTP/9.9\r\nHost: localhost\r\n\r\n", {200, 400, 505}),
        (b"GET http://evil.example/lab HTTP/1.1\r\nHost: localhost\r\n\r\n", {404}),
        (b"GET /lab\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
        (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", {404, 405}),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", {404, 405}),
        (HEADER + b"X: " + b"a" * 40_000 + b"\r\n\r\n", {400, 431}),
        (HEADER + b"X: " + b"a" * 200_000 + b"\r\n\r\n", {400, 431}),
        (HEADER + b"X: a\r\n" * 300 + b"\r\n", {431}),
        (HEADER + b"X: a\r\n" * 20_000 + b"\r\n", {400, 431}),
        (HEADER + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", {200}),
        (HEADER + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n", {200}),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 403}),
    ],
)  # fmt: skip
def test_requests_in_any_form_are_answered_or_refused(served, connect, request_, statuses) -> None:
    connection = connect(served)
    with contextlib.suppress(OSError):  # it is refused before all is sent
        connection.sendall(request_)
    answer = connection.recv(65536)
    assert int(answer.split()[1]) in statuses


def test_no_request_hides_in_another(served, connect) -> None:
    """What one server reads as a body, and another as the next request, is refused."""
    start = b"POST /api/rate/studies?run=first HTTP/1.1\r\nHost: localhost\r\n"
    hidden = b"GET /samples HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for headers, body in (
        (b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n" % (5 + len(hidden)), b"0\r\n\r\n"),
        (b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
        (b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n"),
        (b"Content-Length: 3\r\nContent-Length: 4\r\n", b"{}  "),
        (b"Content-Length: +2\r\n", b"{}"),
        (b"Content-Length: 2 2\r\n", b"{}"),
        (b"Content-Length: " + b"9" * 5000 + b"\r\n", b"{}"),
    ):
        answer = received(connect(served, start + headers + b"\r\n" + body + hidden))
        assert 400 <= int(answer.split()[1]) < 502, headers
        assert answer.count(b"HTTP/1.1 ") == 1, headers


def test_requests_may_come_all_at_once(served, connect) -> None:
    last = HEADER + b"Connection: close\r\n\r\n"
    assert received(connect(served, (HEADER + b"\r\n") * 20 + last)).count(b"HTTP/1.1 200") == 21


def test_a_proxy_says_whom_a_request_is_from_and_nobody_else_does(runs, tmp_path) -> None:
    async def tell(request: Request) -> JSONResponse:
        return JSONResponse([request.client.host, request.url.scheme])

    forwarded = {"X-Forwarded-For": "198.51.100.9, 203.0.113.5", "X-Forwarded-Proto": "https"}
    for proxies, source, expected in (
        (("127.0.0.1",), "127.0.0.1", ["203.0.113.5", "https"]),
        (("127.0.0.1",), OTHER, [OTHER, "http"]),
        (("127.0.0.0/8", "203.0.113.0/24"), OTHER, ["198.51.100.9", "https"]),
        ((), "127.0.0.1", ["127.0.0.1", "http"]),
    ):
        with serving(runs, tmp_path, Limits(proxies=proxies)) as served:
            served.app.router.routes.append(Route("/tell", tell))
            assert json.loads(ask(served, "/tell", headers=forwarded, source=source)[2]) == expected


def test_a_studio_allows_a_hundred_connections_of_one_address_and_ten_seconds_for_a_header() -> None:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, files[1]), files[1]))
        limits = Limits.of_system()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, files)
    assert (limits.from_one, limits.in_all) == (100, 1000)
    assert (limits.header_s, limits.body_s, limits.reading_s) == (10, 60, 60)


def test_there_are_no_more_connections_than_files_allow() -> None:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, files[1]))
        assert (Limits.of_system().in_all, Limits.of_system().from_one) == (128, 64)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, files)
