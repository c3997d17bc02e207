"""What `MisbehavingServer` may do with a request: one function per behaviour."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Behaviour:
    """How one request is answered. `released` is set when the server goes down: nothing waits past it."""

    respond: Callable[[web.Request, asyncio.Event], Awaitable[web.StreamResponse]]


def completion(text: str | None = "7 8", *, usage: Any = (20, 4), finish_reason: str = "stop", **choice: Any) -> bytes:
    """A chat completion's body; `usage` None leaves it out."""
    message = {"role": "assistant", "content": text, **choice.pop("message", {})}
    body: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, **choice}],
    }
    if isinstance(usage, tuple):
        usage = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    if usage is not None:
        body["usage"] = usage
    return json.dumps(body).encode()


def raw(body: bytes | str, status: int = 200, *, content_type: str = "application/json", **headers: str) -> Behaviour:
    """Exactly these bytes. An underscore in a header's name stands for a hyphen."""
    sent = {"Content-Type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    encoded = body.encode() if isinstance(body, str) else body

    async def respond(request: web.Request, released: asyncio.Event) -> web.StreamResponse:
        return web.Response(body=encoded, status=status, headers=sent)

    return Behaviour(respond)


def ok(text: str | None = "7 8", **options: Any) -> Behaviour:
    """A good reply; options as for `completion`."""
    return raw(completion(text, **options))


def echo() -> Behaviour:
    """A good reply that is the last message's own text."""

    async def respond(request: web.Request, released: asyncio.Event) -> web.StreamResponse:
        body = await request.json()
        return web.Response(body=completion(body["messages"][-1]["content"]), content_type="application/json")

    return Behaviour(respond)


def error(status: int, message: str, *, code: str | None = None, param: str | None = None, **headers: str) -> Behaviour:
    """An error in OpenAI's form."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}
    return raw(json.dumps(body), status, **headers)


def too_many_requests(retry_after: str | None = None) -> Behaviour:
    """429, with `Retry-After` as given."""
    return error(429, "Rate limit reached", **({"Retry_After": retry_after} if retry_after is not None else {}))


def insufficient_quota() -> Behaviour:
    """429 that no waiting will mend."""
    return error(429, "You exceeded your current quota", code="insufficient_quota")


def server_error(status: int = 500) -> Behaviour:
    """A 5xx in plain text."""
    return raw("Internal Server Error", status, content_type="text/plain")


def unauthorized() -> Behaviour:
    """401, quoting the key that was sent, as some servers do."""

    async def respond(request: web.Request, released: asyncio.Event) -> web.StreamResponse:
        sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
        body = {"error": {"message": f"Incorrect API key provided: {sent}", "code": "invalid_api_key"}}
        return web.json_response(body, status=401)

    return Behaviour(respond)


def bad_request_quoting_the_url() -> Behaviour:
    """400, quoting the path and query that were asked for, and the values by themselves, as gateways do."""

    async def respond(request: web.Request, released: asyncio.Event) -> web.StreamResponse:
        values = " ".join(request.query.values())
        return web.json_response({"error": {"message": f"no route {request.url} for {values}"}}, status=400)

    return Behaviour(respond)


def not_found() -> Behaviour:
    """404, as for a model that the server does not have."""
    return error(404, "The model does not exist", code="model_not_found")


def context_length_exceeded() -> Behaviour:
    """400: the prompt is too long."""
    message = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    return error(400, message, code="context_length_exceeded", param="messages")


def response_format_unsupported() -> Behaviour:
    """400: no structured replies here."""
    return error(400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.")


def logprobs_unsupported() -> Behaviour:
    """400: no logprobs here."""
    return error(400, "This model does not support log probabilities", param="top_logprobs")


def reset() -> Behaviour:
    """The connection is reset before anything is sent."""

    async def respond(request: web.Request, released: asyncio.Event) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return Behaviour(respond)


def half_body() -> Behaviour:
    """A 200 whose body breaks off."""

    async def respond(request: web.Request, released: asyncio.Event) -> web.StreamResponse:
        body = completion()
        response = web.StreamResponse(headers={"Content-Length": str(len(body)), "Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        assert request.transport is not None
        request.transport.close()
        return response

    return Behaviour(respond)


def endless_body() -> Behaviour:
    """A 200 whose body does not end."""

    async def respond(request: web.Request, released: asyncio.Event) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while not released.is_set():
                await response.write(b" " * 65536)
        return response

    return Behaviour(respond)


def drip() -> Behaviour:
    """A 200 whose body comes a byte at a time and never ends."""

    async def respond(request: web.Request, released: asyncio.Event) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while not released.is_set():
                await response.write(b" ")
                await asyncio.sleep(0.02)
        return response

    return Behaviour(respond)


def stall() -> Behaviour:
    """Nothing, until the server goes down or the client hangs up."""

    async def respond(request: web.Request, released: asyncio.Event) -> web.StreamResponse:
        await released.wait()
        return web.Response(status=503)

    return Behaviour(respond)


def html() -> Behaviour:
    """A web page with status 200."""
    return raw("<!doctype html><title>Welcome</title>", content_type="text/html")


def not_json() -> Behaviour:
    """JSON that breaks off."""
    return raw('{"choices": [{"message"')


def wrong_json() -> Behaviour:
    """JSON, but no chat completion."""
    return raw('{"status": "fine"}')


def empty_choices() -> Behaviour:
    """A chat completion without choices, which was billed."""
    return raw('{"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 0}}')


def prose() -> Behaviour:
    """A good reply that no parser should take for scores."""
    return ok("What a moving story! I would say the listener was rather kind.")


def refusal() -> Behaviour:
    """The model refuses, in the field that OpenAI has for it."""
    return ok(None, message={"refusal": "I'm sorry, I can't help with that."})


def content_filter() -> Behaviour:
    """The reply was held back."""
    return ok(None, finish_reason="content_filter")


def streamed(
    *parts: str | bytes,
    end: str = "stop",
    hold: bool = False,
    usage: tuple[int, int] | None = (20, 4),
    pause_s: float = 0.0,
) -> Behaviour:
    """A chat completion as server-sent events: texts as deltas, bytes as they are, with a pause after each.

    After them, with `end`: the `stop` of a good reply, an `error` event, a `cut` connection, a `lost` one that ends in
    order without the reply's end; with `hold` nothing more until the server goes down or the client hangs up.
    """

    async def respond(request: web.Request, released: asyncio.Event) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        response.enable_chunked_encoding()
        await response.prepare(request)

        async def send(value: Any) -> None:
            await response.write(f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode())

        for part in parts:
            if isinstance(part, bytes):
                await response.write(part)
            else:
                await send({"choices": [{"index": 0, "delta": {"content": part}, "finish_reason": None}]})
            await asyncio.sleep(pause_s)
        if hold:
            await released.wait()
        elif end == "cut":
            assert request.transport is not None
            request.transport.abort()
        elif end == "error":
            await send({"error": {"message": "the model ran out of memory", "code": 400}})
        elif end == "stop":
            await send({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            if usage:
                await send({"choices": [], "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1]}})
            await send("[DONE]")
        return response

    return Behaviour(respond)
