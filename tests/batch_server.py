"""A server on this machine with OpenAI's and Anthropic's batch APIs, beside the calls one by one, that keeps books.

    with BatchServer(looks=2) as server:
        score(source, run, "openai:gpt-4o", options={"base_url": server.url}, batches=…)

A batch is over once it has been looked at `looks` times; `outcome` says what each of its rows then comes to, and `ends`
how the whole of it does. `billed_usd` is what the server would bill: half the price in a batch.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from api_server import ApiServer

PROMPT, COMPLETION = 100, 10
INPUT_USD, OUTPUT_USD = 2.5e-6, 10e-6
"""gpt-4o's list price."""
Outcome = Literal["ok", "error", "filtered", "expired", "cancelled", "missing", "unreadable", "twice", "dear"]


@dataclass
class Batch:
    """One batch as the server has it: requests by their name."""

    id: str
    rows: dict[str, dict[str, Any]]
    metadata: dict[str, str] | None = None
    created_at: float = field(default_factory=time.time)
    looks: int = 0
    word: str = ""
    outcomes: dict[str, Outcome] = field(default_factory=dict)


class BatchServer(ApiServer):
    """The server, in a thread of its own, on a free port of the loopback interface; a context manager."""

    def __init__(
        self,
        *,
        looks: int = 1,
        outcome: Callable[[str, int], Outcome] = lambda text, batch: "ok",
        ends: str = "completed",
        most_rows: int | None = None,
        scores: Callable[[str], dict[str, int]] = lambda text: {"rationality": 3, "sensibility": 7},
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.looks, self.outcome, self.ends, self.most_rows, self.scores = looks, outcome, ends, most_rows, scores
        self.batches: dict[str, Batch] = {}
        self.files: dict[str, bytes] = {}
        self.calls: list[dict[str, Any]] = []
        self.asked: Counter[str] = Counter()
        """How often each text was answered with scores, by any way, so that it would be billed."""
        self.billed_usd = 0.0
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.break_after: str | None = None
        """The path of a POST after which the connection breaks, once: it was taken, and nobody is told."""
        self.break_before: str | None = None
        self.kill: tuple[str, str, int] | None = None
        """A POST's path, break_before or break_after, and the process that is killed at that moment, once."""
        self.break_download = False
        """The first download ends in the middle."""
        self.failing: list[int] = []
        """Statuses that the next GETs are answered with."""
        self.hides: set[str] = set()
        """Batches that the server does not show: of another key, or gone."""
        self._downloaded: set[tuple[str, str]] = set()
        self._random = random.Random(seed)

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=2**28, middlewares=[self._watch])
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/messages", self._message)
        app.router.add_post("/v1/files", self._upload)
        app.router.add_get("/v1/files/{id}/content", self._content)
        app.router.add_post("/v1/batches", self._create)
        app.router.add_get("/v1/batches", self._list)
        app.router.add_get("/v1/batches/{id}", self._status)
        app.router.add_post("/v1/messages/batches", self._create_messages)
        app.router.add_get("/v1/messages/batches", self._list)
        app.router.add_get("/v1/messages/batches/{id}", self._status)
        app.router.add_get("/v1/messages/batches/{id}/results", self._results)
        return app

    @web.middleware
    async def _watch(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.paths.append(f"{request.method} {request.path}")
        self.headers.append(dict(request.headers))
        if request.method == "GET" and self.failing:
            return web.json_response({"error": {"message": "later"}}, status=self.failing.pop(0))
        if request.method == "POST" and self.kill and (request.path, "break_before") == self.kill[:2]:
            await request.read()
            self._kill()
        if request.method == "POST" and request.path == self.break_before:
            self.break_before = None
            request.transport.close()
            return web.Response()
        response: web.StreamResponse = await handler(request)
        if request.method == "POST" and self.kill and (request.path, "break_after") == self.kill[:2]:
            self._kill()
        if request.method == "POST" and request.path == self.break_after:
            self.break_after = None
            request.transport.close()
        return response

    def _kill(self) -> None:
        assert self.kill is not None
        _, moment, pid = self.kill
        self.kill = None
        os.kill(pid, signal.SIGKILL)
        if moment == "break_before":
            raise web.HTTPServiceUnavailable

    def _reply(self, fields: dict[str, Any], factor: float, *, messages: bool = False, prompt: int = PROMPT) -> Any:
        """The body of a good reply, billed."""
        content = fields["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[-1]["text"]
        self.asked[text] += 1
        self.billed_usd += factor * (prompt * INPUT_USD + COMPLETION * OUTPUT_USD)
        scores = self.scores(text)
        if messages:
            block = {"type": "tool_use", "id": "toolu_1", "name": "report", "input": scores}
            usage = {"input_tokens": prompt, "output_tokens": COMPLETION}
            return {"type": "message", "role": "assistant", "content": [block], "stop_reason": "tool_use",
                    "model": fields["model"], "usage": usage}  # fmt: skip
        usage = {"prompt_tokens": prompt, "completion_tokens": COMPLETION, "total_tokens": prompt + COMPLETION}
        choice = {"index": 0, "message": {"role": "assistant", "content": json.dumps(scores)}, "finish_reason": "stop"}
        return {"object": "chat.completion", "model": fields["model"], "choices": [choice], "usage": usage}

    async def _chat(self, request: web.Request) -> web.Response:
        fields = await request.json()
        self.calls.append(fields)
        if "max_tokens" in fields and fields["model"] == "o3":
            error = {"message": "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                     "param": "max_tokens", "code": "unsupported_parameter"}  # fmt: skip
            return web.json_response({"error": error}, status=400)
        return web.json_response(self._reply(fields, 1.0))

    async def _message(self, request: web.Request) -> web.Response:
        fields = await request.json()
        self.calls.append(fields)
        return web.json_response(self._reply(fields, 1.0, messages=True))

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "batch"
        name = f"file-{len(self.files)}"
        self.files[name] = form["file"].file.read()  # type: ignore[union-attr]
        return web.json_response({"id": name, "object": "file"})

    async def _create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        assert (asked["endpoint"], asked["completion_window"]) == ("/v1/chat/completions", "24h")
        lines = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        assert all((line["method"], line["url"]) == ("POST", "/v1/chat/completions") for line in lines)
        batch = self._add({line["custom_id"]: line["body"] for line in lines}, asked.get("metadata"), len(lines))
        return web.json_response(self._show(batch))

    async def _create_messages(self, request: web.Request) -> web.Response:
        lines = (await request.json())["requests"]
        batch = self._add({line["custom_id"]: line["params"] for line in lines}, None, len(lines))
        return web.json_response(self._show_messages(batch))

    def _add(self, rows: dict[str, Any], metadata: dict[str, str] | None, lines: int) -> Batch:
        assert len(rows) == lines, "two requests have one name"
        batch = Batch(f"batch_{len(self.batches)}", rows, metadata)
        if self.most_rows is not None and lines > self.most_rows:
            batch.word = "failed"
        self.batches[batch.id] = batch
        return batch

    async def _list(self, request: web.Request) -> web.Response:
        show = self._show_messages if "messages" in request.path else self._show
        newest = [batch for batch in reversed(self.batches.values()) if batch.id not in self.hides]
        after = request.query.get("after") or request.query.get("after_id")
        if after:
            newest = newest[[batch.id for batch in newest].index(after) + 1 :]
        page = newest[:2]  # a page is small, so that there is a second one
        return web.json_response({"data": [show(batch) for batch in page], "has_more": len(newest) > len(page)})

    async def _status(self, request: web.Request) -> web.Response:
        batch = self.batches.get(request.match_info["id"])
        if batch is None or batch.id in self.hides:
            return web.json_response({"error": {"message": "No such batch"}}, status=404)
        batch.looks += 1
        if batch.looks >= self.looks and not batch.word:
            self._run_batch(batch)
        return web.json_response((self._show_messages if "messages" in request.path else self._show)(batch))

    def _run_batch(self, batch: Batch) -> None:
        batch.word = self.ends
        number = int(batch.id.partition("_")[2])
        batch.outcomes = {name: self.outcome(str(row["messages"]), number) for name, row in batch.rows.items()}

    def _show(self, batch: Batch) -> dict[str, Any]:
        over = batch.word not in ("", "failed")
        errors = None
        if batch.word == "failed":
            error = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached for gpt-4o."}
            errors = {"object": "list", "data": [error]}
        return {
            "id": batch.id, "object": "batch", "status": batch.word or "in_progress", "errors": errors,
            "output_file_id": f"{batch.id}-output" if over else None,
            "error_file_id": f"{batch.id}-error" if over else None, "created_at": int(batch.created_at),
            "metadata": batch.metadata,
            "request_counts": {"total": len(batch.rows), "completed": len(batch.rows) if over else 0, "failed": 0},
        }  # fmt: skip

    def _show_messages(self, batch: Batch) -> dict[str, Any]:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(batch.created_at))
        n = len(batch.rows)
        counts = {"processing": 0 if batch.word else n, "succeeded": n if batch.word else 0, "errored": 0,
                  "canceled": 0, "expired": 0}  # fmt: skip
        return {
            "id": batch.id, "type": "message_batch", "processing_status": "ended" if batch.word else "in_progress",
            "request_counts": counts, "created_at": moment,
            "results_url": "http://elsewhere.invalid/steal-the-key",
        }  # fmt: skip

    async def _content(self, request: web.Request) -> web.StreamResponse:
        name, _, kind = request.match_info["id"].rpartition("-")
        batch = self.batches[name]
        lines: list[bytes] = []
        for custom_id, fields in batch.rows.items():
            outcome = batch.outcomes[custom_id]
            is_error = outcome in ("error", "filtered", "expired", "cancelled")
            if outcome == "missing" or is_error != (kind == "error"):
                continue
            if outcome == "unreadable":
                lines.append(b'{"custom_id": "' + custom_id.encode())
                continue
            line: dict[str, Any] = {"id": "r", "custom_id": custom_id, "response": None, "error": None}
            if outcome in ("expired", "cancelled"):
                line["error"] = {"code": f"batch_{outcome}", "message": f"This request was {outcome}."}
            elif outcome == "error":
                body = {"error": {"message": "The server had an error", "code": "server_error"}}
                line["response"] = {"status_code": 500, "request_id": "q", "body": body}
            elif outcome == "filtered":
                body = {"error": {"message": "The prompt was flagged by content management policy",
                                  "code": "content_filter"}}  # fmt: skip
                line["response"] = {"status_code": 400, "request_id": "q", "body": body}
            else:
                prompt = 10**6 if outcome == "dear" else PROMPT
                line["response"] = {"status_code": 200, "body": self._billed(batch, custom_id, fields, prompt)}
            lines += [json.dumps(line).encode()] * (2 if outcome == "twice" else 1)
        return await self._send(request, lines)

    def _billed(self, batch: Batch, custom_id: str, fields: dict[str, Any], prompt: int) -> Any:
        """The reply to a row; a second download is not billed again."""
        asked, billed = self.asked.copy(), self.billed_usd
        reply = self._reply(fields, 0.5, messages="max_tokens" in fields and "tools" in fields, prompt=prompt)
        if (batch.id, custom_id) in self._downloaded:
            self.asked, self.billed_usd = asked, billed
        self._downloaded.add((batch.id, custom_id))
        return reply

    async def _results(self, request: web.Request) -> web.StreamResponse:
        batch = self.batches[request.match_info["id"]]
        lines = []
        for custom_id, fields in batch.rows.items():
            outcome = batch.outcomes[custom_id]
            if outcome == "missing":
                continue
            if outcome in ("expired", "cancelled"):
                result: dict[str, Any] = {"type": {"expired": "expired", "cancelled": "canceled"}[outcome]}
            elif outcome in ("error", "filtered"):
                kind = "api_error" if outcome == "error" else "invalid_request_error"
                result = {"type": "errored", "error": {"type": "error", "error": {"type": kind, "message": "no"}}}
            else:
                prompt = 10**6 if outcome == "dear" else PROMPT
                result = {"type": "succeeded", "message": self._billed(batch, custom_id, fields, prompt)}
            line = json.dumps({"custom_id": custom_id, "result": result}).encode()
            lines += [line] * (2 if outcome == "twice" else 1)
        return await self._send(request, lines)

    async def _send(self, request: web.Request, lines: list[bytes]) -> web.StreamResponse:
        self._random.shuffle(lines)
        body = b"\n".join(lines)
        if self.break_download:
            self.break_download = False
            response = web.StreamResponse(headers={"Content-Length": str(len(body))})
            await response.prepare(request)
            await response.write(body[: len(body) // 2])
            assert request.transport is not None
            request.transport.close()
            return response
        return web.Response(body=body, content_type="application/jsonl")
