import io
import json
import os
import shutil
import signal

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import misbehaviours as does
from batch_server import COMPLETION, INPUT_USD, OUTPUT_USD, PROMPT, BatchServer
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.batches.openai import OpenAIBatches
from efficient_empathy.scoring import Ledger
from efficient_empathy.scoring.batches.settings import BatchSettings
from efficient_empathy.scoring.stage import score, summary
from forked_command import ForkedCommand
from misbehaving_server import MisbehavingServer

KEY = "sk-0123456789abcdef"
JUDGES = ["openai:gpt-4o", "anthropic:gpt-4o"]


@pytest.fixture(autouse=True)
def key(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "source.jsonl", 12)


def write(path, count: int):
    rows = [{"context": f"Story {i:03}.", "response": "I am here for you."} for i in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class Run:
    """A run that is scored in batches, as often as it is called."""

    def __init__(self, source, root, server, judge: str = "openai:gpt-4o", **options: object) -> None:
        self.source, self.workspace, self.judge, self.server = source, Workspace(root), judge, server
        self.options = options

    def __call__(self, **batches: object):
        url = self.server.url if self.judge.startswith("openai") else self.server.url.removesuffix("/v1")
        self.out = io.StringIO()
        chosen = BatchSettings(**{"batch": True, "batch_rows": 4, "poll": 0.0, **batches})
        try:
            return score(
                self.source, self.workspace, self.judge, options={"base_url": url, **self.options}, batches=chosen,
                console=Console(file=self.out),
            )  # fmt: skip
        finally:
            assert KEY not in self.out.getvalue()

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.workspace.ledger, read_only=True)

    def spent_usd(self) -> float:
        with self.ledger as ledger:
            return ledger.spent_usd()


def stories(server: BatchServer) -> dict[str, int]:
    """How often each story was answered with scores."""
    return {text[text.index("Story ") :][:9]: count for text, count in server.asked.items()}


@pytest.mark.parametrize("judge", JUDGES)
def test_a_run_is_left_with_its_batches_under_way_and_collected_later(source, tmp_path, judge) -> None:
    with BatchServer(looks=2) as server:
        run = Run(source, tmp_path / "run", server, judge)
        first = run()
        assert (first.ending, first.under_way, first.states["ok"]) == ("waiting", 11, 1)  # the first sample is tried
        assert "11 are in batches under way" in summary(first, run.workspace.root)
        assert "select" not in summary(first, run.workspace.root)
        assert [len(batch.rows) for batch in server.batches.values()] == [4, 4, 3]

        shutil.move(run.workspace.root, tmp_path / "elsewhere")  # another machine has the same run
        run.workspace = Workspace(tmp_path / "elsewhere")
        again = run()
        assert (again.ending, again.under_way, again.requests) == ("waiting", 11, 0)
        last = run()
        assert (last.ending, last.under_way, last.states["ok"]) == ("complete", 0, 12)
        assert set(stories(server).values()) == {1}
        assert run.spent_usd() == pytest.approx(server.billed_usd)
        assert run().requests == 0
        scores = pl.read_parquet(run.workspace.scores)
        assert set(scores["sensibility"]) == {7}
        assert {headers["Host"] for headers in server.headers} == {server.url.split("/")[2]}


@pytest.mark.parametrize("judge", JUDGES)
def test_a_row_of_a_batch_is_the_request_that_a_call_would_be(source, tmp_path, judge) -> None:
    with BatchServer() as server:
        Run(source, tmp_path / "run", server, judge)(wait=True)
        (call,) = server.calls
        rows = [row for batch in server.batches.values() for row in batch.rows.values()]
        for row in rows:
            assert row | {"messages": 0} == call | {"messages": 0}
        assert len({str(row["messages"]) for row in [*rows, call]}) == 12


def test_a_batch_is_written_as_the_trial_has_shown_that_the_model_takes_it(source, tmp_path) -> None:
    with BatchServer() as server:
        result = Run(source, tmp_path / "run", server, "openai:o3")(wait=True)
        assert result.states["ok"] == 12
        rows = [row for batch in server.batches.values() for row in batch.rows.values()]
        assert all("max_completion_tokens" in row and "max_tokens" not in row for row in rows)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("outcome", ["error", "expired", "cancelled", "missing", "twice"])
def test_what_comes_back_without_an_answer_is_asked_again(source, tmp_path, judge, outcome) -> None:
    def first_time(text: str, batch: int) -> str:
        return outcome if batch < 3 and ("Story 005" in text or "Story 009" in text) else "ok"

    with BatchServer(outcome=first_time) as server:
        run = Run(source, tmp_path / "run", server, judge)
        result = run(wait=True)
        assert (result.ending, result.states["ok"]) == ("complete", 12)
        assert set(stories(server).values()) == {1}
        bound = 0.01 if outcome in ("missing", "error") else 1e-9  # of which nobody knows whether they were billed
        assert server.billed_usd - 1e-9 <= run.spent_usd() <= server.billed_usd + bound
        assert "scored 13" not in run.out.getvalue()
        with run.ledger as ledger:
            failures = [one for one in ledger.judgements() if one.state == "api_error"]
        assert len(failures) == (0 if outcome == "twice" else 2)
        assert all(failure.reason for failure in failures)


def test_a_sample_that_never_comes_back_is_given_up_with_its_reason(source, tmp_path) -> None:
    with BatchServer(outcome=lambda text, _: "expired" if "Story 005" in text else "ok") as server:
        result = Run(source, tmp_path / "run", server)(wait=True)
        assert result.ending == "complete"
        assert (result.states["ok"], result.states["api_error"]) == (11, 1)
        assert result.reasons == {"This request was expired.": 1}


def test_a_filtered_or_unreadable_row_is_that_samples_state(source, tmp_path) -> None:
    def outcome(text: str, _: int) -> str:
        return "filtered" if "Story 005" in text else "ok"

    with BatchServer(outcome=outcome) as server:
        result = Run(source, tmp_path / "run", server)(wait=True)
        assert (result.states["ok"], result.states["refused"]) == (11, 1)
        assert set(stories(server).values()) == {1}


@pytest.mark.parametrize(
    ("judge", "path", "moment"),
    [
        ("openai:gpt-4o", "/v1/files", "break_after"),
        ("openai:gpt-4o", "/v1/batches", "break_before"),
        ("openai:gpt-4o", "/v1/batches", "break_after"),
        ("anthropic:gpt-4o", "/v1/messages/batches", "break_before"),
        ("anthropic:gpt-4o", "/v1/messages/batches", "break_after"),
    ],
)
def test_a_process_killed_while_it_sends_forgets_no_batch_and_sends_none_twice(
    source, tmp_path, judge, path, moment
) -> None:
    with BatchServer() as server:
        base = server.url if judge.startswith("openai") else server.url.removesuffix("/v1")
        options = ("--judge", judge, "--base-url", base, "--batch", "--batch-rows", "4")
        process = ForkedCommand("score", source, "--run", tmp_path / "run", *options)
        server.kill = (path, moment, process.pid)
        said = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, said
        run = Run(source, tmp_path / "run", server, judge)
        result = run(wait=True)
        assert result.states["ok"] == 12
        assert set(stories(server).values()) == {1}
        assert run.spent_usd() == pytest.approx(server.billed_usd)


def test_a_broken_connection_leaves_a_batch_that_the_next_command_finds(source, tmp_path) -> None:
    with BatchServer() as server:
        run = Run(source, tmp_path / "run", server)
        server.break_after = "/v1/batches"
        with pytest.raises(UserError, match=r"nobody knows whether .* has taken a batch of 4 requests .*: the same"):
            run(wait=True)
        assert run(wait=True).states["ok"] == 12
        assert set(stories(server).values()) == {1}


def test_a_batch_that_was_never_taken_is_sent_again_and_not_paid(source, tmp_path) -> None:
    with BatchServer() as server:
        run = Run(source, tmp_path / "run", server)
        server.break_before = "/v1/batches"
        with pytest.raises(UserError, match="nobody knows"):
            run(wait=True)
        assert run(wait=True).states["ok"] == 12
        assert run.spent_usd() == pytest.approx(server.billed_usd)


def test_a_batch_of_somebody_else_that_looks_like_ours_is_left_alone(source, tmp_path) -> None:
    with BatchServer() as server:
        run = Run(source, tmp_path / "run", server, "anthropic:gpt-4o")
        server.break_before = "/v1/messages/batches"
        with pytest.raises(UserError, match="nobody knows"):
            run(wait=True)
        rows = {f"theirs-{i}": {"model": "m", "messages": [{"content": f"Story of theirs {i}"}]} for i in range(4)}
        server._add(rows, None, 4)
        assert run(wait=True).states["ok"] == 12
        ours = [text for text in server.asked if "theirs" not in text]
        assert len(ours) == 12
        assert {server.asked[text] for text in ours} == {1}
        theirs_usd = 4 * 0.5 * (PROMPT * INPUT_USD + COMPLETION * OUTPUT_USD)
        assert run.spent_usd() == pytest.approx(server.billed_usd - theirs_usd)


@given(limit=st.floats(0.0006, 0.03), rows=st.integers(1, 6), wait=st.booleans())
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_servers_bill_never_goes_above_the_limit(source, tmp_path_factory, limit, rows, wait) -> None:
    with BatchServer() as server:
        run = Run(source, tmp_path_factory.mktemp("budget") / "run", server, max_cost=limit)
        for _ in range(3):
            result = run(wait=wait, batch_rows=rows)
            assert server.billed_usd <= limit
            assert run.spent_usd() <= limit + 1e-12
        judged = result.states["ok"] if result.states else 0
        assert set(stories(server).values()) <= {1}
        assert result.ending in ("complete", "budget", "waiting")
        assert judged == 12 or result.ending != "complete"


def test_a_limit_is_used_again_as_batches_come_back_below_their_bound(source, tmp_path) -> None:
    with BatchServer() as server:
        run = Run(source, tmp_path / "run", server, max_cost=0.02)
        first = run()
        assert first.ending == "waiting"
        assert 0 < first.under_way < 11  # not all of them are covered by their bounds
        result = run(wait=True)
        assert (result.ending, result.states["ok"]) == ("complete", 12)


def test_a_bill_above_its_bound_is_kept_and_ends_the_run(source, tmp_path) -> None:
    with BatchServer(outcome=lambda text, batch: "dear" if "Story 002" in text else "ok") as server:
        run = Run(source, tmp_path / "run", server, max_cost=5.0)
        with pytest.raises(UserError, match=r"billed \$1.25.* for a request that costs at most"):
            run(wait=True)
        assert run.spent_usd() >= server.billed_usd - 1e-9
        with run.ledger as ledger:
            assert sum(one.state == "ok" for one in ledger.judgements()) >= 4


def test_a_full_queue_is_met_with_smaller_batches(source, tmp_path) -> None:
    with BatchServer(most_rows=5) as server:
        run = Run(source, tmp_path / "run", server)
        result = run(wait=True, batch_rows=None)
        assert result.states["ok"] == 12
        assert [len(batch.rows) for batch in server.batches.values()] == [11, 5, 5, 1]
        assert "The account's queue does not take 11 requests at once; going on with 5 each." in run.out.getvalue()
        assert run.spent_usd() == pytest.approx(server.billed_usd)


def test_a_file_stays_below_the_apis_limit_of_bytes(source, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(OpenAIBatches, "most_bytes", 8_000)
    with BatchServer() as server:
        result = Run(source, tmp_path / "run", server)(wait=True, batch_rows=None)
        assert result.states["ok"] == 12
        assert len(server.files) > 3
        assert max(map(len, server.files.values())) <= 8_000


@pytest.mark.parametrize("judge", JUDGES)
def test_results_that_break_off_are_fetched_again_and_kept_once(source, tmp_path, judge, no_waits) -> None:
    with BatchServer() as server:
        server.break_download = True
        server.failing = [503, 429]
        run = Run(source, tmp_path / "run", server, judge)
        result = run(wait=True)
        assert result.states["ok"] == 12
        assert run.spent_usd() == pytest.approx(server.billed_usd)
        assert set(stories(server).values()) == {1}


@pytest.fixture
def no_waits(monkeypatch) -> None:
    monkeypatch.setattr("efficient_empathy.llm.batches.http.backoff", lambda *_: 0.0)


def test_a_batch_that_the_server_has_no_more_is_given_up_only_if_told(source, tmp_path) -> None:
    with BatchServer(looks=5) as server:
        run = Run(source, tmp_path / "run", server)
        run()
        server.hides = {"batch_1"}
        with pytest.raises(UserError, match=r"has no batches/batch_1 .*with the key that .* 4 requests .*--drop-lost"):
            run(wait=True)
        result = run(wait=True, drop_lost=True)
        assert (result.ending, result.states["ok"]) == ("complete", 12)
        assert run.spent_usd() > server.billed_usd  # the lost one counts as paid


def test_calls_one_by_one_leave_out_what_is_under_way(source, tmp_path) -> None:
    with BatchServer(looks=3) as server:
        run = Run(source, tmp_path / "run", server)
        run()
        live = run(batch=False, batch_rows=None)
        assert "11 samples are in batches under way and are not asked for twice: --batch collects" in run.out.getvalue()
        assert (live.requests, live.ending, live.under_way) == (0, "waiting", 11)
        assert len(server.calls) == 1


def test_a_server_without_a_batch_api_and_a_judge_without_one_say_so(source, tmp_path) -> None:
    with MisbehavingServer(does.ok('{"rationality": 3, "sensibility": 7}')) as server:
        run = Run(source, tmp_path / "run", server)
        with pytest.raises(UserError, match=r"has no batch API .*leave --batch out"):
            run()
        assert run.spent_usd() < 0.001  # nothing stays set aside for what was not sent
        run.judge = "distilled"
        run.server.url, run.options = "", {}
        with pytest.raises(UserError, match=r"--batch is for judges behind an API, which .* is not: name"):
            score(source, Workspace(tmp_path / "other"), "distilled", batches=BatchSettings(batch=True))


def test_nothing_is_sent_in_a_batch_where_no_sample_gets_scores(source, tmp_path) -> None:
    with MisbehavingServer(does.ok("no numbers here")) as server:
        run = Run(source, tmp_path / "run", server)
        with pytest.raises(UserError, match="no batch is sent, since none of the 5 samples that were tried first got"):
            run()
        assert len(server.requests) == 5


def test_waiting_can_be_ended_by_a_signal_and_gone_on_with(source, tmp_path) -> None:
    class Ending(BatchServer):
        def _add(self, *of_batch):
            if len(self.batches) == 2:  # the last one: what comes then is the wait
                self._loop.call_later(0.2, os.kill, os.getpid(), signal.SIGTERM)
            return super()._add(*of_batch)

    with Ending() as server:
        run = Run(source, tmp_path / "run", server)
        result = run(wait=True, poll=100)
        assert (result.ending, result.states["ok"]) == ("stopped", 1)
        assert run(wait=True).states["ok"] == 12
        assert set(stories(server).values()) == {1}


def test_wait_without_batch_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"wait is for batches: add --batch \(batch: true in a recipe\), or"):
        BatchSettings(wait=True)
