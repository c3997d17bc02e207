import asyncio

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring import Ledger, Rubric
from efficient_empathy.scoring.judges.choice import JudgeOptions, judge_options, make_judge, share_budget
from efficient_empathy.scoring.judges.openai import Decoding

RUBRIC = Rubric.load()


def endpoint(workspace: Workspace, options: JudgeOptions):
    async def made():
        judge = make_judge("openai", RUBRIC, workspace, options)
        await judge.close()
        return judge.endpoint

    return asyncio.run(made())


def test_the_endpoint_is_the_option_the_environment_or_openai(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    workspace = Workspace(tmp_path)
    assert "api.openai.com" in endpoint(workspace, JudgeOptions(model="m")).url
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1234/v1")
    assert "127.0.0.1:1234" in endpoint(workspace, JudgeOptions(model="m")).url
    assert "127.0.0.1:9" in endpoint(workspace, JudgeOptions(model="m", base_url="http://127.0.0.1:9/v1")).url


def test_what_the_run_has_spent_counts_toward_the_limit(tmp_path) -> None:
    workspace = Workspace(tmp_path)
    with Ledger(workspace.ledger) as ledger:
        ledger.commit_usd(0.75)
    assert endpoint(workspace, JudgeOptions(model="gpt-4o", max_cost=1.0)).budget.spent_usd == 0.75


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("oracle", JudgeOptions(), "distilled, openai, replay"),
        ("openai", JudgeOptions(), "--model"),
        ("openai", JudgeOptions(model="no-price", max_cost=1.0), "prices file"),
        ("replay", JudgeOptions(), "--replies"),
    ],
)
def test_a_judge_that_cannot_be_made_says_what_it_needs(tmp_path, name, options, said) -> None:
    with pytest.raises(UserError, match=said):
        make_judge(name, RUBRIC, Workspace(tmp_path), options)


def test_options_from_a_mapping_with_those_of_decoding_under_their_own_names(tmp_path) -> None:
    told = judge_options({"model": "m", "max_cost": 2, "prices": str(tmp_path), "reply": "text", "base_url": None})
    assert told == JudgeOptions(model="m", max_cost=2.0, prices=tmp_path, decoding=Decoding("text"))
    both = judge_options({"decoding": Decoding("json", 0.5), "max_tokens": 7})
    assert both.decoding == Decoding("json", 0.5, 7)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"concurency": 3}, "concurency is no key: did you mean concurrency"),
        ({"concurrency": "many"}, "concurrency: .*integer"),
        ({"reply": "poem"}, "reply: "),
        ({"decoding": 3}, "decoding: "),
    ],
)
def test_an_option_that_is_none_is_named(given, said) -> None:
    with pytest.raises(UserError, match=said):
        judge_options(given)


def test_judges_of_one_run_draw_on_one_budget(tmp_path) -> None:
    options = JudgeOptions(model="gpt-4o", max_cost=1.0)
    judges = [make_judge(name, RUBRIC, Workspace(tmp_path), options) for name in ("openai", "distilled", "openai")]
    share_budget(judges)
    assert judges[0].endpoint.budget.reserve(0.75)
    assert not judges[2].endpoint.budget.reserve(0.75)
