"""What servers bill under a limit on cost, by their own count: random ones, which err, stall, and overcharge.

    python -m benchmarks.hostile_bills [--servers 200] [--seed 1] [--processes 4]

Each server draws its habits: how often it bills for a reply that the client cannot use, whether it says what it billed,
and from which reply on it bills more than a request can cost. `score --max-cost` runs against it, half of the time
twice, some of the time with two judges. It holds:

- what a server bills that keeps to what was sent and asked for is never above the limit, said or not;
- the first bill above its bound is the last: no request arrives after it but those that cross it on their way, none at
  all where no bill had been seen before, and the command ends with exit code 1 and the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import random
import re
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

PRICES = {"gpt-4o-mini": (0.15, 0.60), "gpt-4o": (2.50, 10.00)}
SAMPLES = 30
TIMEOUT_S = 0.4
UNBILLED = frozenset({"rate limit", "refuses", "page"})
SCORES = json.dumps({"sensibility": 7, "rationality": 3})


@dataclass
class Server:
    """One server's habits, and its books: `billed_usd` of all that was within bounds, `excess_usd` of the rest."""

    rng: random.Random
    lies_from: int | None
    habits: tuple[str, ...]
    delay_s: float
    requests: int = 0
    billed_usd: float = 0.0
    excess_usd: float = 0.0
    bills: int = 0
    """Replies that said, within bounds, what they cost."""
    bills_before_lie: int | None = None
    after_lie: int = 0
    used: Counter[str] = field(default_factory=Counter)

    @classmethod
    def draw(cls, rng: random.Random) -> Server:
        """A random one."""
        lies_from = rng.choice([None, None, 0, 1, rng.randrange(2, SAMPLES)])
        habits = tuple(rng.sample(sorted(HABITS), rng.randint(1, 5))) + ("says",) * rng.choice([0, 1, 4])
        return cls(rng, lies_from, habits, rng.choice([0.0, 0.0, 0.01, 0.05]))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer by one of its habits, or with a bill above its bound, and write down what it bills."""
        body = await request.read()
        fields = json.loads(body)
        number, self.requests = self.requests, self.requests + 1
        if self.bills_before_lie is not None:
            self.after_lie += 1
        await asyncio.sleep(self.delay_s * self.rng.random())
        if self.lies_from is not None and number >= self.lies_from:
            return self._overcharge(body, fields)
        habit = self.rng.choice(self.habits)
        self.used[habit] += 1
        texts = sum(len(message["content"].encode()) for message in fields["messages"])
        prompt = round(texts * self.rng.uniform(0.2, 1.0)) + 8 * len(fields["messages"])
        completion = self.rng.randint(1, fields["max_tokens"])
        if habit not in UNBILLED:
            self.billed_usd += dollars(fields["model"], prompt, completion)
        self.bills += habit in SAID
        if habit == "stalls":
            await asyncio.sleep(3 * TIMEOUT_S)
        elif habit in ("resets", "breaks off"):
            break_off(request, habit)
        return HABITS[habit](self.rng, prompt, completion)

    def _overcharge(self, body: bytes, fields: dict[str, Any]) -> web.Response:
        if self.bills_before_lie is None:
            self.bills_before_lie = self.bills
        factor = self.rng.choice([2, 50, 10**6])
        prompt, completion = self.rng.choice([(factor * (len(body) + 1000), 4), (40, factor * (len(body) + 1000))])
        self.excess_usd += dollars(fields["model"], prompt, completion)
        return reply(bill(prompt, completion))


def dollars(model: str, prompt: int, completion: int) -> float:
    return (prompt * PRICES[model][0] + completion * PRICES[model][1]) / 1e6


def reply(usage: Any) -> web.Response:
    message = {"index": 0, "message": {"role": "assistant", "content": SCORES}, "finish_reason": "stop"}
    return web.json_response({"choices": [message], **({} if usage is None else {"usage": usage})})


def bill(prompt: Any, completion: Any, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


def says_garbage(rng: random.Random, prompt: int, completion: int) -> web.Response:
    wrong: Any = rng.choice([float("nan"), -prompt, str(prompt), None, [prompt], float(prompt), True, 0])
    return reply(rng.choice([bill(wrong, completion), wrong]))


def says_twice(rng: random.Random, prompt: int, completion: int) -> web.Response:
    body = reply(bill(prompt, completion)).text or ""
    return web.Response(text=f'{body[:-1]}, "usage": {json.dumps(bill(1, 1))}}}', content_type="application/json")


def streams(rng: random.Random, prompt: int, completion: int) -> web.Response:
    chunk = {"choices": [{"index": 0, "delta": {"content": SCORES}, "finish_reason": "stop"}]}
    events = [{**chunk, "usage": bill(prompt, completion)}, {"choices": [], "usage": bill(0, 0)}]
    text = "".join(f"data: {event}\n\n" for event in (*map(json.dumps, events), "[DONE]"))
    return web.Response(text=text, content_type="text/event-stream")


def fails(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status, headers={"retry-after-ms": "5"})


def break_off(request: web.Request, habit: str) -> None:
    assert request.transport is not None
    if habit == "resets":
        request.transport.abort()
    else:
        request.transport.write(b'HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"choices": [')
        request.transport.close()


HABITS: dict[str, Callable[[random.Random, int, int], web.Response]] = {
    "says": lambda rng, prompt, completion: reply(bill(prompt, completion)),
    "thinks": lambda rng, prompt, completion: reply(bill(prompt, 1, total_tokens=prompt + completion)),
    "says twice": says_twice,
    "streams": streams,
    "says nothing": lambda rng, *_: reply(None),
    "says garbage": says_garbage,
    "gateway": lambda rng, *_: web.Response(text="no", status=rng.choice([408, 502, 504, 520, 522, 524, 599])),
    "server error": lambda rng, *_: fails(500, "something broke"),
    "stalls": lambda rng, prompt, completion: reply(bill(prompt, completion)),
    "resets": lambda rng, *_: web.Response(),
    "breaks off": lambda rng, *_: web.Response(),
    "no JSON": lambda rng, *_: web.Response(text='{"choices": [{"mess', content_type="application/json"),
    "rate limit": lambda rng, *_: fails(429, "slow down"),
    "refuses": lambda rng, *_: fails(rng.choice([400, 403, 422]), "not this text"),
    "page": lambda rng, *_: web.Response(text="<title>Blocked</title>", status=403, content_type="text/html"),
}
SAID = frozenset({"says", "thinks", "says twice", "streams"})
"""Those that say what they bill."""


@contextlib.contextmanager
def serving(server: Server) -> Iterator[str]:
    """The server in a thread of its own, as a base URL."""
    loop, started = asyncio.new_event_loop(), threading.Event()
    places: list[str] = []

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", server.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        places.append(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        started.set()
        await over.wait()
        await runner.cleanup()

    over = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    started.wait(30)
    try:
        yield places[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)
        loop.close()


def score(arguments: list[str]) -> tuple[int, str]:
    """The command's exit code and what it says, in this process."""
    from efficient_empathy.cli import main as command

    said = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    arguments, sys.argv = sys.argv, ["efficient-empathy", "score", *arguments]
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            command()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        sys.argv = arguments
    said.seek(0)
    return code, said.read()


def attack(seed: int, number: int) -> dict[str, Any]:
    """One server's run: how it ended and what was billed. Raises `AssertionError` where money was not kept."""
    os.environ |= {"OPENAI_API_KEY": "none", "COLUMNS": "10000", "NO_COLOR": "1"}
    rng = random.Random(f"{seed}/{number}")
    server = Server.draw(rng)
    models = rng.choice([["gpt-4o-mini"], ["gpt-4o-mini"], ["gpt-4o"], ["gpt-4o-mini", "gpt-4o"]])
    concurrency, runs = rng.choice([1, 2, 4, 16]), rng.choice([1, 2])
    limit = rng.choice([0.5, 3, 12, 40, 400]) * dollars(models[0], 1600, 100)
    with tempfile.TemporaryDirectory() as folder, serving(server) as url:
        source = Path(folder) / "dialogues.jsonl"
        source.write_text("".join(f"{json.dumps(dialogue(rng, i))}\n" for i in range(SAMPLES)), "utf-8")
        judges = [word for model in models for word in ("--judge", f"openai:{model}@{url}")]
        options = {"--run": f"{folder}/run", "--max-cost": f"{limit:.9f}", "--concurrency": str(concurrency),
                   "--timeout": str(TIMEOUT_S), "--max-attempts": "2"}  # fmt: skip
        arguments = [str(source), *judges, *(word for option in options.items() for word in option)]
        for _ in range(runs):
            code, said = score(arguments)
            about = f"server {number} of seed {seed} ({server}), limit {limit}, exit {code}:\n{said[-2000:]}"
            assert "Traceback" not in said, about
            assert code in (0, 1), about
            if server.bills_before_lie is not None:
                break
    assert server.billed_usd <= limit, about
    if server.bills_before_lie is not None:
        assert code == 1, about
        assert re.search(r"billed \$.* for a request that costs at most \$.*nothing more is sent", said), about
        assert server.after_lie <= (0 if server.bills_before_lie == 0 else concurrency), about
    return {
        "ended": "a bill above its bound" if server.bills_before_lie is not None else endings(said, code),
        "share": server.billed_usd / limit,
        "excess": server.excess_usd,
        "after": server.after_lie,
        "requests": server.requests,
    }


def endings(said: str, code: int) -> str:
    if "budget" in said:
        return "the limit"
    return "nothing left to ask" if code == 0 else "an error that concerns all calls"


def dialogue(rng: random.Random, number: int) -> dict[str, Any]:
    words = ["so", "what", "sad", "hope", "rain", "träumen", "悲しい", "😀", "exam", "friend"]
    text = " ".join(rng.choices(words, k=rng.randint(3, 60)))
    return {"messages": [{"role": "user", "content": f"{number} {text}"}, {"role": "assistant", "content": text[::-1]}]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=4)
    options = parser.parse_args()
    numbers = range(options.servers)
    if options.processes > 1:
        with ProcessPoolExecutor(options.processes) as pool:
            outcomes = list(pool.map(partial(attack, options.seed), numbers))
    else:
        outcomes = [attack(options.seed, number) for number in numbers]
    print(f"{len(outcomes)} servers, {sum(one['requests'] for one in outcomes):,} requests; ended by")
    for ending, count in Counter(one["ended"] for one in outcomes).most_common():
        print(f"  {count:4} {ending}")
    shares = [one["share"] for one in outcomes]
    late = Counter(one["after"] for one in outcomes if one["excess"])
    print(f"billed within bounds: at most {max(shares):.1%} of the limit, never above it")
    print("requests that arrived after a bill above its bound: " + (", ".join(
        f"{count} × {after}" for after, count in sorted(late.items())) or "none"))  # fmt: skip


if __name__ == "__main__":
    main()
