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


def test_the_benchmark_prints_what_is_found_and_how_long_it_takes(benchmark, capsys) -> None:
    bundled = importlib.import_module("benchmarks.planted_faults").bundled
    benchmark.print_copies(bundled("valid"), bundled("test")[:16], None)
    benchmark.print_pace(20)
    out = capsys.readouterr().out
    assert "16 protected, false alarms 0.0000 of 106 others" in out
    assert "| both | held out | 1.000 |" in out
    assert "s of CPU for 20" in out
