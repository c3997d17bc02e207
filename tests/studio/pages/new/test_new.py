"""New run, as a data team meets it: a file of its own is dropped, mapped, judged, selected and taken away."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from browser import axe, text_of, visit_url
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.judges.distilled import BUNDLED
from efficient_empathy.selection import SelectSettings, select
from efficient_empathy.studio.pages.new.uploads import Upload, Uploads
from misbehaving_server import MisbehavingServer
from misbehaviours import ok
from studio_server import ask, serving

KEY = "tok-0123456789abcdef"
TALKS = [
    (
        "I lost my job today and feel awful",
        "Oh no, I am so sorry. That must hurt. Do you want to talk about it?",
        "work",
    ),
    ("My sister got married", "How lovely! You must be over the moon.", "family"),
    ("How do I reset my router?", "Hold the small button for ten seconds, then wait until the lamp is green.", "help"),
    ("I failed the exam again", "Make a plan: one chapter a day, then a mock exam each week.", "school"),
    ("It rains", "Yes.", "other"),
]


def write_csv(folder: Path, times: int = 4) -> Path:
    """A table with names of its own for its columns, and a row without an answer."""
    rows = io.StringIO()
    table = csv.writer(rows)
    table.writerow(["Customer wrote", "Coach wrote", "Area"])
    for i in range(times):
        table.writerows((f"{said} ({i})", answer, area) for said, answer, area in TALKS)
    table.writerow(["and then silence", "", "other"])
    path = folder / "Support logs (May).csv"
    path.write_text(rows.getvalue(), "utf-8")
    return path


def begin(page: Any, file: Path) -> None:
    page.wait_for_selector("body[data-ready=new]")
    page.locator("#file").set_input_files(file)


def test_a_data_team_goes_from_a_csv_to_downloaded_subsets_without_a_terminal(tmp_path, browser) -> None:
    file = write_csv(tmp_path)
    with (
        serving([], tmp_path, home=tmp_path / "runs") as served,
        visit_url(browser, served.url) as visit,
    ):
        page = visit.page
        page.set_default_timeout(60_000)
        begin(page, file)
        page.locator("#guessed", has_text="“Customer wrote” as what the speaker wrote").wait_for()
        page.locator("#price", has_text="20 different samples").wait_for()
        assert page.locator("#columns [name=category]").is_visible(), "guessed columns can be changed"
        text_of(page)
        assert page.locator("#columns [name=context]").input_value() == "Customer wrote"
        assert page.locator("#columns [name=response]").input_value() == "Coach wrote"
        page.locator("#columns [name=category]").select_option("Area")
        page.get_by_role("button", name="Read it so").click()
        page.locator("#price", has_text="20 different samples to judge: free").wait_for()
        facts = page.locator("#facts").inner_text()
        assert "Samples\n20." in facts
        assert "5: work 4" in facts
        assert "1 row without a sample" in page.locator("#bad").inner_text()
        assert axe(page) == []
        page.get_by_role("button", name="Start").click()
        page.locator("#problem", has_text="1 row carries no sample: tick “Leave these rows out”").wait_for()
        page.get_by_label("Leave these rows out").check()
        assert page.locator("#name").input_value() == "Support-logs-May"
        page.get_by_role("button", name="Start").click()
        page.wait_for_url("**/live?run=Support-logs-May")
        page.locator("#next").click()
        page.wait_for_selector("body[data-ready=lab]")
        page.locator("#sliders [data-threshold=alpha]").fill("6")
        page.get_by_role("button", name="Apply").click()
        page.locator("#done a", has_text="Download them").click()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download the selection").click()
        assert axe(page) == []
        with zipfile.ZipFile(download.value.path()) as packed:
            found = {name.partition("/")[2]: packed.read(name) for name in packed.namelist()}
        page.get_by_role("button", name="Write the report").click()
        page.get_by_role("link", name="report.html").wait_for()
        text_of(page)
        assert visit.console == []
    run = Workspace(tmp_path / "runs" / "Support-logs-May")
    result = select(run, SelectSettings(thresholds={"alpha": 6}))
    assert result.skipped, "the page wrote what the command writes"
    for subset, count in result.subsets.items():
        if count:
            assert len(found[f"{subset}.jsonl"].splitlines()) == count
            assert pl.read_parquet(io.BytesIO(found[f"{subset}.parquet"])).height == count
    assert (tmp_path / "runs" / "sources" / "Support_logs_May_.csv").read_bytes() == file.read_bytes()


def test_an_endpoint_is_asked_with_a_key_that_no_file_keeps(tmp_path, browser, monkeypatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def answer(body: dict, number: int):
        return ok(json.dumps({"sensibility": number % 11, "rationality": 3}))

    with (
        MisbehavingServer(answer) as server,
        serving([], tmp_path, home=tmp_path / "runs") as served,
        visit_url(browser, f"{served.url}/new") as visit,
    ):
        page = visit.page
        page.set_default_timeout(30_000)
        begin(page, write_csv(tmp_path, 1))
        page.locator("#price", has_text="5 different samples").wait_for()
        page.get_by_label("A model behind an OpenAI-compatible endpoint").check()
        page.locator("#price", has_text="Name the endpoint's model").wait_for()
        page.get_by_label("Address").fill(server.url)
        page.get_by_label("Key, for this session only").fill(KEY)
        page.locator("#model").fill("gpt-4o-mini")
        page.locator("#model").blur()
        page.locator("#price", has_text="5 requests, about $0.00").wait_for()
        page.get_by_label("Leave these rows out").check()
        page.get_by_label("Name of the run").fill("asked")
        page.get_by_role("button", name="Start").click()
        page.locator("#next").wait_for()
        assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    assert pl.read_parquet(tmp_path / "runs" / "asked" / "scores.parquet")["state"].to_list() == ["ok"] * 5
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


def test_what_cannot_be_read_or_started_is_said_in_words(tmp_path) -> None:
    file = write_csv(tmp_path)
    with serving([], tmp_path, home=tmp_path / "runs") as served:

        def post(name: str, body: dict) -> tuple[int, dict]:
            status, _, text = ask(
                served, f"/api/new/{name}", "POST", {"Content-Type": "application/json"}, json.dumps(body).encode()
            )
            return status, json.loads(text)

        status, seen = post("look", {"source": str(tmp_path / "nowhere.csv")})
        assert status == 200
        assert "nowhere.csv is not found" in seen["problem"]
        columns = {"context": "Customer wrote", "response": "Coach wrote"}
        plan = {"source": str(file), "reading": {"columns": columns}}
        assert [one["response"] for one in post("look", plan)[1]["examples"]] == [TALKS[i][1] for i in range(3)]
        while not (counted := post("count", plan)[1])["inspection"]:
            assert not counted["problem"]
        assert (counted["samples"], counted["inspection"]["bad_rows"]) == (20, 1)
        for wrong, words in (
            ({"reading": {"encoding": "no-such"}}, "is no text encoding"),
            ({"judging": {"judge": "openai"}}, "name the endpoint's model"),
            ({"judging": {"judge": "openai", "model": "m", "base_url": "ftp://x"}}, "ftp"),
            ({"judging": {"rubric": "no-such"}}, "there is no rubric 'no-such' here"),
        ):
            status, seen = post("price", {**plan, **wrong})
            assert status == 400, seen
            assert words in seen["error"]
        for name in ("../out", "a/b", "-x", "archive"):
            status, seen = post("start", {**plan, "name": name})
            assert status == 400
            assert "no name for a run" in seen["error"]
        status, seen = post("start", {**plan, "name": "nul", "source": "a\0b"})
        assert (status, "NUL" in seen["error"]) == (400, True)
        assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())
        judges = tmp_path / "runs" / "mine" / "judges"
        shutil.copytree(BUNDLED, judges / "broken")
        (judges / "broken" / "judge.json").write_text("nothing", "utf-8")
        shutil.copytree(BUNDLED, tmp_path / "elsewhere")
        (judges / "led-out").symlink_to(tmp_path / "elsewhere")
        for own, words in (
            ("broken", "judge.json is not valid"),
            ("led-out", "there is no judge 'mine: led-out' here"),
        ):
            judging = {"judge": "distilled", "own": f"mine: {own}"}
            status, seen = post("start", {**plan, "name": "next", "skip_bad_rows": True, "judging": judging})
            assert (status, words in seen["error"]) == (400, True), seen
        assert [one.name for one in (tmp_path / "runs").iterdir()] == ["mine"]
    with serving([], tmp_path, home=tmp_path / "runs", read_only=True) as served:
        assert ask(served, "/api/new/start", "POST", body=b"{}")[0] == 403
        assert "read-only" in ask(served, "/new")[2]


def test_a_file_comes_in_pieces_once_and_whole_whatever_comes_twice(tmp_path) -> None:
    uploads, content = Uploads(tmp_path), bytes(range(256)) * 40
    upload = Upload(name="../../eve\\.ssh/logs.jsonl.gz", bytes=len(content))
    one = uploads.begin(upload)
    assert uploads.add(one, 0, content[:4000]) == 4000
    assert uploads.add(one, 0, content[:4000]) == 4000
    with pytest.raises(UserError, match="a piece is missing before byte 5,000"):
        uploads.add(one, 5000, content[5000:])
    with pytest.raises(UserError, match=r"came with 4,000 of 10,240 bytes"):
        uploads.finish(one, upload)
    uploads.add(one, 4000, content[4000:])
    path = uploads.finish(one, upload)
    assert path == tmp_path / "sources" / "logs.jsonl.gz"
    assert path.read_bytes() == content
    again = uploads.begin(upload)
    uploads.add(again, 0, content)
    assert uploads.finish(again, upload) == path
    other = Upload(name="logs.jsonl.gz", bytes=3)
    third = uploads.begin(other)
    uploads.add(third, 0, b"abc")
    assert uploads.finish(third, other).name == "logs-2.jsonl.gz"
    assert sorted(path.name for path in path.parent.iterdir()) == ["logs-2.jsonl.gz", "logs.jsonl.gz"]
    for wrong in ("", "../x", "0" * 16):
        with pytest.raises(UserError, match="unknown"):
            uploads.add(wrong, 0, b"x")
    lost = uploads.begin(other)
    part = next(path for path in path.parent.iterdir() if lost in path.name)
    os.utime(part, (0, 0))
    uploads.begin(other)
    assert not part.exists()
    with pytest.raises(UserError, match="the disk has room for"):
        uploads.begin(Upload(name="x", bytes=1 << 40))
