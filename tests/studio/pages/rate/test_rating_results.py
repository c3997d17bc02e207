import csv
import io
import json
import zipfile

import polars as pl
import pytest

pytest.importorskip("scipy", reason='needs the extra "eval"')
pytest.importorskip("krippendorff", reason='needs the extra "eval"')

from efficient_empathy.evaluation.ratings import Design, Key, Resampling, read_sheets
from efficient_empathy.evaluation.ratings.design import layout_of
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.rate.results import export, finish, live, results_of
from efficient_empathy.studio.pages.rate.store import Rating, RatingStore
from efficient_empathy.studio.pages.rate.tasks import draw_design
from rated_runs import by_quality, responded_run

HOW = Resampling(resamples=20)


@pytest.fixture
def run(tmp_path):
    return responded_run(tmp_path / "run")


@pytest.fixture
def store(run):
    return RatingStore(run.ratings / "studio.sqlite")


@pytest.fixture
def study(run, store):
    drawn = draw_design(run, "main", ["moe", "base", "average"], Design(("ann", "bo")), 4)
    return store.study(store.add_study(drawn, {}))


def answer(store, study, raters=("ann", "bo"), change=by_quality):
    for name in raters:
        rater = store.rater(study.id, name)
        items = next(sheet.items for sheet in study.key.sheets if sheet.rater == name)
        for item, known in items.items():
            for question in layout_of(known.task, study.key.questionnaire).answers:
                value = str(change(name, known, question))
                store.rate(rater, Rating(item, question, value, 2000, f"{question}-{item}"))


def test_agreement_shows_while_ratings_come_in_and_says_nothing_of_models(store, study):
    assert live(store, study) == {
        "agreement": [],
        "raters": [
            {"name": name, "steady": None, "repeats": 0, "left": None, "seconds": None} for name in ("ann", "bo")
        ],
        "answers": 0,
    }
    answer(store, study, ["ann"])
    alone = live(store, study)
    assert {line["common"] for line in alone["agreement"]} == {0}
    answer(store, study, ["bo"])
    both = live(store, study)
    assert [line["question"] for line in both["agreement"]][-1] == "better"
    assert all(line["alpha_ordinal"] == pytest.approx(1) for line in both["agreement"])
    assert [one["steady"] for one in both["raters"]] == [1, 1]
    assert both["raters"][0]["seconds"] == 2
    assert "moe" not in json.dumps(both)
    json.dumps(both, allow_nan=False)


def test_finishing_writes_what_reading_the_sheets_would(run, store, study, tmp_path):
    answer(store, study)
    rater = store.rater(study.id, "ann")
    store.rate(rater, Rating(store.task(rater, 1).item, "comment", "odd, isn’t it", 2000, "a-comment"))
    found = finish(run, store, study, HOW)
    assert store.study(study.id).closed_at is not None
    assert results_of(run, study) == found
    first = found.likert["empathy"].models[0]
    assert (first.name, first.mean, first.n, first.fleiss_kappa) == ("moe", 5, 8, None)
    assert found.comments[0].text == "odd, isn’t it"

    other = Workspace(tmp_path / "other").create()
    with zipfile.ZipFile(io.BytesIO(export(store, study, "sheets"))) as archive:
        archive.extractall(tmp_path / "sheets")
    assert not list((tmp_path / "sheets").glob("*key*")), "who has sheets and key is not blind"
    (tmp_path / "key.json").write_bytes(export(store, study, "key"))
    read = read_sheets(other, [tmp_path / "sheets"], key=Key.read(tmp_path / "key.json"), how=HOW)
    untimed = tuple(one.model_copy(update={"seconds": None}) for one in found.raters)
    assert {one.seconds for one in found.raters} == {2}
    assert read == found.model_copy(update={"sheets": read.sheets, "raters": untimed})
    assert read_sheets(run, [tmp_path / "sheets"], how=HOW) == read, "the run has the key of each study"
    frames = [pl.read_parquet(one.ratings / "main" / "ratings.parquet") for one in (run, other)]
    assert frames[0].equals(frames[1])


def test_what_was_not_judged_is_missing_and_counted(run, store, study):
    answer(store, study, change=lambda *given: "" if given[2] == "empathy" else by_quality(*given))
    found = finish(run, store, study, HOW)
    assert "empathy" not in found.likert
    assert any("ann left single cells empty: empathy" in problem for problem in found.problems)


def test_one_study_is_finished_without_touching_another(run, store, study):
    other = store.study(store.add_study(draw_design(run, "pilot", ["moe", "base"], Design(("ann",)), 2), {}))
    answer(store, study)
    first = finish(run, store, study, HOW)
    before = (run.ratings / "main" / "results.json").read_bytes()
    answer(store, other, ["ann"])
    second = finish(run, store, other, HOW)
    assert (first.study, second.study) == ("main", "pilot")
    assert (run.ratings / "main" / "results.json").read_bytes() == before
    assert results_of(run, study) == first
    assert finish(run, store, study, HOW) == first, "its own results are written anew"
    path = run.ratings / "pilot" / "results.json"
    path.write_text('{"sheets": ["ann.xlsx"]}')
    with pytest.raises(UserError, match="has the results of other ratings of that name"):
        finish(run, store, other, HOW)
    assert path.read_text() == '{"sheets": ["ann.xlsx"]}'


def test_an_unrated_study_is_not_finished(run, store, study):
    with pytest.raises(UserError, match="nobody has rated"):
        finish(run, store, study, HOW)
    assert store.study(study.id).closed_at is None
    assert not (run.ratings / "main" / "results.json").exists()


def test_exports_have_every_answer_with_place_time_and_side(store, study):
    answer(store, study)
    parquet = pl.read_parquet(io.BytesIO(export(store, study, "parquet")))
    expected = sum(
        len(layout_of(one.task, study.key.questionnaire).answers) for s in study.key.sheets for one in s.items.values()
    )
    assert len(parquet) == expected
    assert set(parquet["milliseconds"]) == {2000}
    assert parquet["place"].null_count() == 0
    assert parquet["rated_at"].dtype == pl.Datetime("us", "UTC")
    lines = export(store, study, "jsonl").decode().splitlines()
    assert len(lines) == expected
    assert json.loads(lines[0])["models"] == parquet["models"][0].to_list()
    table = pl.read_csv(io.BytesIO(export(store, study, "csv")))
    assert table.columns == parquet.columns
    assert set(table.filter(pl.col("task") == "ab")["against"]) <= {"base", "average", "moe"}
    for kind in ("parquet", "jsonl", "csv", "sheets"):
        assert export(store, study, kind)


def test_an_unrated_study_exports_an_empty_table(store, study):
    assert len(pl.read_parquet(io.BytesIO(export(store, study, "parquet")))) == 0
    assert export(store, study, "csv").decode("utf-8-sig").startswith("rater,item,task")


def test_nothing_that_a_stranger_wrote_is_a_formula_in_a_table_of_the_studio(tmp_path):
    formulas = {"moe": lambda i: f"=1+{i}", "base": lambda i: f"\u3000＝{i}", "average": lambda i: f"@{i}"}
    run = responded_run(tmp_path / "run", responses=formulas)
    store = RatingStore(run.ratings / "studio.sqlite")
    study = store.study(store.add_study(draw_design(run, "main", ["moe", "base", "average"], Design(("-ann",)), 4), {}))
    answer(store, study, ["-ann"])
    rows = [*csv.reader(io.StringIO(export(store, study, "csv").decode("utf-8-sig")))]
    assert {row[0] for row in rows} == {"rater", "'-ann"}
    with zipfile.ZipFile(io.BytesIO(export(store, study, "sheets"))) as archive:
        sheets = [archive.read(name).decode("utf-8-sig") for name in archive.namelist() if name.endswith(".csv")]
    cells = [cell for sheet in sheets for row in csv.reader(io.StringIO(sheet)) for cell in row]
    begun = [cell for cell in cells if cell.strip("' \u3000")[:1] in ("=", "＝", "@")]
    assert len(begun) > 8
    assert all(cell.startswith("'") for cell in begun)
