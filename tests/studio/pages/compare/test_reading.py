"""Responses side by side: what is shown, what differs, and votes that outlive the page."""

from __future__ import annotations

import json

import polars as pl
import pytest

from browser import axe, text_of, visit_url
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.pages.compare.marks import NAME, MarkBody, add_mark, read_marks, tally
from efficient_empathy.studio.pages.compare.reading import PAGE_ROWS, choose, read, responders
from rated_runs import responded_run
from studio_server import serving

RESPONSES = {
    "base": lambda i: "I am so sorry to hear that" if i % 2 else f"  okay   {i}",
    "moe": lambda i: "I am so glad to hear that" if i % 2 else f"okay {i}",
}


def test_only_rows_that_differ_are_shown_and_all_on_demand(tmp_path) -> None:
    run = responded_run(tmp_path / "run", dialogues=24, responses=RESPONSES)
    by_key = responders([("run", run)])
    assert list(by_key) == ["run/base", "run/moe", "run/reference"]
    columns = choose(by_key, ["run/base", "run/moe"], ["run"], 4)
    one = read(columns)
    assert (one.shared, one.differing, one.pages) == (48, 24, 2)
    assert len(one.rows) == PAGE_ROWS
    assert [piece.text for piece in one.rows[0].cells[1].pieces if piece.kind == "added"] == ["glad"]
    assert read(columns, everything=True).pages == 3
    assert read(columns, 99).page == 2
    samples = pl.read_parquet(run.samples)
    shown = [row.sample_id for page in (1, 2) for row in read(columns, page).rows]
    assert shown == samples["sample_id"].to_list()[1::2]
    assert len(read(columns, everything=True, find="OKAY 4").rows) == 5
    assert read(columns, find="nowhere").rows == ()
    assert [one.key for one in choose(by_key, [], ["run"], 2)] == ["run/base", "run/moe"]


def test_marks_outlive_a_torn_line_and_the_last_one_counts(tmp_path) -> None:
    run = responded_run(tmp_path / "run", dialogues=2)
    add_mark(run, MarkBody(sample_id="a", responder="moe", vote="bad"))
    add_mark(run, MarkBody(sample_id="a", responder="moe", vote="good", tags=("warm",), note="é"))
    add_mark(run, MarkBody(sample_id="b", responder="moe", vote="bad"))
    path = run.ratings / NAME
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("ab") as file:
        file.write(b'{"sample_id": "c", "resp')
    assert tally(read_marks(run)) == {"moe": {"good": 1, "bad": 1}}
    add_mark(run, MarkBody(sample_id="b", responder="moe"))
    marks = read_marks(run)
    assert list(marks) == [("a", "moe")]
    assert (marks["a", "moe"].note, marks["a", "moe"].tags) == ("é", ("warm",))
    path.write_text(json.dumps({"sample_id": 3}) + "\n")
    with pytest.raises(UserError, match=r"reading.jsonl, line 1, is no mark of a reader"):
        read_marks(run)


def test_a_reader_votes_notes_and_finds_them_again(tmp_path, browser) -> None:
    run = responded_run(tmp_path / "run", dialogues=4, responses=RESPONSES)
    with serving([run.root], tmp_path) as served:
        address = f"{served.url}/compare?run=run&what=responses&model=run/base&model=run/moe"
        with visit_url(browser, address) as visit:
            page = visit.page
            page.get_by_text("in 4 they differ").wait_for()
            cell = page.locator(".mark[data-responder=moe]").first
            cell.get_by_role("button", name="Good").click()
            page.locator("[data-tally='run/moe']", has_text="1 good, 0 bad").wait_for()
            cell.get_by_role("button", name="Bad").click()
            page.locator("[data-tally='run/moe']", has_text="0 good, 1 bad").wait_for()
            cell.locator("summary").click()
            cell.get_by_label("Tags, with commas").fill("stock phrase, cold")
            cell.get_by_label("Note").fill("Glad? <script>alert(1)</script>")
            cell.get_by_label("Note").blur()
            page.locator("#announcer", has_text="Note kept.").wait_for()
            assert axe(page) == []
            page.reload()
            cell = page.locator(".mark[data-responder=moe]").first
            assert cell.get_by_label("Note").input_value() == "Glad? <script>alert(1)</script>"
            assert cell.get_by_role("button", name="Bad").get_attribute("aria-pressed") == "true"
            assert "0 good, 1 bad" in text_of(page)
            with page.expect_download() as download:
                page.get_by_role("link", name="Download votes and notes").click()
            (line,) = download.value.path().read_text("utf-8").splitlines()
            assert json.loads(line)["tags"] == ["stock phrase", "cold"]
            assert visit.console == []
