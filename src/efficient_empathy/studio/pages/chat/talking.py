"""One turn put to several models: local ones one after the other in a thread, endpoints beside them, all as events."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm import CallFailed, Endpoint
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.llm.wire import WIRES
from efficient_empathy.modelling.generation.target import template_for
from efficient_empathy.studio.pages.chat.asked import Ask, Asked
from efficient_empathy.studio.pages.chat.gates import experts_of
from efficient_empathy.studio.pages.chat.models import ChatEndpoint, missing, target
from efficient_empathy.studio.pages.chat.shelf import Shelf, out_of_memory
from efficient_empathy.studio.pages.chat.speaking import Token, speak

Tell = Callable[[str, dict[str, Any]], None]
PATIENCE_S = 20.0
log = logging.getLogger(__name__)


class Talk:
    """The studio's one voice for local models. Endpoints are only those that the command was given."""

    def __init__(self) -> None:
        self._shelf = Shelf()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="chat")

    async def replies(
        self, workspace: Workspace, endpoints: Sequence[ChatEndpoint], asked: Asked
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Events, each with its `model`: loading, experts, token, done, failed; then one end.

        Whoever stops reading stops the models: after their next token, or where they wait.
        """
        queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        loop, stop = asyncio.get_running_loop(), threading.Event()
        known = {endpoint.name: endpoint for endpoint in endpoints}

        def tell(kind: str, told: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, (kind, told))

        async def one(ask: Ask) -> None:
            said = _about(ask.model, tell)
            if ask.model in known:
                await _guarded_call(_call(known[ask.model], ask, asked, said), said)
            else:
                await loop.run_in_executor(self._thread, self._answer, workspace, ask, asked, said, stop)

        tasks = asyncio.gather(*(one(ask) for ask in asked.asks))
        tasks.add_done_callback(lambda _: queue.put_nowait(("end", {})))
        try:
            while (event := await queue.get())[0] != "end":
                yield event
            yield event
        finally:
            stop.set()
            tasks.cancel()
            await asyncio.gather(tasks, return_exceptions=True)

    def _answer(self, workspace: Workspace, ask: Ask, asked: Asked, tell: Tell, stop: threading.Event) -> None:
        """In the thread: load, speak, tell; whatever goes wrong is one sentence."""
        if stop.is_set():
            return
        try:
            self._speak(workspace, ask, asked, tell, stop)
        except UserError as error:
            tell("failed", {"message": str(error)})
        except Exception as error:
            if not missing() and out_of_memory(error):
                self._shelf.clear()
                told = "there is not enough memory for it here: close what else needs it, or ask fewer models at a time"
            else:
                log.warning("the model %s failed", ask.model, exc_info=error)
                told = (
                    f"it failed with {type(error).__name__}: {' '.join(str(error).split())[:200] or 'no reason given'}"
                )
            tell("failed", {"message": told})

    def _speak(self, workspace: Workspace, ask: Ask, asked: Asked, tell: Tell, stop: threading.Event) -> None:
        if lacking := missing():
            raise UserError(lacking)
        found = target(ask.model, workspace)
        prompt = template_for(found, None, workspace).messages([turn.model_dump() for turn in ask.context])
        tell("loading", {})
        speaker = self._shelf.take(found.path, asked.max_tokens)
        started, first = time.monotonic(), True
        seed = secrets.randbelow(2**31) if asked.temperature else 0

        def on_token(token: Token) -> None:
            nonlocal first
            if first and token.gates:
                tell("experts", {"experts": experts_of(workspace.moe, len(token.gates[0])), "layers": len(token.gates)})
            first = False
            tell("token", {"text": token.text, **({"gates": token.gates} if token.gates else {})})

        said = speak(speaker, prompt, temperature=asked.temperature, seed=seed, on_token=on_token, stop=stop)
        tell(
            "done",
            {
                "text": said.text,
                "finish": said.finish,
                "completion_tokens": said.tokens,
                "seconds": round(time.monotonic() - started, 2),
                "mean": said.mean(),
                "seed": seed if asked.temperature else None,
            },
        )


def _about(model: str, tell: Tell) -> Tell:
    """`tell` with the model's name on everything."""
    return lambda kind, told: tell(kind, {"model": model, **told})


async def _guarded_call(call: Any, tell: Tell) -> None:
    try:
        await call
    except CallFailed as failure:
        tell("failed", {"message": f"the endpoint does not answer: {failure.reason}"})
    except UserError as error:
        tell("failed", {"message": str(error)})
    except Exception as error:
        log.warning("an endpoint failed", exc_info=error)
        tell("failed", {"message": f"the endpoint failed with {type(error).__name__}"})


async def _call(endpoint: ChatEndpoint, ask: Ask, asked: Asked, tell: Tell) -> None:
    """One reply of an endpoint, which comes whole: with the client's retries, its limits and its secrecy."""
    options = endpoint.options
    wire = WIRES.load(options.wire)()
    key_name = options.api_key_env or wire.key_variable
    messages = PromptTemplate.load("chat").messages([turn.model_dump() for turn in ask.context])
    started = time.monotonic()
    async with Endpoint(
        options.base_url,
        endpoint.model,
        api_key=os.environ.get(key_name),
        key_name=key_name,
        wire=wire,
        concurrency=1,
        timeout_s=options.timeout_s,
        max_attempts=2,
        patience_s=PATIENCE_S,
    ) as client:
        tell("loading", {})
        temperature: float | None = asked.temperature
        try:
            found = await client.complete(messages, max_tokens=asked.max_tokens, temperature=temperature)
        except CallFailed as failure:
            if failure.declined != "temperature":
                raise
            found = await client.complete(messages, max_tokens=asked.max_tokens, temperature=None)
    text = found.answer
    if found.refusal is not None or not text:
        tell("failed", {"message": f"it gave no reply: {found.refusal or found.finish_reason or 'an empty one'}"})
        return
    tell("token", {"text": text})
    finish = "length" if found.finish_reason == "length" else "stop"
    seconds = round(time.monotonic() - started, 2)
    told = {"completion_tokens": found.completion_tokens, "cost_usd": found.cost_usd, "mean": [], "seed": None}
    tell("done", {"text": text, "finish": finish, "seconds": seconds, **told})


def event(kind: str, told: dict[str, Any]) -> str:
    """A server-sent event."""
    return f"event: {kind}\ndata: {json.dumps(told, ensure_ascii=False)}\n\n"
