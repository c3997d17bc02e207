import asyncio

import pytest

from efficient_empathy.dialogues import write_samples
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring import Judgement, Ledger, Rubric
from efficient_empathy.scoring.judges.registry import build_judge
from efficient_empathy.scoring.plan import plan, plan_text
from samples import make_samples

RUBRIC = Rubric.load()
OPTIONS = {"model": "gpt-4o", "base_url": "http://127.0.0.1:1/v1"}


@pytest.fixture
def source(tmp_path):
    samples = make_samples(10)
    write_samples(samples + samples[:3], tmp_path / "dialogues.parquet")
    return tmp_path / "dialogues.parquet"


def test_each_distinct_sample_is_one_request(source, tmp_path) -> None:
    result = plan(source, Workspace(tmp_path / "run"), ["openai"], RUBRIC, OPTIONS)
    assert (result.to_judge, result.requests) == (10, 10)
    assert 0 < result.cost_usd < result.max_cost_usd
    assert "10 requests" in plan_text(result)
    assert not (tmp_path / "run").exists()


def test_what_is_judged_already_costs_nothing(source, tmp_path) -> None:
    workspace = Workspace(tmp_path / "run").create()

    async def spec() -> str:
        judge = build_judge("openai", RUBRIC, workspace, OPTIONS)
        await judge.close()
        return judge.spec

    done = [Judgement(s.id, "ok", "gpt-4o", RUBRIC.hash, {"a": 1.0}) for s in make_samples(10)[:8]]
    with Ledger(workspace.ledger) as ledger:
        ledger.record(asyncio.run(spec()), done)
    assert plan(source, workspace, ["openai"], RUBRIC, OPTIONS).requests == 2


def test_other_judges_ask_for_nothing(source, tmp_path) -> None:
    result = plan(source, Workspace(tmp_path / "run"), ["distilled"], RUBRIC, {})
    assert (result.to_judge, result.requests, result.cost_usd) == (10, 0, 0)
    assert "No request" in plan_text(result)


def test_of_several_judges_each_is_told_and_the_sum(source, tmp_path) -> None:
    judges = ["distilled", "openai:gpt-4o", "openai:gpt-4o-mini"]
    result = plan(source, Workspace(tmp_path / "run"), judges, RUBRIC, OPTIONS)
    assert (result.to_judge, result.requests) == (30, 20)
    assert result.cost_usd == pytest.approx(sum(one.cost_usd for one in result.members))
    text = plan_text(result)
    assert "10 samples have no judgement of gpt-4o-mini" in text
    assert "20 requests" in text
    unknown = plan(source, Workspace(tmp_path / "run"), ["openai:gpt-4o", "openai:nameless"], RUBRIC, OPTIONS)
    assert unknown.cost_usd is None
