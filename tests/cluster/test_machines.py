"""Machines that leave, commands that are killed, workers that die: real ones, on clusters of several nodes."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from efficient_empathy import score
from efficient_empathy.dialogues import Sample, write_samples
from efficient_empathy.scoring import Judgement, Ledger
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, ok
from ray_clusters import in_make_cluster, machines, needs_ray, this_process_on_a_cluster
from scored_runs import numbered

pytestmark = [needs_ray, in_make_cluster]
MAIN = "from efficient_empathy.cli import main; main()"
CONCURRENCY = 16


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-of-a-test")
        yield


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_samples([numbered(i) for i in range(900)], tmp_path / "samples.parquet")
    return tmp_path / "samples.parquet"


def text(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


def by_text(body: dict[str, Any], number: int) -> Behaviour:
    digest = hashlib.sha256(text(body).encode()).digest()
    return ok(f'{{"sensibility": {digest[0] % 11}, "rationality": {digest[1] % 11}}}')


def command(source: Path, run: Path, url: str, *more: str) -> list[str]:
    judge = ("--judge", f"openai:gpt-4o-mini@{url}", "--concurrency", str(CONCURRENCY))
    return [sys.executable, "-c", MAIN, "score", str(source), "--run", str(run), *judge, "--json", *more]


def wait(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until it holds, for as long as the process lives."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_machine_leaves_and_the_command_is_killed_and_nothing_is_paid_twice(source: Path, tmp_path: Path) -> None:
    with MisbehavingServer(by_text, latency_s=0.1) as server, machines(2) as there:
        one = score(source, tmp_path / "one", judge="openai:gpt-4o-mini", options={"base_url": server.url}, quiet=True)
        server.requests.clear()
        server.max_concurrent = 0
        arguments = command(source, tmp_path / "two", server.url, "--on", there.address, "--max-cost", "1")
        first = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait(lambda: len(server.requests) > 250, first)
        there.cut_off()
        wait(lambda: len(server.requests) > 500, first)
        first.kill()
        first.communicate()
        again = subprocess.run(arguments, capture_output=True, text=True, timeout=200)
        assert again.returncode == 0, again.stderr
        assert server.max_concurrent <= CONCURRENCY
        asked = Counter(map(text, server.requests))
    assert pl.read_parquet(tmp_path / "two" / "scores.parquet").equals(one)
    assert len(asked) == 900
    assert max(asked.values()) <= 2
    assert sum(count == 2 for count in asked.values()) <= 2 * CONCURRENCY
    assert json.loads(again.stdout)["requests"] < 500
    with Ledger(tmp_path / "two" / "ledger.sqlite", read_only=True) as ledger:
        assert [len(list(ledger.judgements(spec))) for spec in ledger.specs()] == [900]
        most_usd = 0.0004  # of a request
        unanswered = 2 * (CONCURRENCY + 15)  # in flight, and ahead, of the two workers that may have been killed
        assert ledger.judged_usd() <= ledger.spent_usd() <= ledger.judged_usd() + most_usd * unanswered


def test_sigterm_lets_the_calls_in_flight_finish(source: Path, tmp_path: Path) -> None:
    with MisbehavingServer(by_text, latency_s=0.5) as server:
        arguments = command(source, tmp_path / "run", server.url, "--on", "ray", "--workers", "2")
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait(lambda: len(server.requests) > 40, process)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Stopping: finishing the calls in flight" in errors
        assert json.loads(output)["states"]["ok"] == len(server.requests)
        assert json.loads(output)["ending"] == "stopped"


def test_of_a_worker_that_is_killed_nothing_comes_between_the_lines_of_the_result(source: Path, tmp_path: Path) -> None:
    with MisbehavingServer(by_text, latency_s=0.05) as server:
        arguments = command(source, tmp_path / "run", server.url, "--on", "ray", "--workers", "2")
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait(lambda: len(server.requests) > 100, process)
        children = psutil.Process(process.pid).children(recursive=True)
        next(one for one in children if "MapWorker" in "".join(one.cmdline())).kill()
        output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert json.loads(output)["states"]["ok"] == 900


def test_nobody_else_gets_into_the_cluster_of_a_command(source: Path, tmp_path: Path) -> None:
    with MisbehavingServer(by_text, latency_s=0.5) as server:
        arguments = command(source, tmp_path / "run", server.url, "--on", "ray")
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            wait(lambda: len(server.requests) > 0, process)
            (gcs,) = (one for one in psutil.Process(process.pid).children(recursive=True) if one.name() == "gcs_server")
            port = next(one.laddr.port for one in gcs.net_connections("tcp") if one.status == psutil.CONN_LISTEN)
            enter = f"import ray; ray.init('127.0.0.1:{port}'); print(ray.nodes())"
            environ = {**os.environ, "RAY_AUTH_MODE": "disabled"}
            other = subprocess.run(
                [sys.executable, "-c", enter], capture_output=True, text=True, timeout=120, env=environ
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        assert other.returncode != 0
        assert "NodeID" not in other.stdout


def test_a_budget_is_kept_by_all_workers(source: Path, tmp_path: Path) -> None:
    with MisbehavingServer(by_text, latency_s=0.01) as server:
        arguments = command(
            source, tmp_path / "run", server.url, "--on", "ray", "--workers", "2", "--max-cost", "0.002"
        )
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
        result = json.loads(done.stdout)
    assert result["ending"] == "budget"
    assert 0.0014 < result["cost_usd"] <= 0.002
    assert result["states"]["ok"] == len(server.requests) < 900
    with Ledger(tmp_path / "run" / "ledger.sqlite", read_only=True) as ledger:
        assert ledger.spent_usd() == pytest.approx(result["cost_usd"], abs=1e-6)


def test_an_endpoint_that_is_down_ends_it_as_on_one_machine(source: Path, tmp_path: Path) -> None:
    arguments = command(source, tmp_path / "run", "http://127.0.0.1:9/v1", "--on", "ray")
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "127.0.0.1:9/v1/chat/completions does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cluster_that_is_not_there_is_named(source: Path, tmp_path: Path) -> None:
    arguments = command(source, tmp_path / "run", "http://127.0.0.1:9/v1", "--on", "ray://127.0.0.1:9")
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "no Ray cluster answers at 127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_machine_that_does_not_see_the_run_is_named_before_anything_is_asked(source: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    with MisbehavingServer(by_text) as server, machines(1) as there:
        start = f"start --address {there.address.removeprefix('ray://')} --num-cpus 1 --block"
        node = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {hidden} && exec "$0" -c "$1" {start}',
             sys.executable, "from ray.scripts.scripts import main; main()"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert node.stdout is not None
        for line in node.stdout:
            if "Ray runtime started" in line:
                break
        else:
            pytest.skip("no mount of its own for a process here")
        try:
            arguments = command(source, hidden / "run", server.url, "--on", there.address)
            done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
        finally:
            node.terminate()
            node.wait(30)
        assert done.returncode == 1
        assert "cannot use the run's folder" in done.stderr
        assert "such as a mount of NFS" in done.stderr
        assert not server.requests


class Fragile:
    """Breaks over one sample, and takes its whole process with it over another."""

    name = "fragile"
    batch_size = 64

    def __init__(self, killer: str | None) -> None:
        self._killer = killer

    async def judge(self, samples: Any) -> list[Judgement]:
        if any(one.id == self._killer for one in samples):
            os.kill(os.getpid(), signal.SIGKILL)
        if any("keys 5" in one.context[0].text for one in samples):
            raise ValueError("cannot read a 5")
        return [
            Judgement(one.id, "ok", self.name, "r", scores={"sensibility": 3.0, "rationality": float(len(one.id) % 11)})
            for one in samples
        ]


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    samples = [numbered(i) for i in range(128)]
    write_samples(samples, tmp_path / "few.parquet")
    return samples


def test_a_sample_that_breaks_the_judge_or_kills_its_worker_takes_nobody_elses(
    samples: list[Sample], tmp_path: Path
) -> None:
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        with this_process_on_a_cluster():
            broken = score(tmp_path / "few.parquet", tmp_path / "a", judge=Fragile(None), cluster="ray", quiet=True)
            killed = score(
                tmp_path / "few.parquet", tmp_path / "b", judge=Fragile(samples[100].id), cluster="ray", quiet=True
            )
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert broken.filter(pl.col("state") != "ok")["sample_id"].to_list() == [
        one.id for one in samples if "keys 5" in one.context[0].text
    ]
    failed = killed.filter(pl.col("state") != "ok")["sample_id"].to_list()
    assert failed == [one.id for one in samples if "keys 5" in one.context[0].text or one is samples[100]]
    with Ledger(tmp_path / "b" / "ledger.sqlite", read_only=True) as ledger:
        reasons = {one.reason for one in ledger.judgements() if one.sample_id == samples[100].id}
    assert len(reasons) == 1
    assert "3 workers died in a row, the last of them over this sample" in reasons.pop()


def test_a_run_goes_on_where_it_was_begun_or_elsewhere(source: Path, tmp_path: Path) -> None:
    with MisbehavingServer(by_text, latency_s=0.01) as server:
        run = tmp_path / "run"
        for more in (("--max-cost", "0.001"), ("--on", "ray", "--max-cost", "0.003"), ("--max-cost", "1")):
            done = subprocess.run(command(source, run, server.url, *more), capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
        assert len(server.requests) == 900
        assert len(set(map(text, server.requests))) == 900
    for stage in (("select", "--alpha", "5"), ("analytics",), ("report",), ("check",)):
        arguments = [sys.executable, "-c", MAIN, stage[0], *([] if stage[0] != "check" else [str(run)]), *stage[1:]]
        arguments += ["--run", str(run)] if stage[0] != "check" else []
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (stage, done.stderr)


def test_the_benchmark_runs_and_prints_its_ratios() -> None:
    sizes = ("--samples", "200", "--rows", "2000", "--calls", "64")
    arguments = [sys.executable, "-m", "benchmarks.cluster", *sizes]
    done = subprocess.run(arguments, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert "on ray ÷ one process" in done.stdout
    assert "64 calls of 100 ms, ray.data.llm" in done.stdout
