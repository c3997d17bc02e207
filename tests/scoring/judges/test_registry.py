import asyncio
from pathlib import Path

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring import Ledger, Rubric
from efficient_empathy.scoring.judges.contract import JudgeReference
from efficient_empathy.scoring.judges.registry import (
    JUDGES,
    build_judge,
    check_options,
    full_reference,
    options_model,
    settings_of,
    share_budget,
)

RUBRIC = Rubric.load()


def endpoint(workspace: Workspace, reference: str = "openai", **options):
    async def made():
        judge = build_judge(reference, RUBRIC, workspace, options)
        await judge.close()
        return judge.endpoint

    return asyncio.run(made())


@pytest.mark.parametrize(
    ("reference", "default", "variable"),
    [
        ("openai", "https://api.openai.com/v1/chat/completions", "OPENAI_BASE_URL"),
        ("anthropic", "https://api.anthropic.com/v1/messages", "ANTHROPIC_BASE_URL"),
    ],
)
def test_the_endpoint_is_the_option_the_environment_or_the_providers(
    tmp_path, monkeypatch, reference, default, variable
) -> None:
    monkeypatch.delenv(variable, raising=False)
    workspace = Workspace(tmp_path)
    assert endpoint(workspace, reference, model="m").url == default
    monkeypatch.setenv(variable, "http://127.0.0.1:1234/v1")
    assert "127.0.0.1:1234" in endpoint(workspace, reference, model="m").url
    assert "127.0.0.1:9" in endpoint(workspace, reference, model="m", base_url="http://127.0.0.1:9/v1").url


def test_what_the_run_has_spent_counts_toward_the_limit(tmp_path) -> None:
    workspace = Workspace(tmp_path)
    with Ledger(workspace.ledger) as ledger:
        ledger.commit_usd(0.75)
    assert endpoint(workspace, model="gpt-4o", max_cost=1.0).budget.spent_usd == 0.75


@pytest.mark.parametrize(
    ("reference", "options", "message"),
    [
        ("openai", {}, "--model"),
        ("anthropic", {}, "the judge anthropic needs --model"),
        ("openai", {"model": "no-price", "max_cost": 1.0}, "prices file"),
        ("anthropic", {"model": "m", "logprobs": True}, "no log-probabilities"),
        ("replay", {}, "--replies"),
        ("openai", {"model": "m", "concurrency": "many"}, "concurrency: .*integer"),
        ("openai", {"model": "m", "reply": "poem"}, "reply: "),
    ],
)
def test_a_judge_that_cannot_be_built_says_what_it_needs(tmp_path, reference, options, message) -> None:
    with pytest.raises(UserError, match=message):
        build_judge(reference, RUBRIC, Workspace(tmp_path), options)


def test_model_and_server_in_one_word(tmp_path) -> None:
    judge = build_judge("openai:qwen@http://127.0.0.1:9/v1", RUBRIC, Workspace(tmp_path), {"model": "other"})
    assert judge.name == "qwen"
    assert "127.0.0.1:9" in judge.endpoint.url


@pytest.mark.parametrize("reference", ["oracle", "", "openai:", "gpt-4o"])
def test_what_names_no_judge_is_refused_with_the_forms(tmp_path, reference: str) -> None:
    with pytest.raises(UserError, match=r"openai:MODEL@URL, anthropic:MODEL.* or replay:FILE"):
        build_judge(reference, RUBRIC, Workspace(tmp_path))


@pytest.mark.parametrize(
    ("reference", "options", "settings"),
    [
        ("openai:a@http://b/v1?key=secret", {"max_cost": 3.0}, {"model": "a", "base_url": "http://b/v1"}),
        ("openai", {"model": "m", "base_url": "http://c/v1"}, {"model": "m", "base_url": "http://c/v1"}),
        ("anthropic:m", {"temperature": 0.5}, {"model": "m", "base_url": "http://d", "temperature": 0.5}),
        ("distilled", {}, {}),
        ("distilled", {"folder": Path("mine")}, {"folder": "mine"}),
        ("replay:old.json", {"replies": Path("new.json")}, {"replies": "old.json"}),
    ],
)
def test_a_full_reference_needs_no_options_and_tells_no_secret(monkeypatch, reference, options, settings) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://d?key=secret")
    full = full_reference(reference, options)
    assert full == JudgeReference(judge=reference.partition(":")[0], settings=settings)
    assert full_reference(full) == full


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurency": 3}, "concurency is no key: did you mean concurrency"),
        ({"replies": "a.json"}, "replies is an option of the judge replay, which is not asked"),
    ],
)
def test_an_option_that_no_judge_asked_has_is_named(options, message) -> None:
    with pytest.raises(UserError, match=message):
        check_options(["openai:m"], options)


def test_a_judge_whose_package_is_gone_is_named() -> None:
    with pytest.raises(UserError, match="'oracle' is not installed"):
        settings_of(JudgeReference(judge="oracle"))


def test_judges_of_one_run_draw_on_one_budget(tmp_path) -> None:
    options = {"model": "gpt-4o", "max_cost": 1.0}
    judges = [build_judge(name, RUBRIC, Workspace(tmp_path), options) for name in ("openai", "distilled", "openai")]
    share_budget(judges)
    assert judges[0].endpoint.budget.reserve(0.75)
    assert not judges[2].endpoint.budget.reserve(0.75)


def test_every_option_says_whose_it_is_and_what_it_does() -> None:
    for name, field in options_model().model_fields.items():
        owners = [judge for judge in JUDGES.names() if name in JUDGES.load(judge).model_fields]
        assert field.description is not None
        assert field.description.startswith(f"{', '.join(owners)}: ")
        assert len(field.description) > len(", ".join(owners)) + 8
