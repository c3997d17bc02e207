from __future__ import annotations

import io
import json
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import yaml
from rich.console import Console

from browser import axe, visit_url
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.prompts.compare.comparison import diff_prompts, shown_pieces
from efficient_empathy.scoring import Judgement, JudgeSpec
from efficient_empathy.scoring.rubric import Rubric, prompt_text
from efficient_empathy.scoring.stage import score
from efficient_empathy.selection import select
from efficient_empathy.studio.pages.compare.facts import facts, stages
from efficient_empathy.studio.pages.compare.models import figure_rows, models_of, shared_answers
from efficient_empathy.studio.pages.compare.scores import agreement, read_scores, rubrics_of
from evidence_files import write_models
from manifest_entries import write_entry
from scored_runs import numbered, write_run
from studio_server import serving

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)> \u202eevil'


def scored(root: Path, numbers: range, shift: int = 0, **manifest: object) -> Workspace:
    """A run of numbered samples with scores by number."""
    scores = {
        "sensibility": [float(min(10, n % 11 + shift)) for n in numbers],
        "rationality": [float(10 - n % 11) for n in numbers],
    }
    return write_run(root, [numbered(n) for n in numbers], scores, **manifest)


def evaluated(workspace: Workspace, values: dict[str, float]) -> None:
    """An evaluation with one figure of each model."""
    models = [
        {"name": name, "values": {"bleu4": value, "same": 1.0}, "intervals": {"bleu4": [value - 1, value + 1]}, "n": 40}
        for name, value in values.items()
    ]
    looks = {
        "bleu4": {"group": "official", "better": "higher", "digits": 2},
        "same": {"group": "official", "digits": 1},
    }
    write_models(workspace.evaluation, models, n=40, metrics=looks)


def get(url: str) -> str:
    with urlopen(url) as answer:
        return answer.read().decode()


def tell(share: float, doing: str) -> None:
    pass


def test_only_what_differs_is_shown_and_a_stage_that_one_lacks_is_said(tmp_path):
    a = scored(tmp_path / "a", range(20))
    b = scored(tmp_path / "b", range(20), judge="another judge")
    select(b, policy="exclusive")
    sections = facts([a, b])
    scoring = next(section for section in sections if section.title == "Scoring")
    assert [(fact.name, fact.values) for fact in scoring.rows(False)] == [("judge", ("test judge", "another judge"))]
    assert len(scoring.rows(True)) > 3
    assert {fact.name: fact.values for fact in stages(sections).facts}["Selection"] == ("–", "yes")
    selection = next(section for section in sections if section.title == "Selection")
    assert selection.rows(False) == ()
    assert {fact.name: fact.values[1] for fact in selection.facts}["policy › name"] == "exclusive"


def test_times_versions_and_inputs_are_kept_for_everything(tmp_path):
    a, b = (scored(tmp_path / name, range(20), seconds=seconds) for name, seconds in (("a", 3), ("b", 90)))
    for workspace, beta in ((a, 5), (b, 6)):
        select(workspace, beta=beta)
    by_title = {section.title: section for section in facts([a, b])}
    assert by_title["Scoring"].rows(False) == ()
    assert "1 min 30 s" in str(by_title["Scoring"].rows(True))
    names = [fact.name for fact in by_title["Selection"].rows(False)]
    assert "policy › thresholds › beta" in names
    assert not [name for name in names if name.startswith("inputs")]
    assert any("%" in value for fact in by_title["Selection"].facts for value in fact.values if "subsets" in fact.name)


def test_the_scores_of_shared_samples_are_compared_with_intervals(tmp_path):
    a, b = scored(tmp_path / "a", range(60)), scored(tmp_path / "b", range(30, 90), shift=1)
    for workspace in (a, b):
        select(workspace)
    found = agreement([read_scores(RunTable(a), "a"), read_scores(RunTable(b), "b")], tell, draws=100)
    assert found["sizes"] == {"a": 60, "b": 60}
    assert found["common"] == 30
    (pair,) = found["pairs"]
    assert pair["scored"] == 30
    shift = pair["axes"]["sensibility"]["mean_shift"]
    assert shift["low"] <= shift["value"] <= shift["high"]
    assert 0.5 < shift["value"] <= 1
    assert pair["axes"]["rationality"]["exact"]["value"] == 1
    (overlap,) = found["overlaps"]
    assert overlap["common"] == 30
    assert overlap["jaccard"]["rationality"] == 1
    assert 0 < overlap["jaccard"]["kept"] <= 1
    json.dumps(found, allow_nan=False)


def test_runs_that_share_nothing_or_have_no_scores_are_said(tmp_path):
    a, b = scored(tmp_path / "a", range(20)), scored(tmp_path / "b", range(50, 70))
    unscored = Workspace(tmp_path / "c").create()
    runs = [read_scores(RunTable(workspace), name) for workspace, name in ((a, "a"), (b, "b"), (unscored, "c"))]
    found = agreement(runs, tell, draws=20)
    assert found["pairs"][0]["fault"] == "no sample is in both a and b"
    assert any("c" in note and "score" in note for note in found["notes"])
    assert found["overlaps"] == []
    assert found["common"] == 0
    assert str(tmp_path) not in json.dumps(found)


def test_runs_of_other_axes_have_nothing_to_compare(tmp_path):
    a = scored(tmp_path / "a", range(20))
    axes = {"name": "q", "hash": "f" * 16, "axes": {"empathy": [1, 3]}}
    b = write_run(tmp_path / "b", [numbered(n) for n in range(20)], {"empathy": [2.0] * 20}, rubric=axes)
    found = agreement([read_scores(RunTable(a), "a"), read_scores(RunTable(b), "b")], tell, draws=20)
    assert "no axis in common" in found["pairs"][0]["fault"]
    assert "empathy 1–3" in found["pairs"][0]["fault"]


def test_the_prompts_differ_word_by_word():
    first = Rubric.load()
    second = first.model_copy(update={"system": first.system + " Be strict, always."})
    found = diff_prompts(prompt_text(first), prompt_text(second))
    assert (found.added, found.removed) == (3, 0)
    shown = list(shown_pieces(found.diff))
    assert sum(piece.omitted_words for piece in shown) > 0
    words = sum(len(f"{piece.text}{piece.after}".split()) + piece.omitted_words for piece in shown)
    assert words == len(prompt_text(second).split())
    alike = diff_prompts(prompt_text(first), prompt_text(first))
    assert (alike.added, alike.removed) == (0, 0)


def test_models_of_two_runs_stand_side_by_side(tmp_path):
    a, b = scored(tmp_path / "a", range(40)), scored(tmp_path / "b", range(40))
    evaluated(a, {"base": 10.0, "moe": 12.0})
    evaluated(b, {"moe": 14.0})
    known, faults, lacking = models_of([("a", a), ("b", b)])
    assert list(known) == ["a/base", "a/moe", "b/moe"]
    assert (faults, lacking) == ([], [])
    rows = figure_rows(list(known.values()))["official"]
    assert [row.name for row in rows if row.differs] == ["bleu4"]
    assert [value.text for value in rows[0].values] == ["10.00", "12.00", "14.00"]
    assert [value.best for value in rows[0].values] == [False, False, True]
    assert rows[0].values[0].between == "9.00 to 11.00"
    assert shared_answers(list(known.values())) is None


def test_the_page_says_what_is_missing(tmp_path):
    a, b = scored(tmp_path / "a", range(20)), Workspace(tmp_path / "b").create()
    write_entry(b, "read", {"samples": 5})
    with serving([a.root, b.root], tmp_path) as served:
        page = get(served.url + "/compare?run=a&with=b")
        assert "Comparing the scores" in page or "is missing" in page
        assert "no evaluated model" in get(served.url + "/compare?what=models&run=a")
        assert "One run has nothing to differ from" in get(served.url + "/compare?run=a&with=")
        with pytest.raises(HTTPError) as error:
            urlopen(f"{served.url}/compare?run=nobody")
        assert error.value.code == 400


def test_nothing_is_written_into_the_runs(tmp_path, browser):
    a, b = scored(tmp_path / "a", range(20)), scored(tmp_path / "b", range(20))
    before = {path: path.stat().st_mtime_ns for run in (a, b) for path in run.root.rglob("*")}
    with (
        serving([a.root, b.root], tmp_path) as served,
        visit_url(browser, served.url + "/compare?run=a&with=b") as seen,
    ):
        seen.page.get_by_role("heading", name="Selections").wait_for()
    assert {path: path.stat().st_mtime_ns for run in (a, b) for path in run.root.rglob("*")} == before


def wait_for_scores(url: str) -> str:
    """The page of the runs a and b once their scores are compared."""
    while "Comparing the scores" in (page := get(url + "/compare?run=a&with=b")):
        time.sleep(0.1)
    return page


class Kind:
    """Gives every sample the same scores."""

    name, spec, batch_size, concurrency = "kind", JudgeSpec(judge="kind", rubric="r"), 8, 1

    async def judge(self, samples):
        return [Judgement(one.id, "ok", "kind", "r", {"sensibility": 8, "rationality": 2}) for one in samples]


def test_the_prompts_of_runs_are_compared_when_their_rubric_files_are_gone(tmp_path):
    source = tmp_path / "a.jsonl"
    turns = [{"role": "user", "content": "I lost my keys."}, {"role": "assistant", "content": "Oh no."}]
    source.write_text(json.dumps({"messages": turns}))
    runs = [Workspace(tmp_path / name) for name in ("a", "b")]
    for workspace, words in zip(runs, ("Judge as a nurse would.", "Judge as a teacher would."), strict=True):
        rubric = Rubric.load().model_copy(update={"name": "mine", "system": words})
        score(source, workspace, Kind(), rubric, console=Console(file=io.StringIO()))
    with serving([one.root for one in runs], tmp_path) as served:
        page = get(served.url + "/compare?run=a&with=b")
        assert "not at hand" not in page
        assert '<p class="notice">a/selection/assignments.parquet is missing' in wait_for_scores(served.url)
        assert "nurse" in page
        assert "teacher" in page
        page = get(served.url + "/compare?run=a&with=b&what=rubrics")
        assert page.index("nurse") < page.index("teacher")  # the rubric of A is the first


def test_hostile_rubrics_are_text_and_the_page_is_accessible(tmp_path, browser):
    rubric = Rubric.load().model_copy(update={"name": HOSTILE, "system": HOSTILE})
    axes = {"sensibility": [0, 10], "rationality": [0, 10]}
    default, hostile = ({"name": one.name, "hash": one.hash, "axes": axes} for one in (Rubric.load(), rubric))
    a = scored(tmp_path / "a", range(40), rubric=default)
    b = scored(tmp_path / "b", range(20, 60), shift=1, rubric=hostile, judge=HOSTILE)
    (b.root / "rubrics").mkdir()
    (b.root / "rubrics" / "mine.yaml").write_text(yaml.safe_dump(rubric.model_dump(mode="json")), "utf-8")
    evaluated(a, {"base": 10.0, HOSTILE: 12.0})
    for workspace in (a, b):
        select(workspace)
    assert rubric.hash in rubrics_of([b.root])
    addresses = {
        "/compare?run=a&with=b&all=1": "Selections",
        f"/compare?what=rubrics&rubric={Rubric.load().hash}&rubric={rubric.hash}": "Prompts",
        f"/compare?what=models&model=a/base&model={quote('a/' + HOSTILE)}": "Figures",
    }
    with serving([a.root, b.root], tmp_path) as served:
        first, *others = addresses
        with visit_url(browser, served.url + first, width=390, scheme="dark") as seen:
            for address in (first, *others):
                if address != first:
                    seen.page.goto(served.url + address)
                seen.page.get_by_role("heading", name=addresses[address], exact=True).wait_for()
                assert "<script>alert" in seen.page.locator("main").inner_text()
                assert axe(seen.page) == []
                assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390
            assert seen.console == []
            assert all(request.startswith(served.url) for request in seen.requests)


def test_by_keyboard_alone_a_run_is_put_beside_another(tmp_path, browser):
    runs = [scored(tmp_path / name, range(20), judge=f"judge {name}") for name in "abc"]
    with (
        serving([run.root for run in runs], tmp_path) as served,
        visit_url(browser, served.url + "/compare?run=a&with=b") as seen,
    ):
        page = seen.page
        page.get_by_label("C beside it").focus()
        page.keyboard.press("c")
        for _ in range(2):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**with=c**")
        page.get_by_text("judge c").first.wait_for()
