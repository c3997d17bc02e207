"""Judges on a Ray cluster on this machine: samples per second, memory, and the price of handing work out.

    python -m benchmarks.cluster [--only distilled,memory,calls] [--samples 100000] [--rows 100000,1000000] [--calls N]

*distilled*: the judge in the package on `--on ray --workers 2` against one process with two threads; the rate is that
from the first judgement to the last, start-up apart. *memory*: a judge that costs nothing, with two workers, from a
folder of Parquet shards to a selection: seconds and the peak of the command, of its largest worker and of everything
together. *calls*: calls of 100 ms in one window, counted by the server from the first request to the last answer,
against the ideal and beside Ray Data's own HTTP stage (`ray.data.llm`) and, where `nemo_curator` can be imported, NeMo
Curator's stage of calls on its Ray Data executor. For that, `pip install --no-deps --target FOLDER nemo-curator loguru
cosmos-xenna` and name the folder in PYTHONPATH; its other dependencies are here already, or not needed for it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WORKERS = 2
LATENCY_S = 0.1
CONCURRENCY = 64
SHARDS = 10
MOST_OF_PEER = 500
"""Calls of Ray Data's stage, which takes half a minute for them."""
MESSAGE = {"role": "assistant", "content": '{"sensibility": 7, "rationality": 3}'}
REPLY = {
    "choices": [{"index": 0, "finish_reason": "stop", "message": MESSAGE}],
    "usage": {"prompt_tokens": 200, "completion_tokens": 12, "total_tokens": 212},
}


class Free:
    """A judge that costs nothing: what is left is the work of everything around it."""

    name = "free"
    batch_size = 1024

    async def judge(self, samples: Sequence[Any]) -> list[Any]:
        """Scores that follow from the sample's id."""
        from efficient_empathy.scoring import Judgement

        now = time.time()
        return [
            Judgement(
                one.id, "ok", self.name, "free",
                scores={"sensibility": float(int(one.id[0], 16) % 11), "rationality": float(int(one.id[1], 16) % 11)},
                created_at=now,
            )
            for one in samples
        ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--rows", default="100000,1000000")
    parser.add_argument("--calls", type=int, default=3200)
    parser.add_argument("--only", default="distilled,memory,calls")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        CHILDREN[options.child[0]](*options.child[1:])
        return
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors, {WORKERS} workers")
    only = options.only.split(",")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "distilled" in only:
            distilled(folder, options.samples)
        for rows in map(int, options.rows.split(",") if "memory" in only else ()):
            memory(folder, rows)
        if "calls" in only:
            calls(folder, options.calls)


def distilled(folder: Path, samples: int) -> None:
    child("make", folder / "distilled", samples, 1)
    one, two = (child("score", folder / "distilled", folder / f"run-{on}", on, "distilled") for on in ("", "ray"))
    for who, result in (("one process", one), ("on ray", two)):
        print(f"distilled judge, {samples:,} samples, {who}: {result['rate']:.0f} samples/s, {_costs(result)}")
    print(f"on ray ÷ one process: {two['rate'] / one['rate']:.2f}", flush=True)


def memory(folder: Path, rows: int) -> None:
    source = folder / f"shards-{rows}"
    child("make", source, rows, SHARDS)
    result = child("score", source, folder / f"run-{rows}", "ray", "free")
    print(
        f"{rows:,} samples by a judge that costs nothing, from {SHARDS} shards: scored in {result['seconds']:.0f} s, "
        f"selected in {result['select']:.1f} s, {result['rate']:,.0f} judgements/s, {_costs(result)}",
        flush=True,
    )


def calls(folder: Path, count: int) -> None:
    child("make", folder / "calls", count, 1)
    nemo = ("nemo curator",) if find_spec("nemo_curator") else ()
    for who in ("one process", "on ray", *nemo, "ray.data.llm"):
        asked = min(count, MOST_OF_PEER) if who == "ray.data.llm" else count
        with server() as (url, stop):
            if who in PEERS:
                child("peer", who, url, asked)
            else:
                child("score", folder / "calls", folder / f"run-{who}", "ray" if who == "on ray" else "", url)
            seen = stop()
        ideal = asked * LATENCY_S / CONCURRENCY
        print(
            f"{seen['requests']:,} calls of {LATENCY_S * 1000:.0f} ms, {who}: {seen['seconds']:.1f} s = "
            f"{seen['seconds'] / ideal:.2f} × ideal, {seen['most']} at a time at most",
            flush=True,
        )


def _costs(result: dict[str, Any]) -> str:
    cpu = "CPU ms each while judging: {command:.2f} the command, {workers:.2f} the workers, {ray:.2f} Ray's own"
    memory = "peak {command:,.0f} MB of the command, {worker:,.0f} MB of a worker, {all:,.0f} MB of all"
    return f"{cpu.format(**result['cpu_ms'])}; {memory.format(**result['peak'])}"


def child(*arguments: object) -> dict[str, Any]:
    """One task in a process of its own; the last line of its output is its result."""
    command = [sys.executable, "-m", "benchmarks.cluster", "--child", *map(str, arguments)]
    environ = {**os.environ, "OPENAI_API_KEY": "none", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environ, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, arguments))} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads((done.stdout.strip().splitlines() or ["{}"])[-1])
    return result


def make(folder: str, rows: str, shards: str) -> None:
    """Shards of short samples, each of its own text."""
    import polars as pl

    from efficient_empathy.dialogues.sample import SAMPLE_SCHEMA

    Path(folder).mkdir(parents=True)
    each = int(rows) // int(shards)
    for shard in range(int(shards)):
        number = pl.int_range(shard * each, (shard + 1) * each)
        text = pl.format("my cat is ill since {} days and {} nights , i can not sleep", number, number.hash(1) % 1000)
        frame = pl.select(
            sample_id=pl.concat_str((number.hash(seed) % 10**16).cast(pl.String).str.zfill(16) for seed in (1, 2)),
            dialogue_id=pl.format("d{}", number),
            turn=pl.lit(1, pl.Int32),
            context=pl.concat_list(pl.struct(role=pl.lit("speaker"), text=text)),
            response=pl.format("oh dear , {} of them ! what does the vet say ?", number),
            category=pl.lit("sad"),
            split=pl.lit("train"),
            source=pl.lit(None, pl.String),
            side=pl.lit(None, pl.String),
        )
        frame.select(SAMPLE_SCHEMA.keys()).cast(dict(SAMPLE_SCHEMA)).write_parquet(Path(folder) / f"{shard:03}.parquet")


def score(source: str, run: str, on: str, judge: str) -> None:
    """Score and select, on a cluster or in this process; `judge` may be the URL of an endpoint."""
    from efficient_empathy import score as judge_all
    from efficient_empathy import select

    cluster = {"cluster": on, "workers": WORKERS} if on else {}
    who: Any = judge if judge == "distilled" else "openai:gpt-4o-mini"
    options = {"base_url": judge, "concurrency": CONCURRENCY} if "://" in judge else {}
    if judge == "free":
        from ray import cloudpickle

        cloudpickle.register_pickle_by_value(sys.modules[Free.__module__])
        who = Free()
    began = time.perf_counter()
    with watching() as watch:
        judge_all(source, run, judge=who, options=options, quiet=True, **cluster)
        seconds = time.perf_counter() - began
    select(run)
    selected = time.perf_counter() - began - seconds
    count, first, last = _judged(Path(run))
    each = {kind: 1000 * used / count for kind, used in watch.cpu(first, last).items()}
    rate = count / max(1e-3, last - first)
    print(json.dumps({"seconds": seconds, "select": selected, "rate": rate, "peak": watch.peak, "cpu_ms": each}))


def _judged(run: Path) -> tuple[int, float, float]:
    """How many judgements the ledger has, and when the first and the last of them were made."""
    import polars as pl

    from efficient_empathy.scoring import Ledger

    if parts := list((run / "ledger.parts").glob("*.parquet")):
        times = pl.scan_parquet(parts).select("created_at").collect().to_series()
    else:
        with Ledger(run / "ledger.sqlite", read_only=True) as ledger:
            times = pl.Series([one.created_at for one in ledger.judgements()])
    return len(times), *sorted((times.min(), times.max()))


class Watch:
    """What this process, its workers and Ray's own processes take, looked at twice a second."""

    def __init__(self) -> None:
        self.peak = {"command": 0.0, "worker": 0.0, "all": 0.0}
        """The most memory, in MB without what is shared, that this process, one worker, and all had at a time."""
        self._times: list[float] = []
        self._seconds: dict[int, list[float]] = {}
        """By process, the CPU seconds that it had had by each of the times."""
        self._kinds: dict[int, str] = {}

    def look(self) -> None:
        """Note what each has by now."""
        import psutil

        me = psutil.Process()
        self._times.append(time.time())
        sizes: dict[str, list[float]] = {"command": [], "workers": [], "ray": []}
        for process in (me, *me.children(recursive=True)):
            try:
                info, used, name = process.memory_info(), process.cpu_times(), " ".join(process.cmdline()[:1])
            except psutil.Error:
                continue
            if process == me or name.startswith("ray::Map"):
                self._kinds[process.pid] = "command" if process == me else "workers"
            sizes[self._kinds.get(process.pid, "ray")].append((info.rss - info.shared) / 1e6)
            seconds = self._seconds.setdefault(process.pid, [])
            gap = len(self._times) - 1 - len(seconds)
            seconds += [seconds[-1] if seconds else 0.0] * gap + [used.user + used.system]
        self.peak["command"] = max([self.peak["command"], *sizes["command"]])
        self.peak["worker"] = max([self.peak["worker"], *sizes["workers"]])
        self.peak["all"] = max(self.peak["all"], sum(map(sum, sizes.values())))

    def cpu(self, first: float, last: float) -> dict[str, float]:
        """CPU seconds between two times, by what the processes are."""
        import numpy as np

        totals = dict.fromkeys(("command", "workers", "ray"), 0.0)
        for pid, seconds in self._seconds.items():
            before, after = np.interp((first, last), self._times[: len(seconds)], seconds)
            totals[self._kinds.get(pid, "ray")] += float(after - before)
        return totals


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch for as long as the block lasts."""
    watch, over = Watch(), threading.Event()

    def run() -> None:
        watch.look()
        while not over.wait(0.5):
            watch.look()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()
        watch.look()


def peer(name: str, url: str, count: str) -> None:
    """Another program's calls on Ray, two workers with half of the window each."""
    import ray

    ray.init("local", num_cpus=WORKERS + 1, include_dashboard=False, object_store_memory=200 << 20, log_to_driver=False)
    PEERS[name](url, int(count))


def ray_data_llm(url: str, count: int) -> None:
    """Ray Data's HTTP stage."""
    import ray
    from ray.data.llm import HttpRequestProcessorConfig, build_processor

    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "How empathetic is this?"}]}
    config = HttpRequestProcessorConfig(
        url=f"{url}/chat/completions", headers={}, qps=None, concurrency=WORKERS, batch_size=CONCURRENCY // WORKERS
    )
    processor = build_processor(
        config, preprocess=lambda row: {"payload": body}, postprocess=lambda row: {"reply": str(row["http_response"])}
    )
    processor(ray.data.range(count, override_num_blocks=8 * WORKERS)).materialize()


def nemo_curator(url: str, count: int) -> None:
    """NeMo Curator's stage that asks a model about each document of a batch, on its Ray Data executor."""
    import pandas as pd
    from nemo_curator.backends.ray_data import RayDataExecutor
    from nemo_curator.models.client.openai_client import AsyncOpenAIClient
    from nemo_curator.pipeline import Pipeline
    from nemo_curator.stages.synthetic.nemotron_cc.base import BaseSyntheticStage
    from nemo_curator.tasks import DocumentBatch

    class Stage(BaseSyntheticStage):
        """As it is, a worker fails over its second batch: connections outlive the event loop of the first."""

        def process(self, batch: Any) -> Any:
            self.client.setup()
            return super().process(batch)

    stage = Stage(
        prompt="How empathetic is this? {document}", input_field="text", output_field="reply", model_name="gpt-4o-mini",
        client=AsyncOpenAIClient(max_concurrent_requests=CONCURRENCY // WORKERS, base_url=url, api_key="none"),
    ).with_(num_workers=WORKERS)  # fmt: skip
    batches = [
        DocumentBatch(dataset_name="calls", data=pd.DataFrame({"text": [f"reply {i}" for i in part]}))
        for part in _parts(count, max(1, count // (4 * WORKERS)))
    ]
    Pipeline(name="calls", stages=[stage]).run(RayDataExecutor(), initial_tasks=batches)


def _parts(count: int, size: int) -> Iterator[range]:
    return (range(at, min(at + size, count)) for at in range(0, count, size))


PEERS = {"ray.data.llm": ray_data_llm, "nemo curator": nemo_curator}


@contextmanager
def server() -> Iterator[tuple[str, Any]]:
    """A server of chat completions in a process of its own: its URL, and what ends it and says what it saw."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.cluster", "--child", "serve"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    stdout = process.stdout

    def stop() -> dict[str, Any]:
        process.send_signal(signal.SIGTERM)
        seen: dict[str, Any] = json.loads(stdout.readline())
        return seen

    try:
        yield stdout.readline().strip(), stop
    finally:
        process.terminate()
        process.wait()


def serve() -> None:
    """Answer each request after `LATENCY_S`, and count."""
    from aiohttp import web

    seen = {"requests": 0, "most": 0, "now": 0, "first": 0.0, "last": 0.0}

    async def answer(request: web.Request) -> web.Response:
        seen["first"] = seen["first"] or time.perf_counter()
        seen["requests"] += 1
        seen["now"] += 1
        seen["most"] = max(seen["most"], seen["now"])
        await request.read()
        await asyncio.sleep(LATENCY_S)
        seen["now"] -= 1
        seen["last"] = time.perf_counter()
        return web.json_response(REPLY)

    async def run() -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)
        over = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
        await over.wait()
        seconds = seen["last"] - seen["first"]
        print(json.dumps({"requests": seen["requests"], "most": seen["most"], "seconds": seconds}), flush=True)

    asyncio.run(run())


CHILDREN = {"make": make, "score": score, "peer": peer, "serve": serve}

if __name__ == "__main__":
    main()
