"""The service's web application: what it answers at which address."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.service.batching import Batcher, QueueFullError
from efficient_empathy.service.description import openapi, page
from efficient_empathy.service.guard import Guard, error_response
from efficient_empathy.service.history import History
from efficient_empathy.service.items import BodyError, Item, parse_body, read_items
from efficient_empathy.service.metrics import MISSING, Metrics
from efficient_empathy.service.scorer import Answer
from efficient_empathy.service.serving import Served
from efficient_empathy.service.settings import ServiceSettings
from efficient_empathy.service.tokens import Tokens
from efficient_empathy.service.tracing import NoSpans, Note, Spans
from efficient_empathy.web.rates import Lockouts

SMALL = 16 << 10
"""A body of so many bytes is read at once; a larger one in a thread, since it would hold up all others."""
OK, INVALID, FAILED = "ok", "invalid", "failed"
"""The states of an item: scored; not readable as a conversation; the judge failed."""
TURNS = ("all", "last")
log = logging.getLogger(__name__)


@dataclass
class Service:
    """What the application has while it runs."""

    served: Served
    settings: ServiceSettings
    reading: ReadingSettings
    history: History
    metrics: Metrics | None
    batcher: Batcher
    spans: Spans
    readers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "reader"))

    @property
    def counters(self) -> list[History | Metrics]:
        """Whoever counts requests and items."""
        return [self.history] if self.metrics is None else [self.history, self.metrics]


def make_app(
    served: Served, settings: ServiceSettings, tokens: Tokens, reading: ReadingSettings | None = None,
    folder: Path | None = None, spans: Spans | None = None,
) -> Starlette:  # fmt: skip
    """The application. `folder` is where the counts of minutes are kept; none: in memory alone. `spans` are closed at
    its end.
    """
    threads = settings.threads or os.cpu_count() or 1
    history = History(served, folder)
    batcher = Batcher(served.scorer, threads, settings.max_waiting)
    metrics = _metrics(served, batcher, history)
    service = Service(
        served, settings, reading or ReadingSettings(on_bad_row="skip"), history, metrics, batcher,
        spans or NoSpans(),
    )  # fmt: skip

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        keeping = asyncio.create_task(history.run())
        try:
            yield
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
            service.batcher.close()
            history.take()
            history.write()
            service.spans.close()

    return Starlette(
        routes=[
            Route("/v1/score", partial(_score, service), methods=["POST"]),
            Route("/v1/status", partial(_status, service)),
            Route("/metrics", partial(_metrics_text, service)),
            Route("/health", _health),
            Route("/ready", partial(_ready, service)),
            Route("/openapi.json", partial(_openapi, service)),
            Route("/", _page),
        ],
        middleware=[
            Middleware(Guard, tokens=tokens, host=settings.host, allowed_hosts=settings.allowed_hosts,
                       lockouts=Lockouts())
        ],
        exception_handlers={HTTPException: lambda request, error: error_response(error)},
        lifespan=lifespan,
    )  # fmt: skip


def _metrics(served: Served, batcher: Batcher, history: History) -> Metrics | None:
    """The metrics, None without the library."""
    try:
        metrics = Metrics(served.record, lambda: batcher.waiting, lambda: history.level)
    except ImportError:
        return None
    batcher.on_batch = metrics.add_batch
    return metrics


async def _score(service: Service, request: Request) -> Response:
    """Every answer is counted, an error too."""
    status, content = 500, b""
    with service.spans("POST /v1/score", request.headers) as note:
        try:
            content = await _scored(service, request, note)
            status = 200
        except HTTPException as error:
            status = error.status_code
            raise
        except ClientDisconnect:
            status = 499
            raise
        finally:
            note(status=status)
            seconds = time.perf_counter() - request.scope["state"]["began"]
            for one in service.counters:
                one.add_request(status, seconds)
    return Response(content, media_type="application/json")


async def _scored(service: Service, request: Request, note: Note) -> bytes:
    turns = request.query_params.get("turns", "all")
    if turns not in TURNS:
        raise HTTPException(400, f"turns is {turns[:40]!r}: it is all (every reply is scored) or last.")
    if service.batcher.waiting >= service.settings.max_waiting:
        raise _busy(service.batcher.retry_after)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "The service takes no compressed bodies: send the JSON as it is.")
    body = await request.body()
    read = partial(_read_body, service, body, turns)
    loop = asyncio.get_running_loop()
    try:
        with service.spans("read"):
            items = read() if len(body) <= SMALL else await loop.run_in_executor(service.readers, read)
    except BodyError as error:
        raise HTTPException(error.status, f"{error}.") from error
    del body, read
    samples = [sample for item in items for sample in item.samples]
    note(items=len(items), samples=len(samples))
    with service.spans("judge") as note_judging:
        note_judging(waiting=service.batcher.waiting)
        answers = await _answers(service, request, samples)
    results, at = [], 0
    for number, item in enumerate(items):
        own = answers[at : at + len(item.samples)]
        at += len(item.samples)
        state, content = _result(number, item, own)
        for one in service.counters:
            one.add_item(state, own)
        results.append(content)
    states = Counter(one["state"] for one in results)
    note(drift=service.history.level, **{f"items.{state}": count for state, count in states.items()})
    return json.dumps(
        {"results": results, "states": dict(states), "drift": service.history.level}, ensure_ascii=False
    ).encode()


def _read_body(service: Service, body: bytes, turns: Any) -> list[Item]:
    return read_items(parse_body(body, service.settings.max_items), service.reading, turns)


def _result(number: int, item: Item, answers: Sequence[Answer]) -> tuple[str, dict[str, Any]]:
    fault = item.fault or next((answer.fault for answer in answers if answer.fault), "")
    if fault:
        state = INVALID if item.fault else FAILED
        return state, {"item": number, "state": state, "reason": fault, "samples": []}
    return OK, {"item": number, "state": OK, "samples": [answer.content for answer in answers]}


async def _answers(service: Service, request: Request, samples: Sequence[Any]) -> list[Answer]:
    """The answers to samples; a client that leaves takes its samples with it."""
    judging = asyncio.ensure_future(service.batcher(samples))
    leaving = asyncio.ensure_future(_until_gone(request))
    try:
        await asyncio.wait({judging, leaving}, timeout=service.settings.timeout, return_when=asyncio.FIRST_COMPLETED)
        if judging.done():
            return judging.result()
        if leaving.done():
            raise ClientDisconnect
        problem = f"The request took more than {service.settings.timeout:g} s: send fewer conversations, or later."
        raise HTTPException(503, problem, {"Retry-After": f"{service.batcher.retry_after}"})
    except QueueFullError as error:
        raise _busy(error.retry_after) from error
    finally:
        for task in (judging, leaving):
            task.cancel()
        await asyncio.gather(judging, leaving, return_exceptions=True)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _busy(retry_after: int) -> HTTPException:
    problem = f"The service has more to judge than it can: try again in {retry_after} s."
    return HTTPException(503, problem, {"Retry-After": f"{retry_after}"})


async def _status(service: Service, request: Request) -> Response:
    service.history.take()
    await asyncio.to_thread(service.history.write)
    return JSONResponse(service.history.status() | {"waiting": service.batcher.waiting})


async def _metrics_text(service: Service, request: Request) -> Response:
    if service.metrics is None:
        raise HTTPException(501, f"{MISSING}.")
    content, media = service.metrics.text(request.headers.get("accept", ""))
    return Response(content, headers={"Content-Type": media})


async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _ready(service: Service, request: Request) -> Response:
    if service.batcher.waiting >= service.settings.max_waiting:
        raise _busy(service.batcher.retry_after)
    return JSONResponse({"status": "ready"})


async def _openapi(service: Service, request: Request) -> Response:
    return JSONResponse(openapi())


async def _page(request: Request) -> Response:
    return HTMLResponse(page())
