"""The 500 candidates of `benchmarks.planted_faults`: each filter finds what is planted for it, and that alone."""

import importlib
from pathlib import Path

import pytest

from efficient_empathy.synthesis.filters import FilterSettings


@pytest.fixture
def benchmark(monkeypatch):
    pytest.importorskip("py3langid")
    monkeypatch.syspath_prepend(Path(__file__).parents[3])
    return importlib.import_module("benchmarks.synthesis_filters")


@pytest.mark.parametrize("half", ["tuning", "held out"])
def test_every_filter_finds_what_is_planted_for_it_and_only_that(half: str, benchmark) -> None:
    table = benchmark.measure(half)
    assert table.keys() == {*FilterSettings().filters, ""}
    assert sum(planted for _, planted, _ in table.values()) == 500
    hits, clean, _ = table.pop("")
    assert hits == clean, "a clean candidate went"
    for name, (hits, planted, caught) in table.items():
        assert hits >= 0.9 * planted, name
        assert hits >= 0.9 * caught, name


def test_the_same_seed_plants_the_same(benchmark) -> None:
    planted = importlib.import_module("benchmarks.planted_faults").planted
    first, again, other = planted("tuning", 3), planted("tuning", 3), planted("tuning", 4)
    assert first.candidates == again.candidates
    assert first.expected != other.expected
