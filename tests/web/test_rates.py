"""How fast one client may ask and how long one waits for wrong secrets, by a clock that the tests hold."""

import pytest

from efficient_empathy.web import rates
from efficient_empathy.web.rates import Lockouts, Rates, is_among, sources_of


@pytest.fixture
def now(monkeypatch):
    moment = [0.0]
    monkeypatch.setattr(rates.time, "monotonic", lambda: moment[0])
    return moment


def test_a_burst_is_let_through_and_then_so_many_a_second(now) -> None:
    limit = Rates(per_second=2, burst=5)
    assert [limit.wait("a") for _ in range(6)] == [0, 0, 0, 0, 0, 0.5]
    assert limit.wait("b") == 0
    now[0] = 0.5
    assert limit.wait("a") == 0
    assert limit.wait("a") > 0
    now[0] = 1000
    assert [limit.wait("a") for _ in range(6)] == [0, 0, 0, 0, 0, 0.5]


def test_a_client_may_ask_three_hundred_times_at_once_and_a_hundred_times_a_second_later(now) -> None:
    limit = Rates()
    assert [limit.wait("a") for _ in range(300)] == [0] * 300
    assert limit.wait("a") == 0.01
    now[0] = 1
    assert [limit.wait("a") for _ in range(100)] == [0] * 100
    assert limit.wait("a") > 0


def test_among_too_many_clients_those_who_ask_most_are_remembered(monkeypatch, now) -> None:
    monkeypatch.setattr(rates, "CLIENTS", 100)
    limit = Rates(per_second=0.001, burst=3)
    assert [limit.wait("busy") for _ in range(3)] == [0, 0, 0]
    assert {limit.wait(f"new {n}") for n in range(1000)} == {0}
    assert limit.wait("busy") > 0


@pytest.mark.parametrize(
    ("address", "sources"),
    [
        ("192.0.2.7", ("192.0.2.7",)),
        ("::ffff:192.0.2.7", ("192.0.2.7",)),
        ("2001:db8:1:2:3:4:5:6", ("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("::1", ("::/64", "::/48")),
        ("unknown", ("unknown",)),
        ("x" * 5000, ("x" * 64,)),
        ("", ("",)),
    ],
)
def test_where_a_client_is(address, sources) -> None:
    assert sources_of(address) == sources


def test_an_address_is_among_networks() -> None:
    assert is_among("10.1.2.3", ["127.0.0.1", "10.0.0.0/8"])
    assert is_among("::1", ["::1"])
    assert not is_among("11.1.2.3", ["127.0.0.1", "10.0.0.0/8"])
    assert not is_among("", ["10.0.0.0/8"])
    assert not is_among("10.1.2.3", [])


def test_who_gets_secrets_wrong_waits_longer_each_time_but_not_for_ever(now) -> None:
    lockouts, waits = Lockouts(), []
    for _ in range(24):
        lockouts.count("192.0.2.7")
        waits.append(lockouts.wait("192.0.2.7"))
        now[0] += waits[-1]
        assert lockouts.wait("192.0.2.7") == 0
    assert waits[:10] == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32]
    assert waits[-1] == 900
    assert lockouts.wait("192.0.2.8") == 0
    now[0] += 3600
    lockouts.count("192.0.2.7")
    assert lockouts.wait("192.0.2.7") == 0


def test_another_address_of_the_same_network_is_no_way_out(now) -> None:
    lockouts = Lockouts()
    for n in range(5):
        lockouts.count(f"2001:db8:1:2::{n}")
    assert lockouts.wait("2001:db8:1:2:ffff::1") == 1
    assert lockouts.wait("2001:db8:1:3::1") == 0
    for n in range(45):
        lockouts.count(f"2001:db8:1:{n + 3:x}::1")
    assert lockouts.wait("2001:db8:1:ffff::1") == 1, "nor one network after the other"
    assert lockouts.wait("2001:db8:2:3::1") == 0


def test_whoever_comes_from_everywhere_does_not_make_it_forget_who_was_here(now) -> None:
    lockouts = Lockouts()
    for _ in range(8):
        lockouts.count("192.0.2.7")
        lockouts.count("2001:db8:1:2::1")
    for n in range(20_000):
        lockouts.count(f"2001:db8:{n >> 8:x}:{n & 255:x}::1")
        lockouts.count(f"10.{n >> 8}.{n & 255}.1")
    assert lockouts.wait("192.0.2.7") == 8
    assert lockouts.wait("2001:db8:1:2::1") >= 8
    assert lockouts.wait("198.51.100.1") == 0
    assert len(lockouts._failures) <= rates.CLIENTS
