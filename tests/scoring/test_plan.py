import asyncio

import pytest

from efficient_empathy.dialogues import Sample, Utterance, write_samples
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


@pytest.fixture
def personal(tmp_path):
    texts = ["a@b.org", "a@b.org, 212-555-0123", "nothing", "nobody"]
    samples = [Sample.of([Utterance("speaker", text)], "I see.") for text in texts]
    write_samples(samples, tmp_path / "personal.parquet")
    return tmp_path / "personal.parquet"


LOOKS = "Personal data: 2 samples look as if they held some: e-mail addresses 2, phone numbers 1."


def test_what_a_hosted_judge_would_get_of_personal_data_is_told_with_what_to_do(personal, tmp_path) -> None:
    options = {"model": "gpt-4o", "base_url": "https://judge.example/v1"}
    result = plan(personal, Workspace(tmp_path / "run"), ["openai"], RUBRIC, options)
    assert result.personal_data == {"email": 2, "phone": 1}
    assert (result.personal_samples, result.sent_to, result.redact) == (2, "judge.example", False)
    end = "judge.example would get them as they are; --redact replaces them in what is sent."
    assert plan_text(result).endswith(f"{LOOKS} {end}")
    redacted = plan(personal, Workspace(tmp_path / "run"), ["openai"], RUBRIC, {**options, "redact": True})
    assert plan_text(redacted).endswith(f"{LOOKS} Placeholders replace them in what is sent to judge.example.")


def test_a_judge_on_this_machine_gets_no_warning(personal, tmp_path) -> None:
    result = plan(personal, Workspace(tmp_path / "run"), ["openai"], RUBRIC, OPTIONS)
    assert (result.personal_data, result.sent_to) == ({"email": 2, "phone": 1}, None)
    assert plan_text(result).endswith(LOOKS)
    distilled = plan(personal, Workspace(tmp_path / "run"), ["distilled"], RUBRIC, {})
    assert distilled.personal_data == {"email": 2, "phone": 1}
    assert "Personal data" not in plan_text(distilled)


def test_of_several_judges_each_host_is_named_with_what_it_would_get(personal, tmp_path) -> None:
    judges = ["distilled", "openai:m@https://one.example/v1", "openai:m@https://two.example/v1"]
    result = plan(personal, Workspace(tmp_path / "run"), judges, RUBRIC, {})
    assert result.sent_to == "one.example, two.example"
    text = plan_text(result)
    assert "one.example would get them as they are" in text
    assert "two.example would get them as they are" in text
    assert text.count("Personal data") == 2


def test_a_plan_of_batches_is_at_their_price(tmp_path) -> None:
    source = tmp_path / "dialogues.jsonl"
    source.write_text('{"context": "I am sad.", "response": "Oh."}\n' * 1)
    live, batches = (
        plan(source, Workspace(tmp_path / "run"), ["openai:gpt-4o"], Rubric.load(), {}, in_batches=in_batches)
        for in_batches in (False, True)
    )
    assert batches.cost_usd == pytest.approx(live.cost_usd / 2, abs=1e-6)
    assert batches.max_cost_usd == pytest.approx(live.max_cost_usd / 2, abs=1e-6)
    assert plan_text(batches).splitlines()[1].startswith("1 requests in batches, about")
