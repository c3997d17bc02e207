"""The service: single conversations a second, and how long each waits, beside FastAPI and sentence-transformers.

    python -m benchmarks.service [--seconds 10] [--rounds 3] [--clients 1,2,3,4,8,16]

Clients keep a connection each and ask again as soon as they are answered. The servers are up all the time, are asked in
turn with the same texts, and run the same encoder: ours distilled, in int8; the peer's as it is, in torch, with one
thread for each request and with two.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from efficient_empathy.dialogues import open_source
from efficient_empathy.recipe import DIALOGUES

LIMIT_MS = 50.0
"""What 99 of 100 answers should take at most."""
HERE = Path(__file__).parent
HEAD = b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
OURS = "efficient-empathy"


@dataclass
class Server:
    """A server that is up; `latencies` are in seconds, by the number of clients."""

    name: str
    port: int
    process: psutil.Process
    bodies: Sequence[bytes]
    latencies: dict[int, list[list[float]]] = field(default_factory=dict)
    rates: dict[int, list[float]] = field(default_factory=dict)
    cpu_ms: dict[int, list[float]] = field(default_factory=dict)

    def cpu(self) -> float:
        """Seconds of processor time that it has taken."""
        times = self.process.cpu_times()
        return times.user + times.system


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def started(name: str, command: list[str], port: int, bodies: Sequence[bytes], **variables: str) -> Iterator[Server]:
    process = subprocess.Popen(
        command, env={**os.environ, **variables}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None:
                raise SystemExit(f"{name} does not start: {process.stderr.read() if process.stderr else ''}")
            time.sleep(0.1)
        yield Server(name, port, psutil.Process(process.pid), bodies)
    finally:
        process.terminate()
        process.wait(60)


async def client(server: Server, offset: int, step: int, until: float, latencies: list[float]) -> None:
    """Ask one conversation after the other on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    place = offset
    while time.perf_counter() < until:
        body = server.bodies[place % len(server.bodies)]
        place += step
        began = time.perf_counter()
        writer.write(HEAD % len(body) + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in answer[:15]:
            raise SystemExit(f"{server.name} answers {answer[:80]!r}")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        latencies.append(time.perf_counter() - began)
    writer.close()


def measure(server: Server, clients: int, seconds: float) -> None:
    async def run() -> list[float]:
        latencies: list[float] = []
        until = time.perf_counter() + seconds
        await asyncio.gather(*(client(server, i, clients, until, latencies) for i in range(clients)))
        return latencies

    cpu, began = server.cpu(), time.perf_counter()
    latencies = asyncio.run(run())
    took = time.perf_counter() - began
    server.latencies.setdefault(clients, []).append(latencies)
    server.rates.setdefault(clients, []).append(len(latencies) / took)
    server.cpu_ms.setdefault(clients, []).append(1000 * (server.cpu() - cpu) / len(latencies))


def milliseconds(rounds: Sequence[Sequence[float]], part: float) -> float:
    """The median over the rounds of a quantile."""
    return 1000 * statistics.median(sorted(one)[min(len(one) - 1, int(part * len(one)))] for one in rounds)


def bodies() -> tuple[list[bytes], list[bytes]]:
    """Each sample of the bundled dialogues as a request to us, and to the peer."""
    ours, theirs = [], []
    for sample in open_source(DIALOGUES):
        turns = [{"role": turn.role, "text": turn.text} for turn in sample.context]
        ours.append(json.dumps({"context": turns, "response": sample.response}).encode())
        texts = [turn.text for turn in sample.context]
        theirs.append(json.dumps({"context": texts, "response": sample.response}).encode())
    return ours, theirs


@contextlib.contextmanager
def contenders(peers: bool, warm_up_s: float) -> Iterator[list[Server]]:
    ours, theirs = bodies()
    with contextlib.ExitStack() as stack:

        def start(name: str, command: list[str], texts: list[bytes], **variables: str) -> Server:
            port = free_port()
            command = [sys.executable, *command, f"{port}"]
            return stack.enter_context(started(name, command, port, texts, **variables))

        code = "from efficient_empathy.cli import main; main()"
        servers = [start(OURS, ["-c", code, "serve", "--port"], ours)]
        for threads in ("1", "2") if peers else ():
            name = f"FastAPI, sentence-transformers, {threads} thread{'s' * (threads != '1')}"
            servers.append(start(name, [str(HERE / "service_peer.py")], theirs, OMP_NUM_THREADS=threads))
        for server in servers:
            measure(server, 2, warm_up_s)
            for kept in (server.latencies, server.rates, server.cpu_ms):
                kept.clear()
        yield servers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=lambda text: [*map(int, text.split(","))], default=[1, 2, 3, 4, 8, 16])
    parser.add_argument("--without-peers", action="store_true")
    options = parser.parse_args()
    load = []
    with contenders(not options.without_peers, min(2.0, options.seconds)) as servers:
        for _ in range(options.rounds):
            for clients in options.clients:
                for server in servers:
                    measure(server, clients, options.seconds)
                load.append(os.getloadavg()[0])
    print(f"Load {min(load):.1f} to {max(load):.1f} on {os.cpu_count()} cores, ours and the clients' included\n")
    print("| | clients | requests a second | median ms | 99 % ms | CPU ms a request |\n|---|---|---|---|---|---|")
    within = {}
    for server in servers:
        for clients in options.clients:
            p50, p99 = (milliseconds(server.latencies[clients], part) for part in (0.5, 0.99))
            rate, cpu = (statistics.median(one[clients]) for one in (server.rates, server.cpu_ms))
            print(f"| {server.name} | {clients} | {rate:.0f} | {p50:.1f} | {p99:.1f} | {cpu:.1f} |")
            within[server.name] = max(within.get(server.name, 0.0), rate if p99 <= LIMIT_MS else 0.0)
    print()
    for name, rate in within.items():
        print(f"{name}: {rate:.0f} requests a second with 99 % within {LIMIT_MS:g} ms")
    best = max((rate for name, rate in within.items() if name != OURS), default=0.0)
    if best:
        print(f"{within[OURS] / best:.1f} × as many as the better peer")


if __name__ == "__main__":
    main()
