import json
import sys
from typing import Any

import polars as pl
import pytest

from efficient_empathy.analytics import AnalyticsSettings, analytics
from efficient_empathy.analytics import measure as measured
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring import Judgement, Ledger
from efficient_empathy.selection import select
from judge_specs import spec_of

KEYS = [
    "version", "run", "categories", "topics", "order", "judging_order", "filtering", "correlations", "drift", "cost",
    "findings", "notes", "settings",
]  # fmt: skip
QUICK = AnalyticsSettings(resamples=20)


def measure(run: Workspace, settings: AnalyticsSettings) -> dict[str, Any]:
    return measured(run, settings).model_dump(mode="json")


def test_the_file_has_what_is_returned_and_the_manifest_says_so(make_run) -> None:
    run = make_run()
    result = analytics(run, QUICK)
    path = run.root / "analytics" / "analytics.json"
    written = json.loads(path.read_text())
    assert list(written) == KEYS
    places = {"path": str(path), "seconds": result.seconds, "skipped": False}
    assert result.model_dump(mode="json") == {**written, **places}
    assert written["run"]["samples"] == 480
    assert written["run"]["axes"] == {"sensibility": [0, 10], "rationality": [0, 10]}
    assert written["notes"] == []
    record = run.manifest().entry("analytics")
    assert record["samples"] == 480
    assert record["parameters"]["resamples"] == 20
    assert set(record["inputs"]) >= {"samples.parquet", "scores.parquet", "selection/assignments.parquet"}


def test_nothing_is_done_again_unless_something_changed(make_run) -> None:
    run = make_run(dialogues=60)
    first = analytics(run, QUICK)
    again = analytics(run, QUICK)
    assert again == first.model_copy(update={"skipped": True})
    path = run.analytics / "analytics.json"
    path.write_text(path.read_text().replace('"samples"', '"rows"'))
    again = analytics(run, QUICK)
    assert (again.skipped, again.run) == (False, first.run)
    assert not analytics(run, QUICK, force=True).skipped
    assert not analytics(run, AnalyticsSettings(resamples=21)).skipped
    select(run, alpha=8)
    assert not analytics(run, AnalyticsSettings(resamples=21)).skipped
    (run.ratings / "main").mkdir(parents=True)
    schema = {"task": pl.String, "repeat": pl.Boolean, "models": pl.List(pl.String), "question": pl.String,
              "sample_id": pl.String, "value": pl.Float64}  # fmt: skip
    pl.DataFrame(schema=schema).write_parquet(run.ratings / "main" / "ratings.parquet")
    assert not analytics(run, AnalyticsSettings(resamples=21)).skipped


def test_an_extra_that_is_missing_is_named_and_its_installation_measures_again(make_run, monkeypatch) -> None:
    run = make_run(dialogues=60)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "py3langid", None)
        without.setitem(sys.modules, "phonenumbers", None)
        bare = analytics(run, QUICK)
        assert analytics(run, QUICK).skipped
    languages, numbers = bare.notes
    assert languages.startswith("languages are not told apart")
    assert 'pip install "efficient-empathy[language]"' in languages
    assert numbers.startswith("telephone numbers are not counted")
    assert 'pip install "efficient-empathy[personal]"' in numbers
    whole = analytics(run, QUICK)
    assert (whole.skipped, whole.notes) == (False, [])
    assert {one["kind"] for one in whole.findings if one.count is None} == set()


def test_regions_that_are_none_are_refused_before_anything_is_measured(make_run) -> None:
    run = make_run(dialogues=20)
    with pytest.raises(UserError, match="'XX' is no region"):
        analytics(run, AnalyticsSettings(regions=("XX",)))
    assert not run.analytics.exists()


def test_the_same_run_gives_the_same_bytes(make_run) -> None:
    run = make_run()
    path = run.root / "analytics" / "analytics.json"
    analytics(run, QUICK)
    first = path.read_bytes()
    analytics(run, QUICK, force=True)
    assert path.read_bytes() == first


def test_topics_stand_in_for_categories_that_are_not_there(make_run) -> None:
    result = measure(make_run(categories=[None]), AnalyticsSettings(topics=4, resamples=20))
    assert result["categories"]["groups"] == []
    assert result["categories"]["none"] == 480
    assert "no categories" in result["notes"][0]
    assert [one["dialogues"] for one in result["topics"]["groups"]] == [60, 60, 60, 60]
    angry = next(one for one in result["topics"]["groups"] if "landlord" in one["words"])
    assert angry["axes"]["sensibility"]["from_others"]["p_holm"] < 1e-6
    assert result["filtering"]["balance"]["topic"]["most_under"] == [angry["name"]]


def test_drift_against_another_run(make_run) -> None:
    april, may = make_run("april", dialogues=300), make_run("may", dialogues=300, sensibility=lambda *_: 4, seed=1)
    settings = AnalyticsSettings(against=april.root, resamples=20)
    result = analytics(may, settings)
    assert (result.drift.kind, result.drift.level) == ("runs", "alarm")
    assert analytics(may, settings).skipped
    select(april, alpha=8)
    assert not analytics(may, settings).skipped


def test_over_the_time_of_judging(make_run) -> None:
    """The judge becomes strict half way, in an order that is not the file's."""
    run = make_run(dialogues=600, sensibility=lambda i, _: 7 if i % 2 else 3)
    ids = pl.read_parquet(run.samples)["sample_id"].to_list()
    run.ledger.unlink()
    with Ledger(run.ledger) as ledger:
        when = [1000.0 + i + (10_000 if (i // 2) % 2 else 0) for i in range(1200)]
        ledger.record(
            spec_of("s"), [Judgement(one, "ok", "j", "r", created_at=t) for one, t in zip(ids, when, strict=True)]
        )
    result = measure(run, AnalyticsSettings(periods="judged", resamples=20))
    means = [one["axes"]["sensibility"]["value"] for one in result["judging_order"]]
    assert max(means[:10]) < 4 < 6 < min(means[10:])
    assert result["judging_order"][0]["start"] < result["judging_order"][0]["end"] < result["judging_order"][-1]["end"]
    assert result["drift"]["level"] == "alarm"
    assert measure(run, QUICK)["drift"]["level"] == "ok"


def test_a_run_without_selection_failures_and_one_sample(tmp_path) -> None:
    from analytics_runs import sample, scored

    result = measure(scored(tmp_path, [sample("ok")], states=["refused"]), QUICK)
    assert result["filtering"] is None
    assert result["run"]["states"] == {"refused": 1}
    assert result["run"]["scored"] == 0
    assert result["drift"]["level"] == "unknown"
    assert all(one["value"] is None for one in result["correlations"])


def test_another_place_for_the_file(make_run, tmp_path) -> None:
    run = make_run(dialogues=20)
    result = analytics(run, QUICK, output=tmp_path / "out" / "a.json")
    assert result.path == str(tmp_path / "out" / "a.json")
    assert (tmp_path / "out" / "a.json").read_bytes() == (run.root / "analytics" / "analytics.json").read_bytes()


def test_a_run_that_is_not_there(tmp_path) -> None:
    with pytest.raises(UserError, match="score SOURCE"):
        analytics(Workspace(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()
