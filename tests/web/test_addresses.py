import socket

import pytest
from starlette.datastructures import Headers

from efficient_empathy.web.addresses import Addresses, is_loopback, is_own_page


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.4", False), ("example.org", False), ("localhost.example.org", False), ("", False)],
)  # fmt: skip
def test_loopback(host, expected) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("host", ["127.0.0.1:8321", "localhost", "LOCALHOST:9", "[::1]:8321", "[::1]", "127.0.0.2:1"])
def test_loopback_is_called_by_its_names_at_any_port(host) -> None:
    assert Addresses("127.0.0.1").include(host)


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:8321", "localhost.evil.example", "127.0.0.1.evil.example:8321", "192.168.1.4",
     "0.0.0.0:8321", "127.0.0.1:8321:8321", "127.0.0.1@evil.example", socket.gethostname().lower() + ".evil.example"],
)  # fmt: skip
def test_no_name_that_others_can_point_here_is_loopbacks(host) -> None:
    assert not Addresses("127.0.0.1").include(host)


def test_elsewhere_the_machines_names_and_bare_addresses_are_ours_too() -> None:
    addresses = Addresses("studio.example.org")
    machine = socket.gethostname()
    for host in ("studio.example.org:8321", "192.168.1.4:8321", "[fe80::1]:1", machine, f"{machine}.example", "[::1]"):
        assert addresses.include(host), host
    for host in ("evil.example", "example.org", "a.studio.example.org", f"{machine}./rate/", f"{machine}.x?/rate"):
        assert not addresses.include(host), host


@pytest.mark.parametrize(
    ("headers", "method", "own"),
    [
        ({}, "POST", True),
        ({"origin": "http://localhost:1"}, "POST", True),
        ({"origin": "http://LOCALHOST:1", "sec-fetch-site": "same-origin"}, "GET", True),
        ({"origin": "http://localhost:2"}, "POST", False),
        ({"origin": "http://evil.example"}, "GET", False),
        ({"origin": "null"}, "POST", False),
        ({"origin": "http://["}, "POST", False),
        ({"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, "GET", True),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, "GET", True),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, "POST", False),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, "GET", False),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, "GET", False),
    ],
)
def test_other_pages_may_link_here_and_do_nothing_else(headers, method, own) -> None:
    assert is_own_page(Headers({"host": "localhost:1", **headers}), method) is own
