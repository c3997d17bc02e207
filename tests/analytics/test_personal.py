import subprocess
import sys

import polars as pl
import pytest

from efficient_empathy.analytics.personal import check_regions, personal
from efficient_empathy.foundation.errors import UserError

REGIONS = ("US", "GB")
PERSONAL = {
    "email": ["write to ann.lee+news@mail.example.org please", "a@b.co", "(bo_1@uni-x.example.de)"],
    "phone": [
        "call me at 212-555-0123", "my number is +49 30 1234567", "(020) 7946 0958 is the office", "ring 02079460958",
        "it is +14155550123", "(650) 555 0142 then", "0044 20 7946 0958", "tel. +33 1 99 00 12 34",
        "+１ ４１５ ５５５ ０１２３",
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
    "ISBN 978-3-16-148410-0",
    "order 1234567890",
    "call 867-5309",
]


@pytest.mark.parametrize("kind", PERSONAL)
def test_what_is_personal_is_found_and_what_is_not_is_not(kind) -> None:
    found = personal(pl.Series([*PERSONAL[kind], *CLEAN]), REGIONS)[kind].tolist()
    assert [text for text, hit in zip(PERSONAL[kind], found, strict=False) if not hit] == []
    assert [text for text, hit in zip(CLEAN, found[len(PERSONAL[kind]) :], strict=True) if hit] == []


def test_a_card_number_is_no_telephone_number() -> None:
    found = personal(pl.Series([*PERSONAL["card"], *PERSONAL["ip_address"]]), REGIONS)
    assert not found["phone"].any()


def test_a_national_number_is_one_only_within_its_regions() -> None:
    texts = pl.Series(["ruf an: 030 1234567", "212-555-0123", "+49 30 1234567"])
    assert personal(texts, ("DE",))["phone"].tolist() == [True, False, True]
    assert personal(texts, REGIONS)["phone"].tolist() == [False, True, True]
    assert personal(texts, ())["phone"].tolist() == [False, False, True]


def test_a_region_that_is_none_is_named() -> None:
    check_regions(("US", "DE"))
    check_regions(())
    with pytest.raises(UserError, match="'de' is no region: give two-letter codes"):
        check_regions(("US", "de"))


def test_without_the_extra_numbers_are_unknown_and_all_else_is_found(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    found = personal(pl.Series(["212-555-0123", "a@b.co"]), REGIONS)
    assert found["phone"] is None
    assert found["email"].tolist() == [False, True]


def test_the_library_is_not_loaded_where_no_text_has_so_many_digits() -> None:
    code = (
        "import sys, polars as pl; from efficient_empathy.analytics.personal import personal; "
        "personal(pl.Series(['hello', 'I am 42']), ('US',)); print('phonenumbers' in sys.modules); "
        "personal(pl.Series(['212-555-0123']), ('US',)); print('phonenumbers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
