"""A judge behind an API, its batches too, that keeps books: which request came how often, and what it has billed.

The answer follows from the request alone, so two runs get the same ones. It runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

MODEL = "gpt-4o-mini"
PRICES = {"prompt": 0.15e-6, "completion": 0.6e-6}
USAGE = {"prompt_tokens": 300, "completion_tokens": 12}
LATENCY_S = 0.01
TEXTS = (
    "That sounds hard. I am glad you told me.",
    "What happened then?",
    "You did well to say so; how do you feel now?",
)


@dataclass
class Books:
    """What the server has answered: requests by their content's hash, how many were still open, dollars."""

    requests: dict[str, int]
    dollars: float


class Server:
    """The server, forked off; a context manager."""

    def __enter__(self) -> Server:
        reader, writer = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            os.close(reader)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                asyncio.run(_serve(writer))
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as lines:
            self._root = f"http://127.0.0.1:{int(lines.readline())}"
        self.url = f"{self._root}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def books(self) -> Books:
        """What was answered since the last `clear`."""
        with urllib.request.urlopen(f"{self._root}/books") as reply:
            return Books(**json.load(reply))

    def clear(self) -> None:
        """Forget it all."""
        urllib.request.urlopen(f"{self._root}/clear").read()


async def _serve(port_to: int) -> None:
    from aiohttp import web

    books = Books({}, 0.0)
    files: dict[str, bytes] = {}
    batches: dict[str, dict[str, Any]] = {}

    def reply(body: dict[str, Any], share: float = 1.0) -> dict[str, Any]:
        digest = hashlib.sha256(json.dumps(body["messages"], sort_keys=True).encode()).digest()
        key = digest.hex()[:16]
        books.requests[key] = books.requests.get(key, 0) + 1
        prompt, completion = (USAGE[f"{part}_tokens"] * price for part, price in PRICES.items())
        books.dollars += share * (prompt + completion)
        return _reply(body, digest)

    async def answer(request: web.Request) -> web.Response:
        answered = reply(await request.json())
        await asyncio.sleep(LATENCY_S)
        return web.json_response(answered)

    async def upload(request: web.Request) -> web.Response:
        form = await request.post()
        name = f"file-{len(files)}"
        files[name] = form["file"].file.read()  # type: ignore[union-attr]
        return web.json_response({"id": name})

    async def submit(request: web.Request) -> web.Response:
        asked = await request.json()
        name, results = f"batch-{len(batches)}", []
        for line in map(json.loads, files[asked["input_file_id"]].splitlines()):
            response = {"status_code": 200, "body": reply(line["body"], 0.5)}
            results.append(json.dumps({"custom_id": line["custom_id"], "response": response}))
        files[f"{name}-output"] = "\n".join(results).encode()
        batches[name] = {
            "id": name, "status": "completed", "output_file_id": f"{name}-output", "created_at": int(time.time()),
            "metadata": asked["metadata"], "request_counts": {"total": len(results), "completed": len(results)},
        }  # fmt: skip
        return web.json_response(batches[name])

    async def list_batches(_: web.Request) -> web.Response:
        return web.json_response({"data": [*batches.values()][::-1][:100], "has_more": False})

    async def look(request: web.Request) -> web.Response:
        return web.json_response(batches[request.match_info["name"]])

    async def content(request: web.Request) -> web.Response:
        return web.Response(body=files[request.match_info["name"]])

    async def tell(request: web.Request) -> web.Response:
        return web.json_response({"requests": books.requests, "dollars": books.dollars})

    async def clear(request: web.Request) -> web.Response:
        books.requests, books.dollars = {}, 0.0
        return web.Response()

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/chat/completions", answer)
    app.router.add_post("/v1/files", upload)
    app.router.add_get("/v1/files/{name}/content", content)
    app.router.add_post("/v1/batches", submit)
    app.router.add_get("/v1/batches", list_batches)
    app.router.add_get("/v1/batches/{name}", look)
    app.router.add_get("/books", tell)
    app.router.add_get("/clear", clear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    with os.fdopen(port_to, "w") as out:
        print(runner.addresses[0][1], file=out)
    await asyncio.Event().wait()


def _reply(body: dict[str, Any], digest: bytes) -> dict[str, Any]:
    message = {"role": "assistant", "content": _content(body.get("response_format"), digest)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice], "usage": USAGE}


def _content(form: dict[str, Any] | None, digest: bytes) -> str:
    """JSON for the schema that is asked for, a sentence where none is."""
    if not form or "json_schema" not in form:
        return TEXTS[digest[0] % len(TEXTS)]
    properties = form["json_schema"]["schema"]["properties"]
    return json.dumps({name: _value(schema, digest[i]) for i, (name, schema) in enumerate(properties.items())})


def _value(schema: dict[str, Any], draw: int) -> Any:
    if "enum" in schema:
        return schema["enum"][draw % len(schema["enum"])]
    if schema.get("type") in ("integer", "number"):
        low, high = schema.get("minimum", 0), schema.get("maximum", 10)
        return low + draw % (high - low + 1)
    return "because"
