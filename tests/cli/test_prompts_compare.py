from __future__ import annotations

import json

import pytest

import misbehaviours as does
from browser import Page, visit
from efficient_empathy.dialogues import Sample, Utterance, write_samples
from misbehaving_server import MisbehavingServer
from prompt_commands import prompts, strict, stricter
from samples import make_samples
from scored_runs import numbered, write_run
from swept_runs import WARM, WARM_SCALES, warm_scores


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_samples(iter(make_samples(40)), tmp_path / "dialogues.parquet")


def compare(server: MisbehavingServer, *options: str):
    told = ["compare", "empathy", "stricter.yaml", "--judge", f"openai:tiny@{server.url}"]
    return prompts(*told, "--samples", "dialogues.parquet", *options)


def test_two_rubrics_against_a_server_as_json_and_as_a_page(tmp_path) -> None:
    stricter(tmp_path)
    with MisbehavingServer(strict) as server:
        result = compare(server, "--json")
        assert len(server.requests) == 80
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["samples"] == {"a": 40, "b": 40, "in_both": 40, "compared": 40, "dialogues": 40}
    assert (found["a"]["rubric"]["name"], found["b"]["rubric"]["version"]) == ("empathy-selection", 2)
    assert found["a"]["cost"]["prompt_tokens"] == 40 * 300
    assert found["b"]["cost"]["prompt_tokens"] == 40 * 340
    sensibility = found["axes"]["sensibility"]
    assert sensibility["mean_shift"]["high"] < 0
    assert sensibility["mean_shift"]["low"] <= sensibility["mean_shift"]["value"] <= sensibility["mean_shift"]["high"]
    assert found["axes"]["rationality"]["exact"]["value"] == 1
    subsets = found["subsets"]
    assert sum(map(sum, subsets["confusion"])) == 40
    assert subsets["changed"] == 40 - sum(row[i] for i, row in enumerate(subsets["confusion"])) > 0
    assert subsets["kept_samples"]["b"] < subsets["kept_samples"]["a"]
    (part,) = found["maps"]
    assert len(part["same"]) == len(part["same"][0]) == 11
    assert part["kept_share"]["a"][5][5] == pytest.approx(subsets["kept_samples"]["a"] / 40)
    assert found["prompts"]["removed"] > 0 < found["prompts"]["added"]
    assert found["differences"][0]["changed"]
    assert '"sensibility"' in found["differences"][0]["b"]["raw"]
    assert json.loads((tmp_path / found["output"]).read_text())["version"] == 2
    page = Page(tmp_path / found["page"])
    assert page.table("Agreement by axis")[1][0] == "sensibility 0–10"
    assert page.table("From A’s subset to B’s")[1][1] == str(subsets["confusion"][0][0])
    assert page.count("ins") > 1 < page.count("del")
    assert page.count("article") == min(20, found["differences_left"] + len(found["differences"]))
    assert page.count("script") == 0


def test_what_was_paid_for_is_not_asked_again(tmp_path) -> None:
    stricter(tmp_path)
    with MisbehavingServer(strict) as server:
        compare(server, "-n", "10")
        again = compare(server, "-n", "10")
        assert len(server.requests) == 20
    assert "into the same subset" in again.stdout
    assert "prompt-comparisons/empathy-vs-stricter/comparison.html" in again.stdout


def test_failures_are_counted_by_state_and_asked_again(tmp_path) -> None:
    stricter(tmp_path)
    faults = {1: does.prose(), 4: does.refusal(), 12: does.prose()}
    with MisbehavingServer(lambda body, number: faults.get(number) or strict(body, number)) as server:
        told = ("-n", "10", "--concurrency", "1", "--resamples", "0", "--json")
        first, second = (json.loads(compare(server, *told).stdout) for _ in range(2))
        assert len(server.requests) == 23
    assert first["a"]["states"] == {"ok": 8, "parse_error": 1, "api_error": 0, "refused": 1, "not judged": 0}
    assert sum(first["a"]["reasons"].values()) == 2
    assert first["samples"]["compared"] in (7, 8)
    assert "have no scores of one side or both" in first["notes"][0]
    assert first["axes"]["sensibility"]["kappa_quadratic"]["low"] is None
    assert second["samples"]["compared"] == 10
    assert second["a"]["cost"]["requests"] == 12


def test_a_dry_run_sends_nothing_and_names_both_sides(tmp_path) -> None:
    stricter(tmp_path)
    (tmp_path / "prices.yaml").write_text("tiny: {input: 1.0, output: 2.0}")
    with MisbehavingServer(strict) as server:
        result = compare(server, "--dry-run", "--prices", "prices.yaml", "--json")
        assert server.requests == []
    plan = json.loads(result.stdout)
    assert (plan["requests"], plan["to_judge"]) == (80, 80)
    assert plan["max_cost_usd"] > plan["cost_usd"] > 0
    assert [member["judge"] for member in plan["members"]] == ["empathy (tiny)", "stricter.yaml (tiny)"]
    assert not (tmp_path / "prompt-comparisons").exists()


def test_a_budget_that_ends_leaves_what_can_be_gone_on_with(tmp_path) -> None:
    stricter(tmp_path)
    (tmp_path / "prices.yaml").write_text("tiny: {input: 10, output: 10}")
    with MisbehavingServer(strict) as server:
        short = compare(server, "--prices", "prices.yaml", "--max-cost", "0.05", "--concurrency", "2")
        assert short.exit_code == 1
        assert "a higher --max-cost goes on" in short.stderr
        paid = len(server.requests)
        whole = compare(server, "--prices", "prices.yaml", "--max-cost", "9", "--json")
        assert len(server.requests) == 80 > paid > 0
    assert json.loads(whole.stdout)["requests"] == 80 - paid


def test_two_runs_are_compared_without_asking_anybody(tmp_path) -> None:
    samples = [numbered(i, "joyful") for i in range(12)]
    a = {"sensibility": [8.0] * 12, "rationality": [2.0] * 12}
    write_run(tmp_path / "one", samples, a)
    write_run(tmp_path / "two", samples[2:], {"sensibility": [8.0] * 5 + [3.0] * 5, "rationality": [2.0] * 10})
    found = json.loads(prompts("compare", "one", "two", "--json").stdout)
    assert (found["requests"], found["samples"]["compared"]) == (0, 10)
    assert found["subsets"]["jaccard"]["sensibility"] == 0.5
    assert found["subsets"]["jaccard"]["rationality"] is None
    assert found["prompts"] is None
    assert [one["changed"] for one in found["differences"]] == [True] * 5
    page = Page(tmp_path / found["page"])
    assert "not at hand" in page.text


def test_a_run_and_a_rubric_are_compared_on_the_runs_samples(tmp_path) -> None:
    stricter(tmp_path)
    samples = make_samples(30)
    write_run(tmp_path / "run", samples, {"sensibility": [8.0] * 30, "rationality": [2.0] * 30})
    with MisbehavingServer(strict) as server:
        result = prompts("compare", "run", "stricter.yaml", "--judge", f"openai:tiny@{server.url}", "-n", "9", "--json")
        assert len(server.requests) == 9
    found = json.loads(result.stdout)
    assert found["samples"] == {"a": 30, "b": 9, "in_both": 9, "compared": 9, "dialogues": 9}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["empathy", "stricter.yaml"], "has to be asked of a judge: add --judge openai:MODEL"),
        (["empathy", "empathy", "--judge", "openai:x"], "A equals B"),
        (["openai:x@http://127.0.0.1:1/v1", "openai:x@http://127.0.0.1:1/v1/"], "A equals B"),
        (["empathy", "quality", "--judge", "openai:x"], "nothing is comparable: A (empathy) scores sensibility 0–10"),
        (["empathy", "stricter.yaml", "--judge", "distilled"], "does not read the rubric"),
        (["run", "run"], "A and B are the same"),
        (["run", "other"], "no sample in common"),
        (["run", "empty"], "run `efficient-empathy score SOURCE --run empty`"),
        (["run", "failed"], "none has scores of both"),
        (["run", "other", "--judge", "distilled"], "neither A nor B is a rubric"),
        (["run", "other", "-n", "3"], "-n says what is judged"),
        (["run", "distilled", "--golden", "bundled"], "has samples of its own"),
        (["empathy", "nothing.yaml", "--judge", "distilled"], "is not found"),
        (["run", "nothing"], "B is 'nothing', which is neither a rubric"),
        (["run", "other", "-o", "run"], "is a scored run's folder"),
        (["run", "failed", "--policy", "top"], "take a policy of rules"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_is_asked(tmp_path, monkeypatch, arguments, told) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    stricter(tmp_path)
    (tmp_path / "empty").mkdir()
    scores = {"sensibility": [8.0] * 3, "rationality": [2.0] * 3}
    samples = make_samples(6)
    write_run(tmp_path / "run", samples[:3], scores)
    write_run(tmp_path / "other", samples[3:], scores)
    failed = {axis: [None] * 3 for axis in scores}
    write_run(tmp_path / "failed", samples[:3], failed, states=["refused"] * 3)
    result = prompts("compare", *arguments)
    assert result.exit_code == 1, result.output
    assert told in result.stderr
    assert "Traceback" not in result.stderr


HOSTILE = ["<script>alert(1)</script>", "\u202egnorw", "\x1b[31m\x07", "x" * 90_000, "{{ 7 * 7 }}", "</pre><b>"]


def test_hostile_text_is_shown_as_text_and_the_page_asks_for_nothing(tmp_path, browser) -> None:
    said = [Sample.of([Utterance("speaker", f"{text} {i}")], f"{text} {i}") for i, text in enumerate(HOSTILE)]
    write_samples(iter(said), tmp_path / "hostile.parquet")
    stricter(tmp_path, name="<script>name</script>")

    def reply(body, number):
        return (
            does.ok(f'{{"sensibility": {number % 9}, "rationality": 1}}' + "\n" * 5)
            if number % 2
            else does.ok(f"Sensibility: {number % 9}\nRationality: 7\n<script>alert(2)</script>")
        )

    with MisbehavingServer(reply) as server:
        told = ["empathy", "stricter.yaml", "--judge", f"openai:tiny@{server.url}", "--samples", "hostile.parquet"]
        result = prompts("compare", *told, "-o", "out", "--json")
    assert result.exit_code == 0, result.stderr
    html = (tmp_path / "out" / "comparison.html").read_text("utf-8")
    assert "<script" not in html
    assert "\x1b" not in html
    assert len(html) < 400_000
    assert "more characters)" in html
    assert "{{ 7 * 7 }}" in html
    with visit(browser, tmp_path / "out" / "comparison.html", width=390, scheme="dark") as seen:
        assert (seen.console, seen.requests) == ([], [])
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_runs_of_any_rubric_are_compared_by_a_policy_of_their_own(tmp_path) -> None:
    samples = make_samples(24)
    (tmp_path / "warm.yaml").write_text(WARM)
    for name, seed in (("one", 0), ("two", 1)):
        write_run(tmp_path / name, samples, warm_scores(24, seed), scales=WARM_SCALES)
    done = prompts("compare", "one", "two", "--policy", "warm.yaml", "--threshold", "tact=2", "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["policy"]["definition"]["thresholds"] == {"hope": 2, "tact": 2, "long": 5}
    assert found["subsets"]["subsets"] == ["golden", "plain", "rest"]
    assert [(one["y"], one["x"]) for one in found["maps"]] == [("hope", "tact"), ("hope", "long"), ("tact", "long")]
    page = Page(tmp_path / found["page"])
    assert "Subsets at hope = 2, tact = 2, long = 5" in page.text
    assert page.count("rect", "active") == 3 * 4
    assert len(page.table("Every combination of hope, tact, at long = 5")) == 1 + 3 * 6
    told = prompts("compare", "one", "two", "--policy", "warm.yaml").stdout
    assert "overlap (Jaccard) at hope = 2, tact = 3, long = 5: kept" in told


def test_a_rubric_that_the_default_policy_does_not_fit_has_no_subsets(tmp_path) -> None:
    samples = make_samples(12)
    for name, shift in (("one", 0), ("two", 1)):
        scores = {"care": [float((i + shift) % 6) for i in range(12)]}
        write_run(tmp_path / name, samples, scores, scales={"care": (0, 5)})
    found = json.loads(prompts("compare", "one", "two", "--json").stdout)
    assert (found["subsets"], found["maps"]) == (None, [])
    assert any("There are no subsets" in note for note in found["notes"])
    assert "There are no subsets" in Page(tmp_path / found["page"]).text
