"""How fast one client may ask, by a clock that the tests hold: so no studio runs beside them."""

from efficient_empathy.studio.server import security
from efficient_empathy.studio.server.security import Rates


def test_a_burst_is_let_through_and_then_so_many_a_second(monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr(security.time, "monotonic", lambda: now[0])
    limit = Rates(per_second=2, burst=5)
    assert [limit.wait("a") for _ in range(6)] == [0, 0, 0, 0, 0, 0.5]
    assert limit.wait("b") == 0
    now[0] = 0.5
    assert limit.wait("a") == 0
    assert limit.wait("a") > 0
    now[0] = 1000
    assert [limit.wait("a") for _ in range(6)] == [0, 0, 0, 0, 0, 0.5]


def test_what_is_charged_has_to_be_waited_off_but_not_for_ever(monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr(security.time, "monotonic", lambda: now[0])
    limit = Rates(per_second=1, burst=10)
    limit.charge("a", 1000)
    assert limit.wait("a") == 11
    now[0] = 11
    assert limit.wait("a") == 0


def test_only_so_many_clients_are_remembered(monkeypatch) -> None:
    monkeypatch.setattr(security, "CLIENTS", 3)
    limit = Rates(per_second=0.001, burst=1)
    assert [limit.wait(client) for client in "abcd"] == [0, 0, 0, 0]
    assert limit.wait("d") > 0
    assert limit.wait("a") == 0
