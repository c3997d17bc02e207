import asyncio
import io
import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import polars as pl
import pytest
from rich.console import Console

import misbehaviours as does
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from efficient_empathy.scoring import Judgement, Ledger
from efficient_empathy.scoring.record import ScoreRecord
from efficient_empathy.scoring.rubric import Rubric, read_rubric
from efficient_empathy.scoring.stage import score
from efficient_empathy.selection import select
from forked_command import ForkedCommand
from judge_specs import spec_of
from misbehaving_server import MisbehavingServer

KILLS = int(os.environ.get("EMPATHY_KILLS", "4"))
JSON = json.dumps({"sensibility": 8, "rationality": 2})


def source(path, n: int):
    with path.open("w", encoding="utf-8") as file:
        for i in range(n):
            turns = [{"role": "user", "content": f"Story {i}."}, {"role": "assistant", "content": f"Reply {i}."}]
            file.write(json.dumps({"messages": turns}) + "\n")
    return path


class Even:
    """Scores samples by the number in their response; odd ones fail."""

    name, spec, batch_size, concurrency = "even", spec_of("even"), 8, 2

    def __init__(self) -> None:
        self.asked = 0

    async def judge(self, samples):
        self.asked += len(samples)
        return [self._one(sample) for sample in samples]

    def _one(self, sample):
        number = int(sample.response.split()[1][:-1])
        if number % 2:
            return Judgement(sample.id, "parse_error", self.name, "r", raw="?", reason="no value for rationality")
        return Judgement(sample.id, "ok", self.name, "r", {"sensibility": number % 11, "rationality": 3})


QUIET = Console(file=io.StringIO())


def test_scores_stand_in_input_order_one_row_a_sample(tmp_path) -> None:
    workspace = Workspace(tmp_path / "run")
    rows = source(tmp_path / "chat.jsonl", 30)
    with rows.open("a") as file:
        file.write(rows.read_text().splitlines()[4] + "\n")
    result = score(rows, workspace, Even(), console=QUIET)
    assert result.states == {"ok": 16, "parse_error": 15, "api_error": 0, "refused": 0}
    assert result.reasons == {"no value for rationality": 15}
    assert workspace.manifest().entry("score")["duplicates"] == 1
    scores = pl.read_parquet(workspace.scores)
    samples = pl.read_parquet(workspace.samples)
    assert scores["sample_id"].to_list() == samples["sample_id"].to_list()
    assert scores["sensibility"].to_list()[:4] == [0.0, None, 2.0, None]
    assert scores["state"].to_list()[-1] == "ok"


def test_a_rerun_costs_nothing_and_one_more_sample_costs_one(tmp_path) -> None:
    workspace = Workspace(tmp_path / "run")
    score(source(tmp_path / "a.jsonl", 20), workspace, Even(), console=QUIET)
    again = Even()
    score(tmp_path / "a.jsonl", workspace, again, console=QUIET)
    assert again.asked == 10  # the ones without an ok judgement
    more = Even()
    result = score(source(tmp_path / "a.jsonl", 21), workspace, more, console=QUIET)
    assert more.asked == 11
    assert result.states["ok"] == 11


@pytest.mark.parametrize("lose", [lambda ledger: ledger.unlink(), lambda ledger: ledger.write_bytes(b"")])
def test_nothing_is_paid_again_where_the_ledger_was_lost_unless_told(tmp_path, lose) -> None:
    workspace, rows = Workspace(tmp_path / "run"), source(tmp_path / "a.jsonl", 20)
    score(rows, workspace, Even(), console=QUIET)
    lose(workspace.ledger)
    again = Even()
    with pytest.raises(UserError, match=r"ledger\.sqlite holds no judgement, though 20 samples .* put the file back"):
        score(rows, workspace, again, console=QUIET)
    assert again.asked == 0
    score(rows, workspace, again, console=QUIET, force=True)
    assert again.asked == 20


@pytest.mark.parametrize("edit", [lambda frame: frame.head(12), lambda frame: frame.with_columns(response=pl.lit("!"))])
def test_samples_that_were_cut_or_edited_are_read_again(tmp_path, edit) -> None:
    workspace, rows = Workspace(tmp_path / "run"), source(tmp_path / "a.jsonl", 20)
    score(rows, workspace, Even(), console=QUIET)
    whole = pl.read_parquet(workspace.samples)
    edit(whole).write_parquet(workspace.samples)
    again = score(rows, workspace, Even(), console=QUIET)
    assert (again.samples, sum(again.states.values())) == (20, 20)
    assert pl.read_parquet(workspace.samples).equals(whole)
    assert pl.read_parquet(workspace.scores)["sample_id"].equals(whole["sample_id"])


def test_a_run_that_was_copied_is_as_good_as_before(tmp_path) -> None:
    workspace, rows = Workspace(tmp_path / "run"), source(tmp_path / "a.jsonl", 20)
    score(rows, workspace, Even(), console=QUIET)
    other = Workspace(shutil.copytree(workspace.root, tmp_path / "copy", copy_function=shutil.copyfile))
    before = other.samples.stat().st_mtime_ns
    assert score(rows, other, Even(), console=QUIET).states["ok"] == 10
    assert other.samples.stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["samples", "scores"])
def test_a_file_that_was_cut_is_refused_by_what_reads_it(tmp_path, name) -> None:
    workspace = Workspace(tmp_path / "run")
    score(source(tmp_path / "a.jsonl", 20), workspace, Even(), console=QUIET)
    path = getattr(workspace, name)
    pl.read_parquet(path).head(12).write_parquet(path)
    for stage in (select, report):
        with pytest.raises(UserError, match=rf"{name}\.parquet has changed.*run `efficient-empathy score SOURCE"):
            stage(workspace)
    assert not workspace.selection.exists()


def test_plain_lines_where_there_is_no_terminal(tmp_path) -> None:
    text = io.StringIO()
    score(source(tmp_path / "a.jsonl", 20), Workspace(tmp_path / "run"), Even(), console=Console(file=text))
    assert "scored 20 of 20" in text.getvalue()
    assert "10 parse_error" in text.getvalue()


def test_a_judge_may_be_a_name_and_a_function(tmp_path) -> None:
    class Plain:
        name = "plain"

        async def judge(self, samples):
            return [Judgement(s.id, "ok", "plain", "r", {"rationality": 1, "sensibility": 2}) for s in samples]

    result = score(source(tmp_path / "a.jsonl", 5), Workspace(tmp_path / "run"), Plain(), console=QUIET)
    assert result.states["ok"] == 5


def test_the_rubric_stays_with_the_run(tmp_path) -> None:
    workspace = Workspace(tmp_path / "run")
    rubric = Rubric.load().model_copy(update={"name": "mine", "system": "Judge as a <nurse> would."})
    score(source(tmp_path / "a.jsonl", 4), workspace, Even(), rubric, console=QUIET)
    assert read_rubric(workspace, rubric.hash) == rubric
    report(workspace)
    assert "Judge as a &lt;nurse&gt; would." in workspace.report.read_text("utf-8")
    workspace.rubrics.joinpath(f"{rubric.hash}.yaml").write_text("name: other\n", "utf-8")
    assert read_rubric(workspace, rubric.hash) is None
    score(tmp_path / "a.jsonl", workspace, Even(), rubric, console=QUIET)
    assert read_rubric(workspace, rubric.hash) == rubric


def test_it_works_where_an_event_loop_is_running_as_in_a_notebook(tmp_path) -> None:
    async def cell():
        return score(source(tmp_path / "a.jsonl", 6), Workspace(tmp_path / "run"), Even(), console=QUIET)

    assert asyncio.run(cell()).states["ok"] == 3


def test_a_judge_that_cannot_be_made_leaves_the_run_as_it_was(tmp_path) -> None:
    workspace = Workspace(tmp_path / "run")
    score(source(tmp_path / "a.jsonl", 4), workspace, Even(), console=QUIET)
    before = workspace.samples.read_bytes()
    with pytest.raises(UserError, match="--model"):
        score(source(tmp_path / "b.jsonl", 9), workspace, "openai", console=QUIET)
    assert workspace.samples.read_bytes() == before


def test_a_budget_that_ends_keeps_what_it_bought_and_says_so(tmp_path) -> None:
    chat = source(tmp_path / "a.jsonl", 300)
    with MisbehavingServer(does.ok(JSON, usage=(1000, 20))) as server:
        done = command(chat, tmp_path, server.url, "--model", "gpt-4o", "--max-cost", "0.1", "--json").communicate()[0]
    result = json.loads(done)
    assert result["ending"] == "budget"
    assert 0 < result["cost_usd"] <= 0.1
    assert result["states"]["ok"] + result["unjudged"] == 300


def command(chat, tmp_path, url, *options: str, before: str = "") -> ForkedCommand:
    model = [] if "--model" in options else ["--model", "tiny"]
    where = ["--run", str(tmp_path / "run"), "--judge", "openai", "--base-url", url]
    return ForkedCommand("score", chat, *where, *model, *options, before=before)


def asked(server: MisbehavingServer) -> Counter:
    return Counter(body["messages"][-1]["content"] for body in server.requests)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_killed_at_random_moments_it_pays_twice_only_for_what_was_in_flight(tmp_path) -> None:
    n = 150 * KILLS
    chat, rng, window = source(tmp_path / "a.jsonl", n), random.Random(0), 8
    with MisbehavingServer(does.ok(JSON), latency_s=0.01) as server:
        for _ in range(KILLS):
            process = command(chat, tmp_path, server.url, "--concurrency", str(window))
            before, goal = len(server.requests), rng.randint(1, 100)
            wait_for(lambda before=before, goal=goal: len(server.requests) >= before + goal)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
        process = command(chat, tmp_path, server.url, "--concurrency", str(window), "--json")
        result = json.loads(process.communicate()[0])
    assert result["states"]["ok"] == n
    counts = asked(server)
    assert len(counts) == n
    assert sum(counts.values()) - n <= KILLS * window
    with Ledger(tmp_path / "run" / "ledger.sqlite") as ledger:
        assert Counter(j.sample_id for j in ledger.judgements()).most_common(1)[0][1] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_kill_and_a_hang_up_finish_what_is_in_flight_and_say_how_to_go_on(tmp_path, number) -> None:
    chat = source(tmp_path / "a.jsonl", 400)
    with MisbehavingServer(does.ok(JSON), latency_s=0.3) as server:
        process = command(chat, tmp_path, server.url, "--concurrency", "4")
        wait_for(lambda: server.requests)  # one at a time, until a bill has shown what is billed
        process.send_signal(number)
        out, err = process.communicate()
    assert len(server.requests) == 4
    assert process.returncode == 130
    assert "finishing the calls in flight" in err
    assert "Run the same command again" in out
    with Ledger(tmp_path / "run" / "ledger.sqlite") as ledger:
        assert len(list(ledger.judgements())) == len(server.requests)


def test_under_nohup_a_hang_up_ends_nothing(tmp_path) -> None:
    chat = source(tmp_path / "a.jsonl", 12)
    nohup = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    with MisbehavingServer(does.ok(JSON), latency_s=0.05) as server:
        process = command(chat, tmp_path, server.url, "--concurrency", "2", before=nohup)
        wait_for(lambda: server.requests)
        process.send_signal(signal.SIGHUP)
        process.communicate()
    assert (process.returncode, len(server.requests)) == (0, 12)


def test_a_terminal_that_is_closed_ends_it_with_what_was_in_flight_kept(tmp_path) -> None:
    chat = source(tmp_path / "a.jsonl", 400)
    with MisbehavingServer(does.ok(JSON), latency_s=0.3) as server:
        judge = ["--judge", "openai", "--model", "tiny", "--base-url", server.url, "--concurrency", "4"]
        run = ["score", str(chat), "--run", str(tmp_path / "run"), *judge]
        pid, terminal = pty.fork()
        if not pid:
            os.execv(sys.executable, [sys.executable, "-m", "efficient_empathy", *run])
        wait_for(lambda: server.requests)
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
        assert len(server.requests) == 4
    with Ledger(tmp_path / "run" / "ledger.sqlite") as ledger:
        assert len(list(ledger.judgements())) == 4
    assert (tmp_path / "run" / "scores.parquet").exists()


@pytest.mark.parametrize("what", ["the folder", "the ledger", "the ledger, for another"])
def test_a_run_that_vanishes_stops_the_spending_and_does_not_come_back_as_a_ghost(tmp_path, what) -> None:
    chat, run = source(tmp_path / "a.jsonl", 400), tmp_path / "run"
    with MisbehavingServer(does.ok(JSON), latency_s=0.1) as server:
        process = command(chat, tmp_path, server.url, "--concurrency", "4", "--model", "gpt-4o-mini")
        wait_for(lambda: len(server.requests) > 8)
        if what == "the folder":
            run.rename(tmp_path / "elsewhere")
        else:
            (run / "ledger.sqlite").unlink()
        if what == "the ledger, for another":
            (run / "ledger.sqlite").touch()
        requests = len(server.requests)
        out, err = process.communicate()
    assert len(server.requests) <= requests + 4
    assert (process.returncode, out) == (1, "")
    assert re.search(
        r"Error: .* was moved, deleted (or replaced|or unmounted) while it was in use: nothing more is", err
    )
    assert "Traceback" not in err
    assert run.exists() == (what != "the folder")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting a small disk takes root")
@pytest.mark.parametrize("room", [64, 96, 160, 200])
def test_a_full_disk_is_one_sentence_wherever_it_is_met_and_with_room_the_same_command_goes_on(tmp_path, room) -> None:
    chat, disk = source(tmp_path / "a.jsonl", 300), tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}k", "tmpfs", disk], check=True)
    try:
        with MisbehavingServer(does.ok(JSON)) as server:
            process = command(chat, disk, server.url, "--concurrency", "4", "--model", "gpt-4o-mini")
            _, err = process.communicate()
            assert process.returncode == 1
            assert re.search(r"^Error: cannot .*(its disk is full)", err, re.MULTILINE), err
            assert "Traceback" not in err
            assert list(disk.rglob(".*.tmp")) == []
            subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
            process = command(chat, disk, server.url, "--concurrency", "4", "--model", "gpt-4o-mini")
            _, err = process.communicate()
            assert process.returncode == 0, err
            assert len(server.requests) <= 300 + 4
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_two_processes_on_one_run_pay_once(tmp_path) -> None:
    chat = source(tmp_path / "a.jsonl", 100)
    with MisbehavingServer(does.ok(JSON), latency_s=0.005) as server:
        processes = [command(chat, tmp_path, server.url, "--json") for _ in range(2)]
        results = [json.loads(process.communicate()[0]) for process in processes]
    assert [result["states"]["ok"] for result in results] == [100, 100]
    assert len(server.requests) == 100
    assert sorted(result["requests"] for result in results) == [0, 100]


def test_a_wrong_key_is_one_clear_sentence(tmp_path) -> None:
    chat = source(tmp_path / "a.jsonl", 10)
    with MisbehavingServer(does.unauthorized()) as server:
        process = command(chat, tmp_path, server.url)
        _, err = process.communicate()
    assert process.returncode == 1
    assert "OPENAI_API_KEY" in err
    assert "0 of 10 samples are judged" in err
    assert "Traceback" not in err


def test_a_dry_run_sends_nothing_and_tells_the_price(tmp_path) -> None:
    chat = source(tmp_path / "a.jsonl", 10)
    with MisbehavingServer() as server:
        process = command(chat, tmp_path, server.url, "--model", "gpt-4o", "--dry-run", "--json")
        plan = json.loads(process.communicate()[0])
    assert not server.requests
    assert not (tmp_path / "run").exists()
    assert plan["requests"] == 10
    assert 0 < plan["cost_usd"] < plan["max_cost_usd"]


def test_the_price_of_an_unknown_model_is_said_to_be_unknown(tmp_path) -> None:
    chat = source(tmp_path / "a.jsonl", 3)
    with MisbehavingServer() as server:
        out, _ = command(chat, tmp_path, server.url, "--dry-run").communicate()
        _, err = command(chat, tmp_path, server.url, "--max-cost", "1").communicate()
    assert "price is not known" in out
    assert "prices file" in err


def test_money_in_flight_counts_after_a_crash(tmp_path) -> None:
    chat = source(tmp_path / "a.jsonl", 50)
    with MisbehavingServer(does.stall()) as server:
        process = command(chat, tmp_path, server.url, "--model", "gpt-4o", "--concurrency", "4", "--max-cost", "1")
        wait_for(lambda: server.requests)  # one at a time, until a bill has shown what is billed
        process.kill()
        process.communicate()
    with Ledger(tmp_path / "run" / "ledger.sqlite") as ledger:
        assert not list(ledger.judgements())
        assert ledger.spent_usd() > 0


class Named(Even):
    """`Even` under another name, never failing, `more` sensible."""

    def __init__(self, name: str, more: int = 0) -> None:
        super().__init__()
        self.name, self.spec, self._more = name, spec_of(name), more

    def _one(self, sample):
        number = int(sample.response.split()[1][:-1])
        return Judgement(
            sample.id, "ok", self.name, "r", {"sensibility": min(10, number + self._more), "rationality": 3}
        )


def test_several_judges_make_one_score_and_each_is_kept_under_its_own_key(tmp_path) -> None:
    workspace, chat = Workspace(tmp_path / "run"), source(tmp_path / "a.jsonl", 4)
    result = score(chat, workspace, [Even(), Named("a"), Named("b", 2)], pool="mean", console=QUIET)
    assert result.states["ok"] == 4
    assert [member.states["ok"] for member in result.members] == [2, 4, 4]
    assert result.reasons == {"no value for rationality": 2}
    assert result.disagreement == 2
    scores = pl.read_parquet(workspace.scores)
    assert scores["judgements"].to_list() == [3, 2, 3, 2]
    assert scores["sensibility"].to_list() == pytest.approx([2 / 3, 2, 8 / 3, 4])
    record = workspace.stage("score", ScoreRecord)
    assert (record.judge, record.panel.pool) == ("even + a + b", "mean")
    assert record.panel.specs == tuple(map(spec_of, ("even", "a", "b")))
    assert record.inputs == {"samples.parquet": file_hash(workspace.samples)}
    alone = Named("a")
    score(chat, workspace, alone, console=QUIET)
    assert not alone.asked
    assert "judgements" not in pl.read_parquet(workspace.scores).columns


def test_a_judge_named_twice_is_refused_before_anything_is_asked(tmp_path) -> None:
    with pytest.raises(UserError, match="named once"):
        score(source(tmp_path / "a.jsonl", 2), Workspace(tmp_path / "run"), [Even(), Even()], console=QUIET)


def test_one_budget_over_all_judges(tmp_path) -> None:
    chat, run = source(tmp_path / "a.jsonl", 60), tmp_path / "run"
    with MisbehavingServer(does.ok(JSON, usage=(1000, 20))) as server:
        judges = [item for model in ("gpt-4o-mini", "gpt-4o") for item in ("--judge", f"openai:{model}@{server.url}")]
        where = ["--run", str(run), "--max-cost", "0.05", "--concurrency", "4", "--json"]
        result = json.loads(ForkedCommand("score", chat, *judges, *where).communicate(timeout=120)[0])
    assert result["ending"] == "budget"
    assert result["members"][0]["states"]["ok"] == 60
    assert 0 < result["members"][1]["states"]["ok"] < 60
    assert result["cost_usd"] <= 0.05
    with Ledger(run / "ledger.sqlite") as ledger:
        assert ledger.spent_usd() <= 0.05
