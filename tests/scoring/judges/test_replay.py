import asyncio
import gzip
import json

import pytest

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring import Judgement, Ledger, Rubric
from efficient_empathy.scoring.judges.replay import ReplayJudge
from judge_specs import spec_of
from samples import FORM, make_samples

RUBRIC = Rubric.load()


def judged_file(path, replies):
    rows = [
        {"context": f"story {i} </s> oh ? </s> yes .", "response": f"reply {i}", "evaluation": reply}
        for i, reply in enumerate(replies)
    ]
    path.write_text(json.dumps(rows), "utf-8")
    return path


def sample(i: int) -> Sample:
    turns = [Utterance("speaker", f"story {i}"), Utterance("listener", "oh ?"), Utterance("speaker", "yes .")]
    return Sample.of(turns, f"reply {i}")


def ask(judge: ReplayJudge, samples: list[Sample]) -> list[Judgement]:
    return asyncio.run(judge.judge(samples))


def test_collected_replies_are_parsed_again(tmp_path) -> None:
    path = judged_file(tmp_path / "judged.json", [FORM.format(8, 2), "Sensibility: high\nRationality: 1"])
    first, second, third = ask(ReplayJudge.load(path, RUBRIC), [sample(0), sample(1), sample(2)])
    assert (first.state, dict(first.scores)) == ("ok", {"sensibility": 8, "rationality": 2})
    assert first.cost_usd == 0
    assert (second.state, second.raw) == ("parse_error", "Sensibility: high\nRationality: 1")
    assert third.state == "api_error"
    assert "no reply was collected" in third.reason


def test_compressed_files_too(tmp_path) -> None:
    plain = judged_file(tmp_path / "judged.json", [FORM.format(8, 2)])
    packed = tmp_path / "judged.json.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert ask(ReplayJudge.load(packed, RUBRIC), [sample(0)])[0].state == "ok"


def test_another_runs_ledger_is_replayed_for_free(tmp_path) -> None:
    (one, two) = make_samples(2)
    scores = {"sensibility": 7.5, "rationality": 2.0}
    paid = Judgement(one.id, "ok", "gpt-4o", RUBRIC.hash, scores, raw="7.5", cost_usd=0.1, requests=1)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.record(spec_of("openai"), [Judgement(one.id, "api_error", "gpt-4o", RUBRIC.hash), paid])
    for path in (tmp_path / "ledger.sqlite", tmp_path):
        first, second = ask(ReplayJudge.load(path, RUBRIC), [one, two])
        assert (first.judge, first.scores, first.cost_usd, first.requests) == ("gpt-4o", scores, 0, 0)
        assert second.state == "api_error"


def test_of_a_ledger_of_several_rubrics_the_one_that_is_asked_for_is_replayed(tmp_path) -> None:
    (one,) = make_samples(1)
    quality = Rubric.load("quality")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for rubric, value in ((RUBRIC, 5.0), (quality, 2.0)):
            scores = dict.fromkeys(rubric.axis_names, value)
            ledger.record(spec_of("m", rubric=rubric.hash), [Judgement(one.id, "ok", "m", rubric.hash, scores)])
    for rubric, value in ((RUBRIC, 5.0), (quality, 2.0)):
        (result,) = ask(ReplayJudge.load(tmp_path, rubric), [one])
        assert result.scores == dict.fromkeys(rubric.axis_names, value)
    with pytest.raises(UserError, match="2 judges"):
        ReplayJudge.load(tmp_path, quality.model_copy(update={"version": 9}))


def test_a_file_without_replies_is_told_what_is_missing(tmp_path) -> None:
    path = tmp_path / "chat.jsonl"
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    path.write_text(json.dumps({"messages": turns}), "utf-8")
    for wrong in (path, tmp_path / "nowhere.json", tmp_path):
        with pytest.raises(UserError, match="no collected replies"):
            ReplayJudge.load(wrong, RUBRIC)
