"""One model behind an API: each call is answered, or fails for a named reason."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from efficient_empathy.foundation.errors import UserError, endpoint_name
from efficient_empathy.llm.budget import Budget, Trial
from efficient_empathy.llm.call import FREE, Call, Completion, Estimate, Prices, Stats
from efficient_empathy.llm.errors import (
    BudgetExhausted,
    CallFailed,
    Draining,
    EndpointNotFound,
    FailureKind,
    Fault,
    KeyRefused,
    Overbilled,
    QuotaExhausted,
)
from efficient_empathy.llm.pacing import RATE_LIMITED_CAP_S, Breaker, Drain, Window, backoff, retry_after
from efficient_empathy.llm.transport import (
    Response,
    Secrets,
    Transport,
    check_key,
    check_url,
    find_proxy,
    query_secrets,
)
from efficient_empathy.llm.wire import BadBodyError, Messages, Question, Reply, ServerError, Wire
from efficient_empathy.llm.wire.openai import OpenAIWire

_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size)|maximum context|too[ _]long|string_above_max_length|`inputs` tokens \+", re.I
)
_MODERATED = re.compile(r"moderation|flagged", re.I)
_NO_CREDIT = re.compile(rb"insufficient_quota|credit balance is too low")
_MAYBE_BILLED = frozenset({408, 504, 524})  # somebody on the way gave up waiting; the model may have answered


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Reads the responses of one endpoint, named by `url` and `model`, its key in the variable `key_name`."""

    wire: Wire
    url: str
    model: str
    key_name: str
    has_key: bool
    secrets: Secrets

    def read(self, response: Response, fields: Mapping[str, Any]) -> Reply | Fault:
        """The reply in a response, or why there is none. `fields` are the request's."""
        if not 200 <= response.status < 300:
            return self._refusal(response, fields)
        try:
            return self.wire.read_reply(response.body)
        except BadBodyError as error:
            return Fault("bad_body", self.secrets.tell(str(error)), billed=True, usage=error.usage)

    def _refusal(self, response: Response, fields: Mapping[str, Any]) -> Fault:
        status, error = response.status, self.wire.read_error(response.body)
        wait_s = retry_after(response.headers.get("Retry-After"))
        message = self.secrets.tell(error.message)
        reason = f"HTTP {status}: {message}" if message else f"HTTP {status}"
        code = self.secrets.tell(error.code) if error.code else None
        fatal = self._fatal(response, error, message)
        if fatal:
            return Fault("rejected", reason, retry=False, code=code, fatal=fatal)
        if status == 429:
            return Fault("rate_limited", reason, overload=True, unanswered=True, retry_after_s=wait_s, code=code)
        if status >= 500 or status in (408, 409):
            return Fault(
                "timeout" if status == 408 else "server_error",
                reason,
                overload=status >= 500,
                billed=status in _MAYBE_BILLED,
                unanswered=True,
                retry_after_s=wait_s,
                code=code,
            )
        if status == 413 or _TOO_LONG.search(f"{error.code} {error.message}"):
            return Fault("too_long", reason, retry=False, code=code)
        return Fault("rejected", reason, retry=False, declined=self.wire.declined(error, fields), code=code)

    def _fatal(self, response: Response, error: ServerError, message: str) -> UserError | None:
        status = response.status
        if status == 402 or (status in (400, 429) and _NO_CREDIT.search(response.body)):
            return QuotaExhausted(f"the account behind {self.key_name} has no credit left at {self.url}: {message}")
        if status == 401 or (status == 403 and not _MODERATED.search(error.message)):
            if not self.has_key:
                return KeyRefused(f"{self.url} asks for a key (HTTP {status}): set {self.key_name}")
            detail = f" ({message})" if status == 403 and message else ""  # a 401's message tends to quote the key
            remedy = f"set {self.key_name} to one that may use {self.model}"
            return KeyRefused(f"{self.url} refuses the key (HTTP {status}){detail}: {remedy}")
        if status in (404, 405):
            return EndpointNotFound(
                f'there is no chat model "{self.model}" at {self.url} (HTTP {status}: {message}): '
                "check the model's name and the base URL, which often ends in /v1"
            )
        if 300 <= status < 400:
            target = self.secrets.tell(response.headers.get("Location") or "nowhere").split("?")[0]
            return EndpointNotFound(f"{self.url} redirects to {target} (not followed): give the final base URL")
        return None


class Endpoint:
    """One model behind one base URL. `complete` may be called any number of times at once.

    A sliding window of at most `concurrency` requests shrinks while the server is overloaded. `timeout_s` covers one
    attempt from connecting to the last byte. A call is given up after `max_attempts` failed attempts; those that were
    rate-limited (429) do not count, but are given up before the waits between them come to more than `patience_s`.
    With a `budget`, which the caller closes, no request is sent whose upper bound it does not cover. If the budget has
    a limit, requests go one at a time until a bill has stayed under its bound, and a bill above its bound is the last:
    its call is answered, and `check` and all later calls raise `Overbilled`. `wire` is the format that the server
    speaks, chat completions by default. Error messages name `key_name`, the environment variable that holds the key
    (by default the format's own), and never the key.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        key_name: str | None = None,
        wire: Wire | None = None,
        concurrency: int = 64,
        timeout_s: float = 60.0,
        max_attempts: int = 5,
        patience_s: float = 600.0,
        budget: Budget | None = None,
        prices: Prices | None = None,
        headers: Mapping[str, str] | None = None,
        max_body_bytes: int = 1_000_000,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self._wire: Wire = wire or OpenAIWire()
        url = self._wire.url(check_url(base_url))
        key_name = key_name or self._wire.key_variable
        self.url = endpoint_name(str(url))
        self.model = model
        self.window = Window(concurrency)
        self.budget = budget or Budget()
        self.price = (prices or Prices.load()).find(model)
        """What the model charges; None where nobody knows, and costs are counted as 0."""
        if self.price is None and self.budget.max_usd is not None:
            raise UserError(f'a limit on cost needs the price of "{model}": add the model to a prices file')
        key = check_key(api_key, key_name)
        sent_headers = {**self._wire.headers(key), **(headers or {})}
        proxy = find_proxy(url)
        self._secrets = Secrets(key, sent_headers, (*query_secrets(url), *(proxy.secrets if proxy else ())))
        self._diagnosis = Diagnosis(self._wire, self.url, model, key_name, bool(key), self._secrets)
        self._transport = Transport(
            url,
            sent_headers,
            connections=concurrency,
            timeout_s=timeout_s,
            max_body_bytes=max_body_bytes,
            secrets=self._secrets,
            proxy=proxy,
        )
        self._breaker = Breaker(self.url, concurrency)
        self._drain = Drain()
        self._trial = Trial(self.budget.max_usd is not None and self.price not in (None, FREE))
        self._max_attempts = max_attempts
        self._patience_s = patience_s
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._requests = self._retries = self._successes = 0
        self._failures: Counter[FailureKind] = Counter()
        self._spent_usd = 0.0

    async def complete(
        self,
        messages: Messages,
        *,
        max_tokens: int,
        temperature: float | None = 0.0,
        json_schema: Mapping[str, Any] | None = None,
        top_logprobs: int | None = None,
        **extra: Any,
    ) -> Completion:
        """The model's answer to `messages`; the arguments are those of `Question`.

        Raises `CallFailed` when this call has no answer, a `UserError` when no call will have one, and
        `BudgetExhausted` when the budget does not cover it, and `Draining` when it would have to be sent after `drain`.
        """
        question = Question(messages, max_tokens, temperature, json_schema, top_logprobs, extra)
        call = self._call(question)
        while True:
            outcome = await self._attempt(call)
            if isinstance(outcome, Reply):
                return call.completion(outcome, self._secrets)
            self._failures[outcome.kind] += 1
            if self._wire.adapt(outcome.reason, outcome.declined):
                call = replace(call, fields=self._wire.fields(self.model, question))
            elif (wait_s := self._wait_s(call, outcome)) is not None:
                async with self._drain.wait(call):
                    await self._sleep(wait_s)
            else:
                self._breaker.gave_up(outcome)
                self._breaker.check()
                raise CallFailed(
                    outcome.reason,
                    outcome.kind,
                    call.attempts,
                    call.cost_usd,
                    call.latency_s,
                    declined=outcome.declined,
                    code=outcome.code,
                )
            self._retries += 1

    def estimate(
        self,
        messages: Messages,
        *,
        max_tokens: int,
        temperature: float | None = 0.0,
        json_schema: Mapping[str, Any] | None = None,
        top_logprobs: int | None = None,
        **extra: Any,
    ) -> Estimate:
        """What `complete` with the same arguments would take, without sending anything."""
        return self._call(Question(messages, max_tokens, temperature, json_schema, top_logprobs, extra)).estimate()

    @property
    def stats(self) -> Stats:
        """Counts so far."""
        return Stats(
            requests=self._requests,
            retries=self._retries,
            successes=self._successes,
            failures=self._failures.copy(),
            concurrency=int(self.window.limit),
            in_flight=self.window.in_flight,
            spent_usd=self._spent_usd,
        )

    def check(self) -> None:
        """Raise the `UserError` that no later call would get past, if there is one."""
        self._breaker.check()

    def drain(self) -> None:
        """Send nothing new. Requests under way go on to their end; calls that wait for anything else end at once."""
        self._drain.begin()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def __aenter__(self) -> Endpoint:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r}, {self.model!r})"

    async def _attempt(self, call: Call) -> Reply | Fault:
        """Send the request once, in a slot of the window, and account for it, also when cancelled."""
        async with self._drain.wait(call):
            await self.window.acquire(ahead=call.attempts > 0)  # what was begun is finished first
        try:
            async with self._drain.wait(call):
                alone = await self._trial.enter()
        except BaseException:
            self.window.release()
            raise
        try:
            self._breaker.check()
            await self._hold(call)
            cost = call.bound_usd
            sent_at = time.monotonic()
            call.attempts += 1
            self._requests += 1
            try:
                outcome = await self._exchange(call)
                cost = call.cost_of(outcome)
            finally:
                call.latency_s = time.monotonic() - sent_at
                call.cost_usd += cost
                self._spent_usd += cost
                self.budget.settle(call.bound_usd, cost)
            if isinstance(outcome, Reply):
                self._successes += 1
                self._breaker.success()
                self.window.success()
            elif outcome.overload:
                self.window.overload(sent_at)
            self._compare(call, outcome)
            return outcome
        finally:
            self._trial.leave(alone)
            self.window.release()

    def _compare(self, call: Call, outcome: Reply | Fault) -> None:
        """Hold a bill against its bound, where cost is limited."""
        if self.budget.max_usd is None or outcome.usage is None:
            return
        billed = self.price.cost(*outcome.usage) if self.price else 0.0
        if billed <= call.bound_usd:
            self._trial.end()
            return
        prompt, completion = outcome.usage
        self._breaker.trip(
            Overbilled(
                f"{self.url} billed ${billed:.6g} ({prompt:,} prompt and {completion:,} completion tokens) for a "
                f"request that costs at most ${call.bound_usd:.6g}, so the limit of "
                f"${self.budget.max_usd:.6g} cannot be kept there: ${self.budget.spent_usd:.6g} is spent and "
                "nothing more is sent; check the bill with the provider, or leave the limit out"
            )
        )

    async def _hold(self, call: Call) -> None:
        try:
            async with self._drain.wait(call):
                await self.budget.hold(call.bound_usd)
        except BudgetExhausted as error:
            error.attempts, error.cost_usd = call.attempts, call.cost_usd
            raise
        try:
            self._drain.check(call)
        except Draining:
            self.budget.settle(call.bound_usd, 0.0)
            raise

    def _wait_s(self, call: Call, fault: Fault) -> float | None:
        """How long to wait before the call is sent again; None to give it up."""
        if not fault.retry:
            return None
        if fault.kind != "rate_limited":
            tries = call.attempts - call.refusals
            return backoff(tries, fault.retry_after_s, self._rng) if tries < self._max_attempts else None
        call.refusals += 1
        wait_s = backoff(call.refusals, fault.retry_after_s, self._rng, cap_s=RATE_LIMITED_CAP_S)
        call.refused_s += wait_s
        return wait_s if call.refused_s <= self._patience_s else None

    async def _exchange(self, call: Call) -> Reply | Fault:
        response = await self._transport.post(call.body)
        if isinstance(response, Fault):
            return response
        self._breaker.note_response()
        return self._diagnosis.read(response, call.fields)

    def _call(self, question: Question) -> Call:
        fields = self._wire.fields(self.model, question)
        return Call(fields, self.price or FREE, self._wire.overhead(fields))
