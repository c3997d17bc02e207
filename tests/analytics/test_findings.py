import subprocess
import sys

import polars as pl
import pytest

from analytics_runs import sample, scored
from efficient_empathy.analytics.findings import (
    IDS,
    check_regions,
    findings,
    libraries,
    personal,
)
from efficient_empathy.analytics.settings import AnalyticsSettings
from efficient_empathy.analytics.table import read_exchanges, read_table
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable

LONG = "my sister left for another town and I have not heard from her since the spring"


@pytest.fixture
def planted(tmp_path):
    lost = ["dog", "ring", "bag", "hat", "map", "coat", "book"]
    samples = [
        sample(f"Losing a {thing} must be hard.", f"My {thing} was gone at the lake.", dialogue=thing) for thing in lost
    ]
    samples += [
        sample("", dialogue="empty"), sample("…", dialogue="dots"), sample("ok", dialogue="one"),
        sample("word " * 130, dialogue="long"), sample("short", "far " * 420, dialogue="context"),
        sample("I see.", ["hello there", "what is it"], dialogue="listener"),
        sample("Das tut mir sehr leid für dich.", dialogue="german"),
        sample("Write to ann@mail.example.org.", "My number is 212-555-0123.", dialogue="person"),
        *(sample("I know how you feel!", f"case {i}", dialogue=f"r{i}") for i in range(6)),
        sample("Tell me where she went.", LONG, dialogue="first"),
        sample("Tell me where she went now!", LONG, dialogue="second"),
        sample("Tell me where she went now!", LONG, dialogue="third"),
    ]  # fmt: skip
    run = scored(tmp_path, samples)
    result = findings(read_table(run), read_exchanges(RunTable(run)), AnalyticsSettings())
    by_id = {}
    for one in samples:
        by_id.setdefault(one.id, one.dialogue_id)
    return {one.kind: (one, [by_id[i] for i in one.ids]) for one in result}, len(samples)


@pytest.mark.parametrize(
    ("kind", "dialogues"),
    [
        ("empty_response", ["empty", "dots"]),
        ("long_response", ["long"]),
        ("long_context", ["context"]),
        ("listener_last", ["listener"]),
        ("wrong_language", ["german"]),
        ("email", ["person"]),
        ("phone", ["person"]),
        ("card", []),
        ("ip_address", []),
        ("empty_context", []),
        ("one_word_response", ["one", "context"]),
        ("repeated_response", [f"r{i}" for i in range(1, 6)]),
    ],
)
def test_what_was_planted_is_found_and_nothing_else(planted, kind, dialogues) -> None:
    result, samples = planted
    finding, of_dialogues = result[kind]
    assert of_dialogues == dialogues
    assert finding.count == len(dialogues)
    assert finding.share == pytest.approx(len(dialogues) / samples, rel=1e-5)


def test_duplicates(planted) -> None:
    result, _ = planted
    same, dialogues = result["same_sample"]
    assert (same.count, dialogues) == (1, ["second"])
    near, _ = result["near_duplicate"]
    assert (near.count, near.groups, near.across_dialogues) == (2, 1, 1)
    assert near.largest[0].samples == 3
    assert 0.8 <= near.largest[0].least_similarity < 1


def test_what_is_repeated_is_shown(planted) -> None:
    result, _ = planted
    (one,) = result["repeated_response"][0].largest
    assert (one.text, one.samples, len(one.ids)) == ("I know how you feel!", 6, 6)
    strange, _ = result["wrong_language"]
    assert strange.usual == "en"
    assert strange.others == {"de": 1}
    assert 14 <= strange.responses_with_language < 26


def test_without_the_extras_nothing_fails_and_counts_are_none_not_0(tmp_path, monkeypatch) -> None:
    run = scored(tmp_path, [sample("Das tut mir sehr leid für dich.", "My number is 212-555-0123.")])
    monkeypatch.setitem(sys.modules, "py3langid", None)
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    result = {one.kind: one for one in findings(read_table(run), read_exchanges(RunTable(run)), AnalyticsSettings())}
    for kind in ("wrong_language", "phone"):
        assert (result[kind].count, result[kind].share, result[kind].ids) == (None, None, [])
    assert result["email"].count == 0
    assert libraries() == {"py3langid": None, "phonenumbers": None}


def test_only_so_many_ids_are_listed(tmp_path) -> None:
    run = scored(tmp_path, [sample("ok", f"this is case {i}", dialogue=f"d{i}") for i in range(80)])
    result = findings(read_table(run), read_exchanges(RunTable(run)), AnalyticsSettings(longest=3, longest_context=1))
    counts = {one.kind: (one.count, len(one.ids)) for one in result}
    assert counts["one_word_response"] == (80, IDS)
    assert counts["long_context"] == (80, IDS)
    assert counts["near_duplicate"] == (0, 0)


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
    result = personal(pl.Series([*PERSONAL[kind], *CLEAN]), REGIONS)[kind].tolist()
    assert [text for text, hit in zip(PERSONAL[kind], result, strict=False) if not hit] == []
    assert [text for text, hit in zip(CLEAN, result[len(PERSONAL[kind]) :], strict=True) if hit] == []


def test_a_card_number_is_no_telephone_number() -> None:
    result = personal(pl.Series([*PERSONAL["card"], *PERSONAL["ip_address"]]), REGIONS)
    assert not result["phone"].any()


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
    result = personal(pl.Series(["212-555-0123", "a@b.co"]), REGIONS)
    assert result["phone"] is None
    assert result["email"].tolist() == [False, True]


def test_the_library_is_not_loaded_where_no_text_has_so_many_digits() -> None:
    code = (
        "import sys, polars as pl; from efficient_empathy.analytics.findings import personal; "
        "personal(pl.Series(['hello', 'I am 42']), ('US',)); print('phonenumbers' in sys.modules); "
        "personal(pl.Series(['212-555-0123']), ('US',)); print('phonenumbers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
