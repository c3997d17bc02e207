"""One model behind an API: each call is answered, or fails for a named reason."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from multidict import CIMultiDict

from efficient_empathy.foundation.errors import UserError, endpoint_name
from efficient_empathy.llm.bills import Bills
from efficient_empathy.llm.budget import Budget
from efficient_empathy.llm.call import Call, Completion, Estimate, Stats
from efficient_empathy.llm.diagnosis import Diagnosis
from efficient_empathy.llm.errors import BudgetExhausted, CallFailed, Draining, FailureKind, Fault
from efficient_empathy.llm.keys import Secrets, check_key, query_secrets, warn_of_plain_text
from efficient_empathy.llm.pacing import LOADING_CAP_S, RATE_LIMITED_CAP_S, Breaker, Drain, Window, backoff
from efficient_empathy.llm.prices import FREE, Price, Prices
from efficient_empathy.llm.proxy import find_proxy
from efficient_empathy.llm.settings import public_url
from efficient_empathy.llm.streamed_text import StreamedText
from efficient_empathy.llm.transport import Transport, check_url
from efficient_empathy.llm.wire import Messages, Question, Reply, Wire
from efficient_empathy.llm.wire.openai import OpenAIWire

_TRIES_WITH_SCHEMA = 2
_HARMLESS: Messages = ({"role": "user", "content": "Hello."},)
_FAULTS_OF_SCHEMAS = frozenset({400, 415, 422, 500, 501})
"""What servers that cannot do a JSON schema answer, if they do not say so."""


class Endpoint:
    """One model behind one base URL. `complete` may be called any number of times at once.

    A sliding window of at most `concurrency` requests shrinks while the server is overloaded. `timeout_s` covers one
    attempt from connecting to the last byte; of a reply that is told of as it comes, the wait for each part. A call is
    given up after `max_attempts` failed attempts; those that were rate-limited (429) or met a model being loaded do not
    count, but are given up before the waits between them come to more than `patience_s`. `notify`, which may be set
    later, is told once of each thing that whoever waits should know. With a `budget`, which the caller closes, no
    request is sent whose upper bound it does not cover. If the budget has a limit, requests go one at a time until a
    bill has stayed under its bound, and a bill above its bound is the last: its call is answered, and `check` and all
    later calls raise `Overbilled`. `wire` is the format that the server speaks, chat completions by default. `headers`
    go with every request in place of the format's own of that name, and all their values are secrets; `extra_body` are
    further fields of every request. Error messages name `key_name`, the environment variable that holds the key (by
    default the format's own), and never the key.
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
        extra_body: Mapping[str, Any] | None = None,
        max_body_bytes: int = 4_000_000,
        notify: Callable[[str], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.wire: Wire = wire or OpenAIWire()
        url = self.wire.url(check_url(base_url))
        key_name = key_name or self.wire.key_variable
        self.url = endpoint_name(str(url))
        self.address = public_url(str(url))
        """Where requests go, as keys of answers have it: scheme, host, port, path, what of the query is no secret."""
        self.model = model
        self.window = Window(concurrency)
        self.budget = budget or Budget()
        self.bills = Bills(self.url, model, prices or Prices.load(), self.budget)
        if self.price is None and self.budget.max_usd is not None:
            raise UserError(f'a limit on cost needs the price of "{model}": add the model to a prices file')
        key = check_key(api_key, key_name)
        sent_headers = CIMultiDict(self.wire.headers(key, url))
        sent_headers.update(headers or {})
        proxy = find_proxy(url)
        who_asks = (key or "", *query_secrets(url), *(headers or {}).values())
        self._warning = warn_of_plain_text(url, who_asks)
        credentials = (*query_secrets(url), *(proxy.secrets if proxy else ()))
        self.secrets = Secrets(key, sent_headers, credentials, (headers or {}).values())
        self.diagnosis = Diagnosis(
            self.wire, self.url, model, key_name, frozenset(map(str.lower, sent_headers)), self.secrets
        )
        self._extra_body = dict(extra_body or {})
        self.transport = Transport(
            url,
            sent_headers,
            connections=concurrency,
            timeout_s=timeout_s,
            max_body_bytes=max_body_bytes,
            secrets=self.secrets,
            proxy=proxy,
        )
        self._breaker = Breaker(self.url, concurrency)
        self._drain = Drain()
        self._doubt = asyncio.Lock()
        self._max_attempts = max_attempts
        self._patience_s = patience_s
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._requests = self._retries = self._successes = 0
        self._failures: Counter[FailureKind] = Counter()
        self._spent_usd = 0.0
        self.notify = notify
        self._notices: set[str] = set()
        self._takes_temperature = True
        self._has_read_json = False

    async def complete(
        self,
        messages: Messages,
        *,
        max_tokens: int,
        temperature: float | None = 0.0,
        json_schema: Mapping[str, Any] | None = None,
        top_logprobs: int | None = None,
        schema_is_optional: bool = False,
        shared_prefix: str = "",
        on_text: Callable[[str], None] | None = None,
        **extra: Any,
    ) -> Completion:
        """The model's answer to `messages`; the arguments are those of `Question`.

        With `on_text` the server is asked to stream, and it is told the text so far whenever there is more; a reply
        that broke off and is asked for again begins anew, and one that comes whole is told of by the answer alone.
        Raises `CallFailed` when this call has no answer, a `UserError` when no call will have one, and
        `BudgetExhausted` when the budget does not cover it, and `Draining` when it would have to be sent after `drain`.
        """
        if self._warning:
            self.notify_once(self._warning)
        call = self.call(
            Question(
                messages, max_tokens, temperature, json_schema, top_logprobs, schema_is_optional, shared_prefix,
                on_text is not None, extra,
            )
        )  # fmt: skip
        call.on_text = on_text
        while True:
            outcome = await self._attempt(call)
            if isinstance(outcome, Reply):
                return call.completion(outcome, self.secrets)
            call.fault = outcome.reason
            if outcome.notice:
                self.notify_once(outcome.notice)
            if self._adapt(call, outcome):
                fields = self.wire.fields(self.model, self._question(call.question))
                call = replace(call, fields=fields, overhead=self.wire.overhead(fields))
            elif (wait_s := self._wait_s(call, outcome)) is not None:
                async with self._drain.wait(call):
                    await self._sleep(wait_s)
            else:
                raise self._failure(call, await self._resolve(call, outcome))
            self._retries += 1

    def notify_once(self, notice: str) -> None:
        """Tell whoever waits, unless they have been told."""
        if notice not in self._notices and self.notify is not None:
            self._notices.add(notice)
            self.notify(notice)

    def estimate(
        self,
        messages: Messages,
        *,
        max_tokens: int,
        temperature: float | None = 0.0,
        json_schema: Mapping[str, Any] | None = None,
        top_logprobs: int | None = None,
        schema_is_optional: bool = False,
        shared_prefix: str = "",
        **extra: Any,
    ) -> Estimate:
        """What `complete` with the same arguments would take, without sending anything."""
        return self.call(
            Question(
                messages, max_tokens, temperature, json_schema, top_logprobs, schema_is_optional, shared_prefix,
                extra=extra,
            )
        ).estimate()  # fmt: skip

    def body(self, **question: Any) -> dict[str, Any]:
        """The JSON that `complete` with the same arguments would send first; the key is in a header, never in it."""
        return dict(self.call(Question(**question)).fields)

    @property
    def price(self) -> Price | None:
        """What the model charges; None where nobody knows, and costs are counted as 0."""
        return self.bills.price

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
        await self.transport.close()

    async def __aenter__(self) -> Endpoint:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r}, {self.model!r})"

    async def _attempt(self, call: Call) -> Reply | Fault:
        """Send the request once, in a slot of the window, and in its turn while turns are taken."""
        ahead = call.attempts > 0  # what was begun is finished first
        async with self._drain.wait(call):
            await self.window.acquire(ahead=ahead)
        try:
            async with self._drain.wait(call):
                alone = await self.bills.enter(ahead=ahead)
            try:
                if self._doubt.locked():
                    async with self._drain.wait(call), self._doubt:
                        pass
                return await self._send(call)
            finally:
                self.bills.leave(alone)
        finally:
            self.window.release()

    async def _send(self, call: Call) -> Reply | Fault:
        """Send the request and account for it, also when cancelled."""
        self._breaker.check()
        call.price_at(self.price or FREE)
        await self._hold(call)
        reserved = cost = call.bound_usd
        sent_at = time.monotonic()
        call.attempts += 1
        self._requests += 1
        try:
            outcome = await self._exchange(call)
            if notice := self.bills.note_model(outcome):
                call.price_at(self.price or FREE)
                self.notify_once(self.secrets.tell(notice))
            cost = call.cost_of(outcome)
        finally:
            call.latency_s = time.monotonic() - sent_at
            call.cost_usd += cost
            self._spent_usd += cost
            self.budget.settle(reserved, cost)
        if isinstance(outcome, Reply):
            self._successes += 1
            self._has_read_json = self._has_read_json or call.question.json_schema is not None
            self._breaker.success()
            self.window.success()
        else:
            self._failures[outcome.kind] += 1
            if outcome.overload:
                self.window.overload(sent_at)
        if overbilled := self.bills.check(call.cost_of(outcome), outcome.usage, reserved, self.budget):
            self._breaker.trip(overbilled)
        return outcome

    async def _resolve(self, call: Call, fault: Fault) -> Fault:
        """The fault, its `fatal` left out if it does not concern all calls for certain.

        Whether a refusal is about the key, the model or one text is found out by a request that nobody can mind, while
        all others wait: before any call has been answered, when refusals follow each other, when credit seems to end.
        """
        refused = fault.only_at_first and 300 <= (fault.status or 0) < 500
        if fault.fatal is None or not refused or not self._breaker.doubts(fault):
            return fault
        async with self._doubt:
            if self._breaker.doubts(fault):
                harmless = replace(call.question, messages=_HARMLESS, json_schema=None, top_logprobs=None,
                                   shared_prefix="")  # fmt: skip
                probe = self.call(harmless)
                try:
                    outcome = await self._send(probe)
                except (BudgetExhausted, Draining):
                    return replace(fault, fatal=None)
                finally:
                    call.attempts += probe.attempts
                    call.cost_usd += probe.cost_usd
                if isinstance(outcome, Fault) and outcome.fatal is not None and not outcome.retry:
                    self._breaker.trip(outcome.fatal)
        return replace(fault, fatal=None)

    async def _hold(self, call: Call) -> None:
        try:
            async with self._drain.wait(call):
                await self.budget.hold(call.bound_usd)
        except BudgetExhausted as ended:
            another = f"{call.fault}; the budget of ${self.budget.max_usd:.6g} does not cover another try"
            raise BudgetExhausted(another if call.fault else str(ended), call.attempts, call.cost_usd) from None
        try:
            self._drain.check(call)
        except Draining:
            self.budget.settle(call.bound_usd, 0.0)
            raise

    def _wait_s(self, call: Call, fault: Fault) -> float | None:
        """How long to wait before the call is sent again; None to give it up."""
        if not fault.retry:
            return None
        if not fault.patient:
            tries = call.attempts - call.refusals
            most = min(self._max_attempts, _TRIES_WITH_SCHEMA) if self._suspects_schema(call, fault) else None
            return backoff(tries, fault.retry_after_s, self._rng) if tries < (most or self._max_attempts) else None
        call.refusals += 1
        cap_s = RATE_LIMITED_CAP_S if fault.overload else LOADING_CAP_S
        wait_s = backoff(call.refusals, fault.retry_after_s, self._rng, cap_s=cap_s)
        call.refused_s += wait_s
        return wait_s if call.refused_s <= self._patience_s else None

    def _adapt(self, call: Call, fault: Fault) -> bool:
        """Whether the call is to be written another way: as its wire format says, or without a temperature of 0."""
        if fault.declined == "temperature" and call.question.temperature == 0 and "temperature" in call.fields:
            self._takes_temperature = False  # reasoning models have none to set
            return True
        return self.wire.adapt(fault.reason, fault.declined)

    def _suspects_schema(self, call: Call, fault: Fault) -> bool:
        """Whether a request may have failed because it asked for a schema, which no reply has come with so far."""
        asked = call.question.json_schema is not None and call.question.schema_is_optional
        return asked and not self._has_read_json and fault.status in _FAULTS_OF_SCHEMAS and not fault.is_filtered

    def _failure(self, call: Call, fault: Fault) -> CallFailed:
        """What is raised for a call that is given up; raises what concerns all calls instead, if it does."""
        without_schema = call.question.schema_is_optional and fault.declined == "json_schema"
        suspected = fault.fatal is None and fault.kind != "too_long" and self._suspects_schema(call, fault)
        if fault.declined in self._extra_body:
            words = f"{self.url} does not take {fault.declined} ({fault.reason}): leave it out of the extra body"
            fault = replace(fault, fatal=UserError(words), only_at_first=True)
        if not (without_schema or suspected):
            self._breaker.gave_up(fault)
        self._breaker.check()
        return CallFailed(
            fault.reason,
            fault.kind,
            call.attempts,
            call.cost_usd,
            call.latency_s,
            declined=fault.declined or ("json_schema" if suspected else None),
            suspected=suspected and fault.declined is None,
            code=fault.code,
        )

    async def _exchange(self, call: Call) -> Reply | Fault:
        watch = StreamedText(self.wire, self.secrets, call.on_text).feed if call.on_text else None
        response = await self.transport.post(call.body, watch)
        if isinstance(response, Fault):
            return response
        self._breaker.note_response()
        return self.diagnosis.read(response, call.fields)

    def _question(self, question: Question) -> Question:
        """A question as this server takes it, with the fields that go into every request."""
        if not self._takes_temperature and not question.temperature:
            question = replace(question, temperature=None)
        return replace(question, extra={**question.extra, **self._extra_body}) if self._extra_body else question

    def call(self, question: Question) -> Call:
        """The call that asks `question`, with the body that it is sent with first."""
        fields = self.wire.fields(self.model, self._question(question))
        return Call(question, fields, self.price or FREE, self.wire.overhead(fields))
