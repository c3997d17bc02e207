"""The page Steps: downloads, and an engineer's way from the selection to a compared mixture."""

from __future__ import annotations

import json
from urllib.parse import quote

import polars as pl
import pytest

from browser import axe, text_of, visit_url
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.integrity import check
from efficient_empathy.labelling.corrections.settings import CorrectionSettings
from efficient_empathy.labelling.corrections.store import correct
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from handbook_reader import dialogue_lines
from selected_runs import selected_run
from studio_server import ask, serving
from synthesizing_server import bundled_run
from tiny_models import tiny_encoder


def test_only_what_stages_wrote_for_others_is_downloaded_and_only_as_they_left_it(tmp_path) -> None:
    run = selected_run(tmp_path / "mine", dialogues=6)
    (run.root / "recipe.yaml").write_text("name: x\n", "utf-8")
    with serving([run.root], tmp_path) as served:

        def get(file: str) -> tuple[int, str, str]:
            status, headers, text = ask(served, f"/download?run=mine&file={quote(file)}")
            return status, headers.get("Content-Disposition", ""), text

        status, disposition, text = get("selection/sensibility.jsonl")
        assert status == 200
        assert 'filename="mine-sensibility.jsonl"' in disposition
        assert text == (run.selection / "sensibility.jsonl").read_text("utf-8")
        assert get("recipe.yaml")[2] == "name: x\n"
        for file in ("manifest.json", "ledger.sqlite", "selection/../manifest.json", "/etc/passwd", "selection/", ""):
            assert get(file)[0] == 400, file
        (run.selection / "sensibility.jsonl").write_text("{}\n", "utf-8")
        for file in ("selection/sensibility.jsonl", "selection"):
            status, _, text = get(file)
            assert status == 400
            assert "to make it again" in text


def test_a_step_is_the_command_that_its_form_says_and_nothing_that_a_value_says(tmp_path) -> None:
    run = selected_run(tmp_path / "mine", dialogues=6)
    with serving([run.root], tmp_path) as served:

        def post(name: str, body: dict) -> tuple[int, dict]:
            header = {"Content-Type": "application/json"}
            status, _, text = ask(served, f"/api/steps/{name}?run=mine", "POST", header, json.dumps(body).encode())
            return status, json.loads(text)

        choice = {"policy": "paper", "t.alpha": "6", "t.beta": "4.5", "decide": "scores"}
        status, seen = post("command", {"step": "select", "choice": choice})
        words = "--policy=paper --threshold=alpha=6 --threshold=beta=4.5 --decide=scores"
        assert (status, seen["command"]) == (200, f"efficient-empathy select --run={run.root} {words}")
        status, seen = post("command", {"step": "train", "subset": "--force", "base": "-x; rm -rf /", "epochs": 2})
        assert seen["command"].endswith(
            "train --run=" + str(run.root) + " --subset=--force '--base=-x; rm -rf /' --epochs=2.0"
        )
        for wrong in ({"step": "demo"}, {"step": "train"}, {"step": "train", "subset": "a", "output": "/x"}, {}):
            assert post("start", wrong)[0] == 400, wrong
        assert post("command", {"step": "select", "choice": {"policy": "nope"}})[0] == 400
    with serving([run.root], tmp_path, read_only=True) as served:
        assert ask(served, "/api/steps/start?run=mine", "POST", body=b'{"step": "report"}')[0] == 403


def test_a_training_that_would_be_refused_is_refused_at_the_form(tmp_path, browser) -> None:
    run = selected_run(tmp_path / "mine", dialogues=6)
    with serving([run.root], tmp_path) as served, visit_url(browser, f"{served.url}/steps?run=mine") as visit:
        page = visit.page
        form = page.locator("form[data-step=train]")
        said = form.locator("[data-failure]")
        form.locator("[data-failure]", has_text="too few for batches of 16").wait_for()
        assert said.inner_text().endswith("select with other thresholds, or lower “Samples a batch”.")
        form.get_by_label("Samples a batch").fill("2")
        form.get_by_label("Samples a batch").blur()
        form.locator("[data-command]", has_text="--batch-size=2").wait_for(state="attached")
        assert said.inner_text() == ""
        form.get_by_label("Subset").select_option("random")
        form.locator("[data-command]", has_text="--subset=random").wait_for(state="attached")
        assert said.inner_text() == ""
        form.get_by_label("Samples at most").fill("1")
        form.get_by_label("Samples at most").blur()
        form.locator("[data-failure]", has_text="random has 1 samples to train on").wait_for()
        assert visit.console == []
        form.get_by_role("button", name="Train").click()
        page.locator("#problem", has_text="random has 1 samples to train on").wait_for()
        assert ask(served, "/api/steps/jobs?run=mine")[2] == '{"jobs":[]}'


def test_a_judge_of_ones_own_learns_from_corrections_and_judges_a_new_run(tmp_path, browser) -> None:
    pytest.importorskip("trl", reason='needs the extra "train"')
    runs, encoder = tmp_path / "runs", tiny_encoder(tmp_path / "encoder")
    runs.mkdir()
    run = bundled_run(runs, 48)
    ids = pl.read_parquet(run.samples)["sample_id"].to_list()
    correct(run, ids[::3], CorrectionSettings(scores={"sensibility": 9}, by="ann", reason="warm"))
    source = tmp_path / "more.jsonl"
    source.write_bytes(b"".join(dialogue_lines()[:4]))
    with serving([], tmp_path, home=runs) as served, visit_url(browser, f"{served.url}/steps?run=run") as visit:
        page = visit.page
        page.set_default_timeout(60_000)
        form = page.locator("form[data-step=distill]")
        form.locator("[name=base]").fill(str(encoder))
        form.locator("[name=epochs]").fill("1")
        form.locator("[name=correction_weight]").fill("2")
        form.get_by_text("The command").click()
        form.get_by_text("--corrections --correction-weight=2").wait_for()
        assert axe(page) == []
        form.get_by_role("button", name="Make the judge").click()
        page.get_by_text("Made: mine; New run offers it.").wait_for()
        card = (run.root / "judges" / "mine" / "README.md").read_text("utf-8")
        assert "people" in card
        page.goto(f"{served.url}/new")
        page.wait_for_selector("body[data-ready=new]")
        page.locator("#file").set_input_files(source)
        page.locator("#price", has_text="free").wait_for()
        page.locator("#own-judge").select_option("run: mine")
        text_of(page)
        page.get_by_label("Name of the run").fill("second")
        page.get_by_role("button", name="Start").click()
        page.locator("#next").wait_for()
        assert visit.console == []
    record = Workspace(runs / "second").stage(SCORE, ScoreRecord)
    assert record is not None
    assert record.judge == "mine"
    assert [one.stage for one in check(run).problems] == ["select"], "which corrections made stale"


def test_an_engineer_goes_from_thresholds_to_a_compared_mixture(tmp_path, browser) -> None:
    pytest.importorskip("trl", reason='needs the extra "train"')
    run = selected_run(tmp_path / "mine", dialogues=24)
    with serving([run.root], tmp_path) as served, visit_url(browser, f"{served.url}/steps?run=mine") as visit:
        page = visit.page
        page.set_default_timeout(120_000)
        assert page.get_by_text("Train at least two experts first.").is_visible()
        for subset in ("sensibility", "rationality"):
            form = page.locator("form[data-step=train]")
            assert form.locator("[name=subset]").input_value() == subset
            form.locator("[name=max_samples]").fill("8")
            form.locator("[name=batch_size]").fill("4")
            form.get_by_role("button", name="Train").click()
            page.get_by_text("Trained: ").filter(has_text=subset).wait_for()
        page.locator("form[data-step=mix] [name=max_samples]").fill("8")
        page.locator("form[data-step=mix] [name=batch_size]").fill("4")
        page.get_by_label("Compare a TIES merge as well").check()
        page.get_by_role("button", name="Mix").click()
        page.get_by_text("The mixture is there.").wait_for()
        page.get_by_role("button", name="Output of mix").click()
        page.locator("#log-text", has_text="average").wait_for()
        page.get_by_role("button", name="Close").click()
        assert "ties" in page.locator("form[data-step=generate] [name=model]").inner_text()
        assert page.get_by_label("Compare a TIES merge as well").is_checked(), "or mixing again would take it away"
        text_of(page)
        assert axe(page) == []
        with page.expect_download() as download:
            page.get_by_role("link", name="comparison.json").click()
        compared = json.loads(download.value.path().read_text("utf-8"))
        page.goto(f"{served.url}/compare?run=mine&what=models")
        words = text_of(page)
        assert visit.console == []
    assert compared
    assert {"average", "ties", "moe"} <= {model["name"] for model in compared["models"]}
    assert "sensibility" in words
