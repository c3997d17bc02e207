import sys

import pytest

from analytics_runs import sample, scored
from efficient_empathy.analytics.findings import IDS, findings, libraries
from efficient_empathy.analytics.settings import AnalyticsSettings
from efficient_empathy.analytics.table import read_table
from efficient_empathy.analytics.texts import read_exchanges
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
    found = findings(read_table(run), read_exchanges(RunTable(run)), AnalyticsSettings())
    by_id = {}
    for one in samples:
        by_id.setdefault(one.id, one.dialogue_id)
    return {one["kind"]: {**one, "dialogues": [by_id[i] for i in one["ids"]]} for one in found}, len(samples)


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
    found, samples = planted
    assert found[kind]["dialogues"] == dialogues
    assert found[kind]["count"] == len(dialogues)
    assert found[kind]["share"] == len(dialogues) / samples


def test_duplicates(planted) -> None:
    found, _ = planted
    assert (found["same_sample"]["count"], found["same_sample"]["dialogues"]) == (1, ["second"])
    near = found["near_duplicate"]
    assert (near["count"], near["groups"], near["across_dialogues"]) == (2, 1, 1)
    assert near["largest"][0]["samples"] == 3
    assert 0.8 <= near["largest"][0]["least_similarity"] < 1


def test_what_is_repeated_is_shown(planted) -> None:
    found, _ = planted
    (one,) = found["repeated_response"]["largest"]
    assert (one["text"], one["samples"], len(one["ids"])) == ("I know how you feel!", 6, 6)
    assert found["wrong_language"]["usual"] == "en"
    assert found["wrong_language"]["others"] == {"de": 1}
    assert 14 <= found["wrong_language"]["responses_with_language"] < 26


def test_without_the_extras_nothing_fails_and_counts_are_none_not_0(tmp_path, monkeypatch) -> None:
    run = scored(tmp_path, [sample("Das tut mir sehr leid für dich.", "My number is 212-555-0123.")])
    monkeypatch.setitem(sys.modules, "py3langid", None)
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    found = {one["kind"]: one for one in findings(read_table(run), read_exchanges(RunTable(run)), AnalyticsSettings())}
    for kind in ("wrong_language", "phone"):
        assert (found[kind]["count"], found[kind]["share"], found[kind]["ids"]) == (None, None, [])
    assert found["email"]["count"] == 0
    assert libraries() == {"py3langid": None, "phonenumbers": None}


def test_only_so_many_ids_are_listed(tmp_path) -> None:
    run = scored(tmp_path, [sample("ok", f"this is case {i}", dialogue=f"d{i}") for i in range(80)])
    found = findings(read_table(run), read_exchanges(RunTable(run)), AnalyticsSettings(longest=3, longest_context=1))
    counts = {one["kind"]: (one["count"], len(one["ids"])) for one in found}
    assert counts["one_word_response"] == (80, IDS)
    assert counts["long_context"] == (80, IDS)
    assert counts["near_duplicate"] == (0, 0)
