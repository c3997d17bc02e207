from __future__ import annotations

from pathlib import Path

import pytest

from browser import Page
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from efficient_empathy.report.sections import examples as module
from efficient_empathy.scoring import Judgement, Ledger
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.scores import write_scores
from efficient_empathy.selection import select
from judge_specs import spec_of
from manifest_entries import write_entry
from scored_runs import numbered, write_run


def shown(workspace: Workspace) -> dict[str, list[str]]:
    return {subset: [e.sample.id for e in result] for subset, result in module.examples(RunTable(workspace)).items()}


def test_examples_come_from_as_many_categories_as_there_are(tmp_path: Path) -> None:
    samples = [numbered(i, "common" if i % 20 else f"rare {i}") for i in range(400)]
    workspace = write_run(tmp_path / "run", samples, {"sensibility": [8.0] * 400, "rationality": [2.0] * 400})
    select(workspace)
    result = module.examples(RunTable(workspace))["sensibility"]
    assert len({e.category for e in result}) == module.EXAMPLES


def test_a_category_repeats_when_all_had_their_turn(tmp_path: Path) -> None:
    samples = [numbered(i, ["a", "b"][i % 2]) for i in range(40)]
    workspace = write_run(tmp_path / "run", samples, {"sensibility": [8.0] * 40, "rationality": [2.0] * 40})
    select(workspace)
    result = [e.category for e in module.examples(RunTable(workspace))["sensibility"]]
    assert sorted(result) in (["a", "a", "a", "b", "b"], ["a", "a", "b", "b", "b"])


def test_the_choice_hangs_on_the_seed_and_neither_on_order_nor_on_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [numbered(i, f"c{i % 7}") for i in range(300)]
    scores = {"sensibility": [float(i % 11) for i in range(300)], "rationality": [float(i % 7) for i in range(300)]}
    workspace = write_run(tmp_path / "one", samples, scores)
    select(workspace)
    first = shown(workspace)
    monkeypatch.setattr(module, "BATCH", 13)
    assert shown(workspace) == first
    turned = write_run(tmp_path / "two", samples[::-1], {axis: values[::-1] for axis, values in scores.items()})
    select(turned)
    assert shown(turned) == first
    select(workspace, seed=1)
    assert shown(workspace) != first


def test_a_repeated_sample_is_shown_once(tmp_path: Path) -> None:
    workspace = write_run(tmp_path / "run", [numbered(1)] * 9, {"sensibility": [8.0] * 9, "rationality": [2.0] * 9})
    select(workspace)
    assert len(shown(workspace)["sensibility"]) == 1


def judged_by_two(root: Path, pool: str) -> Workspace:
    """Two samples; the first judge failed on the second one, and the other judge scored both."""
    samples = [numbered(0), numbered(1)]
    none = {axis: [None, None] for axis in ("sensibility", "rationality")}
    workspace = write_run(root, samples, none, states=[None, None])
    said = {"gpt": (9, "gpt says nine"), "claude": (7, "claude says seven")}
    with Ledger(workspace.ledger) as ledger:
        for name, (score, raw) in said.items():
            scores = {"sensibility": float(score), "rationality": 2.0}
            ok = [Judgement(s.id, "ok", name, "r", scores, raw=raw) for s in samples]
            if name == "gpt":
                ok[1] = Judgement(samples[1].id, "parse_error", name, "r", raw="gpt says nothing", reason="no number")
            ledger.record(spec_of(name), ok)
        panel = Panel.of([spec_of("gpt"), spec_of("claude")], pool)  # type: ignore[arg-type]
        write_scores(workspace.samples, ledger, panel, Rubric.load("empathy"), workspace.scores)
    write_entry(workspace, "score", {**workspace.manifest().entry("score"), "panel": panel.model_dump(mode="json")})
    select(workspace)
    return workspace


def test_the_reply_is_that_of_the_judge_that_gave_the_score(tmp_path: Path) -> None:
    workspace = judged_by_two(tmp_path / "run", "first")
    result = {e.sample.id: e for e in module.examples(RunTable(workspace))["sensibility"]}
    first, second = (result[numbered(i).id] for i in range(2))
    assert (first.scores["sensibility"], [(r.judge, r.raw) for r in first.replies]) == (9, [("gpt", "gpt says nine")])
    assert (second.scores["sensibility"], [(r.judge, r.raw) for r in second.replies]) == (
        7,
        [("claude", "claude says seven")],
    )
    report(workspace)
    text = " ".join(Page(workspace.report).text.split())
    assert "Reply of gptgpt says nine" in text
    assert "Reply of claudeclaude says seven" in text
    assert "gpt says nothing" not in text


def test_pooled_scores_show_what_each_judge_gave_and_wrote(tmp_path: Path) -> None:
    workspace = judged_by_two(tmp_path / "run", "mean")
    result = {e.sample.id: e for e in module.examples(RunTable(workspace))["sensibility"]}
    first, second = (result[numbered(i).id] for i in range(2))
    assert first.scores["sensibility"] == 8
    assert [(r.judge, r.raw) for r in first.replies] == [("gpt", "gpt says nine"), ("claude", "claude says seven")]
    assert [r.judge for r in second.replies] == ["claude"]
    report(workspace)
    text = " ".join(Page(workspace.report).text.split())
    assert "gpt gave sensibility 9, rationality 2gpt says nine" in text
    assert "claude gave sensibility 7, rationality 2claude says seven" in text
