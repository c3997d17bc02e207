from __future__ import annotations

import json

import pytest

from browser import Page
from efficient_empathy.prompts.golden.golden_set import read_golden
from efficient_empathy.scoring import Judgement, Ledger, Rubric
from efficient_empathy.selection.policies import load_policy
from judge_specs import spec_of
from judged_results import result as result_of
from prompt_commands import prompts

RUBRIC = Rubric.load()
SPEC = spec_of("openai", rubric=RUBRIC.hash, model="tiny", reply="auto")


def result(folder, sensibility: int, rounds: int = 2):
    """A result of `prompts test`, with its ledger beside it: the second round scores one higher."""
    items = read_golden("bundled").samples[:20]
    scores = [{"sensibility": sensibility + turn, "rationality": 2} for turn in range(rounds)]
    record = result_of(
        judge={"name": "tiny", "reference": "openai:tiny", "spec": SPEC},
        rounds=tuple(range(1, rounds + 1)),
        policy=load_policy("paper", {"alpha": 6}),
        items=[
            {"id": item.id, "dialogue_id": item.dialogue_id, "category": item.category,
             "rounds": [{"state": "ok", "scores": one} for one in scores]}
            for item in items
        ],
    )  # fmt: skip
    path = folder / "results" / "0001-tiny.json"
    record.write(path)
    with Ledger(folder / "ledger.sqlite") as ledger:
        for turn, one in enumerate(scores, 1):
            output = [Judgement(i.id, "ok", "tiny", RUBRIC.hash, one, raw=json.dumps(one), requests=1) for i in items]
            ledger.record(SPEC.in_round(turn), output)
    return path


def test_two_results_are_compared_by_the_mean_of_their_rounds(tmp_path) -> None:
    first, second = result(tmp_path / "one", 6), result(tmp_path / "two", 3)
    output = prompts("compare", first, second, "-o", tmp_path / "out", "--json")
    assert output.exit_code == 0, output.output
    outcome = json.loads(output.stdout)
    assert (outcome["requests"], outcome["samples"]["compared"]) == (0, 20)
    assert outcome["axes"]["sensibility"]["means"] == {"a": 6.5, "b": 3.5}
    assert (outcome["policy"]["definition"]["thresholds"]["alpha"], outcome["subsets"]["changed"]) == (6, 20)
    assert outcome["a"]["cost"]["requests"] == 40
    assert outcome["differences"][0]["a"]["raw"].count("tiny: ") == 2
    page = Page(tmp_path / "out" / "comparison.html")
    assert read_golden("bundled").samples[0].response.split()[0] in page.text


@pytest.mark.parametrize("text", ["{", '{"kind": "other"}', '{"kind": "prompt-test"}'])
def test_a_file_that_is_no_result_is_named(tmp_path, text) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(text)
    output = prompts("compare", bad, result(tmp_path / "two", 3))
    assert output.exit_code == 1
    assert str(bad) in output.stderr
