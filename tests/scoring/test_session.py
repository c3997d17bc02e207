import asyncio

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import BudgetExhausted
from efficient_empathy.llm.runner import run_calls
from efficient_empathy.scoring import Judgement, Ledger
from efficient_empathy.scoring.session import judging
from judge_specs import spec_of
from samples import make_samples


class ScriptedJudge:
    """Answers when told; counts what it was asked."""

    name, spec, batch_size = "scripted", spec_of("scripted"), 1

    def __init__(self, concurrency: int = 4, states: dict[str, str] | None = None) -> None:
        self.concurrency, self.states = concurrency, states or {}
        self.asked: list[str] = []
        self.under_way = self.most = 0
        self.drained = False
        self.fail_at: dict[int, Exception] = {}

    async def judge(self, samples):
        self.asked += [sample.id for sample in samples]
        number = len(self.asked)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if error := self.fail_at.get(number):
            raise error
        return [
            Judgement(s.id, self.states.get(s.id, "ok"), self.name, "r", scores={"a": 1.0}, cost_usd=0.5)
            for s in samples
        ]

    def drain(self) -> None:
        self.drained = True

    def check(self) -> None: ...

    async def close(self) -> None: ...


class Display:
    """Hears of judgements as they are kept."""

    def __init__(self, update) -> None:
        self.update = update


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def run(samples, judge, ledger, stop=None, on_judgements=lambda _: None):
    async def main():
        return await run_calls(judging(samples, judge, ledger, Display(on_judgements)), stop or asyncio.Event())

    return asyncio.run(main())


def test_every_sample_is_judged_once_however_often_it_occurs(ledger) -> None:
    samples = make_samples(50)
    judge = ScriptedJudge()
    assert run(samples + samples[:10] + samples, judge, ledger) == "complete"
    assert sorted(judge.asked) == sorted(sample.id for sample in samples)


def test_a_rerun_asks_only_for_what_has_no_ok_row(ledger) -> None:
    samples = make_samples(20)
    failing = {samples[3].id: "api_error", samples[7].id: "parse_error", samples[9].id: "refused"}
    run(samples, ScriptedJudge(states=failing), ledger)
    again = ScriptedJudge()
    more = make_samples(21)
    assert run(more, again, ledger) == "complete"
    assert set(again.asked) == {*failing, more[20].id}


def test_the_window_stays_full_and_is_never_exceeded(ledger) -> None:
    judge = ScriptedJudge(concurrency=7)
    run(make_samples(100), judge, ledger)
    assert judge.most == 7


def test_the_stream_is_read_no_faster_than_it_is_judged(ledger) -> None:
    read = 0

    def stream():
        nonlocal read
        for sample in make_samples(5000):
            read += 1
            yield sample

    judge = ScriptedJudge(concurrency=1)
    stop = asyncio.Event()
    run(stream(), judge, ledger, stop, on_judgements=lambda _: len(judge.asked) == 10 and stop.set())
    assert len(judge.asked) == 10
    assert read <= 1024


def test_stopping_keeps_the_calls_in_flight(ledger) -> None:
    judge = ScriptedJudge(concurrency=5)
    stop = asyncio.Event()
    ending = run(make_samples(100), judge, ledger, stop, on_judgements=lambda _: stop.set())
    assert ending == "stopped"
    assert len(judge.asked) == 5
    assert {j.sample_id for j in ledger.judgements()} == set(judge.asked)


def test_an_error_that_concerns_all_calls_is_raised_after_the_others_are_kept(ledger) -> None:
    judge = ScriptedJudge(concurrency=5)
    judge.fail_at = {5: UserError("the key is wrong")}
    with pytest.raises(UserError, match="key is wrong"):
        run(make_samples(100), judge, ledger)
    assert len(list(ledger.judgements())) >= 4
    assert len(judge.asked) < 20
    assert judge.drained


def test_a_spent_budget_ends_the_run_without_an_error(ledger) -> None:
    judge = ScriptedJudge(concurrency=1)
    judge.fail_at = {11: BudgetExhausted("spent")}
    assert run(make_samples(100), judge, ledger) == "budget"
    assert ledger.spent_usd() == 5.0
