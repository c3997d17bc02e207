import math

import numpy as np
import pytest

from efficient_empathy.analytics.filtering import entropy, filtering
from efficient_empathy.analytics.table import Labels, read_table


def test_a_category_that_is_dropped_more_is_named(make_run) -> None:
    """Angry dialogues have a sensibility of 2 and are kept by rationality alone."""
    table = read_table(make_run())
    found = filtering(table, {"category": table.labels("category")})
    balance = found["balance"]["category"]
    assert balance["most_under"] == ["angry"]
    angry = next(row for row in balance["retention"] if row["name"] == "angry")
    assert angry["verdict"] == "under"
    assert angry["p_holm"] < 0.001
    assert angry["kept"] / angry["samples"] == pytest.approx(angry["share"])
    assert balance["entropy_before"] == pytest.approx(2)
    assert balance["entropy_after"] < 1.98
    assert balance["effective_after"] == pytest.approx(2 ** balance["entropy_after"])
    kept = found["kept"] / found["samples"]
    assert found["kept_share"] == pytest.approx(kept)
    assert found["kept"] == sum(one["samples"] for one in found["subsets"] if one["kept"])


def test_longer_responses_are_kept_since_rationality_goes_with_length(make_run) -> None:
    table = read_table(make_run())
    found = {one["feature"]: one for one in filtering(table, {})["features"]}
    assert found["response_words"]["kept"] > found["response_words"]["dropped"] + 1
    assert found["response_words"]["p_holm"] < 0.01
    assert found["turn"]["p_holm"] > 0.05
    assert found["exclamations"]["effect"] is None


def test_a_category_of_few_dialogues_is_shown_and_not_tested(make_run) -> None:
    table = read_table(make_run(dialogues=40, categories=["common"] * 19 + ["rare"]))
    rows = filtering(table, {"category": table.labels("category")})["balance"]["category"]["retention"]
    assert [(row["name"], row["verdict"]) for row in rows] == [("common", "untested"), ("rare", "untested")]


def test_without_a_selection_there_is_nothing_to_say(make_run) -> None:
    assert filtering(read_table(make_run(dialogues=10, policy=False)), {}) is None


def test_data_without_categories_has_no_balance_of_them(make_run) -> None:
    table = read_table(make_run(dialogues=40, categories=[None]))
    topics = Labels(["a", "b"], np.arange(80) % 2)
    found = filtering(table, {"category": table.labels("category"), "topic": topics})
    assert list(found["balance"]) == ["topic"]


def test_entropy() -> None:
    assert entropy(np.array([5, 5, 5, 5])) == pytest.approx(2)
    assert entropy(np.array([9, 0])) == 0
    assert entropy(np.zeros(3, int)) == 0
    assert entropy(np.array([1, 3])) == pytest.approx(-(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75)))
