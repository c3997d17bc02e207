import numpy as np
import polars as pl
import pytest

from efficient_empathy.analytics.profiles import by_group, over_order
from efficient_empathy.analytics.table import read_table


def test_the_category_with_a_planted_effect_is_the_one_that_differs(make_run) -> None:
    table = read_table(make_run())
    found = {one["name"]: one for one in by_group(table, table.labels("category"))["groups"]}
    assert set(found) == {"sad", "joyful", "angry", "proud"}
    angry = found["angry"]["axes"]["sensibility"]
    assert angry["from_others"]["value"] == pytest.approx(-5, abs=0.4)
    assert angry["from_others"]["p_holm"] < 1e-6
    assert all(found[name]["axes"]["sensibility"]["from_others"]["value"] > 0 for name in ("sad", "joyful", "proud"))
    assert all(found[name]["axes"]["rationality"]["from_others"]["p_holm"] > 0.05 for name in found)


def test_figures_are_those_of_the_frame(make_run) -> None:
    run = make_run(dialogues=40)
    table = read_table(run)
    found = {one["name"]: one for one in by_group(table, table.labels("category"))["groups"]}
    frame = pl.read_parquet(run.assignments)
    for name, one in found.items():
        part = frame.filter(category=name)
        axis = one["axes"]["rationality"]
        assert one["samples"] == one["scored"] == len(part)
        assert one["dialogues"] == part["dialogue_id"].n_unique()
        assert axis["value"] == pytest.approx(part["rationality"].mean())
        assert axis["median"] == part["rationality"].median()
        assert axis["low"] < axis["value"] < axis["high"]
        assert sum(axis["histogram"]) == len(part)
        assert axis["histogram"][3] == len(part.filter(rationality=3))
        for subset, share in one["subsets"].items():
            assert share["count"] == len(part.filter(subset=subset))
            assert 0 <= share["low"] <= share["share"] <= share["high"] <= 1


def test_stretches_of_the_file_show_where_scores_rise(make_run) -> None:
    table = read_table(make_run(dialogues=200, sensibility=lambda i, _: 3 + i // 50))
    found = over_order(table)
    assert len(found) == 20
    assert (found[0]["first"], found[-1]["last"]) == (0, 399)
    assert sum(one["samples"] for one in found) == 400
    means = [one["axes"]["sensibility"]["value"] for one in found]
    assert means[0] == pytest.approx(3, abs=0.7)
    assert means[-1] == pytest.approx(6, abs=0.7)
    backwards = over_order(table, np.arange(len(table))[::-1].copy())
    assert [one["axes"]["sensibility"]["value"] for one in backwards] == pytest.approx(means[::-1])


def test_fewer_samples_than_stretches(make_run) -> None:
    assert len(over_order(read_table(make_run(dialogues=3)))) == 6
