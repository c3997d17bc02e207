from __future__ import annotations

import json

import pytest

from efficient_empathy.prompts.listing import list_prompts, summary
from efficient_empathy.scoring import Judgement, Ledger, Rubric
from judge_specs import spec_of
from prompt_commands import prompts, stricter
from samples import make_samples
from scored_runs import write_run

EMPATHY = Rubric.load()


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def by_hash(listed) -> dict[str, dict]:
    return {use["hash"]: use for use in listed.as_json()["rubrics"]}


def judged(root, rubric: str, judge: str, n: int, cost: float = 0.0, at: float = 1e9) -> None:
    root.mkdir(parents=True, exist_ok=True)
    with Ledger(root / "ledger.sqlite") as ledger:
        result = [Judgement(s.id, "ok", judge, rubric, cost_usd=cost, created_at=at) for s in make_samples(n)]
        ledger.record(spec_of(judge, rubric=rubric), result)


def test_rubrics_of_the_package_are_there_before_anything_was_done() -> None:
    result = list_prompts()
    assert {use.name for use in result.rubrics} == {"empathy-selection", "response-quality"}
    assert by_hash(result)[EMPATHY.hash]["axes"] == {"sensibility": [0, 10], "rationality": [0, 10]}
    assert (result.scanned, result.skipped) == ([], [])
    assert "no judgements found" in summary(result)


def test_one_row_a_rubric_with_who_was_asked_how_often_at_what_price_and_where(tmp_path) -> None:
    file = stricter(tmp_path)
    strict = Rubric.load(file)
    judged(tmp_path / "runs" / "old", strict.hash, "gpt", 5, cost=0.01, at=1e9)
    judged(tmp_path / "runs" / "new", strict.hash, "qwen", 3, at=2e9)
    used = by_hash(list_prompts())[strict.hash]
    assert (used["name"], used["version"], used["files"]) == ("stricter", 2, ["stricter.yaml"])
    assert (used["judges"], used["judgements"], used["cost_usd"]) == ({"qwen": 3, "gpt": 5}, 8, 0.05)
    assert (used["last_used"], used["where"]) == (2e9, ["runs/new", "runs/old"])
    assert list_prompts().rubrics[0].hash == strict.hash


def test_a_rubric_whose_file_is_gone_is_known_from_the_manifest(tmp_path) -> None:
    axes = {"warmth": [1, 5]}
    about = {"name": "lost", "hash": "0123456789abcdef", "axes": axes}
    write_run(tmp_path / "runs" / "mine", make_samples(2), {"warmth": [3.0, 4.0]}, rubric=about)
    used = by_hash(list_prompts())["0123456789abcdef"]
    assert (used["name"], used["axes"], used["files"], used["where"]) == ("lost", axes, [], ["runs/mine"])


def test_what_is_damaged_or_missing_is_named_and_skipped(tmp_path) -> None:
    for name, text in (("ledger.sqlite", "no"), ("manifest.json", "{"), ("bad.yaml", "axes: 3\nprompt: x\n")):
        (tmp_path / "runs" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "runs" / name).write_text(text)
    (tmp_path / "runs" / "other.yaml").write_text("policy: paper\n")
    result = list_prompts(["runs", "nowhere"])
    output = "\n".join(result.skipped)
    assert len(result.skipped) == 4
    assert all(name in output for name in ("nowhere", "ledger.sqlite", "manifest.json", "bad.yaml"))
    assert "Skipped: nowhere is no folder" in summary(result)


def test_a_file_that_is_reached_twice_counts_once(tmp_path) -> None:
    judged(tmp_path / "runs" / "one", EMPATHY.hash, "gpt", 4)
    (tmp_path / "link").symlink_to(tmp_path / "runs")
    used = by_hash(list_prompts(["runs", "runs/one", "."]))[EMPATHY.hash]
    assert used["judgements"] == 4


def test_the_command_prints_words_or_one_json_object(tmp_path) -> None:
    judged(tmp_path / "runs" / "one", EMPATHY.hash, "gpt", 4, cost=0.25)
    result = prompts("list")
    assert result.exit_code == 0
    assert f"{EMPATHY.hash}  empathy-selection version 1: sensibility 0–10, rationality 0–10" in result.stdout
    assert "4 judgements (gpt 4), $1.00, last 9 September 2001, 01:46 UTC" in result.stdout
    listed = json.loads(prompts("list", "runs", "--json").stdout)["rubrics"]
    assert {use["hash"]: use["judgements"] for use in listed}[EMPATHY.hash] == 4
