"""One class writes `analytics.json` and reads it."""

from __future__ import annotations

import json
import math

import pytest

from efficient_empathy.analytics import AnalyticsSettings, measure
from efficient_empathy.analytics.record import AnalyticsRecord, Interval
from efficient_empathy.foundation.errors import UserError


def test_what_is_written_is_read_again(make_run, tmp_path) -> None:
    record = measure(make_run(dialogues=40), AnalyticsSettings(resamples=10))
    record.write(tmp_path / "a.json")
    assert AnalyticsRecord.read(tmp_path / "a.json") == record
    assert json.loads((tmp_path / "a.json").read_text())["version"] == AnalyticsRecord.VERSION


def test_a_file_of_another_version_says_what_makes_it_again(make_run, tmp_path) -> None:
    path = tmp_path / "a.json"
    measure(make_run(dialogues=20), AnalyticsSettings(resamples=10)).write(path)
    path.write_text(path.read_text().replace(f'"version": {AnalyticsRecord.VERSION}', '"version": 1'))
    with pytest.raises(UserError, match=r"has version 1 .*: run `efficient-empathy analytics`"):
        AnalyticsRecord.read(path)


def test_figures_have_six_digits_and_none_for_what_is_no_number() -> None:
    interval = Interval(value=1 / 3, low=math.nan, high=math.inf)
    assert (interval.value, interval.low, interval.high) == (0.333333, None, None)
