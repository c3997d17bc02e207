from __future__ import annotations

import polars as pl
import pytest

from efficient_empathy.selection.policies import load_policy, make_selector, policy_of_definition


@pytest.fixture
def reason(table, empathy):
    """The subset and the reason of one row under rules."""

    def give(policy, sensibility, rationality, **facts):
        values = {"sensibility": float(sensibility), "rationality": float(rationality), **facts}
        row = table(empathy, 1).with_columns(pl.lit(value).alias(name) for name, value in values.items())
        return make_selector(policy, empathy).assign(row).select("subset", "reason").row(0)

    return give


@pytest.mark.parametrize(
    ("name", "scores", "subset", "words"),
    [
        ("paper", (8, 7), "rationality", "rationality 7 > 5"),
        ("paper", (6, 3), "sensibility", "sensibility 6 > 5 and rationality 3 < 5"),
        ("paper", (3, 5), "discard", "sensibility 3 < 5, rationality 5 = 5"),
        ("exclusive", (2, 8), "rationality", "rationality 8 > 5 and sensibility 2 < 5"),
        ("exclusive", (8, 7), "discard", "sensibility 8 > 5, rationality 7 > 5"),
        ("both", (8, 7), "both", "sensibility 8 > 5 and rationality 7 > 5"),
        ("both", (8, 2), "sensibility", "sensibility 8 > 5"),
        ("paper", (1, 6.6666667), "rationality", "rationality 6.67 > 5"),
        ("paper", (1, 5.001), "rationality", "rationality 5.001 > 5"),
    ],
)
def test_the_bundled_policies(reason, name, scores, subset, words) -> None:
    assert reason(load_policy(name), *scores) == (subset, words)


def rules(*lines, **thresholds):
    return policy_of_definition({"name": "mine", "thresholds": thresholds, "rules": [dict([line]) for line in lines]})


def test_rounding_never_turns_a_reason_around(reason) -> None:
    mine = rules(("high", "sensibility > least"), least=5.123)
    assert reason(mine, 5.1234, 0)[1] == "sensibility 5.1234 > 5.123"
    assert reason(mine, 5.123, 0)[1] == "sensibility 5.123 = 5.123"
    assert reason(rules(("high", "sensibility > rationality")), 5.001, 5)[1] == "sensibility 5.001 > rationality 5"


def test_facts(reason) -> None:
    mine = rules(("short", "response_words < 3"), ("kind", "category in [sad, lonely] and language == en"))
    assert reason(mine, 1, 1, response_words=2, category="sad", language="en") == ("short", "response_words 2 < 3")
    assert reason(mine, 1, 1, response_words=4, category="sad", language="en") == (
        "kind",
        "category sad in sad, lonely and language en",
    )
    assert reason(mine, 1, 1, response_words=3, category="angry", language=None) == (
        "discard",
        "response_words 3 = 3, category angry not in sad, lonely, no language",
    )


def test_of_an_alternative_what_holds_and_of_a_negation_how_it_stands(reason) -> None:
    mine = rules(("one", "sensibility > 5 or rationality > 5"), ("none", "not (sensibility >= 3 or category == sad)"))
    assert reason(mine, 8, 2, category=None) == ("one", "sensibility 8 > 5")
    assert reason(mine, 8, 7, category=None) == ("one", "sensibility 8 > 5 and rationality 7 > 5")
    assert reason(mine, 2, 2, category="joy") == ("none", "sensibility 2 < 3 and category joy ≠ sad")
    assert reason(mine, 2, 2, category=None) == ("none", "sensibility 2 < 3 and no category")


def test_braces_in_a_category_are_text(reason) -> None:
    mine = rules(("odd", "category == '{}'"), ("other", "category != '{0}'"))
    assert reason(mine, 1, 1, category="{}") == ("odd", "category {}")
    assert reason(mine, 1, 1, category="{x}") == ("other", "category {x} ≠ {0}")


def test_probabilities(table, empathy) -> None:
    frame = table(empathy, 50, distributions=True)
    selector = make_selector(load_policy("paper"), empathy)
    shared, judged = selector.assign(frame), selector.assign(frame.with_columns(answered_by=pl.lit("a judge")))
    odds = r"^P\(sensibility\) \d\.\d\d, P\(rationality\) \d\.\d\d, P\(discard\) \d\.\d\d; "
    assert shared["reason"].str.contains(odds + "shares matched$").all()
    assert judged["reason"].str.contains(odds + "the most probable$").all()
