"""The page of samples, in a browser on real runs, and what it asks for."""

from __future__ import annotations

import json
import shutil
import threading
import urllib.request
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from starlette.exceptions import HTTPException

from browser import axe, open_page
from efficient_empathy.dialogues import Sample, Utterance, read, write_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring import Judgement, JudgeSpec, Ledger
from efficient_empathy.selection import select
from efficient_empathy.studio.pages.samples.routes import SampleData
from efficient_empathy.studio.server.selections import Selections, Tables
from own_policy_runs import one_axis_run, selected_by, three_axis_run
from scored_runs import SPEC, write_run
from studio_server import Served, serving

OTHER = JudgeSpec(judge="other", rubric="0123456789abcdef")
DIALOGUES = Path(str(files("efficient_empathy"))) / "assets" / "dialogues" / "train.jsonl"
HOSTILE = "<script>window.hacked = 1</script> \u202egnirts desrever\u202c zero\u200bwidth \x07bell"
LONG = "<b>long</b> " + "word " * 20_000 + "the very end"


def bundled(n: int = 240) -> list[Sample]:
    return [Sample.from_row(row) for row in read(DIALOGUES).head(n).iter_rows(named=True)]


def make_run(root: Path) -> Workspace:
    """240 bundled samples and two hostile ones, of which every 40th failed; the first was judged three times."""
    hostile = [
        Sample.of([Utterance("speaker", "<img src=x onerror=alert(1)>")], HOSTILE, category="<i>afraid</i>"),
        Sample.of([Utterance("speaker", "Tell me everything.")], LONG, category="afraid"),
    ]
    samples = [*bundled(), *hostile]
    n = len(samples)
    states: list[str | None] = ["ok"] * n
    states[40:201:40] = ["parse_error", "api_error", "refused", None, "parse_error"]
    scores: dict[str, list[float | None]] = {
        "sensibility": [float(i % 11) for i in range(n)],
        "rationality": [float((i // 11) % 11) for i in range(n)],
    }
    for values in scores.values():
        values[:] = [x if state == "ok" else None for x, state in zip(values, states, strict=True)]
    raws = [f"Sensibility: {i % 11}" for i in range(n)]
    run = write_run(root, samples, scores, states=states, raws=raws)
    with Ledger(run.ledger) as ledger:
        first = samples[0].id
        ledger.record(OTHER, [Judgement(first, "refused", "other judge", "0123", raw="I cannot", reason="a refusal")])
        scored = {"sensibility": 3.0, "rationality": 4.0}
        ledger.record(OTHER, [Judgement(first, "ok", "other judge", "0123", scored, cost_usd=0.25)])
    select(run)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_run(tmp_path_factory.mktemp("samples") / "run")


@pytest.fixture(scope="module")
def served(run: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving([run.root], tmp_path_factory.mktemp("served")) as found:
        yield found


def sample_data() -> SampleData:
    return SampleData(Tables(), Selections())


def ask(run: Workspace, what: str, query: dict[str, str] | None = None, **more: str) -> dict[str, Any]:
    data = sample_data()
    answer: dict[str, Any] = data.steady(run, lambda index: getattr(data, what)(index, {**(query or {}), **more}))
    return answer


def rows(run: Workspace, query: dict[str, str] | None = None, **more: str) -> list[dict[str, Any]]:
    return list(ask(run, "rows", query, **more)["rows"])


def found_by_search(run: Workspace, text: str, **query: str) -> list[int]:
    data = sample_data()
    asked = {"q": text, **query}
    while not data.steady(run, lambda index: data.view(index, asked))["search"]["ended"]:
        pass
    return [row["row"] for row in data.steady(run, lambda index: data.rows(index, asked))["rows"]]


class TestFilters:
    def test_counts_are_those_of_the_selection(self, run: Workspace) -> None:
        about = ask(run, "view")
        subsets = run.manifest().entry("select")["subsets"]
        assert dict(about["facets"]["subset"]) == {**subsets, "unscored": 5}
        assert about["matching"] == about["samples"] == 242
        assert sum(n for _, _, n in about["map"]) == 237
        assert dict(about["facets"]["state"])["unjudged"] == 1

    def test_a_filter_leaves_the_counts_of_its_other_values(self, run: Workspace) -> None:
        all_, some = ask(run, "view"), ask(run, "view", subset="discard")
        assert some["facets"]["subset"] == all_["facets"]["subset"]
        assert some["matching"] == dict(all_["facets"]["subset"])["discard"]
        assert sum(n for _, n in some["facets"]["category"]) == some["matching"]

    def test_scores_are_rectangles(self, run: Workspace) -> None:
        inside = rows(run, {"score.sensibility": "6-10", "score.rationality": "0-4"}, limit="100")
        assert inside
        assert all(row["scores"]["sensibility"] >= 6 and row["scores"]["rationality"] <= 4 for row in inside)

    def test_the_map_is_of_the_axes_that_are_asked_for(self, tmp_path: Path) -> None:
        three = three_axis_run(tmp_path / "three", 80)
        assert ask(three, "view")["pair"] == ["clarity", "warmth"]
        about = ask(three, "view", right="hope", up="warmth")
        scores = pl.read_parquet(three.scores)
        expected = scores.group_by("hope", "warmth").len().sort("hope", "warmth").rows()
        assert [tuple(one) for one in about["map"]] == expected
        assert ask(three, "view", right="warmth")["pair"] == ["warmth", "clarity"]
        one = one_axis_run(tmp_path / "one", 60)
        counts = pl.read_parquet(one.scores)["warmth"].value_counts().sort("warmth").rows()
        assert [tuple(cell) for cell in ask(one, "view")["map"]] == counts

    def test_an_axis_may_be_called_like_anything_of_the_page(self, tmp_path: Path) -> None:
        """A filter, an order or a column of ours of that name is still ours."""
        names = ("certainty", "s", "r", "q", "score", "position", "move", "warm")
        scores = {name: [float((i + k) % 11) for i in range(20)] for k, name in enumerate(names)}
        run = write_run(tmp_path / "odd", bundled(20), scores)
        policy = {"name": "odd", "thresholds": {"least": 5}, "rules": [{"good": "certainty > least and q > 2"}]}
        selected_by(run, policy)
        about = ask(run, "view")
        assert [axis for axis, _, _ in about["axes"]] == list(names)
        assert (about["letters"]["s"], about["letters"]["score"]) == ("S", "Sc")
        assert len({*about["letters"].values()}) == len(names)
        assert not about["certain"]
        shown = rows(run, sort="score.position", order="desc")
        assert [row["scores"]["position"] for row in shown] == sorted(scores["position"], reverse=True)
        assert {row["scores"]["certainty"] for row in rows(run, {"score.certainty": "7-7"})} == {7.0}
        assert [row["row"] for row in rows(run, sort="position")] == list(range(20))
        assert [row["scores"] for row in rows(run)] == [
            {name: values[i] for name, values in scores.items()} for i in range(20)
        ]

    def test_what_a_threshold_moves(self, run: Workspace) -> None:
        move = {
            "policy": "paper",
            "t.alpha": "5",
            "t.beta": "5",
            "move": "beta=6",
            "from": "rationality",
            "to": "discard",
        }
        found = rows(run, move, limit="100")
        assert found
        assert {row["scores"]["rationality"] for row in found} == {6}
        assert (
            ask(run, "view", move)["move"]
            == "go from rationality to discard when β goes from 5 to 6 under rationality first (paper)"
        )
        for wrong in ({"move": "gamma=6"}, {"move": "beta=x"}, {"from": "charm"}, {"policy": "mine"}):
            with pytest.raises(UserError):
                rows(run, {**move, **wrong})

    def test_failures_of_every_kind_in_one(self, run: Workspace) -> None:
        assert {row["state"] for row in rows(run, state="failed")} == {"parse_error", "api_error", "refused"}
        assert [row["row"] for row in rows(run, state="unjudged")] == [160]

    def test_sorting_is_stable_and_puts_what_has_no_score_last(self, run: Workspace) -> None:
        found = []
        for offset in range(0, 242, 100):
            found += rows(run, sort="score.sensibility", order="desc", offset=str(offset))
        scores = [row["scores"]["sensibility"] for row in found]
        assert scores[-5:] == [None] * 5
        assert scores[:-5] == sorted(scores[:-5], reverse=True)
        best = [row["row"] for row in found if row["scores"]["sensibility"] == 10]
        assert best == sorted(best)
        assert len({row["row"] for row in found}) == 242

    @pytest.mark.parametrize(
        "query",
        [
            {"score.sensibility": "9-2"},
            {"score.sensibility": "x"},
            {"score.charm": "1"},
            {"p": "nan"},
            {"p": "7"},
            {"order": "up"},
            {"sort": "charm"},
            {"sort": "sensibility"},
            {"offset": "-1"},
        ],
    )
    def test_a_query_that_means_nothing_is_an_error_in_words(self, run: Workspace, query: dict[str, str]) -> None:
        with pytest.raises(UserError, match=r"must be|cannot be sorted|cannot be filtered"):
            ask(run, "rows", query)

    def test_pooled_judges_and_their_disagreement(self, tmp_path: Path) -> None:
        pooled = make_run(tmp_path / "pooled")
        scores = pl.read_parquet(pooled.scores)
        apart = pl.Series("disagreement", [float(i % 5) if i % 2 else None for i in range(len(scores))], pl.Float32)
        scores.with_columns(apart, pl.lit(2, pl.UInt16).alias("judgements")).write_parquet(pooled.scores)
        found = rows(pooled, apart="4", sort="disagreement", order="desc")
        assert found
        assert {row["disagreement"] for row in found} == {4}
        assert ask(pooled, "view")["pooled"]

    def test_the_most_probable_subset_and_who_answered(self, tmp_path: Path) -> None:
        samples = bundled(30)
        table = np.random.default_rng(0).dirichlet(np.ones(11), 30).astype(np.float32)
        means = (table @ np.arange(11, dtype=np.float32)).tolist()
        cascade = write_run(
            tmp_path / "cascade", samples, {"sensibility": means, "rationality": means},
            probabilities={"sensibility": table, "rationality": table},
        )  # fmt: skip
        scores = pl.read_parquet(cascade.scores)
        who = pl.Series("answered_by", ["expert" if i % 3 else "distilled" for i in range(30)])
        odds = np.random.default_rng(1).dirichlet(np.ones(3), 30).astype(np.float32)
        probable = [
            pl.Series(f"p_{name}", odds[:, k]) for k, name in enumerate(("sensibility", "rationality", "discard"))
        ]
        scores.with_columns(who, *probable).write_parquet(cascade.scores)
        select(cascade)
        unsure = rows(cascade, p="0.6", sort="disagreement")
        assert unsure
        certainty = [row["certainty"] for row in unsure]
        assert max(certainty) < 0.6
        assert certainty == sorted(certainty, reverse=True)
        assert len(rows(cascade, answered_by="distilled")) == 10


class TestSearch:
    def test_in_context_and_response_whatever_the_case(self, run: Workspace) -> None:
        texts = {i: [sample.response, *(turn.text for turn in sample.context)] for i, sample in enumerate(bundled())}
        for wanted in ("SORRY", "you", "night"):
            expected = [i for i, said in texts.items() if any(wanted.lower() in text.lower() for text in said)]
            assert [row for row in found_by_search(run, wanted) if row < 240] == expected[:100]

    def test_no_pattern_means_anything(self, run: Workspace) -> None:
        assert found_by_search(run, "<script>") == [240]
        assert found_by_search(run, ".*") == []
        assert found_by_search(run, "[") == []

    def test_counts_are_of_what_has_the_text(self, run: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also while it is searched for, step by step; a filter's other values count those that have it."""
        monkeypatch.setattr("efficient_empathy.studio.pages.samples.index._FEWEST", 50)
        monkeypatch.setattr("efficient_empathy.studio.pages.samples.index._MOST", 50)
        monkeypatch.setattr("efficient_empathy.studio.pages.samples.routes.SEARCH_SECONDS", 0)
        subsets = dict(enumerate(pl.read_parquet(run.assignments)["subset"].to_list()))
        having = [
            i
            for i, one in enumerate(bundled())
            if any("you" in turn.text.lower() for turn in (*one.context, Utterance("listener", one.response)))
        ]
        data, searched = sample_data(), 0
        asked = {"q": "you", "subset": "discard"}
        while searched < 242:
            about = data.steady(run, lambda index: data.view(index, asked))
            searched = about["search"]["searched"]
            until = [subsets[i] for i in having if i < searched]
            assert dict(about["facets"]["subset"]) == {name: until.count(name) for name in set(until)}
            assert (
                about["matching"]
                == until.count("discard")
                == len(data.steady(run, lambda i: data.rows(i, asked))["rows"])
            )
            assert sum(n for _, n in about["facets"]["category"]) == about["matching"]
        assert about["search"] == {"searched": 242, "of": 242, "ended": True}


class TestOneSample:
    def test_every_judgement_failures_included(self, run: Workspace) -> None:
        told = ask(run, "one", row="0")["rounds"]["judgements"]
        assert [(one["judge"], one["state"], one["counts"]) for one in told] == [
            ("test", "ok", True), ("other judge", "refused", False), ("other judge", "ok", False),
        ]  # fmt: skip
        assert told[1]["raw"]["text"] == "I cannot"
        assert told[0]["spec"] == str(SPEC)

    def test_a_long_text_is_sent_as_a_whole_when_asked_for(self, run: Workspace) -> None:
        response = ask(run, "one", row="241")["response"]
        assert response["length"] == len(LONG) > len(response["text"])
        assert ask(run, "text", row="241", part="response")["text"] == LONG
        assert ask(run, "text", row="0", part="turn-0")["text"] == bundled(1)[0].context[0].text

    def test_by_id_with_its_place_under_the_filters(self, run: Workspace) -> None:
        found = ask(run, "one", sample=bundled()[200].id, state="failed")
        assert (found["row"], found["place"], found["state"]) == (200, 3, "parse_error")
        with pytest.raises(HTTPException, match="no such sample"):
            ask(run, "one", sample="0" * 32)

    def test_earlier_turns_on_request(self, tmp_path: Path) -> None:
        turns = [Utterance("speaker" if i % 2 == 0 else "listener", f"turn {i}") for i in range(101)]
        long = write_run(tmp_path / "long", [Sample.of(turns, "yes")], {"sensibility": [1], "rationality": [1]})
        shown = ask(long, "one", row="0")["context"]
        assert (shown["total"], shown["first"], shown["turns"][-1]["text"]) == (101, 71, "turn 100")
        earlier = ask(long, "turns", row="0", end="71")
        assert [turn["text"] for turn in earlier["turns"]] == [f"turn {i}" for i in range(41, 71)]


class TestUnfinishedRuns:
    def test_without_scores(self, tmp_path: Path) -> None:
        run = Workspace(tmp_path / "run").create()
        write_samples(iter(bundled(5)), run.samples)
        about = ask(run, "view")
        assert "scores.parquet is missing: run `efficient-empathy score" in about["standing"]["details"]
        assert about["facets"]["state"] == [["unjudged", 5]]
        assert len(rows(run)) == 5
        assert ask(run, "one", row="0")["rounds"] == {"total": 0, "judgements": [], "fault": ""}

    def test_without_samples_and_without_rows(self, tmp_path: Path) -> None:
        run = Workspace(tmp_path / "run").create()
        with pytest.raises(UserError, match="efficient-empathy score SOURCE"):
            ask(run, "view")
        write_samples(iter([]), run.samples)
        assert ask(run, "view")["matching"] == 0
        assert rows(run) == []

    def test_scores_and_selection_of_other_samples_are_not_shown(self, tmp_path: Path) -> None:
        run = make_run(tmp_path / "run")
        write_samples(iter(bundled(50)), run.samples)
        about = ask(run, "view")
        assert about["samples"] == 50
        assert "is about other samples than samples.parquet" in about["standing"]["details"]
        assert about["axes"] == []

    def test_a_selection_of_earlier_scores_is_told(self, tmp_path: Path) -> None:
        run = make_run(tmp_path / "run")
        pl.read_parquet(run.scores).with_columns(pl.col("rationality") * 0).write_parquet(run.scores)
        assert "earlier scores" in ask(run, "view")["standing"]["details"]

    def test_edited_scores_and_subsets_are_not_shown(self, tmp_path: Path) -> None:
        run = make_run(tmp_path / "run")
        pl.read_parquet(run.assignments).with_columns(subset=pl.lit("discard")).write_parquet(run.assignments)
        about = ask(run, "view")
        assert "assignments.parquet" in about["standing"]["details"]
        assert "changed" in about["standing"]["details"]
        assert about["facets"]["subset"] == []
        run.keep("score", [run.scores])
        pl.read_parquet(run.scores).with_columns(pl.col("rationality") * 0).write_parquet(run.scores)
        about = ask(run, "view")
        assert "scores.parquet" in about["standing"]["details"]
        assert "changed" in about["standing"]["details"]
        assert about["axes"] == []

    def test_a_file_that_is_cut_off(self, tmp_path: Path) -> None:
        run = make_run(tmp_path / "run")
        run.scores.write_bytes(run.scores.read_bytes()[:200])
        assert "scores.parquet" in ask(run, "view")["standing"]["details"]
        run.ledger.write_bytes(b"no ledger")
        shutil.copy(make_run(tmp_path / "other").scores, run.scores)
        assert "ledger" in ask(run, "one", row="0")["rounds"]["fault"]

    def test_files_that_are_rewritten_meanwhile_are_never_mixed(self, tmp_path: Path) -> None:
        run = make_run(tmp_path / "run")
        versions = [bundled(240), list(reversed(bundled(240)))]
        ids = [[sample.id for sample in version] for version in versions]
        stop = threading.Event()

        def rewrite() -> None:
            for turn in range(10_000):
                with atomic(run.samples) as path:
                    write_samples(iter(versions[turn % 2]), path)
                if stop.wait(0.03):
                    return

        writer = threading.Thread(target=rewrite)
        data, answers, refused = sample_data(), 0, set()
        write_samples(iter(versions[0]), run.samples)
        writer.start()
        try:
            for _ in range(30):
                try:
                    found = data.steady(run, lambda index: data.rows(index, {"limit": "100"}))["rows"]
                except HTTPException as error:
                    refused.add(error.status_code)
                    continue
                answers += 1
                assert [row["sample_id"] for row in found] in (ids[0][:100], ids[1][:100])
        finally:
            stop.set()
            writer.join()
        assert answers > 0
        assert refused <= {409}
        assert data.steady(run, lambda index: len(index.frame)) == 240


class TestPage:
    def test_only_what_is_on_screen_exists(self, served: Served, browser: Any) -> None:
        page = open_page(browser, f"{served.url}/samples").page
        page.locator(".row-response").first.wait_for()
        assert page.locator("[role=option]").count() < 20
        for key in ("End", "Home", "PageDown", "End"):
            page.locator("#list").press(key)
        page.locator("[aria-posinset='242'] .row-response").wait_for()
        assert page.locator("[role=option]").count() < 20

    def test_by_keyboard_alone(self, served: Served, browser: Any) -> None:
        visit = open_page(browser, f"{served.url}/samples")
        page = visit.page
        page.locator(".row-response").first.wait_for()
        focused = "document.activeElement.id || document.activeElement.getAttribute('role')"
        page.get_by_role("link", name="Skip to the content").press("Enter")
        for step in ("sort", "order", "list"):
            page.keyboard.press("Tab")
            assert page.evaluate(focused) == step
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.locator("#detail-title", has_text="2 of 242").wait_for()
        for key, place in (("ArrowDown", 3), ("j", 4), ("j", 5), ("k", 4), ("ArrowUp", 3)):
            page.keyboard.press(key)
            page.locator("#detail-title", has_text=f"{place} of 242").wait_for()
        assert page.evaluate(focused) == "list"
        page.keyboard.press("Enter")
        assert page.evaluate(focused) == "detail-title"
        page.keyboard.press("ArrowDown")
        page.locator("#detail-title", has_text="4 of 242").wait_for()
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.locator("#detail-title", has_text="5 of 242").wait_for()
        assert page.evaluate("document.activeElement.textContent") == "Next"
        page.keyboard.press("/")
        page.keyboard.type("jk/")
        assert page.evaluate("document.activeElement.value") == "jk/"
        page.locator("#none", has_text="No sample passes").wait_for()
        page.locator("#clear").press("Enter")
        reached = [page.keyboard.press("Tab") or page.evaluate(focused) for _ in range(8)]
        assert {"subset", "category", "state", "gridcell"} <= set(reached)
        page.get_by_role("heading", name="Samples").click()
        page.keyboard.press("Escape")
        assert page.evaluate(focused) == "list"
        assert visit.console == []

    def test_the_filters_stay_where_there_is_room_for_them_and_the_order_says_what_it_is(
        self, served: Served, browser: Any
    ) -> None:
        page = open_page(browser, f"{served.url}/samples").page
        page.locator(".row-response").first.wait_for()
        page.get_by_role("heading", name="Filters").click(force=True)
        assert page.locator("#q").is_visible()
        order = page.get_by_label("Order")
        assert order.evaluate("(one) => one.selectedOptions[0].text") == "ascending"
        order.select_option("descending")
        page.locator("#sample-0", has_text="Tell me everything.").wait_for()
        page.set_viewport_size({"width": 390, "height": 700})
        assert not page.locator("#q").is_visible()
        page.get_by_role("heading", name="Filters").click()
        page.locator("#q").wait_for()

    def test_an_address_that_asks_for_what_there_is_not_is_told(self, served: Served, browser: Any) -> None:
        page = open_page(browser, f"{served.url}/samples?sample=nobody&alpha=5&sensibility=6&t.alpha=5").page
        page.locator(".row-response").first.wait_for()
        notes = page.locator("main > .notice").all_inner_texts()
        assert notes == [
            "The address asks for alpha, which this page does not know.",
            "The address asks for sensibility, which this page does not know; did you mean score.sensibility?",
            "There is no sample nobody in this run: it may have been scored anew from other data.",
        ]
        page.goto(f"{served.url}/samples?p=7")
        page.locator("#problem", has_text="p is '7': it must be a number from 0 to 1").wait_for()

    def test_a_sample_of_an_address_stands_in_the_middle_of_the_list(
        self, served: Served, run: Workspace, browser: Any
    ) -> None:
        identity = pl.read_parquet(run.samples, columns=["sample_id"])["sample_id"][150]
        middle = """() => {
            const list = document.getElementById("list").getBoundingClientRect();
            const row = document.getElementById("sample-150")?.getBoundingClientRect();
            return row && scrollY === 0 && Math.abs((list.top + list.bottom - row.top - row.bottom) / 2) < 2;
        }"""
        page = open_page(browser, f"{served.url}/samples?sample={identity}").page
        page.locator("#sample-150[aria-selected=true]").wait_for()
        assert page.evaluate(middle)
        page.reload()
        page.locator("#sample-150[aria-selected=true]").wait_for()
        assert page.evaluate(middle)
        page.set_viewport_size({"width": 390, "height": 800})
        page.get_by_role("button", name="← List").click()
        page.locator("#sample-150 .row-response").wait_for()
        assert page.evaluate(middle)

    def test_cells_by_keyboard_and_by_pointer(self, served: Served, browser: Any) -> None:
        page = open_page(browser, f"{served.url}/samples").page
        page.locator(".row-response").first.wait_for()  # a cell that is not shown yet takes no focus
        page.locator("[role=gridcell][data-row='6'][data-column='0']").press("Enter")
        page.locator("#count", has_text=" of 242 samples").wait_for()
        assert "score.sensibility=6-6" in page.url
        assert "score.rationality=0-0" in page.url
        page.keyboard.press("Shift+ArrowUp")
        page.keyboard.press("Shift+ArrowRight")
        page.locator("[role=gridcell][data-row='7'][data-column='1'][aria-selected=true]").wait_for()
        assert page.locator("[role=gridcell][aria-selected=true]").count() == 4
        page.keyboard.press("Escape")
        page.get_by_text("242 samples", exact=True).wait_for()
        for end, act in (((9, 2), page.mouse.down), ((7, 4), page.mouse.up)):
            box = page.locator(f"[role=gridcell][data-row='{end[0]}'][data-column='{end[1]}']").bounding_box()
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            act()
        page.wait_for_url("**score.sensibility=7-9**")
        page.locator("[role=gridcell][data-row='8'][data-column='3'][aria-selected=true]").wait_for()
        assert "score.sensibility=7-9" in page.url
        assert "score.rationality=2-4" in page.url

    def test_the_address_holds_the_state(self, served: Served, run: Workspace, browser: Any) -> None:
        page = open_page(browser, f"{served.url}/samples").page
        page.locator("#q").fill("YOU")
        page.locator("#subset").select_option("rationality")
        page.locator("#sort").select_option("score.sensibility")
        page.locator("#order").select_option("desc")
        page.wait_for_url("**q=YOU**order=desc**")
        page.locator("#list[aria-busy=false]").wait_for()
        page.locator("#sample-0 .row-response").click()
        page.locator(".judgement").first.wait_for()
        assert page.locator(".chat mark").count() > 0
        page.locator("#list[aria-busy=false]").wait_for()
        told = page.locator("#count").inner_text(), page.locator("#sample-0").inner_text()
        opened = page.locator("#detail-title").inner_text()
        assert opened.startswith("1 of ")
        again = open_page(browser, page.url).page
        again.locator(".judgement").first.wait_for()
        again.locator("#list[aria-busy=false]").wait_for()
        again.locator("#sample-0 .row-response").wait_for()
        assert again.locator("#detail-title").inner_text() == opened
        assert (again.locator("#count").inner_text(), again.locator("#sample-0").inner_text()) == told
        assert again.locator("#q").input_value() == "YOU"
        assert again.locator("#order").input_value() == "desc"
        again.locator("#clear").click()
        again.locator("#count", has_text="242 samples").wait_for()
        again.locator("#detail-title", has_text=f"of {len(pl.read_parquet(run.samples))}").wait_for()

    def test_the_list_fills_a_window_of_another_size(self, served: Served, browser: Any) -> None:
        page = open_page(browser, f"{served.url}/samples").page
        page.locator("#sample-0 .row-response").wait_for()
        for width, height in ((1280, 600), (1280, 1300), (390, 900), (1000, 800)):
            page.set_viewport_size({"width": width, "height": height})
            rows = "const list = document.getElementById('list'), row = list.querySelector('.row');"
            last = page.evaluate(f"{{ {rows} Math.ceil(list.clientHeight / row.offsetHeight) - 1 }}")
            page.locator(f"#sample-{last - 1} .row-response").wait_for()
            page.locator(f"#sample-{last + 2}").wait_for(state="detached")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    def test_hostile_text_is_text(self, served: Served, browser: Any) -> None:
        visit = open_page(browser, f"{served.url}/samples?q=%3Cscript%3E")
        page = visit.page
        page.locator(".row-response", has_text="<script>window.hacked = 1</script>").click()
        response = page.locator(".chat .judged p")
        response.wait_for()
        shown = response.inner_text()
        assert "<script>window.hacked = 1</script>" in shown
        for code in ("U+202E", "U+202C", "U+200B", "U+0007"):
            assert code in shown
        assert "<img src=x onerror=alert(1)>" in page.locator(".chat .speaker p").inner_text()
        assert page.locator("main img, main script").count() == 0
        assert page.evaluate("window.hacked") is None
        assert visit.console == []
        assert all(url.startswith(served.url) for url in visit.requests)

    def test_a_long_response_is_clipped_until_all_is_asked_for(
        self, served: Served, run: Workspace, browser: Any
    ) -> None:
        identity = pl.read_parquet(run.samples, columns=["sample_id"])["sample_id"][241]
        page = open_page(browser, f"{served.url}/samples?sample={identity}").page
        response = page.locator(".chat .judged p")
        response.wait_for()
        assert len(response.inner_text()) < 1_300
        page.get_by_role("button", name=f"Show all {len(LONG):,} characters").click()
        page.locator(".chat .judged p", has_text="the very end").wait_for()
        assert response.inner_text() == LONG

    @pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
    def test_nothing_is_wrong_for_axe(self, served: Served, browser: Any, width: int, scheme: Any) -> None:
        visit = open_page(browser, f"{served.url}/samples?score.sensibility=1-9", width=width, scheme=scheme)
        page = visit.page
        page.locator(".row-response").first.wait_for()
        if width < 900:
            assert axe(page) == []
        page.locator("#list").press("Enter")
        page.locator(".judgement").first.wait_for()
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    def test_list_and_detail_are_two_views_on_a_phone(self, served: Served, browser: Any) -> None:
        page = open_page(browser, f"{served.url}/samples", width=390).page
        page.locator(".row-response").first.click()
        page.locator(".judgement").first.wait_for()
        assert not page.locator("#list").is_visible()
        page.go_back()
        page.locator("#list").wait_for()
        assert not page.locator("#detail").is_visible()
        page.locator(".row-response").first.click()
        page.get_by_role("button", name="← List").click()
        page.locator("#list").wait_for()

    def test_files_that_change_are_read_anew(self, tmp_path: Path, browser: Any) -> None:
        run = make_run(tmp_path / "run")
        with serving([run.root], tmp_path) as served:
            visit = open_page(browser, f"{served.url}/samples")
            page = visit.page
            page.locator("#count", has_text="242 samples").wait_for()
            run.scores.unlink()
            write_samples(iter(bundled(30)), run.samples)
            page.locator(".row").first.click()
            page.locator("#count", has_text="30 samples").wait_for()
            page.get_by_text("This run is not scored yet. It has 30 samples").wait_for()
            run.samples.unlink()
            page.locator("#state, #q").first.fill("dog")
            page.locator("#problem", has_text="efficient-empathy score").wait_for()
        refused = ("400", "409")  # a page that asks while a file changes may ask about the earlier one
        assert not [line for line in visit.console if not any(status in line for status in refused)]

    def test_a_list_of_a_million_can_be_scrolled(self, served: Served, browser: Any) -> None:
        """The list alone, on made-up rows: its height is cut, its ends are reached, its memory does not grow."""
        page = open_page(browser, f"{served.url}/samples").page
        page.locator(".row-response").first.wait_for()
        found = page.evaluate(
            """async (address) => {
              const { VirtualList } = await import(address);
              const host = document.getElementById("list").cloneNode();
              host.id = "million";
              document.getElementById("list").after(host);
              const list = new VirtualList(host, {
                fetchRows: async (offset, n) => Array.from({ length: n }, (_, i) => ({ row: offset + i })),
                draw: (row) => [String(row.row)], onopen: () => {},
              });
              list.reset(1_000_000);
              const frame = () => new Promise((done) => setTimeout(done, 80));
              for (let i = 0; i < 30; i++) { list.activate(i * 30_000); await frame(); }
              const press = (key) => host.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
              press("End"); await frame(); await frame();
              const last = host.querySelector(".row:last-child").textContent;
              press("ArrowUp"); await frame();
              host.scrollTop = 0; await frame(); await frame();
              return { last, first: host.querySelector(".row").textContent, rows: host.querySelectorAll(".row").length,
                       pages: list.pages.size, height: host.scrollHeight };
            }""",
            served.studio.static.address("samples-list.js"),
        )
        assert (found["first"], found["last"]) == ("0", "999999")
        assert found["rows"] < 20
        assert found["pages"] <= 25
        assert found["height"] < 10_000_000


def test_answers_are_json_that_any_reader_takes(served: Served) -> None:
    with urllib.request.urlopen(f"{served.url}/api/samples/rows?offset=230&limit=40") as answer:
        found = json.loads(answer.read(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert [row["row"] for row in found["rows"]] == list(range(230, 242))
