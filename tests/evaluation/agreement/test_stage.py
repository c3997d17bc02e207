import numpy as np
import polars as pl
import pytest

from browser import Page, visit
from efficient_empathy.evaluation.agreement import AgreementRecord, AgreementSettings, measure_agreement, summary
from efficient_empathy.foundation.run.record import Estimate
from rated_panels import AXES, dialogue_samples, judge_run, near, people_frame, scores
from shared_data import FOLDER, needs_shared_data

HOSTILE = "<script>alert(1)</script>"
EXPERTS = ("expert1", "expert2", "expert3")


@pytest.fixture
def raters(tmp_path):
    samples, truth = dialogue_samples(120), scores(120)
    tables = {axis: np.eye(11)[truth[axis].astype(int)] * 0.8 + 0.2 / 11 for axis in AXES}
    means = {axis: table @ np.arange(11) for axis, table in tables.items()}
    judge = judge_run(
        tmp_path / "judge", samples, means, probabilities={a: t.astype(np.float32) for a, t in tables.items()}
    )
    people = {
        name: {a: near(v, 0.6, seed) for a, v in truth.items()} for seed, name in enumerate(("ann", "bo", HOSTILE))
    }
    people_frame(samples, people).write_csv(tmp_path / "people.csv")
    return [str(judge.root), str(tmp_path / "people.csv")]


def settings(**more):
    return AgreementSettings(**{"people": ("ann", "bo", HOSTILE), "resamples": 50, **more})


def test_the_json_and_the_page_say_the_same(tmp_path, raters) -> None:
    found = measure_agreement(raters, tmp_path / "out", settings())
    assert AgreementRecord.read(tmp_path / "out" / "agreement.json") == AgreementRecord(
        **{name: getattr(found, name) for name in AgreementRecord.model_fields}
    )
    assert {rater.name: rater.kind for rater in found.raters}["judge"] == "judge"
    page = Page(tmp_path / "out" / "agreement.html")
    assert page.count("script") == 0
    row = next(row for row in page.table("Sensibility") if row[0].startswith("ann – bo"))
    pair = next(p for p in found.pairs if (p.axis, p.first, p.second) == ("sensibility", "ann", "bo"))
    assert row[1] == "120"
    assert row[2].startswith(f"{pair.figures['kappa_quadratic'].value:.2f}")
    assert "people’s own ceiling" in page.text
    for part in ("ceiling", "pairs", "together", "subsets", "bias", "calibration"):
        assert getattr(found, part), part
        assert any(attributes.get("id") == part for _, attributes in page.tags)
    told = summary(found)
    assert "Next: open" in told
    assert "judge is" in told


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_fits_and_asks_for_nothing(tmp_path, raters, width, scheme, browser) -> None:
    measure_agreement(raters, tmp_path / "out", settings(resamples=20))
    with visit(browser, tmp_path / "out" / "agreement.html", width=width, scheme=scheme) as seen:
        assert seen.console == []
        assert seen.requests == []
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


def test_undefined_figures_are_none_and_say_why() -> None:
    frame = pl.DataFrame({"rater": ["a"] * 3 + ["b"] * 3, "item_id": list("xyz") * 2, "empathy": [3] * 6})
    found = measure_agreement({"t": frame}, settings=AgreementSettings(scales=("1-5",), resamples=20))
    [pair] = found.pairs
    assert pair.figures["kappa_quadratic"] == Estimate(value=None)
    assert pair.figures["exact"].value == 1
    assert "both gave 3 throughout" in pair.note
    apart = pl.DataFrame({"rater": list("aabbcc"), "item_id": list("xyxzyz"), "empathy": [1, 2, 3, 4, 5, 1]})
    found = measure_agreement({"t": apart}, settings=AgreementSettings(scales=("1-5",), resamples=20))
    assert [pair.items for pair in found.pairs] == [1, 1, 1]


def test_the_same_seed_gives_the_same_figures(raters) -> None:
    first, second = (measure_agreement(raters, settings=settings()) for _ in range(2))
    assert first.model_copy(update={"seconds": 0}) == second.model_copy(update={"seconds": 0})


@needs_shared_data
def test_experts_crowd_and_judges_agree_as_was_published() -> None:
    rows = pl.read_ndjson(FOLDER / "ratings" / "kumar2025.jsonl.gz", infer_schema_length=None)
    frame = rows.filter(dataset="empatheticdialogues").select("annotator", "item_id", pl.col("scores").struct.unnest())

    def measured(scale):
        asked = AgreementSettings(people=EXPERTS, axes=("empathy",), scales=(scale,), resamples=200)
        return measure_agreement({"all": frame}, settings=asked)

    found = measured("1-5")
    between = {(pair.first, pair.second): pair.figures["kappa_quadratic"].value for pair in found.pairs}
    published = {("expert1", "expert2"): 0.51, ("expert2", "expert3"): 0.62, ("expert1", "expert3"): 0.53}
    for pair, kappa in published.items():
        assert between[pair] == pytest.approx(kappa, abs=0.006)
    judges = {judge.name: judge for judge in found.ceiling[0].judges}
    assert judges["gemini"].median["kappa_quadratic"].value == pytest.approx(0.34, abs=0.006)
    assert judges["gemini"].verdict == "below"
    occurring = {judge.name: judge for judge in measured("empathy=occurring").ceiling[0].judges}
    assert occurring["crowd"].median["kappa_quadratic"].value == pytest.approx(0.15, abs=0.006)
