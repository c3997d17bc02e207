import numpy as np
import pytest

from efficient_empathy.analytics.cost import cost
from efficient_empathy.analytics.table import read_table
from efficient_empathy.scoring import Judgement, Ledger
from judge_specs import spec_of


def judged(sample, *, judge="gpt", state="ok", dollars=0.25, at=0.0):
    scores = {"sensibility": 8.0, "rationality": 2.0} if state == "ok" else {}
    return Judgement(
        sample, state, judge, "0123", scores, prompt_tokens=100, completion_tokens=10, cost_usd=dollars,
        latency_s=0.5, requests=2, created_at=at,
    )  # fmt: skip


def test_what_was_spent_by_judge_and_by_category(make_run) -> None:
    run = make_run(dialogues=8)
    run.ledger.unlink()
    ids = read_table(run).rows["sample_id"].to_list()
    with Ledger(run.ledger) as ledger:
        ledger.record(spec_of("gpt"), [judged(one, at=100 + i) for i, one in enumerate(ids)])
        ledger.record(
            spec_of("small"), [judged(ids[0], judge="small", dollars=0.5, state="refused", at=50), judged("other")]
        )
        ledger.commit_usd(10)
    result, when = cost(run, read_table(run))
    assert result.total.judgements == 18
    assert result.total.requests == 36
    assert result.total.prompt_tokens == 1800
    assert result.total.cost_usd == pytest.approx(4.75)
    assert (result.total.spent_usd, result.total.lost_usd) == (10, 5.25)
    assert result.total.usd_per_kept == pytest.approx(10 / read_table(run).is_kept.sum())
    gpt, small = str(spec_of("gpt")), str(spec_of("small"))
    judges = [(one.judge, one.spec, one.judgements, one.cost_usd) for one in result.judges]
    assert judges == [("gpt", gpt, 16, 4.0), ("small", small, 1, 0.5), ("gpt", small, 1, 0.25)]
    assert result.judges[1].states == {"refused": 1}
    categories = {one.category: one.cost_usd for one in result.categories}
    assert categories == {"sad": 1.5, "joyful": 1.0, "angry": 1.0, "proud": 1.0}
    assert result.other_samples.judgements == 1
    assert when.tolist() == [100.0 + i for i in range(16)]


def test_without_a_ledger_or_times(make_run) -> None:
    run = make_run(dialogues=4)
    result, when = cost(run, read_table(run))
    assert result.total.cost_usd == 0
    assert when is None
    run.ledger.unlink()
    assert cost(run, read_table(run)) == (None, None)


def test_samples_that_were_never_judged_have_no_time(make_run) -> None:
    run = make_run(dialogues=4)
    run.ledger.unlink()
    ids = read_table(run).rows["sample_id"].to_list()
    with Ledger(run.ledger) as ledger:
        ledger.record(spec_of("gpt"), [judged(ids[0], at=5), judged(ids[1], at=7)])
    _, when = cost(run, read_table(run))
    assert when[:2].tolist() == [5, 7]
    assert np.isnan(when[2:]).all()
