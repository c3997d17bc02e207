"""The page as a reader gets it: numbers that agree with the files, nothing from outside, text that stays text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from browser import Page, Visit, visit
from efficient_empathy.dialogues import Sample, Utterance, write_samples
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from efficient_empathy.scoring.stage import score
from efficient_empathy.selection import select
from forked_command import ForkedCommand
from scored_runs import numbered, write_run

AXES = ("sensibility", "rationality")
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> & \u202e\x00"


def page_of(workspace: Workspace) -> Page:
    report(workspace)
    return Page(workspace.report)


def numbers(row: list[str]) -> list[float]:
    return [float(re.sub(r"[^0-9.]", "", cell)) for cell in row]


def column(rows: list[list[str]], index: int) -> dict[str, str]:
    return {row[0].split(" ")[-1]: row[index] for row in rows[1:]}


def test_it_says_where_the_report_lies_and_how_large_it_is(whole_run: Workspace) -> None:
    select(whole_run)
    result = report(whole_run)
    assert result.path == str(whole_run.report)
    assert result.bytes == whole_run.report.stat().st_size
    assert result.seconds > 0
    assert whole_run.manifest().entry("report")["bytes"] == result.bytes


def test_without_scores_it_names_the_stage_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="efficient-empathy score"):
        report(Workspace(tmp_path).create())


def test_scores_of_as_many_other_samples_are_refused(whole_run: Workspace) -> None:
    write_samples((numbered(i, text="I won a prize") for i in range(600)), whole_run.samples)
    with pytest.raises(
        UserError, match=r"scores\.parquet is about other samples than samples\.parquet: run `efficient-empathy score"
    ):
        report(whole_run)


def test_a_selection_that_was_edited_is_not_shown(whole_run: Workspace) -> None:
    select(whole_run)
    pl.read_parquet(whole_run.assignments).reverse().write_parquet(whole_run.assignments)
    page = page_of(whole_run)
    assert re.search(r"assignments\.parquet has changed .*: run `efficient-empathy select --run", page.text)
    assert not [name for name in page.tables if name.startswith("What each subset")]


def test_subset_sizes_are_those_of_the_assignments(whole_run: Workspace) -> None:
    counts = select(whole_run).subsets
    sizes = column(page_of(whole_run).table("What each subset holds"), 1)
    assert {name: int(sizes[name].replace(",", "")) for name in counts} == counts
    assert sizes["scores"] == "7"
    assert sizes["all"] == "600"


def test_means_of_a_subset_are_those_of_its_samples(whole_run: Workspace) -> None:
    select(whole_run)
    assigned = pl.read_parquet(whole_run.assignments).filter(subset="sensibility")
    rows = page_of(whole_run).table("What each subset holds")
    row = next(row for row in rows if row[0].endswith("sensibility"))
    assert float(row[3]) == pytest.approx(assigned["sensibility"].mean(), abs=0.006)
    assert float(row[4]) == pytest.approx(assigned["rationality"].mean(), abs=0.006)
    assert row[5] == "2"


@pytest.mark.parametrize("policy", ["paper", "exclusive", "both"])
def test_the_map_adds_up_to_the_subsets(whole_run: Workspace, policy: str) -> None:
    counts = select(whole_run, policy=policy, alpha=6, beta=3).subsets
    cells = [c for row in page_of(whole_run).table("Samples by sensibility")[1:] for c in row[1:-1]]
    assert len(cells) == 121
    by_letter = {name[0].upper(): 0 for name in counts}
    for cell in cells:
        number, letter = cell.split()
        by_letter[letter] += int(number)
    assert by_letter == {name[0].upper(): count for name, count in counts.items()}


def test_the_figure_prints_the_same_counts(whole_run: Workspace) -> None:
    select(whole_run)
    report(whole_run)
    html = whole_run.report.read_text("utf-8")
    figure = html[html.index('<g class="numbers">') :].split("</g>")[0]
    assert sum(int(n) for n in re.findall(r">(\d+)</text>", figure)) == 593
    scores = pl.read_parquet(whole_run.scores)
    n = scores.filter(sensibility=8, rationality=3).height
    assert f"sensibility 8, rationality 3: {n} sample" in html


def test_expected_counts_add_up_to_the_shares_that_were_matched(probability_run: Workspace) -> None:
    counts = select(probability_run).subsets
    page = page_of(probability_run)
    rows = page.table("Expected samples by sensibility")[1:]
    sums: dict[str, float] = {}
    for cell in (c for row in rows for c in row[1:-1]):
        number, letter = cell.split()
        sums[letter] = sums.get(letter, 0) + float(number)
    assert sums == pytest.approx({name[0].upper(): n for name, n in counts.items()}, abs=4)
    assert sum(float(row[-1]) for row in rows) == pytest.approx(400, abs=1)
    assert "The decision was made on these probabilities, with shares matched" in page.text


def test_whole_scores_are_said_to_be_what_decided(whole_run: Workspace) -> None:
    select(whole_run)
    assert "The decision was made on whole scores" in page_of(whole_run).text


def test_moved_thresholds_change_as_many_samples_as_selecting_again(whole_run: Workspace) -> None:
    select(whole_run)
    rows = page_of(whole_run).table("Samples that change subset")[1:]
    before = pl.read_parquet(whole_run.assignments)["subset"].cast(pl.String)
    moved = [{"alpha": 4}, {"alpha": 6}, {"beta": 4}, {"beta": 6}]
    assert [row[1] for row in rows] == ["5 → 4", "5 → 6"] * 2
    for row, thresholds in zip(rows, moved, strict=True):
        select(whole_run, **thresholds)  # type: ignore[arg-type]
        after = pl.read_parquet(whole_run.assignments)["subset"].cast(pl.String)
        assert int(row[2]) == (before != after).sum()


def test_categories_are_sorted_by_size_and_their_subsets_add_up(whole_run: Workspace) -> None:
    select(whole_run)
    rows = page_of(whole_run).table("Subsets by category")[1:]
    assert [row[0] for row in rows] == ["uncategorised", "joyful", "sad"]
    for row in rows:
        total, *parts = numbers([row[1], row[3], row[5], row[7], row[9]])
        assert total == sum(parts)


def test_beyond_forty_categories_the_rest_is_one_row(probability_run: Workspace) -> None:
    select(probability_run)
    rows = page_of(probability_run).table("Subsets by category")[1:]
    assert len(rows) == 41
    assert rows[-1][0] == "10 others"
    assert sum(int(row[1]) for row in rows) == 400


def test_failures_are_counted_by_state_and_reason(whole_run: Workspace) -> None:
    select(whole_run)
    page = page_of(whole_run)
    states = {row[0]: row[1] for row in page.table("Judgements by state")[1:]}
    assert states == {"ok": "593", "parse error": "4", "api error": "2", "refused": "1", "not judged": "0"}
    reasons = page.table("Why judgements failed")
    assert ["parse error", "no value for sensibility", "3", "I would rather not <say>"] in reasons
    assert ["api error", "HTTP 503", "2", "I would rather not <say>"] in reasons


def test_what_reading_lost_is_shown(tmp_path: Path) -> None:
    workspace = write_run(
        tmp_path / "run",
        [numbered(1)],
        {"sensibility": [8], "rationality": [2]},
        bad_rows=12,
        bad_row_examples=[{"place": "chats.csv:7", "reason": "no response"}],
        repairs={"NUL bytes removed": 3},
        skipped_files=["notes.pdf"],
        duplicates=2,
    )
    page = page_of(workspace)
    assert ["repaired: NUL bytes removed", "3"] in page.table("What happened on reading")
    assert ["rows skipped as bad", "12"] in page.table("What happened on reading")
    assert page.table("Rows that were skipped: the first 1")[1] == ["chats.csv:7", "no response"]
    assert "notes.pdf" in page.text


def test_cost_per_thousand_samples(tmp_path: Path) -> None:
    samples = [numbered(i) for i in range(200)]
    scores = {axis: [7.0] * 200 for axis in AXES}
    workspace = write_run(tmp_path / "run", samples, scores, cost_usd=0.5, requests=210, prompt_tokens=90000)
    text = " ".join(page_of(workspace).text.split())
    assert "Per 1,000 samples $2.50" in text.replace("samples$", "samples $")
    assert "90,000" in text


def test_examples_show_the_turns_the_reason_and_the_raw_reply(whole_run: Workspace) -> None:
    select(whole_run)
    page = page_of(whole_run)
    assert page.count("article") == 15
    assert "- Sensibility: " in page.text
    assert re.search(r"sensibility \d+ > 5 and rationality \d < 5", page.text)
    assert page_of(whole_run).text == page.text


def test_examples_of_distributions_show_them(probability_run: Workspace) -> None:
    select(probability_run)
    page = page_of(probability_run)
    assert page.count("svg", "distribution") == 2 * page.count("article") == 30


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    samples = [
        Sample.of([Utterance("speaker", HOSTILE)], HOSTILE + str(i), category=HOSTILE, dialogue_id=HOSTILE)
        for i in range(3)
    ]
    states = ["ok", "ok", "parse_error"]
    workspace = write_run(
        tmp_path / "<b>run",
        samples,
        {axis: [8.0, 2.0, None] for axis in AXES},
        states=states,
        raws=[HOSTILE] * 3,
        reasons=["", "", HOSTILE],
        judge=HOSTILE,
        source={"name": HOSTILE, "format": HOSTILE, "digest": HOSTILE},
        bad_rows=1,
        bad_row_examples=[{"place": HOSTILE, "reason": HOSTILE}],
        repairs={HOSTILE: 1},
        skipped_files=[HOSTILE],
    )
    select(workspace)
    page = page_of(workspace)
    assert page.count("script") == page.count("img") == page.count("b", "run") == 0
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert page.text.count("<script>alert(1)</script>") >= 10
    assert "\x00" not in page.text
    assert "␀" in page.text


def test_long_text_is_cut_with_a_mark(tmp_path: Path) -> None:
    long = "word " * 200_000
    context = [Utterance("speaker" if i % 2 == 0 else "listener", f"{i} {long}") for i in range(41)]
    workspace = write_run(tmp_path / "run", [Sample.of(context, long)], {"sensibility": [9], "rationality": [1]})
    select(workspace)
    assert report(workspace).bytes < 120_000
    text = Page(workspace.report).text
    assert "(999,400 more characters)" in text
    assert "33 earlier turns not shown" in text


def test_before_selecting_it_shows_scores_and_says_how_to_select(whole_run: Workspace) -> None:
    page = page_of(whole_run)
    assert f"efficient-empathy select --run {whole_run.root}" in page.text
    assert "Samples by sensibility (rows) and rationality (columns)" in page.tables
    assert not [name for name in page.tables if name.startswith("What each subset")]
    assert page.count("article") == 5


def test_a_selection_of_other_scores_is_not_shown(whole_run: Workspace) -> None:
    select(whole_run)
    scores = pl.read_parquet(whole_run.scores).with_columns(pl.lit(9.0, pl.Float32).alias("sensibility"))
    scores.write_parquet(whole_run.scores)
    page = page_of(whole_run)
    assert "assignments.parquet was made from earlier scores: run `efficient-empathy select" in page.text
    assert not [name for name in page.tables if name.startswith("What each subset")]


def test_top_has_a_map_without_shading_and_no_thresholds(whole_run: Workspace) -> None:
    counts = select(whole_run, policy="top", top=50).subsets
    page = page_of(whole_run)
    assert counts["sensibility"] == counts["rationality"] == 50
    assert page.count("path", "boundary") == 0
    assert sum(int(row[-1]) for row in page.table("Samples by sensibility")[1:]) == 593
    assert not [name for name in page.tables if name.startswith("Samples that change")]


def test_before_selecting_every_pair_of_axes_has_a_map(tmp_path: Path) -> None:
    axes = ("naturalness", "coherence", "empathy")
    rng = np.random.default_rng(3)
    scores = {axis: rng.integers(1, 4, 90).astype(float).tolist() for axis in axes}
    scales = dict.fromkeys(axes, (1, 3))
    page = page_of(write_run(tmp_path / "run", [numbered(i) for i in range(90)], scores, scales=scales))
    assert page.count("svg", "histogram") == page.count("svg", "map") == 3
    assert [row[:2] for row in page.table("Scores per axis")[1:]] == [[axis, "1–3"] for axis in axes]
    for pair in ("naturalness (rows) and coherence", "naturalness (rows) and empathy", "coherence (rows) and empathy"):
        assert sum(int(row[-1]) for row in page.table(f"Samples by {pair}")[1:]) == 90


def test_scales_are_the_rubrics_where_the_manifest_has_them(tmp_path: Path) -> None:
    scores = {"sensibility": [2.0, 3.0, 3.0], "rationality": [1.0, 2.0, 1.0], "tact": [1.0, None, 2.0]}
    scales = {"sensibility": [1, 5], "rationality": [0, 3], "tact": [0, 4]}
    rubric = {"name": "mine", "hash": "0123", "axes": scales}
    page = page_of(write_run(tmp_path / "run", [numbered(i) for i in range(3)], scores, rubric=rubric))
    assert [row[1] for row in page.table("Scores per axis")[1:]] == ["1–5", "0–3", "0–4"]


@pytest.mark.parametrize(
    ("ending", "said"),
    [("complete", "7.0 s "), ("error", "7.0 s, ended by an error"), ("budget", "7.0 s, ended by the budget")],
)
def test_how_scoring_ended(tmp_path: Path, ending: str, said: str) -> None:
    scores = {axis: [7.0] for axis in AXES}
    page = page_of(write_run(tmp_path / "run", [numbered(1)], scores, seconds=7.0, ending=ending))
    assert said in " ".join(page.text.split())
    assert ("ended by" in page.text) == (ending != "complete")


def test_a_scores_file_with_broken_pages_is_told(whole_run: Workspace) -> None:
    content = bytearray(whole_run.scores.read_bytes())
    content[4:40] = b"\xff" * 36
    whole_run.scores.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read .*scores\.parquet"):
        report(whole_run)


def test_it_waits_for_who_holds_the_run(whole_run: Workspace) -> None:
    with whole_run.lock():
        other = ForkedCommand("report", "--run", whole_run.root)
        assert other.runs_for(2)
        assert not whole_run.report.exists()
    other.communicate(60)
    assert other.returncode == 0
    assert whole_run.report.exists()


def test_two_axes_of_another_scale_have_a_map(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    tables = {axis: rng.dirichlet(np.ones(5), 60).astype(np.float32) for axis in ("warmth", "clarity")}
    scores = {axis: (table @ np.arange(1, 6)).tolist() for axis, table in tables.items()}
    samples = [numbered(i) for i in range(60)]
    scales = dict.fromkeys(tables, (1, 5))
    workspace = write_run(tmp_path / "run", samples, scores, probabilities=tables, scales=scales)
    rows = page_of(workspace).table("Expected samples")
    assert rows[0] == ["warmth", "1", "2", "3", "4", "5", "all"]
    assert sum(float(row[-1]) for row in rows[1:]) == pytest.approx(60, abs=0.3)


def test_what_a_judge_makes_of_pairs_stands_beside_its_scores(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    row = {"prompt": "I lost my ring.", "chosen": "Oh no, that must hurt. Was it a gift?", "rejected": "Buy another."}
    pairs.write_text(json.dumps(row) + "\n", "utf-8")
    workspace = Workspace(tmp_path / "run")
    result = score(pairs, workspace, reading=ReadingSettings(side="both"))
    page_of(workspace)
    scores = re.search(r'<section id="scores".*?</section>', workspace.report.read_text("utf-8"), re.DOTALL)
    assert scores is not None
    assert len(result.preferences) == 2
    assert all(one.text() in scores[0] for one in result.preferences)


def test_a_run_in_which_nothing_was_judged(tmp_path: Path) -> None:
    samples = [numbered(i) for i in range(3)]
    states = ["api_error", None, None]
    workspace = write_run(tmp_path / "run", samples, {axis: [None] * 3 for axis in AXES}, states=states)
    page = page_of(workspace)
    assert ["not judged", "2"] in [row[:2] for row in page.table("Judgements by state")]


def test_a_run_without_its_ledger_still_has_a_report(whole_run: Workspace) -> None:
    select(whole_run)
    whole_run.ledger.unlink()
    assert page_of(whole_run).count("article") == 15


def test_it_needs_nothing_from_outside(whole_run: Workspace) -> None:
    select(whole_run)
    page = page_of(whole_run)
    html = whole_run.report.read_text("utf-8")
    assert not re.findall(r"https?://|@import|url\((?!#)", html)
    assert not [a for _, attrs in page.tags for a in ("src", "srcset", "action") if a in attrs]
    assert all(attrs["href"].startswith(("#", "data:")) for _, attrs in page.tags if "href" in attrs)
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")


def test_it_can_be_read_without_seeing_it(whole_run: Workspace) -> None:
    select(whole_run)
    page = page_of(whole_run)
    assert page.count("h1") == page.count("main") == page.count("header") == page.count("footer") == 1
    assert page.count("table") == page.count("caption") == len(page.tables)
    figures = [attrs for tag, attrs in page.tags if tag == "svg" and attrs.get("aria-hidden") != "true"]
    assert figures
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in figures)
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")
    identities = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(identities) == len(set(identities))


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_in_a_browser_it_fits_and_stays_silent(
    probability_run: Workspace, width: int, scheme: str, browser: Any
) -> None:
    select(probability_run)
    report(probability_run)
    with visit(browser, probability_run.report, width=width, scheme=scheme) as seen:
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert seen.page.locator("svg.map .cell").count() == 121
        assert not seen.console
        assert [url for url in seen.requests if not url.startswith("data:")] == []


def test_text_stands_out_in_both_schemes(
    whole_run: Workspace, lowest_contrast: Callable[[Visit], float], browser: Any
) -> None:
    select(whole_run)
    report(whole_run)
    for scheme in ("light", "dark"):
        with visit(browser, whole_run.report, scheme=scheme) as seen:
            assert lowest_contrast(seen) >= 4.5
