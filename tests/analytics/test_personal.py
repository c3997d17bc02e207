import polars as pl
import pytest

from efficient_empathy.analytics.personal import KINDS, personal

PERSONAL = {
    "email": ["write to ann.lee+news@mail.example.org please", "a@b.co", "(bo_1@uni-x.example.de)"],
    "phone": [
        "call me at 555-867-5309", "my number is +49 30 1234567", "(020) 7946 0958 is the office", "ring 07700900123",
        "it is +14155550123", "555 0199 22 then",
    ],
    "card": ["my card 4111 1111 1111 1111 was charged", "5500005555555559"],
    "ip_address": ["it came from 192.168.10.4 again", "10.0.0.1"],
}  # fmt: skip
CLEAN = [
    "I waited from 2010-2015 for this",
    "on 2019-10-12 we met",
    "12/11/2020 was the day",
    "it cost $1,250.00",
    "9/10 times",
    "I ran 10 000 m in 45.30",
    "at 10:30 or 11:45",
    "3.5 out of 5",
    "page 100-200",
    "meet @ the bar",
    "me@home",
    "99.9 % sure",
    "1234 5678 9012 3456 is no card",
    "version 1.2.3",
    "999.1.1.1 is no address",
    "4 5 6 7 8 pills",
    "in 1999 2000 and 2001",
    "",
    "room 12-34",
]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_personal_is_found_and_what_is_not_is_not(kind) -> None:
    found = personal(pl.Series([*PERSONAL[kind], *CLEAN]))[kind].tolist()
    assert found[: len(PERSONAL[kind])] == [True] * len(PERSONAL[kind])
    assert [text for text, hit in zip(CLEAN, found[len(PERSONAL[kind]) :], strict=True) if hit] == []


def test_a_card_number_is_no_telephone_number() -> None:
    found = personal(pl.Series(["4111 1111 1111 1111", "192.168.10.4"]))
    assert not found["phone"].any()
