import io

import pytest
from rich.console import Console

import misbehaviours as does
from efficient_empathy.evaluation.judging import evaluation_of, judge_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring import Judgement, Ledger, Rubric
from misbehaving_server import MisbehavingServer
from samples import make_samples

RUBRIC = Rubric.load()
GOOD = '{"sensibility": 8, "rationality": 2}'


def judge(samples, folder, url: str, **options):
    told = {"model": "gpt-4o", "base_url": url, "max_attempts": 1, **options}
    return judge_samples(samples, "openai", RUBRIC, told, folder, Console(file=io.StringIO()))


@pytest.fixture
def folder(tmp_path):
    return evaluation_of(tmp_path / "run")


def test_distinct_samples_are_judged_once_and_kept_apart_from_the_run_s_own(folder) -> None:
    samples = make_samples(5)
    with MisbehavingServer(does.ok(GOOD)) as server:
        found = judge([*samples, *samples], folder, server.url)
        again = judge(samples, folder, server.url)
    assert (found.total, found.requests, again.requests) == (5, 5, 0)
    assert set(found.judgements) == set(again.judgements) == {sample.id for sample in samples}
    assert folder.ledger.exists()
    assert not (folder.root.parent / "ledger.sqlite").exists()


def test_failures_are_counted_by_state_with_their_reasons(folder) -> None:
    with MisbehavingServer([does.prose(), does.refusal(), does.ok(GOOD)]) as server:
        found = judge(make_samples(3), folder, server.url, concurrency=1)
    assert found.states == {"ok": 1, "parse_error": 1, "api_error": 0, "refused": 1}
    assert set(found.reasons.values()) == {1}
    assert len(found.reasons) == 2
    assert found.unjudged == 0


def test_an_error_that_ends_it_says_what_is_kept(folder) -> None:
    script = [does.ok(GOOD), does.ok(GOOD), *[does.unauthorized()] * 9]
    said = r"OPENAI_API_KEY.*2 of 5 judgements are made and kept"
    with MisbehavingServer(script) as server, pytest.raises(UserError, match=said):
        judge(make_samples(5), folder, server.url, concurrency=1)
    with Ledger(folder.ledger, read_only=True) as ledger:
        assert len(list(ledger.judgements())) == 2


def test_a_judge_s_note_is_said(folder) -> None:
    class Noted:
        name, note = "noted", "This judge is a toy."

        async def judge(self, samples):
            return [Judgement(s.id, "ok", "noted", "r", {"rationality": 1, "sensibility": 2}) for s in samples]

    said = io.StringIO()
    judge_samples(make_samples(2), Noted(), RUBRIC, None, folder, Console(file=said))
    assert "This judge is a toy." in said.getvalue()
