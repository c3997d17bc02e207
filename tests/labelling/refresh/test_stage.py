import hashlib
import io
import json
import os
import signal
import time
from collections import Counter

import polars as pl
import pytest
from rich.console import Console

import misbehaviours as does
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.refresh import stage
from efficient_empathy.labelling.refresh.settings import RefreshSettings
from efficient_empathy.scoring import Judgement, Ledger
from efficient_empathy.scoring.record import ScoreRecord
from efficient_empathy.scoring.stage import score
from efficient_empathy.selection import select
from forked_command import ForkedCommand
from judge_specs import spec_of
from misbehaving_server import MisbehavingServer

QUIET = Console(file=io.StringIO())


def refresh(run, which="uncertain", judge=None, *, options=None, console=QUIET, **settings):
    return stage.refresh(run, *chosen(which, judge, settings), options, judge=other(judge), console=console)


def plan_refresh(run, which="uncertain", judge=None, **settings):
    return stage.plan_refresh(run, *chosen(which, judge, settings), judge=other(judge))


def chosen(which, judge, settings):
    reference = {"judge": judge} if isinstance(judge, str) else {}
    return RefreshSettings(which=which, **reference, **settings), None


def other(judge):
    return None if isinstance(judge, str) else judge


class Fixed:
    """Scores the samples by the number in their response; `also` says otherwise for some, a list for every round."""

    concurrency = 1

    def __init__(self, name: str, **also: float) -> None:
        self.name, self.spec, self._also = name, spec_of(name), also
        self.asked: list[str] = []

    async def judge(self, samples):
        self.asked += [sample.response for sample in samples]
        return [self._one(sample) for sample in samples]

    def _one(self, sample):
        number = int(sample.response.split()[1][:-1])
        if number == self._also.get("refuses"):
            return Judgement(sample.id, "refused", self.name, "r", reason="no")
        return Judgement(
            sample.id, "ok", self.name, "r", {"sensibility": self._also.get("flat", number), "rationality": 2}
        )


def source(path, n: int):
    rows = [
        {"messages": [{"role": "user", "content": f"Story {i}."}, {"role": "assistant", "content": f"Reply {i}."}]}
        for i in range(n)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return path


@pytest.fixture
def run(tmp_path):
    """Eleven samples, of sensibility 0 to 10 and rationality 2."""
    workspace = Workspace(tmp_path / "run")
    score(source(tmp_path / "a.jsonl", 11), workspace, Fixed("first"), console=QUIET)
    return workspace


def test_scores_within_reach_of_the_threshold_are_judged_again_and_pooled(run) -> None:
    other = Fixed("other", flat=9)
    result = refresh(run, judge=other, console=QUIET)
    assert sorted(other.asked) == ["Reply 5.", "Reply 6."]
    assert (result.why, result.judged, result.changed) == ({"reach": 2}, 2, 1)  # (5 + 9) / 2 > 5
    scores = pl.read_parquet(run.scores)
    assert scores["sensibility"].to_list() == [0, 1, 2, 3, 4, 7, 7.5, 7, 8, 9, 10]
    assert scores["judgements"].to_list() == [1] * 5 + [2, 2] + [1] * 4
    assert result.spread["sensibility"] == pytest.approx(1.75)
    assert run.stage("score", ScoreRecord).panel.specs == (spec_of("first"), spec_of("other"))
    assert select(run).subsets == {"sensibility": 6, "rationality": 0, "discard": 5}


def test_the_same_call_pays_nothing_and_more_rounds_add_to_them(run) -> None:
    refresh(run, "all", Fixed("other", flat=9), console=QUIET)
    again = Fixed("other", flat=9)
    assert refresh(run, "all", again, console=QUIET).judged == 0
    assert refresh(run, "all", again, rounds=3, console=QUIET).judged == 22
    assert pl.read_parquet(run.scores)["judgements"].to_list() == [4] * 11
    specs = run.stage("score", ScoreRecord).panel.specs
    assert specs[1:] == tuple(spec_of("other", number) for number in (1, 2, 3))


def test_where_judges_disagree(tmp_path) -> None:
    run = Workspace(tmp_path / "run")
    judges = [Fixed("first"), Fixed("high", flat=9)]
    score(source(tmp_path / "a.jsonl", 11), run, judges, pool="mean", console=QUIET)
    third = Fixed("third")
    assert refresh(run, judge=third, disagreement=7, reach=0).why == {"disagreement": 2}
    assert sorted(third.asked) == ["Reply 0.", "Reply 1."]
    assert run.manifest().entry("score")["panel"]["pool"] == "mean"  # as it was


def test_what_failed_is_judged_by_another_and_nothing_else_changes(tmp_path) -> None:
    run = Workspace(tmp_path / "run")
    score(source(tmp_path / "a.jsonl", 5), run, Fixed("first", refuses=3), console=QUIET)
    with pytest.raises(UserError, match="--judge"):
        refresh(run, "failed", console=QUIET)
    result = refresh(run, "failed", Fixed("other"), console=QUIET)
    assert result.states["ok"] == 5
    assert pl.read_parquet(run.scores)["answered_by"].to_list() == ["first"] * 3 + ["other", "first"]


def test_the_thresholds_are_those_of_the_last_selection_or_given(run) -> None:
    select(run, alpha=8)
    assert plan_refresh(run, judge=Fixed("other")).targets == 2
    other = Fixed("other")
    refresh(run, judge=other, console=QUIET)
    assert sorted(other.asked) == ["Reply 8.", "Reply 9."]
    assert plan_refresh(run, judge=Fixed("new"), alpha=2, reach=2).to_judge == 4
    with pytest.raises(UserError, match=r"the threshold alpha .* is 50, which is not on the scale of sensibility"):
        plan_refresh(run, judge=Fixed("new"), alpha=50)
    select(run, policy="top", top=3)
    with pytest.raises(UserError, match="--policy paper"):
        refresh(run, judge=other, console=QUIET)


def test_none_goes_back_and_scoring_again_keeps_the_rounds(run, tmp_path) -> None:
    before = run.scores.read_bytes()
    refresh(run, judge=Fixed("other", flat=9), console=QUIET)
    pooled = run.scores.read_bytes()
    score(tmp_path / "a.jsonl", run, Fixed("first"), console=QUIET)
    assert run.scores.read_bytes() == pooled
    refresh(run, "none", console=QUIET)
    assert run.scores.read_bytes() == before
    assert run.manifest().entry("score")["judge"] == "first"


def test_a_plan_writes_nothing(run) -> None:
    before = {path: path.read_bytes() for path in run.root.iterdir() if path.is_file()}
    assert plan_refresh(run, "all", Fixed("other"), rounds=2).to_judge == 22
    assert {path: path.read_bytes() for path in run.root.iterdir() if path.is_file()} == before


def test_who_cannot_be_asked_again_is_named_with_the_remedy(run, tmp_path) -> None:
    with pytest.raises(UserError, match="--judge"):
        refresh(run, console=QUIET)  # an object of Python judged it
    with pytest.raises(UserError, match="score SOURCE"):
        refresh(Workspace(tmp_path), console=QUIET)
    with pytest.raises(UserError, match="repeat itself"):
        refresh(run, judge=f"replay:{run.root}", rounds=2, console=QUIET)


def answer(body, number):
    """Sensibility 5 for every sample, so that all are within reach; rationality by a hash of what was asked."""
    result = hashlib.sha256(body["messages"][-1]["content"].encode()).digest()
    return does.ok(json.dumps({"sensibility": 5, "rationality": result[0] % 4}), usage=(300, 10))


def command(run, *options: str) -> ForkedCommand:
    return ForkedCommand("refresh", "--run", run, *options)


def test_killed_in_any_round_and_resumed_it_pays_twice_only_for_what_was_in_flight(tmp_path) -> None:
    n, window = 120, 4
    run, chat = tmp_path / "run", source(tmp_path / "a.jsonl", 120)
    with MisbehavingServer(answer, latency_s=0.01) as server:
        judge = f"openai:gpt-4o-mini@{server.url}"
        options = {"temperature": 0.7}
        score(chat, Workspace(run), judge, options=options, console=QUIET)
        again = ["--which", "uncertain", "-k", "2", "--concurrency", str(window)]
        kills = (n + 30, 2 * n + 30 + window)  # in round 2, in round 3
        for goal in kills:
            process = command(run, *again)
            deadline = time.monotonic() + 30
            while len(server.requests) < goal:
                assert time.monotonic() < deadline
                time.sleep(0.005)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
        result = refresh(Workspace(run), rounds=2, console=QUIET)
        before = len(server.requests)
        assert refresh(Workspace(run), rounds=2, console=QUIET).judged == 0
    assert (result.targets, result.states["ok"], result.ending) == (n, n, "complete")
    assert before == len(server.requests) <= 3 * n + len(kills) * window
    assert pl.read_parquet(run / "scores.parquet")["judgements"].to_list() == [3] * n
    with Ledger(run / "ledger.sqlite") as ledger:
        assert [spec.round for spec in ledger.specs()] == [1, 2, 3]
        for spec in ledger.specs():
            assert Counter(j.sample_id for j in ledger.judgements(spec)).most_common(1)[0][1] == 1


def test_a_budget_that_ends_within_a_refresh_is_taken_up_with_the_same_choice(tmp_path) -> None:
    run, chat = Workspace(tmp_path / "run"), source(tmp_path / "a.jsonl", 40)
    with MisbehavingServer(answer) as server:
        judge = f"openai:gpt-4o@{server.url}"
        score(chat, run, judge, console=QUIET)
        spent = run.manifest().entry("score")["cost_usd"]
        first = refresh(run, options={"concurrency": 1, "max_cost": spent * 1.5}, console=QUIET)
        assert (first.ending, first.targets) == ("budget", 40)
        assert 0 < first.judged < 40
        assert first.cost_usd <= spent * 0.5
        rest = refresh(run, options={"max_cost": 10}, console=QUIET)
    assert (rest.targets, rest.judged) == (40, 40 - first.judged)
    assert pl.read_parquet(run.scores)["judgements"].to_list() == [2] * 40
